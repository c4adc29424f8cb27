"""How is one question asked of one side, in a process of its own?

`ask.py QUESTION PACKAGE` prints one JSON object a line: {figure: value}, as soon as it is known.
"""

import contextlib
import importlib
import json
import sys

from side import Side

if __name__ == "__main__":
    question, package = sys.argv[1:]
    # What a library prints goes elsewhere.
    with contextlib.redirect_stdout(sys.stderr):
        for figure, value in importlib.import_module(f"questions.{question}").measure(Side(package)):
            print(json.dumps({figure: value}), file=sys.__stdout__, flush=True)
