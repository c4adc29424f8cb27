"""Does a site do without pydantic whose operations take and return Python's own types, and checks them as strictly?"""

import datetime
from pathlib import Path
from typing import Any

import pytest
from dfm.exec._schemas import check_against
from dfm.exec._types import Check, DeclarationError, check_of
from small_federation import ADAPTERS, Small

TEXT, NUMBER, NOTHING = {"type": "string"}, {"type": "number"}, {"type": "null"}
SCHEMAS: list[Any] = [
    *({"type": name} for name in ("string", "integer", "number", "boolean", "null", "array", "object", "no.such")),
    {"anyOf": [TEXT, NOTHING]},
    {"anyOf": [NUMBER, {"type": "boolean"}, TEXT]},
    {"anyOf": [TEXT, {"type": "object"}]},
    {"anyOf": [TEXT, {"type": "string", "maxLength": 1}]},
    {"anyOf": [{"anyOf": [TEXT, NOTHING]}, NUMBER]},
    {"anyOf": []},
    {"type": "string", "maxLength": 2},
    {"type": "array", "items": TEXT},
    {},
    None,
    True,
]


class Text(str):
    """A text of somebody's own."""


class Whole(int):
    """A number likewise."""


VALUES: list[Any] = [
    "a", "", "\ud800", Text("a"), b"a", 1, True, False, Whole(1), 2**63, 10**308, 10**309, -(10**400), 1.5,
    float("nan"), float("inf"), None, [1], ["a"], [], (1,), {1}, {"a": 1}, datetime.date(2026, 1, 1), object(),
]  # fmt: skip


def outcome(check: Check | None, value: Any) -> Any:
    if check is None:
        return value
    try:
        return check(value)
    except DeclarationError as error:
        return str(error)


@pytest.mark.parametrize("plainly", [False, True])
@pytest.mark.parametrize("schema", SCHEMAS, ids=str)
def test_a_value_is_what_pydantic_says(schema: Any, plainly: bool) -> None:
    def no_class(path: str) -> type[Any]:
        return object

    quick = check_of(schema, "it", no_class, plainly=plainly)
    slow = check_against(schema, "it", no_class, plainly=plainly)
    assert (quick is None) == (slow is None)
    for value in VALUES:
        one, other = outcome(quick, value), outcome(slow, value)
        assert one is other or (type(one) is type(other) and one == other), value


def test_a_site_that_needs_no_pydantic_does_not_import_it(command: Path, tmp_path: Path) -> None:
    small = Small(tmp_path, command)
    small.create()
    tells = ADAPTERS.replace(
        'f"{first}+{second}@{self.site.name}"', 'first + str("pydantic" in __import__("sys").modules)'
    )
    assert tells != ADAPTERS
    small.write("small/lib.py", tells)
    small.save("join.json", "text.Join", {"first": {"literal": "needs:"}})
    done = small.run("fed", "submit", "small", "--target", "local", "pipeline", "join.json")
    assert "needs:False" in done.stdout, done.stdout + done.stderr
