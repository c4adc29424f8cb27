"""Does what is printed come to a log, line by line and once?"""
# pyright: basic

import logging
import subprocess
import sys

from dfm.flare._printed import printed_to


def said(caplog):
    return [(record.levelname, record.getMessage()) for record in caplog.records]


def test_each_line_is_logged_once_it_is_over(caplog):
    caplog.set_level(logging.INFO, "printed")
    before = sys.stdout, sys.stderr
    with printed_to(logging.getLogger("printed")):
        print("one", "line")
        print("begun", end="")
        assert said(caplog) == [("INFO", "one line")]
        print(" and ended\nä")
        print("wrong", file=sys.stderr)
        sys.stdout.buffer.write(b"bytes \xff\n")
        print("not ended", end="")
    assert (sys.stdout, sys.stderr) == before
    assert said(caplog)[1:] == [
        ("INFO", "begun and ended"),
        ("INFO", "ä"),
        ("WARNING", "wrong"),
        ("INFO", "bytes \\xff"),
        ("INFO", "not ended"),
    ]


def test_a_log_that_prints_itself_does_not_go_round():
    code = """
import logging, sys
from dfm.flare._printed import printed_to
log = logging.getLogger("printed")
with printed_to(log):
    log.addHandler(logging.StreamHandler(sys.stderr))
    print("to the log", file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("to the log")) == (0, 1)
