"""Do any bytes, as a value from another site, raise what no value may, or become much larger than they are?"""
# pyright: basic, reportMissingImports=false

from fuzzing import fuzz, watched

with watched():
    from dfm import _values
import things

_values.set_policy(lenient=False, packages=["things"], modules=["things"], most_bytes=1 << 20)


def one(data: bytes) -> None:
    try:
        value = _values.loads(data)
    except (ValueError, TypeError):
        return
    try:
        again = _values.dumps(value)
    except (ValueError, TypeError):
        # Of a class with fields that do not travel, or of digits beyond what is sent.
        return
    _values.loads(again)


fuzz(
    "value",
    map(_values.dumps, things.plain() + things.arrays() + things.tables() + things.images() + things.frames()),
    one,
)
