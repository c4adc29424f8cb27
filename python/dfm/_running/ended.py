"""How did a process end, in words?"""

from __future__ import annotations

import signal


def how_ended(code: int) -> str:
    """What an exit code means, a negative one being that of a signal; continues a sentence about the process."""
    if code >= 0:
        return f"exited with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = "unknown"
    return f"was ended by signal {-code} ({name})"
