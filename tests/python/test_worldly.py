"""Do the values that people pass arrive as they left, from site to site and back? On Flare: test_flare_run.py."""
# pyright: basic, reportMissingImports=false

import os
import types
from pathlib import Path

import pytest
from dfm.errors import JobError
from worldly import PLAIN, check, passed_on

DOCUMENT = Path(__file__).parents[2] / "docs" / "values.md"
BEGIN, END = "<!-- what travels, as tests/python/worldly.py has it -->\n", "<!-- so far -->\n"


def test_the_documentation_has_what_travels():
    rows = [f"| {package} | {kinds} |\n" for package, of in PLAIN.items() for kinds in of]
    table = "".join(["\n| package | types |\n|---|---|\n", *rows, "\n"])
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    if os.environ.get("DFM_WRITE_DOCS"):
        DOCUMENT.write_text(before + BEGIN + table + END + after)
    assert DOCUMENT.read_text() == before + BEGIN + table + END + after, "run this test with DFM_WRITE_DOCS=1"


def strict_session():
    from small.fed.runtime.home import get_session

    return get_session(target="local", strict=True)


@pytest.fixture(scope="module")
def local(small):
    with strict_session() as session:
        yield session


def test_every_value_arrives_as_it_left(local, fed):
    check(local, fed)


def test_a_value_without_an_encoding_is_told_where_it_is(local, fed):
    with pytest.raises(JobError, match=r"value\['rows'\]\[1\]: a value of type types.SimpleNamespace cannot be sent"):
        passed_on(local, fed, {"rows": [1, types.SimpleNamespace()]})
