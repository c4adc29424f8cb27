"""How is a site's secret kept out of the texts that leave it?"""

from __future__ import annotations

import base64
import functools
import html
import json
import logging
import re
import urllib.parse
from collections.abc import Iterator
from typing import Any, cast

MASK = "***"
"""Stands for a secret."""
_SHORTEST = 4
"""A secret of fewer characters is in every text by chance, and is not looked for."""
_LINE = 8
"""So long is a piece of a secret that it is looked for by itself: a line of several, or what is left in base64 of one
that begins in the middle of it."""
_MOST = 1000
"""So many secrets are remembered, those that were given out last."""


class Secrets:
    """The secrets that a site's vault gave out. Used from any thread."""

    def __init__(self) -> None:
        self._known: dict[str, None] = {}
        self._pattern: re.Pattern[str] | None = None

    def note(self, secret: object) -> None:
        """Remembers one, or all that are in a list or a dictionary.

        What is no text of at least four characters cannot be masked.
        """
        if isinstance(secret, dict | list | tuple):
            parts = cast("dict[Any, Any]", secret).values() if isinstance(secret, dict) else cast("list[Any]", secret)
            for part in parts:
                self.note(part)
            return
        if isinstance(secret, bytes):
            secret = secret.decode("utf-8", "replace")
        if not isinstance(secret, str) or len(secret) < _SHORTEST or secret in self._known:
            return
        known = dict(list(self._known.items())[1 - _MOST :])
        known[secret] = None
        forms = {form for one in known for form in _forms(one)}
        # The longest first, so that none is masked in part only.
        pattern = "|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True))
        self._known, self._pattern = known, re.compile(pattern)

    def mask(self, text: str) -> str:
        """The text without them, in any of the ways in which they are commonly written."""
        return text if self._pattern is None else self._pattern.sub(MASK, text)


class Masking(logging.Filter):
    """Keeps a site's secrets out of its log, which others may be given."""

    def __init__(self, secrets: Secrets) -> None:
        super().__init__()
        self._secrets = secrets

    def filter(self, record: logging.LogRecord) -> bool:
        """Lets every record pass, without secrets."""
        mask = self._secrets.mask
        try:
            text = record.getMessage()
        except Exception:
            text = f"{record.msg} {record.args}"
        if (masked := mask(text)) != text:
            record.msg, record.args = masked, ()
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = mask(record.exc_text)
        return True


@functools.lru_cache(_MOST)
def _forms(secret: str) -> frozenset[str]:
    """How texts write a secret: as it is, escaped in several ways, in hexadecimal and base64."""
    lines = [line for line in secret.splitlines() if len(line) >= _LINE]
    # What is read from a file ends with a line's end, which its user takes away.
    return frozenset(
        form for piece in (secret, secret.strip(), *lines) for form in _written(piece) if len(form) >= _SHORTEST
    )


def _written(text: str) -> Iterator[str]:
    yield text
    yield repr(text)[1:-1]
    yield ascii(text)[1:-1]
    yield text.replace("\\", "\\\\").replace("'", "\\'")
    for quoted in (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]):
        yield quoted
        yield quoted.replace("/", "\\/")
        # For pages, of which more or fewer characters are thought to be markup.
        for marks in ("[&<>]", "[&<>=']"):
            yield (marked := re.sub(marks, lambda found: f"\\u{ord(found[0]):04x}", quoted))
            yield re.sub(r"\\u00..", lambda found: found[0][:4] + found[0][4:].upper(), marked)
    for quotes in (False, True):
        yield (escaped := html.escape(text, quotes))
        for apostrophe in ("&#39;", "&apos;"):
            yield escaped.replace("&#x27;", apostrophe)
    data = text.encode("utf-8", "surrogatepass")
    for quoted in (urllib.parse.quote(data), urllib.parse.quote(data, safe=""), urllib.parse.quote_plus(data)):
        yield quoted
        yield re.sub("%..", lambda found: found[0].lower(), quoted)
    yield repr(data)[2:-1]
    yield data.hex()
    yield data.hex().upper()
    # In base64 a text looks in one of three ways, after how much stands before it; its ends mix with its neighbours.
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + data).rstrip(b"=").decode()
        begin = (before * 8 + 5) // 6
        end = (before + len(data)) * 8 // 6
        if end - begin >= _LINE:
            yield encoded[begin:end]
            yield encoded[begin:end].replace("+", "-").replace("/", "_")
