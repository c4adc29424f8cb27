"""How do GeoPandas' frames and series travel, and Shapely's geometries?

Geometries travel as well-known binary. GEOS, which reads it, follows whatever is nested in it, so each is gone through
before GEOS sees it.
"""
# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportArgumentType=false, reportIndexIssue=false

import struct
from collections.abc import Callable
from typing import Any

import geopandas
import numpy
import pandas
import shapely

from dfm.values._files import Reduced
from dfm.values._form import Unsent, as_list, malformed, text
from dfm.values._pandas import frame_of, of_frame

_POINT, _LINE, _POLYGON, _COLLECTION = 1, 2, 3, 7
_PARTS = {4: _POINT, 5: _LINE, 6: _POLYGON}
"""What the geometries of several parts are made of."""
_Z, _M = 0x80000000, 0x40000000


def reduce(value: Any) -> Reduced | None:
    """A frame or a series; None for another."""
    kind: type[Any] = type(value)
    if kind is geopandas.GeoDataFrame:
        return "geopandas-frame", [value._geometry_column_name, *_plain(pandas.DataFrame(value))]
    if kind is geopandas.GeoSeries:
        return "geopandas-series", [*_plain(pandas.DataFrame({"": pandas.Series(value)})), value.name]
    return None


def _plain(frame: Any) -> list[Any]:
    """A frame with its geometries as bytes, and which of its columns they are, each with where its numbers are."""
    places = [at for at, kind in enumerate(frame.dtypes) if isinstance(kind, geopandas.array.GeometryDtype)]
    held = {at: frame.iloc[:, at] for at in range(frame.shape[1])}
    systems = []
    for at in places:
        array = frame.iloc[:, at].array
        systems.append([at, None if array.crs is None else array.crs.to_json()])
        held[at] = pandas.Series(of_geometries(numpy.asarray(array)), frame.index, dtype=object)
    plain = pandas.DataFrame(held, index=frame.index)
    plain.columns = frame.columns
    plain.attrs = frame.attrs
    return [of_frame(plain), systems]


def of_geometries(geometries: Any) -> Any:
    """Geometries as well-known binary, each with its system's number."""
    if numpy.isin(shapely.get_type_id(geometries), (2, 7)).any():
        raise Unsent("rings and collections of geometries do not travel", "use explode()")
    return shapely.to_wkb(
        geometries, output_dimension=4 if hasattr(shapely, "has_m") else 3, byte_order=1, include_srid=True
    )


def geometries_of(cells: Any) -> Any:
    """The geometries that `of_geometries` made plain."""
    for cell in cells:
        if cell is not None:
            _check(cell)
    return shapely.from_wkb(cells, on_invalid="raise")


def _check(data: Any) -> None:
    if type(data) is not bytes:
        raise malformed()
    try:
        end = _geometry(data, 0, range(1, _COLLECTION))
    except struct.error:
        raise malformed() from None
    if end != len(data):
        raise malformed()


def _geometry(data: bytes, at: int, allowed: Any) -> int:
    """Where a geometry of one of these kinds ends."""
    order, form = struct.unpack_from("<BI", data, at)
    kind = form & 0xFF
    if order != 1 or kind not in allowed or form & ~(_Z | _M | 0x20000000 | 0xFF):
        raise malformed()
    at += 9 if form & 0x20000000 else 5
    size = 8 * (2 + bool(form & _Z) + bool(form & _M))
    if kind == _POINT:
        return _within(data, at + size)
    (count,) = struct.unpack_from("<I", data, at)
    at += 4
    if kind == _LINE:
        return _within(data, at + count * size)
    for _ in range(count):
        if kind == _POLYGON:
            (points,) = struct.unpack_from("<I", data, at)
            at = _within(data, at + 4 + points * size)
        else:
            at = _geometry(data, at, (_PARTS[kind],))
    return at


def _within(data: bytes, end: int) -> int:
    if end > len(data):
        raise malformed()
    return end


def _frame(state: Any) -> Any:
    geometry, plain, systems = as_list(state, 3)
    frame = frame_of(plain)
    held = {at: frame.iloc[:, at] for at in range(frame.shape[1])}
    for system in as_list(systems):
        at, crs = as_list(system, 2)
        if type(at) is not int or at not in held:
            raise malformed()
        array = geopandas.array.GeometryArray(
            geometries_of(held[at].to_numpy(object)), None if crs is None else _crs(crs)
        )
        held[at] = pandas.Series(array, frame.index)
    made = geopandas.GeoDataFrame(held, index=frame.index)
    made.columns = frame.columns
    made.attrs = frame.attrs
    made._geometry_column_name = geometry
    return made


def _crs(state: Any) -> Any:
    import pyproj

    # A system's name could be a file's, which PROJ would open.
    if len(text(state)) > 100_000 or not state.startswith("{"):
        raise malformed()
    return pyproj.CRS.from_json(state)


def _series(state: Any) -> Any:
    plain, systems, name = as_list(state, 3)
    hash(name)
    return geopandas.GeoSeries(_frame([None, plain, systems]).iloc[:, 0].rename(name))


RESTORE: dict[str, Callable[[Any], Any]] = {"geopandas-frame": _frame, "geopandas-series": _series}
