"""Does a value leave with rounded numbers and without small counts, and what cannot be made so not at all?"""
# pyright: basic, reportMissingImports=false

from __future__ import annotations

import array
import collections
import copy
import dataclasses
import datetime
import fractions
import math
from typing import Any

import pytest
from dfm import _values
from dfm.exec._coarse import CoarseError, rounded, without_small
from dfm.exec._policy import Suppress
from hypothesis import example, given
from hypothesis import strategies as st

LEAVES = st.none() | st.booleans() | st.text() | st.integers() | st.floats(allow_nan=False)
VALUES = st.recursive(LEAVES, lambda of: st.lists(of) | st.tuples(of, of) | st.dictionaries(st.text(), of))


@dataclasses.dataclass(frozen=True)
class Found:
    mean: float
    label: str = "x"
    n: int = 100


def leaves_of(value: Any) -> list[Any]:
    if isinstance(value, list | tuple):
        return [leaf for part in value for leaf in leaves_of(part)]
    return [leaf for part in value.values() for leaf in leaves_of(part)] if isinstance(value, dict) else [value]


@given(VALUES, st.sampled_from([5, 1, 0.01, 0.25, 1000]))
@example(2.1631275853485708e16, 5)
@example(7864005509375137.0, 5)
def test_each_number_is_the_nearest_multiple_and_nothing_else_changes(value, base):
    before = copy.deepcopy(value)
    found = rounded(value, base)
    assert value == before
    for one, other in zip(leaves_of(value), leaves_of(found), strict=True):
        if isinstance(one, bool) or not isinstance(one, int | float):
            assert other is one
        elif abs(one / base if isinstance(one, float) else one) < 2**53:
            assert abs(other - one) <= base * 0.5000001
            assert math.isclose(other / base, round(other / base), abs_tol=1e-6)
        if isinstance(one, int) and not isinstance(one, bool) and base == 5:
            assert other % 5 == 0 and isinstance(other, int)


def test_the_digits_of_a_number_are_those_of_the_base():
    assert [rounded(value, 0.01) for value in (0.123, 1 / 3, 2, 1e300, -0.005)] == [0.12, 0.33, 2, 1e300, -0.0]
    assert rounded(3.3, 0.1) == 3.3 and repr(rounded(0.3000001, 0.1)) == "0.3"
    assert rounded([7, 8, -7], 5) == [5, 10, -5] and rounded(1.24 + 2.26j, 0.5) == 1.0 + 2.5j
    assert rounded(Found(1.26), 0.5) == Found(1.5) and rounded(range(4), 2) == [0, 2, 2, 4]
    assert math.isnan(rounded(math.nan, 5)) and rounded(math.inf, 5) == math.inf


def test_arrays_and_tables_are_rounded():
    numpy, pandas, pyarrow = (pytest.importorskip(name) for name in ("numpy", "pandas", "pyarrow"))
    for kind in ("int8", "uint8", "int64", "uint64", "float32", "float64"):
        made = numpy.array([1, 7, 100], kind)
        found = rounded(made, 5)
        assert found.tolist() == [0, 5, 100] and made.tolist() == [1, 7, 100]
        assert rounded(made, 1000).tolist() == [0, 0, 0]
    assert rounded(numpy.array([0.123, 1e300, numpy.inf]), 0.01).tolist() == [0.12, 1e300, numpy.inf]
    assert rounded(numpy.array([1.2 + 3.4j]), 1).tolist() == [1 + 3j]
    assert rounded(numpy.array([{"a": 7}, "x"], object), 5).tolist() == [{"a": 5}, "x"]
    assert rounded(numpy.float32(7), 5) == 5
    days = numpy.array(["2026-01-01"], "datetime64[D]")
    assert rounded(days, 5) is days
    table = pandas.DataFrame({"a": [1, 7], "b": [1.25, None], "c": ["x", "y"], "d": [True, False]}, index=["p", "q"])
    assert rounded(table, 5).to_dict("list")["a"] == [0, 5] and table["a"].tolist() == [1, 7]
    assert rounded(table, 5)["c"].tolist() == ["x", "y"] and list(rounded(table, 5).index) == ["p", "q"]
    assert rounded(table["a"], 5).tolist() == [0, 5]
    assert rounded(table.convert_dtypes(), 5)["a"].tolist() == [0, 5]
    arrow = pyarrow.table({"a": [1, 7], "b": [[1, 8], None], "c": ["x", "y"]})
    assert rounded(arrow, 5).to_pydict() == {"a": [0, 5], "b": [[0, 10], None], "c": ["x", "y"]}


def test_what_cannot_be_rounded_does_not_leave():
    deep: Any = 1
    for _ in range(300):
        deep = [deep]
    values: list[Any] = [{7: 1}, {1.5: 1}, fractions.Fraction(1, 3), deep, range(1 << 21)]
    numpy = pytest.importorskip("numpy")
    values.append(numpy.zeros(2, [("a", "i4")]))
    values.append(pytest.importorskip("pandas").DataFrame({"a": [1]}, index=[7]))
    for value in values:
        with pytest.raises(CoarseError) as found:
            rounded(value, 5)
        assert found.value.rule == "`leaves.rounding`"
    assert rounded({10: 1, "7": 1, None: 7}, 5) == {10: 0, "7": 0, None: 5}


def test_whole_numbers_that_are_small_leave_as_zero():
    few = Suppress(below=10)
    assert without_small({"a": 3, "b": 10, "c": [9, -9, 0.5, True]}, few) == {"a": 0, "b": 10, "c": [0, 0, 0.5, True]}
    assert without_small({3: 12}, few) == {3: 12}, "what is counted is no count"
    numpy, pandas = pytest.importorskip("numpy"), pytest.importorskip("pandas")
    assert without_small(numpy.array([1, -3, 10]), few).tolist() == [0, 0, 10]
    assert without_small(numpy.array([9, 10], "uint8"), few).tolist() == [0, 10]
    assert without_small(numpy.array([1.0]), few).tolist() == [1.0]
    table = pandas.DataFrame({"n": [1, 10]}, index=[3, 4])
    assert without_small(table, few)["n"].tolist() == [0, 10]


def test_what_small_counts_count_is_left_out():
    few = Suppress(below=10, counts=["n", "count*"])
    dictionary = {"n": [9, 10, 12], "mean": (1.0, 2.0, 3.0), "unit": "cm"}
    assert without_small(dictionary, few) == {"n": [10, 12], "mean": [2.0, 3.0], "unit": "cm"}
    assert dictionary["n"] == [9, 10, 12]
    assert without_small([{"counted": 3, "mean": 7.5}, {"counted": 30, "mean": 7}], few) == [
        {"counted": None, "mean": None},
        {"counted": 30, "mean": 7},
    ]
    for odd in (True, "30", None, math.nan):
        assert without_small({"n": odd, "x": 1}, few) == {"n": None, "x": None}, "what is no number counts nobody"
    big = {"n": 10, "parts": [1, 2]}
    assert without_small(big, few) is big and without_small(Found(1.0), few) == Found(1.0)
    bad: list[Any] = [{"n": [1, 10], "count": [1]}, Found(1.0, n=3), {"n": [1, 10], "other": {"x": 1, "y": 2}}]
    numpy, pandas, pyarrow = (pytest.importorskip(name) for name in ("numpy", "pandas", "pyarrow"))
    bad += [numpy.zeros(2, [("n", "i4")]), {"n": [1, 10], "other": numpy.zeros(2)}]
    for value in bad:
        with pytest.raises(CoarseError) as found:
            without_small(value, few)
        assert found.value.rule == "`leaves.suppress`"
    columns = {"n": [9, 10, None], "mean": [1.0, 2.0, 3.0]}
    table = pandas.DataFrame(columns)
    assert without_small(table, few)["mean"].tolist() == [2.0] and len(table) == 3
    assert without_small(table.set_index("n"), few)["mean"].tolist() == [2.0]
    assert without_small(pyarrow.table(columns), few).to_pydict()["mean"] == [2.0]
    assert without_small([pandas.Series([9, 10], name="n")], few)[0].tolist() == [10]


def test_nothing_is_left_of_what_was_suppressed():
    pandas, pyarrow = (pytest.importorskip(name) for name in ("pandas", "pyarrow"))
    few, rare = Suppress(below=10, counts=["n"]), "E75.2"
    kinds = pandas.Categorical(["flu", rare, "cold"], ["cold", rare, "flu"], ordered=True)
    levels = pandas.MultiIndex.from_arrays([["flu", rare, "cold"], kinds], names=["a", "b"])
    words = pyarrow.array(["flu", rare, None]).dictionary_encode()
    chunked = pyarrow.chunked_array([words, words.slice(1, 1)])
    made = [
        pandas.DataFrame({"n": [12, 2, 13]}, index=pandas.Index(kinds)),
        pandas.DataFrame({"n": [12, 2, 13], "d": kinds}),
    ]
    made += [
        pandas.DataFrame({"n": [12, 2, 13]}, index=levels),
        pandas.Series([12, 2, 13], pandas.Index(kinds), name="n"),
    ]
    made += [pandas.DataFrame({"n": [12, 2, 13], "d": pandas.arrays.ArrowExtensionArray(words)})]
    made += [pyarrow.table({"n": [12, 2, 13, 4], "d": chunked}), pyarrow.record_batch({"n": [12, 2, 13], "d": words})]
    for value in made:
        before = copy.deepcopy(value)
        found = without_small(value, few)
        assert rare.encode() not in _values.dumps(found) and rare.encode() in _values.dumps(value), value
        assert value.equals(before) and len(found) == 2
        back = _values.loads(_values.dumps(found))
        assert back.equals(found)
        if hasattr(found, "schema"):
            assert found.schema == value.schema and found.to_pydict()["d"] == ["flu", None]
    assert list(without_small(made[1], few)["d"].cat.categories) == ["cold", "flu"]
    assert list(without_small(made[0].iloc[[0, 2]], few).index.categories) == ["cold", "flu"], "nobody has it"
    plain = pandas.DataFrame({"n": [12, 13], "d": ["x", "y"]})
    assert without_small(plain, few).equals(plain)


def test_what_is_masked_stays_masked_and_is_in_no_other_number():
    numpy = pytest.importorskip("numpy")
    for kind in ("i4", "u1", "f8", "O", "c16"):
        masked = numpy.ma.MaskedArray(numpy.array([50, 7, 101]), [False, True, False]).astype(kind)
        for found in (rounded(masked, 5), rounded(masked, 0.5), without_small(masked, Suppress(below=10))):
            assert type(found) is numpy.ma.MaskedArray and found.mask.tolist() == [False, True, False]
            assert 7 not in found.data and masked.data[1] == 7 and found.fill_value != 7
    assert rounded(masked, 5).tolist() == [50, None, 100]
    assert rounded(numpy.ma.MaskedArray([1.26], fill_value=1.23), 0.5).fill_value != 1.23
    assert rounded([numpy.ma.masked, 7], 5) == [numpy.ma.masked, 5]
    with pytest.raises(CoarseError):
        rounded(numpy.ma.MaskedArray(numpy.zeros(1, "i4,i4")), 5)


class Noted(Exception):
    pass


def test_what_is_kept_in_a_way_of_its_own_is_made_coarse_or_does_not_leave():
    few = Suppress(below=10, counts=["n"])
    numpy, pandas, pyarrow = (pytest.importorskip(name) for name in ("numpy", "pandas", "pyarrow"))
    xarray = pytest.importorskip("xarray")
    assert rounded(collections.deque([7, 12], 3), 5) == collections.deque([5, 10], 3)
    assert without_small(collections.deque([{"n": 2, "x": 3}]), few)[0] == {"n": None, "x": None}
    beside = pandas.DataFrame({"a": [5]})
    beside.attrs["r"] = {"n": 2}
    assert rounded(beside, 5).attrs == {"r": {"n": 0}}
    cells = numpy.empty(1, object)
    cells[0] = {"n": 2}
    bad: list[Any] = [
        ValueError({"n": 2}),
        slice({"n": 2}),
        array.array("i", [2]),
        numpy.zeros(1, [("a", [("n", "i4")])]),
    ]
    bad += [xarray.Dataset({"a": ((), 7)}, attrs={"n": 2}), xarray.DataArray([7], {"n": ("x", [2])}, "x")]
    bad += [beside, pandas.DataFrame({"a": cells}), pyarrow.table({"a": [{"n": 2}]}), {("n", 1): frozenset([("n", 7)])}]
    for value in bad[:-1]:
        if type(value) is not array.array:
            with pytest.raises(CoarseError):
                without_small(value, few)
    for value in (*bad[:4], *bad[4:6], Noted(1.23), pandas.DataFrame([[1]], columns=[7])):
        with pytest.raises(CoarseError):
            rounded(value, 5)
    labelled = pandas.DataFrame({"a": [7]}, index=pandas.MultiIndex.from_tuples([(5, 1), (7, 1)])[:1].droplevel(1))
    assert rounded(labelled, 5)["a"].tolist() == [5]
    hidden = pandas.DataFrame({"a": [7, 8]}, index=pandas.MultiIndex.from_tuples([(5, "x"), (7, "y")]))[:1]
    assert list(rounded(hidden, 5).index.levels[0]) == [5]
    for fine in (ValueError("no"), slice(10), Found(5.0), datetime.date(2026, 1, 1), [numpy.dtype("i4"), 10, 5.0]):
        assert rounded(fine, 5) is fine and without_small(fine, few) is fine


def test_what_was_suppressed_in_a_frame_of_polars_is_gone():
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"n": [12, 2], "d": polars.Series(["flu", "E75.2"], dtype=polars.Categorical)})
    found = without_small(frame, Suppress(below=10, counts=["n"]))
    assert found.to_dicts() == [{"n": 12, "d": "flu"}] and b"E75.2" not in _values.dumps(found)
