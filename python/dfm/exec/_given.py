"""What are a call's parameters, as a JSON text that is another one for other parameters?

The audit, a person's approval and `per-day.questions` go by that text, or its digest. What JSON has no word for is an
object with the key `$`, which no other object in it has.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import Any, NamedTuple, cast

_ENCODE = json.JSONEncoder(separators=(",", ":"), sort_keys=True).encode
_MOST = 4096
"""So many parts of a parameter are written down; of a larger one, its digest is."""
_SCALARS = (str, int, float, bool, type(None))


class Given(NamedTuple):
    """What a call was given."""

    text: str
    """Its parameters as JSON: always the same of the same ones."""
    unknown: list[str]
    """The names of those of which nobody can tell what they are: they cannot be encoded, or something in them cannot.
    The text is then like no other one."""


def encoded(given: dict[str, Any]) -> Given:
    """A call's parameters. Most are texts and whole numbers, for which what can do more takes several times as long."""
    members: list[str] = []
    unknown: list[str] = []
    for name in sorted(given):
        value = given[name]
        if type(value) is str:
            text = _ENCODE(value)
        elif type(value) is int:
            text = str(value)
        else:
            text, is_known = _encoded(value)
            if not is_known:
                unknown.append(name)
        members.append(f"{_ENCODE(name)}:{text}")
    return Given(f"{{{','.join(members)}}}", unknown)


def _encoded(value: Any) -> tuple[str, bool]:
    """A value as JSON, and whether that tells it from any other."""
    written = _Written()
    try:
        text = _ENCODE(written.as_json(value))
    except (RecursionError, _TooLarge):
        written = _Written()
        text = _ENCODE(written.by_digest(value))
    return text, not written.unknown


class _TooLarge(Exception):
    """A value has more parts than anybody reads."""


class _Written:
    """What stands for a value in JSON."""

    def __init__(self) -> None:
        self.unknown: list[str] = []
        """The types of parts of which nobody can tell what they are."""
        self._left = _MOST

    def as_json(self, value: Any) -> Any:
        """Itself, as far as JSON says no less of it than it is."""
        self._left -= 1
        if self._left < 0:
            raise _TooLarge
        kind = cast("type[Any]", type(value))
        # A type made from one of these may hold more than JSON would say of it.
        if kind in _SCALARS:
            return value
        if kind is list:
            return [self.as_json(item) for item in value]
        if kind is tuple:
            return {"$": "tuple", "items": [self.as_json(item) for item in value]}
        if kind is not dict:
            return self.by_digest(value)
        if all(type(key) is str for key in value) and "$" not in value:
            return {key: self.as_json(item) for key, item in value.items()}
        items = [[self.as_json(key), self.as_json(item)] for key, item in value.items()]
        return {"$": "dict", "items": sorted(items, key=_ENCODE)}

    def by_digest(self, value: Any) -> dict[str, Any]:
        """Its type, and the digest of what would be sent of it."""
        from dfm import _values

        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        try:
            return {"$": kind, "sha256": hashlib.sha256(_values.dumps(value)).hexdigest()}
        except Exception:
            self.unknown.append(kind)
            # Another one each time, so that it is not taken for another value of which nobody can tell what it is.
            return {"$": kind, "sha256": None, "unlike": secrets.token_hex(16)}
