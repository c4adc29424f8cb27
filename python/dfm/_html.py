"""How do a federation's objects look in a notebook?

Whatever text comes here may be somebody else's: it is cleaned as for a terminal, cut and escaped, and acts on no page.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from dfm._shown import shown

_LONG = 500
"""Longer texts are cut."""
_ROWS = 200
"""Of more rows the first are shown."""


class Markup(str):
    """What is HTML already, made here."""


def cell(value: object) -> Markup:
    """A value as the content of an element."""
    if isinstance(value, Markup):
        return value
    text = str(value)
    text = text if len(text) <= _LONG else f"{text[:_LONG]}…"
    return Markup(html.escape(shown(text)).replace("\n", "<br>"))


def titled(title: object, *parts: Markup) -> str:
    """Several parts under a line."""
    return f"<div><strong>{cell(title)}</strong>{''.join(parts)}</div>"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Markup:
    """A table; cells are texts, or what `bar` has made."""
    found = list(rows)
    lines = ["".join(f"<td style='text-align:left'>{cell(one)}</td>" for one in row) for row in found[:_ROWS]]
    if len(found) > _ROWS:
        lines.append(f"<td colspan='{len(head)}'>{len(found) - _ROWS:,} more</td>")
    names = "".join(f"<th style='text-align:left'>{cell(name)}</th>" for name in head)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return Markup(f"<table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table>")


def bar(done: int, known: int) -> Markup:
    """How much is done."""
    share = min(done, known) / known if known else 1.0
    return Markup(f"<progress max='1' value='{share:.4f}'></progress> {done:,} / {known:,}")
