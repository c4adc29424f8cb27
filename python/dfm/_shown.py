"""How does text that somebody else may have written look on a terminal and in a log, so that it acts on neither?

`crates/dfm-diag/src/shown.rs` has the same rules for the command, and a test holds both against each other.
"""

from __future__ import annotations

import io
import logging
import re
import traceback
from collections.abc import Callable

# What a terminal acts on, what turns the direction of other text, what ends a line elsewhere, and what is no character.
_ACTS = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2064\u2066-\u206f\ufeff"
    "\ufff9-\ufffb\U000e0000-\U000e007f\ud800-\udfff"
)
_SHOWN = re.compile(f"[{_ACTS}]")
_ONE_LINE = re.compile(f"[{_ACTS}\n\t]")
_NAMES = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}


def shown(text: str) -> str:
    """The text with what a terminal acts on as `\\x1b` is written in Python; line ends and tabs stay."""
    return _SHOWN.sub(_escaped, text)


def one_line(text: str) -> str:
    """The same, line ends and tabs written out as well."""
    return _ONE_LINE.sub(_escaped, text)


def indented(text: str) -> str:
    """The same as `shown`, with all lines but the first moved in, so that none is taken for a line of somebody else."""
    return shown(text).replace("\n", "\n    ")


def _escaped(found: re.Match[str]) -> str:
    character = found[0]
    code = ord(character)
    if character in _NAMES:
        return _NAMES[character]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def clean_logger(logger: str | logging.Logger) -> logging.Logger:
    """A logger, whose messages and tracebacks are one entry each wherever they go, whatever is in them."""
    logger = logging.getLogger(logger) if isinstance(logger, str) else logger
    logger.addFilter(_clean_record)
    return logger


def log_filter() -> Callable[[logging.LogRecord], bool]:
    """What a configuration of logging names as a filter's `()`, so that all that its handlers get is cleaned."""
    return _clean_record


def _clean_record(record: logging.LogRecord) -> bool:
    # Every handler sees the record; cleaned again, its lines would be moved in again.
    if getattr(record, "dfm_clean", False):
        return True
    try:
        message = record.getMessage()
    except (TypeError, ValueError):
        message = f"{record.msg} {record.args}"
    record.msg, record.args = indented(message), None
    record.dfm_clean = True
    if record.exc_info and record.exc_info[1] is not None and not record.exc_text:
        said = io.StringIO()
        traceback.print_exception(*record.exc_info, file=said)
        record.exc_text = said.getvalue()
    if record.exc_text:
        # What formats the record takes this for what it would make of the exception itself.
        record.exc_text = "    " + indented(record.exc_text.rstrip("\n"))
    return True
