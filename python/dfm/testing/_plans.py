"""How does a test notice that a pipeline is planned in another way than before?"""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from dfm.session import PreparedPipeline

UPDATE = "DFM_UPDATE_PLANS"
"""The environment variable that has the files written anew."""


def assert_plan(prepared: PreparedPipeline, file: str | Path) -> None:
    """Compares what `prepared.explain()` says with a file that was reviewed before.

    Raises:
        AssertionError: they differ, and how; or there is no such file yet. With `DFM_UPDATE_PLANS=1` in the environment
            the file is written instead.
    """
    path, plan = Path(file), prepared.explain().rstrip() + "\n"
    if os.environ.get(UPDATE) == "1":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(plan, encoding="utf-8")
        return
    hint = f"look at it, and if it is right, run the test once with {UPDATE}=1"
    if not path.exists():
        raise AssertionError(f"there is no plan in {path} yet; this is the pipeline's:\n\n{plan}\n{hint}")
    reviewed = path.read_text(encoding="utf-8")
    if reviewed != plan:
        lines = difflib.unified_diff(
            reviewed.splitlines(keepends=True), plan.splitlines(keepends=True), str(path), "the pipeline's plan now"
        )
        raise AssertionError(f"the pipeline's plan is not the one in {path}:\n\n{''.join(lines)}\n{hint}")
