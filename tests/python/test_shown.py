"""Is text of others on a terminal and in a log only text, by the same rules in Python and in the command?"""

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from dfm._shown import clean_logger, indented, log_filter, one_line, shown
from dfm.exec._secrets import Masking, Secrets

FORGED = "n\x1b[31mred\x9b2J\u202e\r\n2026-01-01 INFO dfm: all is well \ud800\tend"


def test_nothing_acts_on_a_terminal_and_nothing_changes_twice() -> None:
    for code in range(sys.maxunicode + 1):
        clean = one_line(chr(code))
        assert clean.isprintable() or (clean == chr(code) and code > 0x9F), hex(code)
        assert one_line(clean) == clean == one_line(shown(chr(code)))
        clean.encode()
    assert shown(FORGED).startswith("n\\x1b[31mred\\x9b2J\\u202e\\r\n2026")
    assert indented("a\nb") == "a\n    b"


def test_the_command_has_the_same_rules(command: Path, tmp_path: Path) -> None:
    codes = [*range(0x3000), *range(0xE000, 0x10000), *range(0x1F000, 0x20000), *range(0xE0000, 0xE0200)]
    lines = [f"{code:x} <{chr(code)}>" for code in codes if chr(code) != "\n"]
    kit = tmp_path / "workspace" / "one_poc" / "kits" / "here"
    (kit / "dfm").mkdir(parents=True)
    (kit / "dfm" / "kit.json").write_text(json.dumps({"participant": "here", "type": "client", "org": "x"}))
    (kit / "poc.log").write_bytes("".join(f"{line}\n" for line in lines).encode())
    run = tmp_path / "workspace" / "one_poc" / "run"
    run.mkdir()
    (run / "kits").write_text(f"{kit.parent}\n")
    registry = tmp_path / "federations.yaml"
    registry.write_text("federations:\n  one: {federation_dir: one, config_path: f.yaml}\n")
    done = subprocess.run([command, "--config", registry, "poc", "logs", "here"], capture_output=True, check=True)
    assert done.stdout.decode().split("\n")[:-1] == [shown(line) for line in lines]


def test_a_diagnostic_is_only_text(command: Path, tmp_path: Path) -> None:
    (tmp_path / "f\x1b[31m.dfm.yaml").write_text('"k\\e[2Jey": 1\nsites: {}\n')
    done = subprocess.run(
        [command, "--color=never", "fed", "check", tmp_path / "f\x1b[31m.dfm.yaml"], capture_output=True
    )
    assert done.returncode == 2
    assert b"\x1b" not in done.stderr + done.stdout


def test_a_document_for_programs_acts_on_no_terminal_and_means_the_same(command: Path, tmp_path: Path) -> None:
    (tmp_path / "f.dfm.yaml").write_text('"k\\e[2J\\x9b2J\\u202e\\U000e0041": 1\nsites: {}\n')
    done = subprocess.run([command, "--json", "fed", "check", tmp_path / "f.dfm.yaml"], capture_output=True, text=True)
    assert not {"\x1b", "\x9b", "\u202e", "\U000e0041"} & set(done.stdout)
    assert "k\x1b[2J\x9b2J\u202e\U000e0041" in str(json.loads(done.stdout)["problems"][0]["message"])


def test_a_message_is_one_entry_of_a_log(caplog: pytest.LogCaptureFixture) -> None:
    log = clean_logger("dfm.test")
    try:
        raise ValueError(FORGED)
    except ValueError:
        log.exception("it says %s", FORGED)
    log.warning("%d of %s", "odd")
    (first, second) = caplog.records
    text = logging.Formatter("%(levelname)s %(message)s").format(first)
    assert text.split("\n")[0] == "ERROR it says n\\x1b[31mred\\x9b2J\\u202e\\r"
    assert all(line.startswith("    ") for line in text.split("\n")[1:])
    assert "ValueError: n\\x1b[31mred" in text and "\x1b" not in text
    assert second.getMessage() == "%d of %s ('odd',)"


def test_what_a_log_keeps_secret_is_one_entry_too(caplog: pytest.LogCaptureFixture) -> None:
    secrets = Secrets()
    secrets.note("sesame\x1bopen")
    log = clean_logger("dfm.test.secrets")
    log.filters.insert(0, Masking(secrets))
    try:
        raise ValueError(f"sesame\x1bopen {FORGED}")
    except ValueError:
        log.exception("it says sesame\x1bopen")
    text = logging.Formatter("%(levelname)s %(message)s").format(caplog.records[0])
    assert text.split("\n")[0] == "ERROR it says ***"
    assert all(line.startswith("    ") for line in text.split("\n")[1:])
    assert "ValueError: *** n\\x1b[31mred" in text and "\x1b" not in text and "sesame" not in text


APPLICATION = """
from small.fed.runtime.home import get_session
from dfm.api import Pipeline, Yield
from small.fed.api.work import Fail

with Pipeline() as pipeline:
    Yield(value=Fail(site="home", value={text!r}))
with get_session(target="local") as session:
    session.run(pipeline)
"""


def test_an_error_that_nobody_catches_is_only_text(small: Path) -> None:
    code = APPLICATION.format(text=FORGED[:-5])
    done = subprocess.run([sys.executable, "-c", code], cwd=small, capture_output=True)
    assert done.returncode == 1
    assert b"\\x1b[31mred\\x9b2J\\u202e" in done.stderr
    assert b"\x1b" not in done.stderr and "\x9b".encode() not in done.stderr and "\u202e".encode() not in done.stderr


def test_a_record_that_many_handlers_see_is_cleaned_once() -> None:
    record = logging.makeLogRecord({"msg": "a\nb\x1b"})
    assert log_filter()(record) and log_filter()(record)
    assert record.getMessage() == "a\n    b\\x1b"


PIPELINE = """
from dfm.api import Pipeline, Yield
from small.fed.api.work import Echo, Fail

TEXT = "n\\x1b[31mred\\x9b2J\\u202e\\r\\nerror: all is well"

def get_pipeline(args=None):
    with Pipeline(name=TEXT) as pipeline:
        Yield(value=Echo(site="west", value=TEXT), place="good")
        Yield(value=Fail(site="home", value=TEXT), place="bad")
    return pipeline
"""


def test_what_a_site_returns_and_raises_is_only_text(command: Path, small: Path, tmp_path: Path) -> None:
    (tmp_path / "hostile.py").write_text(PIPELINE)
    arguments = ["fed", "submit", "small", "pipeline", tmp_path / "hostile.py", "--target", "local"]
    done = subprocess.run([command, "--config", small / "federations.yaml", *arguments], capture_output=True)
    said = done.stdout + done.stderr
    assert b"\\x1b[31mred\\x9b2J\\u202e\\r" in done.stdout and b"\\x1b[31mred" in done.stderr
    assert b"\x1b" not in said.replace(b"\r\x1b[K", b"") and "\u202e".encode() not in said
    assert not [line for line in said.splitlines() if line.startswith(b"error: all is well")]
