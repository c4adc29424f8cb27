"""What lies in the memory of an array, and is not in it?

Under a mask or a null there is what was there before, and between the fields of a record what the other fields of a
larger one have: nobody sees it, and all of it would travel. Here it becomes zeros. What has none of that is left as it
is.
"""
# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportArgumentType=false, reportIndexIssue=false

from typing import Any

from dfm import _values


def blanked(data: Any, mask: Any) -> Any:
    """A copy of an array of NumPy's, with nothing in it where it is masked; itself, where it is not."""
    import numpy

    if not _is_masked(mask):
        return data
    made = numpy.array(data, subok=False)
    _blank(made, mask)
    return made


def _is_masked(mask: Any) -> bool:
    names = mask.dtype.names
    return any(_is_masked(mask[name]) for name in names) if names else bool(mask.any())


def _blank(data: Any, mask: Any) -> None:
    import numpy

    if data.dtype.names:
        for name in data.dtype.names:
            _blank(data[name], mask[name])
    else:
        data[mask] = None if data.dtype.char == "O" else numpy.zeros((), data.dtype)[()]


def without_gaps(value: Any) -> Any:
    """An array of records, with nothing between its fields; itself, where there is no room between them."""
    import numpy

    if not _has_gaps(value.dtype):
        return value
    is_turned = value.flags.f_contiguous and not value.flags.c_contiguous
    made = numpy.zeros(value.shape, value.dtype, "F" if is_turned else "C")
    _copy(value, made)
    return made


def _has_gaps(dtype: Any) -> bool:
    if dtype.subdtype is not None:
        return _has_gaps(dtype.subdtype[0])
    if dtype.names is None:
        return False
    of = [dtype.fields[name][0] for name in dtype.names]
    return sum(one.itemsize for one in of) != dtype.itemsize or any(map(_has_gaps, of))


def _copy(value: Any, made: Any) -> None:
    for name in value.dtype.names or ():
        if value[name].dtype.names:
            _copy(value[name], made[name])
        else:
            made[name] = value[name]


# Arrow


def of_batch(batch: Any) -> Any:
    """A record batch with nothing in it where it is null."""
    import pyarrow

    columns = [of_array(column) for column in batch.columns]
    if all(one is other for one, other in zip(columns, batch.columns, strict=True)):
        return batch
    return pyarrow.RecordBatch.from_arrays(columns, schema=batch.schema)


def of_array(array: Any) -> Any:
    """An array of Arrow's with nothing in its memory but what is in it; itself, where that is so."""
    import pyarrow
    import pyarrow.compute as compute

    types, of = pyarrow.types, array.type
    if hasattr(of, "storage_type"):
        storage = of_array(array.storage)
        return array if storage is array.storage else pyarrow.ExtensionArray.from_storage(of, storage)
    if types.is_string_view(of) or types.is_binary_view(of):
        return _of_views(array)
    if types.is_dictionary(of):
        return _of_dictionary(array)
    if types.is_run_end_encoded(of):
        return _of_runs(array)
    if types.is_nested(of):
        return _of_nested(array) if _has_nulls(array) else array
    if not array.null_count or types.is_null(of):
        return array
    try:
        # From the value that is filled in, nothing of what was there comes back.
        return compute.if_else(array.is_valid(), compute.fill_null(array, _zero(of)), pyarrow.scalar(None, of))
    except (pyarrow.ArrowNotImplementedError, pyarrow.ArrowInvalid):
        return _made_again(array)


def _zero(of: Any) -> Any:
    import pyarrow

    types = pyarrow.types
    if types.is_fixed_size_binary(of) and not types.is_decimal(of):
        return pyarrow.scalar(bytes(of.byte_width), of)
    if types.is_string(of) or types.is_large_string(of):
        return pyarrow.scalar("", of)
    if types.is_binary(of) or types.is_large_binary(of):
        return pyarrow.scalar(b"", of)
    return pyarrow.scalar(False, of) if types.is_boolean(of) else pyarrow.scalar(0, pyarrow.int32()).cast(of)


def _of_dictionary(array: Any) -> Any:
    import pyarrow

    places, words = of_array(array.indices), of_array(array.dictionary)
    # Each time it is asked for, it is another object.
    if not array.null_count and not array.dictionary.null_count:
        return array
    return pyarrow.DictionaryArray.from_arrays(places, words, ordered=array.type.ordered)


def _has_nulls(array: Any) -> bool:
    """Whether there are nulls in an array or anywhere within, or a type that may hide more than these do."""
    import pyarrow

    types, of = pyarrow.types, array.type
    if array.null_count:
        return True
    if types.is_struct(of):
        return any(_has_nulls(array.field(at)) for at in range(of.num_fields))
    if types.is_list(of) or types.is_large_list(of) or types.is_map(of) or types.is_fixed_size_list(of):
        return _has_nulls(array.values)
    if types.is_dictionary(of):
        return bool(array.dictionary.null_count)
    return not types.is_union(of) and (
        types.is_nested(of) or types.is_run_end_encoded(of) or "view" in str(of) or hasattr(of, "storage_type")
    )


def _of_views(array: Any) -> Any:
    """Views look at any part of buffers that have more in them; where they look at so much together that nobody takes
    it, they stay as they are."""
    if not len(array):
        return _made_again(array)
    held = memoryview(array.buffers()[1]).cast("B")[16 * array.offset : 16 * (array.offset + len(array))]
    lengths = zip(held.cast("i")[::4], array.is_valid().to_pylist(), strict=True)
    total = sum(length for length, is_there in lengths if is_there)
    return array if total > _values.policy.max_value else _made_again(array)


def _of_runs(array: Any) -> Any:
    import pyarrow

    if not _has_nulls(array.values):
        return array
    parts = [array.run_ends, of_array(array.values)]
    return pyarrow.RunEndEncodedArray.from_buffers(array.type, len(array), [None], 0, array.offset, parts)


def _of_nested(array: Any) -> Any:
    import pyarrow
    import pyarrow.compute as compute

    types, of = pyarrow.types, array.type
    gone = array.is_null()
    if types.is_struct(of):
        # Flattened, fields are null where the whole is.
        parts = [of_array(part) for part in array.flatten()]
        fields = [of.field(at) for at in range(of.num_fields)]
        return pyarrow.StructArray.from_arrays(parts, fields=fields, mask=gone) if fields else array
    if types.is_list(of) or types.is_large_list(of):
        lengths = compute.fill_null(compute.list_value_length(array), 0)
        ends = compute.cumulative_sum(lengths)
        starts = pyarrow.concat_arrays([pyarrow.array([0], ends.type), ends])
        kind = pyarrow.ListArray if types.is_list(of) else pyarrow.LargeListArray
        return kind.from_arrays(starts, of_array(array.flatten()), type=of, mask=gone)
    # Nobody makes a union of what its cells are.
    return array if types.is_union(of) else _made_again(array)


def _made_again(array: Any) -> Any:
    """The same of its cells as Python has them."""
    import pyarrow

    return pyarrow.array(array.to_pylist(), array.type)
