"""Do any names and states, of what a value is rebuilt from, raise what no value may?

What bytes hardly reach: states are made of the parts that the ways to rebuild something look for.
"""
# pyright: basic, reportMissingImports=false

from typing import Any

from fuzzing import atheris, fuzz, watched

with watched():
    from dfm import _values
    from dfm.values import _builtin, _classes, _files

_values.set_policy(lenient=False, packages=["things"], modules=["things"], most_bytes=1 << 20)

WORDS = ("numpy", "arrow", "pandas", "image", "scipy", "xarray")
NAMES = sorted({*_builtin.RESTORE, *_classes.NAMES, *(name for word in WORDS for name in _files._file(word).RESTORE)})
TEXTS = [
    *("things:Colour", "things:Bits", "things:Point", "things:Named", "things:Model", "things:Outer.Inner", "things:"),
    *(
        "things:datetime.datetime",
        "things:enum.Enum",
        "dfm._discovery.answers:AdvisedLiteral",
        "dfm._discovery.advice:Advice",
        "os:system",
    ),
    *("RED", "ONE", "A", "x", "y", "sum", "name", "at", "count", "Count", "of", "__class__", "C", "F", "PNG"),
    *("<f8", ">i2", "|b1", "|O", "<U3", "|S2", "<M8[D]", "<m8[us]", "|V8", "<f8,<f8", "<U999999999", "|V0"),
    *("categories", "masked", "sparse", "range", "of", "levels", "Int64", "float64", "string", "D", "h", "posix"),
    *("csr", "csc", "coo", "bsr", "dia", "lil", "dok", "builtins:ValueError", "builtins:KeyError", "things:Pair"),
    *("1", "L", "RGB", "I", "P", "Europe/Berlin", "UTC", "../x", "2020-01-01", "2020-01-01T00:00:00+00:00", "01:02"),
    *("1e999", "-Infinity", "sNaN", "1E-99999", "/a/b", "0" * 50, "9999-12-31T23:59:59"),
]
NUMBERS = [0, 1, -1, 2, 3, 8, 255, 1 << 31, 1 << 62, -(1 << 63), (1 << 64) - 1, 1 << 100, 10**300, 3**9000]


def state(given: Any, depth: int = 0) -> Any:
    what = given.ConsumeIntInRange(0, 15 if depth < 5 else 9)
    if what < 3:
        return given.PickValueInList(TEXTS)
    if what < 5:
        return given.PickValueInList(NUMBERS)
    if what == 5:
        return given.ConsumeInt(given.ConsumeIntInRange(1, 8))
    if what == 6:
        return given.ConsumeFloat()
    if what == 7:
        return given.ConsumeUnicodeNoSurrogates(given.ConsumeIntInRange(0, 20))
    if what == 8:
        return given.ConsumeBytes(given.ConsumeIntInRange(0, 64))
    if what == 9:
        return given.PickValueInList([None, True, False, b"", [], {}, ()])
    if what == 10:
        return memoryview(bytearray(given.ConsumeBytes(given.ConsumeIntInRange(0, 200))))
    if what == 11:
        keys = [given.PickValueInList(TEXTS + NUMBERS) for _ in range(given.ConsumeIntInRange(0, 4))]
        return {key: state(given, depth + 1) for key in keys}
    if what == 12:
        name = given.PickValueInList(NAMES)
        return _values.restore(name, state(given, depth + 1))
    items = [state(given, depth + 1) for _ in range(given.ConsumeIntInRange(0, 5))]
    return tuple(items) if what == 15 else items


def one(data: bytes) -> None:
    given = atheris.FuzzedDataProvider(data)
    try:
        value = _values.restore(given.PickValueInList(NAMES), state(given))
        again = _values.dumps(value)
    except (ValueError, TypeError):
        return
    _values.loads(again)


fuzz("rebuild", [bytes([number] * 40) for number in range(len(NAMES))], one)
