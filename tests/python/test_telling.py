"""Does an application learn of an error what the site's policy lets it, whatever way the error arises?"""
# pyright: basic

from __future__ import annotations

import base64
import html
import json
import logging
import re
import traceback
import urllib.parse
from typing import Any, cast

import pytest
from dfm.errors import Public, SecretError
from dfm.exec._secrets import MASK, Secrets
from dfm.exec._telling import BindingError, Telling
from dfm.exec._vault import RememberingVault
from hypothesis import given
from hypothesis import strategies as st

ROW = "row-of-patient-4711"
SECRET = "s3cr3t/with 'quotes' & ünïcode"
LOG = logging.getLogger("test.telling")


def telling(errors: Any) -> Telling:
    secrets = Secrets()
    secrets.note(SECRET)
    return Telling(secrets, LOG, errors)


class Unsayable(Exception):
    def __str__(self) -> str:
        raise RuntimeError(ROW)


class TooFew(Public):
    pass


def raised(error: Exception, cause: Exception | None = None) -> Exception:
    """The error with a traceback and a cause."""
    try:
        try:
            raise cause or LookupError(ROW)
        except Exception as before:
            raise error from before
    except Exception as told:
        return told


FORMS = {
    "plain": SECRET,
    "repr": repr(SECRET),
    "ascii": ascii(SECRET),
    "bytes": repr(SECRET.encode()),
    "json": json.dumps({"key": SECRET}),
    "json of php": json.dumps({"key": SECRET}).replace("/", "\\/"),
    "json of go": json.dumps({"key": SECRET}, ensure_ascii=False).replace("&", "\\u0026"),
    "json of gson": json.dumps({"key": SECRET}, ensure_ascii=False).replace("&", "\\u0026").replace("'", "\\u0027"),
    "html": html.escape(SECRET),
    "xml": html.escape(SECRET).replace("&#x27;", "&apos;"),
    "text of html": html.escape(SECRET, quote=False),
    "url": urllib.parse.quote(SECRET, safe=""),
    "path": urllib.parse.quote(SECRET),
    "form": urllib.parse.quote_plus(SECRET).lower(),
    "hex": SECRET.encode().hex(),
    "base64": base64.b64encode(SECRET.encode()).decode(),
    "urlsafe": base64.urlsafe_b64encode(SECRET.encode()).decode(),
    "basic auth": base64.b64encode(b"user:" + SECRET.encode()).decode(),
}


@pytest.mark.parametrize("how", FORMS)
def test_a_secret_is_masked_however_it_is_written(how: str) -> None:
    text = telling("full").clean(f"<{FORMS[how]}>")
    assert MASK in text
    # What stays of base64 at its ends is less than two bytes of the secret.
    assert len(text) < 24
    assert SECRET[2:10] not in text


@given(st.text(min_size=4, max_size=30), st.text(max_size=20), st.text(max_size=20))
def test_no_text_keeps_a_secret(secret: str, before: str, after: str) -> None:
    secrets = Secrets()
    secrets.note(secret)
    masked = secrets.mask(before + secret + after)
    assert secret not in masked or secret in MASK * 20


def test_short_secrets_and_what_is_none_are_not_looked_for() -> None:
    secrets = Secrets()
    for nothing in ("abc", "", None, 5):
        secrets.note(nothing)
    assert secrets.mask("abc 5 None") == "abc 5 None"


def test_each_line_of_a_secret_is_one() -> None:
    secrets = Secrets()
    secrets.note("-----BEGIN KEY-----\nMIIEvQIBADANBg\n-----END KEY-----\n")
    assert secrets.mask("  key = MIIEvQIBADANBg  ") == f"  key = {MASK}  "


def test_a_secret_is_masked_without_the_lines_end_that_a_file_gave_it() -> None:
    secrets = Secrets()
    secrets.note(" sesame\n")
    assert secrets.mask("<sesame>") == f"<{MASK}>"


def test_what_a_vault_gives_together_is_masked_part_by_part() -> None:
    secrets = Secrets()
    secrets.note({"user": "ali-baba", "more": ["sesame", 5, b"forty-thieves"]})
    assert secrets.mask("user ali-baba sesame forty-thieves") == f"user {MASK} {MASK} {MASK}"


@pytest.mark.parametrize("read", [int, lambda text: text.encode("ascii"), json.loads])
def test_what_a_vault_cannot_read_is_told_without_it(read: Any) -> None:
    class Vault:
        def secret_for_key(self, key: str) -> str:
            return read(SECRET)

    vault = RememberingVault(cast(Any, Vault()), Secrets())
    with pytest.raises(SecretError, match="its secret 'api-key'") as found:
        vault.secret_for_key("api-key")
    told = Telling(Secrets(), LOG, "full").told(found.value)
    assert "s3cr3t" not in "".join(told) + "".join(traceback.format_exception(found.value))


def test_a_secret_in_the_name_of_an_exceptions_class_is_masked() -> None:
    kind = type(f"Wrong_{SECRET}", (Exception,), {})
    for errors in ("full", "message", "type"):
        assert SECRET not in "".join(telling(errors).told(kind("x")))


def test_full_tells_all_but_secrets() -> None:
    told = telling("full").told(raised(ValueError(f"{ROW} {SECRET}")))
    assert told.kind == "ValueError"
    assert told.message == f"{ROW} {MASK}"
    assert "LookupError" in told.stack_trace
    assert SECRET not in told.stack_trace


def test_message_tells_no_traceback() -> None:
    told = telling("message").told(raised(ValueError(f"what it is {SECRET}")))
    assert told.message.startswith(f"what it is {MASK} (its log has the rest as E-")
    assert told.stack_trace == ""
    assert ROW not in told.message


def test_type_tells_the_kind_and_where_the_log_has_the_rest(caplog: pytest.LogCaptureFixture) -> None:
    told = telling("type").told(raised(ValueError(f"{ROW} {SECRET}")), "'work.Add'")
    assert told.kind == "ValueError"
    assert ROW not in "".join(told)
    (reference,) = re.findall("E-[0-9a-f]{8}", told.message)
    (line,) = [text for text in caplog.messages if reference in text]
    assert ROW in line
    assert "'work.Add'" in line
    assert SECRET not in line


@pytest.mark.parametrize("errors", ["full", "message", "type"])
def test_what_is_public_is_told_whole_and_its_cause_never(errors: Any) -> None:
    told = telling(errors).told(raised(TooFew("only 3 rows match"), ValueError(ROW)))
    assert told == ("TooFew", "only 3 rows match", "")


@pytest.mark.parametrize("errors", ["full", "message", "type"])
def test_an_error_that_cannot_be_said_is_one(errors: Any) -> None:
    told = telling(errors).told(raised(Unsayable()))
    assert told.kind == "Unsayable"
    if errors != "full":
        assert ROW not in "".join(told)


def test_what_is_wrong_with_a_binding_is_told_without_what_others_say_of_it() -> None:
    error = BindingError("the adapter a.B of 'x.Y' could not be constructed", f":\n{ROW}")
    assert telling("full").told(error).message == f"the adapter a.B of 'x.Y' could not be constructed:\n{ROW}"
    for errors in ("message", "type"):
        told = telling(errors).told(error)
        assert told.message.startswith("the adapter a.B of 'x.Y' could not be constructed (its log")
        assert ROW not in "".join(told)


def test_texts_have_an_end_and_can_be_sent() -> None:
    told = telling("full").told(ValueError("x" * 100_000 + "\ud800"))
    assert len(told.message) < 11_000
    assert telling("full").told(ValueError("\ud800")).message == "\\ud800"


def test_a_user_who_makes_errors_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    speaker = telling("type")
    with caplog.at_level(logging.ERROR):
        for _ in range(1_100):
            last = speaker.told(ValueError("x"))
    assert len(caplog.records) == 1_000
    assert "this is a later one" in last.message
