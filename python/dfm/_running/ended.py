"""How did a process end, in words?"""

from __future__ import annotations

import signal

from dfm._running.threads import NO_MORE

BROKEN, UNSTARTED = 70, 71
"""The exit codes of a site's process that a fault of dfm has broken, and of one whose system gave it no thread."""
_MEANINGS = {
    BROKEN: "a fault of dfm, which its log tells",
    UNSTARTED: f"it could start no thread: {NO_MORE}",
}


def how_ended(code: int) -> str:
    """What an exit code means, a negative one being that of a signal; continues a sentence about the process."""
    if code >= 0:
        return f"exited with code {code}" + (f" ({_MEANINGS[code]})" if code in _MEANINGS else "")
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = "unknown"
    return f"was ended by signal {-code} ({name})"
