"""Which pipeline does `dfm fed plan NAME PATH` plan?

For a Python file, the command calls `main` in a process of its own with PATH [ARGUMENT…], and reads the pipeline as
JSON from its output.
"""

import json
import os
import sys
from pathlib import Path

from dfm._command.submit import WrongInput, load
from dfm.errors import DfmError


def main() -> None:
    """Writes the pipeline and the user's line of each node."""
    # What the user's file prints must not come between.
    output = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        pipeline, _ = load(Path(sys.argv[1]), sys.argv[2:])
    except (WrongInput, DfmError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    lines = [[node, line] for node, line in pipeline.dfm_lines().items()]
    with output:
        json.dump({"pipeline": json.loads(pipeline.model_dump_json()), "lines": lines}, output)
