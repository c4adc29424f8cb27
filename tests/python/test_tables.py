"""Does a table, or what is made of tables, come back equal, whatever its columns, indexes and names are?"""
# pyright: basic, reportMissingImports=false, reportArgumentType=false, reportAttributeAccessIssue=false

import datetime
import decimal
import struct
import warnings

import numpy
import pandas
import pyarrow
import pyarrow.parquet
import pytest
import scipy.sparse
import xarray
from dfm import _results, _values
from dfm.exec._keys import key_of
from hypothesis import given, settings
from hypothesis import strategies as st

ROWS = st.integers(0, 5)
WORDS = ["a", "", "ñ", "a longer text", "\x00"]
MOMENTS = numpy.array(["2020-02-29T12:00:00", "1969-12-31T23:59:59", "NaT", "2262-04-11", "1970-01-01"], "M8[us]")
LOOSE = [
    None,
    float("nan"),
    1,
    "x",
    (1, (2,)),
    [3],
    {"k": {1}},
    b"b",
    decimal.Decimal("1.50"),
    datetime.date(2020, 1, 1),
]


@pytest.fixture(autouse=True)
def _policy(monkeypatch):
    monkeypatch.setattr(_values, "policy", _values.Policy())


def there_and_back(value):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return _values.loads(_values.dumps(value))


def _some(draw, values, rows):
    places = draw(st.lists(st.integers(0, len(values) - 1), min_size=rows, max_size=rows))
    return [values[at] for at in places]


NUMERIC = ["?", "i1", "u2", "<i4", ">i4", "i8", "u8", "f2", "f4", "f8", "c8", "m8[s]"]
MASKED = ["Int8", "UInt64", "Int64", "Float32", "boolean"]


def _column(draw, rows):
    """An array of one of the kinds that a table's column may be."""
    numbers = _some(draw, [0, 1, 1, 0, 1], rows)
    match draw(st.sampled_from(["numbers", "moments", "objects", "texts", "masked", "categories", "more"])):
        case "numbers":
            return numpy.array(numbers).astype(draw(st.sampled_from(NUMERIC)))
        case "moments":
            moments = numpy.array(_some(draw, MOMENTS, rows), "M8[us]").astype(
                draw(st.sampled_from(["M8[s]", "M8[us]"]))
            )
            zone = draw(st.sampled_from([None, "UTC", "Europe/Berlin", datetime.timezone(datetime.timedelta(hours=2))]))
            index = pandas.DatetimeIndex(moments)
            return index.array if zone is None else index.tz_localize("UTC").tz_convert(zone).array
        case "objects":
            cells = numpy.empty(rows, object)
            for at, cell in enumerate(_some(draw, LOOSE, rows)):
                cells[at] = cell
            return cells
        case "texts":
            texts = _some(draw, [*WORDS, None], rows)
            kind = draw(st.sampled_from(["str", "string", "string[python]", "string[pyarrow]", "arrow"]))
            if kind == "arrow":
                return pandas.array(texts, pandas.ArrowDtype(pyarrow.string()))
            return pandas.array(texts, kind)
        case "masked":
            return pandas.array(_some(draw, [0, 1, None], rows), draw(st.sampled_from(MASKED)))
        case "categories":
            categories = draw(st.sampled_from([WORDS, [3, 1, 2], [2.5, None, 1.5]]))
            kept = [one for one in categories if one is not None]
            return pandas.Categorical(_some(draw, categories, rows), kept, ordered=draw(st.booleans()))
        case _:
            kind = draw(st.sampled_from(["period", "interval", "sparse", "list", "decimal"]))
            if kind == "period":
                return pandas.period_range("2020", periods=rows, freq="M").array
            if kind == "interval":
                return pandas.arrays.IntervalArray.from_breaks(range(rows + 1), closed="both")
            if kind == "sparse":
                return pandas.arrays.SparseArray(numbers, fill_value=0)
            of = pyarrow.list_(pyarrow.int8()) if kind == "list" else pyarrow.decimal128(5, 2)
            cells = [[1, 2], None] if kind == "list" else [decimal.Decimal("1.50"), None]
            return pandas.array(_some(draw, cells, rows), pandas.ArrowDtype(of))


def _index(draw, rows):
    name = draw(st.sampled_from([None, "name", 3, ("a", 1)]))
    match draw(st.sampled_from(["range", "range", "days", "levels", "column"])):
        case "range":
            return pandas.RangeIndex(5, 5 + 3 * rows, 3, name=name)
        case "days":
            return pandas.date_range(
                "2020-01-31", periods=rows, freq=draw(st.sampled_from(["D", "ME", "2h"])), name=name
            )
        case "levels":
            levels = [_some(draw, WORDS, rows), _some(draw, [1, 2.5, None], rows)]
            return pandas.MultiIndex.from_arrays(levels, names=["first", None])
        case _:
            column = _column(draw, rows)
            as_is = isinstance(column, numpy.ndarray) and column.dtype == object
            if as_is:
                column[:] = [cell if isinstance(cell, str | int | tuple) else str(cell) for cell in column]
            if column.dtype == numpy.float16:
                column = column.astype("f4")
            return pandas.Index(column, dtype=object if as_is else None, name=name, tupleize_cols=False)


@st.composite
def frames(draw):
    rows = draw(ROWS)
    columns = [_column(draw, rows) for _ in range(draw(st.integers(0, 5)))]
    index = _index(draw, rows)
    held = {at: pandas.Series(one, index, dtype=one.dtype) for at, one in enumerate(columns)}
    frame = pandas.DataFrame(held, index=index)
    frame.columns = _index(draw, len(columns))
    if draw(st.booleans()):
        frame.attrs = {"unit": "K", "of": [1, (2,)]}
    return frame


def assert_same_frame(one, other):
    pandas.testing.assert_frame_equal(one, other, check_freq=True, check_column_type=True, check_exact=True)
    assert (
        one.attrs == other.attrs and one.columns.dtype == other.columns.dtype and one.index.dtype == other.index.dtype
    )
    for at in range(one.shape[1]):
        cells, others = one.iloc[:, at].tolist(), other.iloc[:, at].tolist()
        assert repr(cells) == repr(others) and list(map(type, cells)) == list(map(type, others))


@settings(max_examples=150, deadline=None)
@given(frames())
def test_a_frame_comes_back_equal(frame):
    back = there_and_back(frame)
    assert_same_frame(frame, back)
    # What came back goes on as well.
    assert_same_frame(frame, there_and_back(back))


@settings(max_examples=50, deadline=None)
@given(frames())
def test_a_series_and_an_index_come_back_equal(frame):
    for at in range(frame.shape[1]):
        series = frame.iloc[:, at]
        if isinstance(series.name, list):
            with pytest.raises(TypeError, match="its name has no hash; use rename"):
                there_and_back(series)
            series = series.rename(None)
        pandas.testing.assert_series_equal(there_and_back(series), series, check_freq=True, check_exact=True)
    for index in (frame.index, frame.columns):
        pandas.testing.assert_index_equal(there_and_back(index), index, exact=True)


@settings(max_examples=50, deadline=None)
@given(frames(), frames())
def test_frames_are_the_same_key_if_they_are_the_same(one, other):
    assert key_of((one,)) == key_of((there_and_back(one),))
    if key_of((one,)) == key_of((other,)):
        pandas.testing.assert_frame_equal(one, other, check_freq=False, check_flags=False)


def twice_named():
    """Tables with two columns of one name, and cells with two fields of one name."""
    arrays = [pyarrow.array([1, 2]), pyarrow.array(["x", None])]
    table = pyarrow.table(arrays, names=["a", "a"])
    frame = pandas.DataFrame([[1, "x"], [2, None]], columns=["a", "a"])
    return frame, table, table.to_batches()[0], pyarrow.StructArray.from_arrays(arrays, names=["a", "a"])


def test_columns_of_one_name_travel_as_they_are():
    frame, *others = twice_named()
    assert_same_frame(frame, there_and_back(frame))
    for value in others:
        back = there_and_back(value)
        assert type(back) is type(value) and back.equals(value)
        assert value.type == back.type if isinstance(value, pyarrow.Array) else value.schema.equals(back.schema)


def test_columns_of_one_name_are_each_part_of_a_key():
    for value in twice_named()[:3]:
        other = value.iloc[:, ::-1] if isinstance(value, pandas.DataFrame) else value.select([1, 0])
        assert key_of((value,)) != key_of((other,))
    with pytest.raises(TypeError, match="two fields of one name cannot be part of a cache's key"):
        key_of((pyarrow.table({"s": twice_named()[3]}),))
    with pytest.raises(TypeError, match="two fields of one name cannot be part of a cache's key"):
        cells = twice_named()[3]
        key_of((pandas.DataFrame({"s": pandas.array(cells, pandas.ArrowDtype(cells.type))}),))


def test_rows_with_columns_of_one_name_are_refused_where_one_would_be_left_out(tmp_path):
    for value in twice_named()[:3]:
        with pytest.raises(ValueError, match="more than one column 'a'"):
            _values.elements(value)
        with pytest.raises(ValueError, match="more than one column 'a'"):
            _results.save(value, tmp_path, "value")
    assert not list(tmp_path.iterdir())
    batch = pyarrow.table({"a": [1], "b": [2]}).to_batches()[0]
    assert pyarrow.parquet.read_table(_results.save(batch, tmp_path, "value")).to_pylist() == [{"a": 1, "b": 2}]


def test_times_with_nulls_are_keys():
    moments = pandas.to_datetime(["2020-01-01", None])
    for value in (pandas.DataFrame({"t": moments}), pandas.Series(moments), moments, pandas.NaT, moments[0]):
        assert key_of((value,)) == key_of((there_and_back(value),))
    for kind in (pyarrow.timestamp("us"), pyarrow.timestamp("ns", "UTC"), pyarrow.date32(), pyarrow.duration("s")):
        column = pyarrow.array([1, None], pyarrow.int64())
        table = pyarrow.table({"t": (column.cast("i4") if kind == pyarrow.date32() else column).cast(kind)})
        assert key_of((table,)) == key_of((there_and_back(table),))


@pytest.mark.parametrize(
    "value",
    [
        pandas.Timestamp("2020-06-01 12:00:00.123456789"),
        pandas.Timestamp(datetime.datetime(2020, 10, 25, 2, 30), tz="Europe/Berlin", fold=1),
        pandas.Timedelta("1 day 1ns"),
        pandas.Period("2020-03", "M"),
        pandas.Interval(0, 1.5, "left"),
        pandas.NaT,
        pandas.NA,
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_scalar_of_pandas_comes_back_equal(value):
    back = there_and_back(value)
    assert type(back) is type(value) and repr(back) == repr(value)
    assert getattr(back, "unit", None) == getattr(value, "unit", None)


def test_a_cell_that_does_not_travel_is_named():
    frame = pandas.DataFrame({"n": [1, 2], "m": pandas.Series([1, open], dtype=object)})
    with pytest.raises(TypeError, match=r"^value\['df'\]\['m'\]\[1\]: a value of type builtins.*it has no encoding"):
        _values.dumps({"df": frame})


def test_a_frame_that_may_be_written_to():
    frame = there_and_back(pandas.DataFrame({"a": numpy.zeros(300_000), "b": numpy.arange(300_000)}))
    frame.loc[0, "a"] = 5.0
    frame["a"] += 1
    assert frame["a"].tolist()[:2] == [6.0, 1.0]


@pytest.mark.parametrize(
    "value",
    [
        pyarrow.table({"a": [1, None], "b": ["x", "y"]}, metadata={"k": "v"}),
        pyarrow.table({}),
        pyarrow.table({"a": pyarrow.chunked_array([[1], [2, 3]])}),
        pyarrow.table({"a": [1, 2, 3]}).slice(1, 1),
        pyarrow.table({"a": pyarrow.array(["a", "b", "a"]).dictionary_encode()}),
        pyarrow.record_batch({"a": [1, 2]}),
        pyarrow.record_batch({"a": pyarrow.array([], pyarrow.int64())}),
        pyarrow.array([[1, 2], None]),
        pyarrow.chunked_array([["a"], ["b", None]]),
        pyarrow.scalar(3, pyarrow.int8()),
        pyarrow.scalar(None, pyarrow.string()),
        pyarrow.schema([("a", pyarrow.int64())]),
        pyarrow.timestamp("us", "UTC"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_arrows_comes_back_equal(value):
    back = there_and_back(value)
    assert type(back) is type(value) and back.equals(value)


DAYS = pandas.date_range("2020", periods=3)
WEATHER = xarray.Dataset(
    {"t": (("x", "time"), numpy.arange(6.0).reshape(2, 3), {"unit": "K"}), "s": ((), 5)},
    coords={"x": ["a", "b"], "time": DAYS, "lat": ("x", [1.0, 2.0]), "run": 3},
    attrs={"of": [1, 2]},
)
SETS = {
    "a data set": WEATHER,
    "one without an index": WEATHER.drop_indexes("x"),
    "one with levels": WEATHER.stack(k=("x", "time")),
    "one with small types": xarray.Dataset(
        coords={"x": numpy.arange(3, dtype="f4"), "o": numpy.array(["a", 1], object)}
    ),
    "one with categories": xarray.Dataset({"c": ("x", pandas.Categorical(["u", "v"]))}, {"x": ["p", "q"]}),
    "an empty one": xarray.Dataset(),
    "an array": WEATHER.t,
    "an array without dimensions": xarray.DataArray(5, name=("a", 1)),
    "a variable": WEATHER.t.variable,
    "a tree": xarray.DataTree.from_dict({"/": WEATHER, "/a/b": xarray.Dataset({"z": 5})}, name="root"),
}


@pytest.mark.parametrize("value", SETS.values(), ids=SETS)
def test_what_is_xarrays_comes_back_identical(value):
    back = there_and_back(value)
    assert type(back) is type(value) and back.identical(value)
    for name in getattr(value, "coords", ()):
        assert back.coords[name].dtype == value.coords[name].dtype
        assert (name in back.xindexes) == (name in value.xindexes)


def test_a_data_set_that_is_not_computed_is_refused_by_name():
    pytest.importorskip("dask.array")
    with pytest.raises(
        TypeError, match=r"Dataset cannot be sent: .* is not computed yet \(dask\); return value.compute"
    ):
        _values.dumps(WEATHER.chunk())


@pytest.mark.parametrize("form", ["csr", "csc", "bsr", "coo", "dia", "dok", "lil"])
@pytest.mark.parametrize("kind", ["matrix", "array"])
def test_a_sparse_matrix_comes_back_equal(form, kind):
    make = getattr(scipy.sparse, f"{form}_{kind}")
    for dense in (numpy.array([[1.5, 0, 2], [0, 0, 3]]), numpy.zeros((0, 4), "i2"), numpy.eye(3, dtype="c16")):
        value = make(dense)
        back = there_and_back(value)
        assert type(back) is type(value) and (back.dtype, back.shape) == (value.dtype, value.shape)
        assert (back.toarray() == dense).all()


def test_a_tensor_comes_back_equal():
    torch = pytest.importorskip("torch", reason="its package is larger than all others together")
    for dtype in (torch.bfloat16, torch.uint16, torch.uint64, torch.float8_e5m2, torch.complex64, torch.bool):
        tensor = torch.arange(6.0).to(dtype).reshape(2, 3).T
        back = there_and_back(tensor)
        assert back.dtype is tensor.dtype is there_and_back(tensor.dtype)
        assert back.shape == tensor.shape and torch.equal(back.to(torch.complex64), tensor.to(torch.complex64))
    parameter = torch.nn.Parameter(torch.ones(2))
    assert type(there_and_back(parameter)) is torch.nn.Parameter
    with pytest.raises(TypeError, match="value.detach"):
        _values.dumps(parameter * 2)


def test_an_array_of_jax_comes_back_equal():
    jax = pytest.importorskip("jax", reason="its package is large")
    array = jax.numpy.arange(6, dtype="bfloat16").reshape(2, 3)
    back = there_and_back(array)
    assert isinstance(back, jax.Array) and back.dtype == array.dtype and (back == array).all()


def test_a_frame_of_polars_comes_back_equal():
    polars = pytest.importorskip("polars", reason="its package is large")
    frame = polars.DataFrame({"a": [1, None], "b": ["x", None], "c": [[1], [2, 3]], "d": [{"k": 1}, {"k": 2}]})
    back = there_and_back(frame)
    assert back.equals(frame) and back.schema == frame.schema
    assert there_and_back(frame["a"]).equals(frame["a"])
    with pytest.raises(TypeError, match="value.collect"):
        _values.dumps(frame.lazy())


def test_a_frame_of_geopandas_comes_back_equal():
    geopandas = pytest.importorskip("geopandas", reason="its package brings others that are large")
    import shapely

    polygon = shapely.Polygon([(0, 0), (1, 0), (1, 1)], [[(0.1, 0.1), (0.2, 0.1), (0.2, 0.2)]])
    frame = geopandas.GeoDataFrame(
        {"n": [1, 2, 3], "shape": [shapely.MultiPoint([(1, 2), (3, 4)]), None, polygon]},
        geometry="shape",
        crs="EPSG:4326",
    )
    back = there_and_back(frame)
    assert type(back) is geopandas.GeoDataFrame and back.crs == frame.crs and back.geometry.name == "shape"
    assert back.geometry.geom_equals_exact(frame.geometry, 0).tolist() == [True, False, True]
    assert back.n.tolist() == [1, 2, 3] and back.geometry[1] is None
    assert there_and_back(frame.geometry).crs == frame.crs
    with pytest.raises(TypeError, match="collections of geometries do not travel"):
        _values.dumps(geopandas.GeoSeries([shapely.GeometryCollection([polygon])]))


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("<BII", 1, 7, 1) * 100_000,
        struct.pack("<BII", 1, 6, 1) * 3,
        struct.pack("<BII", 1, 2, 2**31) + bytes(32),
        struct.pack("<BII", 1, 3, 2**31),
        struct.pack("<BI", 1, 1) + bytes(8),
        b"\x00\x00\x00\x00\x01" + bytes(16),
    ],
    ids=["nested", "of itself", "longer than it is", "of many rings", "short", "in another order"],
)
def test_a_geometry_that_leads_astray_is_refused_before_it_is_read(data):
    pytest.importorskip("geopandas", reason="its package brings others that are large")
    from dfm.values import _geopandas

    with pytest.raises(ValueError, match="not of its form"):
        _geopandas.geometries_of(numpy.array([data], object))


def test_an_index_that_cannot_be_looked_up_is_refused_where_it_is_sent():
    with pytest.raises(TypeError, match=r"Index cannot be sent: an index has members that have no hash"):
        _values.dumps(pandas.Index(pandas.Series([[1], [2]])))


def _hidden_under_nulls():
    """Columns of which the second cell is null, and has something in its memory."""
    gone, text = pyarrow.array([False, True, False]), "a row of Ada's"
    texts = pyarrow.array(["x", text, "z"])
    offsets = pyarrow.array([0, 1, 2, 3], pyarrow.int32())
    yield pyarrow.Array.from_buffers(pyarrow.string(), 3, [pyarrow.py_buffer(b"\x05"), *texts.buffers()[1:]])
    yield pyarrow.array([b"x" * 14, text.encode(), b"z" * 14], pyarrow.binary(14)).filter(pyarrow.array([True] * 3))
    yield pyarrow.StructArray.from_arrays([texts], ["b"], mask=gone)
    yield pyarrow.ListArray.from_arrays(offsets, texts, mask=gone)
    yield pyarrow.LargeListArray.from_arrays(offsets.cast("int64"), texts, mask=gone)
    yield pyarrow.FixedSizeListArray.from_arrays(texts, 1, mask=gone)
    yield pyarrow.MapArray.from_arrays(offsets, texts, texts, mask=gone)
    yield pyarrow.ListArray.from_arrays(offsets, pyarrow.StructArray.from_arrays([texts], ["b"]), mask=gone)
    yield pyarrow.array(["x", f"{text}, and more than fits", "z"], pyarrow.string_view())[2:]


def test_what_a_null_hides_does_not_travel():
    for column in _hidden_under_nulls():
        if pyarrow.types.is_fixed_size_binary(column.type):
            bits = pyarrow.py_buffer(b"\x05")
            column = pyarrow.Array.from_buffers(column.type, 3, [bits, *column.buffers()[1:]])
        for value in (column, pyarrow.table({"x": column}), pandas.Series(pandas.arrays.ArrowExtensionArray(column))):
            sent = _values.dumps(value)
            back = _values.loads(sent)
            assert back.equals(value) and b"a row of Ada" not in sent, column.type


def test_runs_and_unions_with_nulls_come_back_equal():
    values = pyarrow.Array.from_buffers(
        pyarrow.int64(), 2, [pyarrow.py_buffer(b"\x01"), pyarrow.py_buffer(b"\x07" * 16)]
    )
    runs = pyarrow.RunEndEncodedArray.from_arrays(pyarrow.array([2, 5], "i4"), values)
    union = pyarrow.UnionArray.from_sparse(pyarrow.array([0, 0], "i1"), [values])
    for value in (runs, runs[1:4], union, pyarrow.array([[1], None]), pyarrow.StructArray.from_arrays([union], ["u"])):
        assert there_and_back(value).equals(value)
    assert there_and_back(runs).values.buffers()[1].to_pybytes()[8:16] == bytes(8)


def test_no_number_is_left_under_a_null():
    kinds = [pyarrow.int16(), pyarrow.uint64(), pyarrow.float16(), pyarrow.float64(), pyarrow.decimal128(9)]
    kinds += [pyarrow.timestamp("us", "UTC"), pyarrow.date32(), pyarrow.time64("ns"), pyarrow.duration("s")]
    for kind in [*kinds, pyarrow.month_day_nano_interval(), pyarrow.bool_()]:
        width = max(1, kind.bit_width // 8)
        held = pyarrow.py_buffer(b"\x00" * width + b"\x07" * width + b"\x00" * width)
        column = pyarrow.Array.from_buffers(kind, 3, [pyarrow.py_buffer(b"\x05"), held])
        back = there_and_back(pyarrow.table({"x": column}))["x"].chunk(0)
        assert back.equals(column) and not any(bytes(back.buffers()[1])[width : 2 * width]), kind
    held = pyarrow.array([0, 7], pyarrow.int32()).buffers()[1]
    places = pyarrow.Array.from_buffers(pyarrow.int32(), 2, [pyarrow.py_buffer(b"\x01"), held])
    column = pyarrow.DictionaryArray.from_arrays(places, pyarrow.array([*range(8)]))
    back = there_and_back(column)
    assert back.equals(column) and back.indices.buffers()[1].to_pybytes()[4:8] == bytes(4)
