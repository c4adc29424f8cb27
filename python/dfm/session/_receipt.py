"""What does an application get that says what its results are made of?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from dfm.exec._contributions import FORMAT


def whole_receipt(job: str, homesite: str, parts: Mapping[str, str]) -> dict[str, Any]:
    """The receipt of a job, made of what its sites have sent."""
    return {
        "format": FORMAT,
        "job": job,
        "homesite": homesite,
        "parts": {site: _read(text) for site, text in sorted(parts.items())},
    }


def _read(part: str) -> Any:
    """A site's part; as text where it is none, for whoever verifies it to say so."""
    try:
        return json.loads(part)
    except (ValueError, RecursionError):
        return part
