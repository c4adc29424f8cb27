"""How do xarray's data sets and arrays travel?

Variable by variable: dimensions, values and attributes. How a file had them (`encoding`) stays behind.
"""
# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportArgumentType=false, reportIndexIssue=false

from collections.abc import Callable, Sequence
from typing import Any

import numpy
import pandas
import xarray

from dfm import _values
from dfm.values._files import Reduced
from dfm.values._form import Unsent, as_dict, as_list, malformed, text
from dfm.values._numpy import dtype_of


def reduce(value: Any) -> Reduced | None:
    """A data set, an array, a variable or a tree; None for another."""
    kind: type[Any] = type(value)
    if kind is xarray.Dataset:
        return "xarray-dataset", [_of_coords(value), _of_variables(value, value.data_vars), dict(value.attrs)]
    if kind is xarray.DataArray:
        return "xarray-array", [_of_coords(value), _of_variable(value.variable, "it"), value.name]
    if kind is xarray.Variable:
        return "xarray-variable", _of_variable(value, "it")
    if kind is getattr(xarray, "DataTree", None):
        return "xarray-tree", [value.name, {path: set_.copy() for path, set_ in _sets(value).items()}]
    return None


def _sets(tree: Any) -> dict[str, Any]:
    return {node.relative_to(tree): node.to_dataset(inherit=False) for node in tree.subtree}


def _of_variables(of: Any, names: Any) -> dict[Any, Any]:
    return {name: _of_variable(of.variables[name], f"the variable [{_values.shown_key(name)}]") for name in names}


def _of_variable(variable: Any, what: str) -> list[Any]:
    if variable.chunks is not None:
        raise Unsent(f"{what} is not computed yet (dask)", "return value.compute()")
    data = variable.data
    if not isinstance(data, numpy.ndarray):
        data = variable.to_numpy() if isinstance(variable, xarray.IndexVariable) else data
    return [list(variable.dims), data, dict(variable.attrs)]


def _of_coords(of: Any) -> list[Any]:
    """The coordinates, those that are levels of one index together with it, and those that have an index."""
    indexed: list[Any] = []
    levels: list[Any] = []
    done: set[Any] = set()
    for name, index in of.xindexes.items():
        if name in done:
            continue
        if type(index) is xarray.indexes.PandasMultiIndex:
            names = [index.dim, *index.index.names]
            levels.append([index.dim, index.index, {one: _beside(of.coords[one]) for one in names}])
            done.update(names)
        elif type(index) is xarray.indexes.PandasIndex and index.dim == name:
            indexed.append(name)
            done.add(name)
        else:
            raise Unsent(
                f"the coordinate [{_values.shown_key(name)}] has an index of type {type(index).__name__}",
                "return value.drop_indexes of it",
            )
    variables: dict[Any, Any] = {}
    for name in of.coords:
        if name in indexed:
            variable = of.variables[name] if isinstance(of, xarray.Dataset) else of.coords[name].variable
            variables[name] = [list(variable.dims), of.xindexes[name].index, *_beside(variable)]
        elif name not in done:
            what = f"the coordinate [{_values.shown_key(name)}]"
            variables[name] = _of_variable(of.coords[name].variable, what)
    return [variables, levels]


def _beside(coord: Any) -> list[Any]:
    return [dict(coord.attrs), coord.dtype.str if isinstance(coord.dtype, numpy.dtype) else None]


def _coords(state: Any) -> Any:
    variables, levels = as_list(state, 2)
    plain: dict[Any, Any] = {}
    indexes: dict[Any, Any] = {}
    for name, form in as_dict(variables).items():
        if len(as_list(form)) == 3:
            plain[name] = _variable(form)
            continue
        dims, index, attrs, dtype = as_list(form, 4)
        if dims != [name] or not isinstance(index, pandas.Index) or isinstance(index, pandas.MultiIndex):
            raise malformed()
        indexes[name] = made = xarray.indexes.PandasIndex(index, name, coord_dtype=_dtype(index, dtype))
        plain[name] = made.create_variables({name: xarray.Variable(dims, index, as_dict(attrs))})[name]
    coords = xarray.Coordinates(plain, indexes)
    for level in as_list(levels):
        dim, index, beside = as_list(level, 3)
        if not isinstance(index, pandas.MultiIndex) or as_dict(beside).keys() != {dim, *index.names}:
            raise malformed()
        found = {name: as_list(one, 2) for name, one in beside.items()}
        dtypes = {name: _dtype(index.get_level_values(name), found[name][1]) for name in index.names}
        of = xarray.Coordinates.from_xindex(xarray.indexes.PandasMultiIndex(index, dim, level_coords_dtype=dtypes))
        for name, (attrs, _) in found.items():
            of[name].attrs.update(as_dict(attrs))
        coords = coords.assign(of)
    return coords


def _dtype(index: Any, name: Any) -> Any:
    """The type that a coordinate's values have as an array; its index may have a wider one."""
    if name is None:
        return index.dtype
    return numpy.dtype(object) if text(name) == "|O" else dtype_of(name)


def _variable(state: Any) -> Any:
    dims, data, attrs = as_list(state, 3)
    if not hasattr(data, "shape") or not hasattr(data, "dtype") or len(data.shape) != len(as_list(dims)):
        raise malformed()
    return xarray.Variable(tuple(dims), data, as_dict(attrs))


def _dataset(state: Any) -> Any:
    coords, variables, attrs = as_list(state, 3)
    made = {name: _variable(form) for name, form in as_dict(variables).items()}
    return xarray.Dataset(made, coords=_coords(coords), attrs=as_dict(attrs))


def _data_array(state: Any) -> Any:
    coords, form, name = as_list(state, 3)
    hash(name)
    variable = _variable(form)
    return xarray.DataArray(variable.data, _coords(coords), variable.dims, name, variable.attrs)


def _tree(state: Any) -> Any:
    name, sets = as_list(state, 2)
    if any(type(one) is not xarray.Dataset or type(path) is not str for path, one in as_dict(sets).items()):
        raise malformed()
    return xarray.DataTree.from_dict({"/" if path == "." else path: one for path, one in sets.items()}, name=name)


def _where(value: Any, steps: Sequence[Any]) -> str:
    match steps:
        case [0 | 1, *rest] if names := [one for one in rest if not isinstance(one, int)]:
            return f"[{_values.shown_key(names[0])}]"
        case _:
            return ""


RESTORE: dict[str, Callable[[Any], Any]] = {
    "xarray-dataset": _dataset,
    "xarray-array": _data_array,
    "xarray-variable": _variable,
    "xarray-tree": _tree,
}

WHERE: dict[str, Callable[[Any, Sequence[Any]], str]] = {"xarray-dataset": _where, "xarray-array": _where}
