"""Does whoever may write a site's log change, remove, add or move a record, and nobody sees it?"""
# pyright: basic, reportMissingImports=false

import contextlib
import datetime
import hashlib
import json
import logging
import os
import resource
import stat

import pytest
from dfm._command.audit import _shown, verify
from dfm.errors import RefusedError
from dfm.exec import _audit_log
from dfm.exec._audit_log import LOG, opened
from dfm.exec._given import encoded
from dfm.exec._session_key import PURPOSE, SessionKey
from dfm.exec._site import Asker
from dfm.flare._identity import sign
from hypothesis import given, settings
from hypothesis import strategies as st
from kits import Root

ANN = Asker("ann@x", "x", "lead")


@pytest.fixture(scope="module")
def kits(tmp_path_factory):
    root = Root(tmp_path_factory.mktemp("kits"))
    return {"east": root.kit("east"), "west": root.kit("west"), "ann": root.kit("ann@x", "lead")}


def log(folder, credentials=None, session="s1", **more):
    key = credentials and SessionKey(lambda content: sign(credentials, PURPOSE, session, content), lambda *_: {})
    return opened(folder, "east", session, ANN, logging.getLogger("dfm.test"), key=key, **more)


def filled(folder, credentials=None, calls=5, session="s1"):
    """A log of some calls, signed at its end."""
    audit = log(folder, credentials, session)
    for number in range(calls):
        audit.call(1, "work.Add", None, encoded({"a": number}).text)
        audit.left(1, "home", "work.Add", "number", 9, "0" * 64)
    audit.close()
    return folder / LOG


def whats(path):
    return [json.loads(line)["what"] for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def honest(kits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("honest")
    filled(folder, kits["east"])
    path = filled(folder, kits["east"], session="s2")
    return path.read_bytes().splitlines(keepends=True)


def test_an_honest_log_is_whole_and_signed(kits, honest, tmp_path):
    (tmp_path / LOG).write_bytes(b"".join(honest))
    found = verify(tmp_path, kits["east"])
    assert (found.faults, found.records, found.signed) == ([], len(honest), len(honest))


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_whatever_is_changed_is_found(kits, honest, tmp_path_factory, data):
    lines = list(honest)
    at = data.draw(st.integers(0, len(lines) - 2), label="line")
    match data.draw(st.sampled_from(["change", "remove", "add", "move"]), label="attack"):
        case "change":
            place = data.draw(st.integers(0, len(lines[at]) - 2), label="place")
            line = bytearray(lines[at])
            line[place] ^= data.draw(st.integers(1, 255), label="how")
            lines[at] = bytes(line)
        case "remove":
            del lines[at]
        case "add":
            lines.insert(at, lines[data.draw(st.integers(0, len(lines) - 1), label="which")])
        case _:
            to = data.draw(st.integers(0, len(lines) - 2).filter(lambda to: to != at), label="to")
            lines.insert(to, lines.pop(at))
    folder = tmp_path_factory.mktemp("changed")
    (folder / LOG).write_bytes(b"".join(lines))
    assert verify(folder, kits["east"]).faults


ODD = st.one_of(st.none(), st.integers(), st.floats(), st.text(), st.just("9" * 5000), st.lists(st.integers()))


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=50),
            st.just(b"[" * 100_000),
            st.dictionaries(
                st.sampled_from(["n", "before", "what", "session", "key", "at", "signature"]),
                st.one_of(ODD, st.sampled_from(["session", "signed", "torn", "s1", 1])),
            ).map(lambda record: json.dumps(record).encode()),
        ),
        min_size=1,
    )
)
@settings(max_examples=100, deadline=None)
def test_any_lines_are_a_log_or_have_faults(kits, tmp_path_factory, lines):
    folder = tmp_path_factory.mktemp("any")
    (folder / LOG).write_bytes(b"\n".join(lines) + b"\n")
    found = verify(folder, kits["east"])
    assert found.faults and found.signed == 0
    for line in lines:
        assert "\x1b" not in _shown(line)


def test_a_line_that_is_no_object_is_shown_as_no_record():
    for line in (b'"q"', b"7", b"[]", b"null", b"\xff", b'{"n": 1}', b'{"n": 1, "what": 2, "at": []}'):
        assert _shown(line) == "no record"


def test_nothing_is_called_signed_behind_a_fault(kits, honest, tmp_path):
    lines = list(honest)
    lines[1] = lines[1].replace(b'"at"', b'"an"')
    (tmp_path / LOG).write_bytes(b"".join(lines))
    found = verify(tmp_path, kits["east"])
    assert found.faults and found.signed == 0


def chained(records):
    """A chain made anew, as anybody can."""
    lines, digest = b"", _audit_log.BEGINNING
    for number, record in enumerate(records, 1):
        said = {key: value for key, value in record.items() if key not in ("n", "before")}
        line = json.dumps({"n": number, "before": digest} | said).encode()
        lines, digest = lines + line + b"\n", hashlib.sha256(line).hexdigest()
    return lines


@pytest.mark.parametrize(
    "attack", ["a call is left out", "another user", "without keys", "of another site", "a user's"]
)
def test_a_chain_that_was_made_anew_is_not_signed(kits, honest, tmp_path, attack):
    records = [json.loads(line) for line in honest]
    match attack:
        case "a call is left out":
            del records[1]
        case "another user":
            records[1]["user"] = "bob@y"
        case "without keys":
            records = [one for one in records if one["what"] != "signed"]
            for one in records:
                one.pop("key", None)
        case "of another site" | "a user's":
            filled(tmp_path, kits["west" if attack == "of another site" else "ann"])
            records = None
    if records is not None:
        (tmp_path / LOG).write_bytes(chained(records))
    assert verify(tmp_path, kits["east"]).faults


def test_a_tail_is_missed_that_a_signature_or_a_known_head_speaks_of(kits, honest, tmp_path):
    head = verify_of(tmp_path, honest, kits).head
    # What is cut within a session lacks its signature, which shows; what is cut at one shows to who knows the head.
    cut = verify_of(tmp_path, honest[:-1], kits)
    assert cut.faults == [] and cut.signed < cut.records
    at_signature = verify_of(tmp_path, honest[: len(honest) // 2], kits)
    assert at_signature.faults == [] and at_signature.signed == at_signature.records
    assert "which was once the last one" in verify(tmp_path, kits["east"], head).faults[0]


def written_after(path, keep, *records):
    """Has somebody without a key put these after the first lines of a log, as its processes would."""
    lines = path.read_bytes().splitlines(keepends=True)[:keep]
    first = json.loads(lines[0])
    for said in records:
        last = json.loads(lines[-1])
        about = {"n": last["n"] + 1, "before": hashlib.sha256(lines[-1].rstrip(b"\n")).hexdigest(), "at": last["at"]}
        about |= {"session": "s1", "user": ANN.user, "process": first["n"], "nth": last["nth"] + 1}
        lines.append(json.dumps(about | said, separators=(",", ":")).encode() + b"\n")
    path.write_bytes(b"".join(lines))


FORGED = {"what": "call", "job": 1, "operation": "clinic.Mean", "parameters": {"column": "age"}}


@pytest.mark.parametrize("opens_anew", [False, True])
def test_a_process_whose_records_were_replaced_does_not_sign_what_stands_there_instead(
    kits, tmp_path, caplog, opens_anew
):
    audit, path = log(tmp_path, kits["east"]), tmp_path / LOG
    audit.call(1, "clinic.Rows", None, "{}")
    audit.refused(1, "clinic.Rows", "no")
    audit.settle()
    if opens_anew:
        audit.close()
    written_after(path, 1, FORGED, FORGED | {"what": "refused", "why": "forged"})
    audit.call(1, "clinic.Mean", None, "{}")
    audit.close()
    found = verify(tmp_path, kits["east"])
    gone = 4 if opens_anew else 3
    assert f"line 4: its process had written record {gone}, and found another one there, or none" in found.faults
    assert found.signed < 4
    assert f"record {gone}, written here, is no more" in caplog.text


def test_what_is_put_after_a_process_s_records_in_its_name_is_found(kits, tmp_path):
    audit, path = log(tmp_path, kits["east"]), tmp_path / LOG
    audit.call(1, "clinic.Rows", None, "{}")
    audit.settle()
    written_after(path, 2, FORGED)
    audit.call(1, "clinic.Mean", None, "{}")
    audit.close()
    assert "line 4: this is not record 4 of its process, as it should be" in verify(tmp_path, kits["east"]).faults


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        ({"user": "bob@y"}, "its process works in session 's1' for 'ann@x', and not for whom it says"),
        ({"session": "s2"}, "its process works in session 's1' for 'ann@x', and not for whom it says"),
        ({"process": 2}, "its session has not begun"),
        ({"process": None}, "it does not say of which process it is, and earlier ones do"),
        ({"process": "1"}, "it does not say of which session and process it is"),
        ({"nth": 2}, "this is not record 3 of its process"),
    ],
)
def test_a_record_of_another_user_or_process_than_its_session_s_is_a_fault(tmp_path, odd, why):
    audit = log(tmp_path)
    audit.call(1, "clinic.Rows", None, "{}")
    audit.close()
    written_after(tmp_path / LOG, 2, FORGED | odd)
    assert any(one.startswith(f"line 3: {why}") for one in verify(tmp_path, None).faults)


def test_records_that_only_other_processes_have_signed_are_told(kits, tmp_path):
    killed = log(tmp_path, kits["east"])
    killed.call(1, "clinic.Rows", None, "{}")
    killed.settle()
    filled(tmp_path, kits["east"], session="s2")
    found = verify(tmp_path, kits["east"])
    assert (found.faults, found.alone, found.signed) == ([], 2, found.records)
    killed.close()
    found = verify(tmp_path, kits["east"])
    assert (found.faults, found.alone, found.signed) == ([], 0, found.records)


def test_two_sessions_of_one_name_are_told_apart(kits, tmp_path):
    one, other = log(tmp_path, kits["east"]), log(tmp_path, kits["east"])
    for audit in (one, other, one, other):
        audit.call(1, "work.Add", None, "{}")
        audit.left(1, "home", "work.Add", "number", 9, None)
    one.close()
    other.close()
    found = verify(tmp_path, kits["east"])
    assert (found.faults, found.alone, found.signed) == ([], 0, found.records)


def test_a_log_that_an_earlier_dfm_began_goes_on(kits, tmp_path):
    key = SessionKey(lambda content: sign(kits["east"], PURPOSE, "s0", content), lambda *_: {})
    lines, digest = [], _audit_log.BEGINNING
    at = datetime.datetime.now(datetime.UTC).timestamp()
    for number, what in enumerate(("session", "call", "signed"), 1):
        said = {"n": number, "before": digest, "at": at, "session": "s0", "user": ANN.user, "what": what}
        if what == "session":
            said["key"] = key.statement()
        if what == "signed":
            said["signature"] = key.sign(_audit_log.signed_text(number - 1, digest))
        lines.append(json.dumps(said).encode())
        digest = hashlib.sha256(lines[-1]).hexdigest()
    (tmp_path / LOG).write_bytes(b"\n".join(lines) + b"\n")
    (tmp_path / LOG).chmod(0o600)
    filled(tmp_path, kits["east"])
    found = verify(tmp_path, kits["east"])
    assert (found.faults, found.alone, found.signed) == ([], 0, found.records)


def verify_of(folder, lines, kits):
    (folder / LOG).write_bytes(b"".join(lines))
    return verify(folder, kits["east"])


def test_a_log_is_its_owners_and_no_link_is_followed(tmp_path):
    old = os.umask(0)
    try:
        path = filled(tmp_path / "audit")
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    (tmp_path / "linked").mkdir(mode=0o700)
    (tmp_path / "linked" / LOG).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RefusedError, match="cannot write down what happens"):
        log(tmp_path / "linked").left(1, "home", "work.Add", "number", 9, None)
    assert not (tmp_path / "elsewhere").exists()


def test_processes_append_to_one_chain_over_logs_that_are_set_aside(kits, tmp_path, monkeypatch):
    monkeypatch.setattr(_audit_log, "_LARGEST", 4000)
    one, other = log(tmp_path, kits["east"]), log(tmp_path, kits["east"], "s2")
    for number in range(20):
        (one, other)[number % 2].call(1, "work.Add", None, encoded({"a": number}).text)
        (one, other)[number % 2].settle()
    one.close()
    other.close()
    assert len(list(tmp_path.glob("log-*.jsonl"))) >= 2
    found = verify(tmp_path, kits["east"])
    assert found.faults == [] and found.signed == found.records == 24
    next(iter(sorted(tmp_path.glob("log-*.jsonl")))).unlink()
    assert verify(tmp_path, kits["east"]).faults


@contextlib.contextmanager
def full(path):
    """No file can become larger than this one is but for some bytes, so that of what is written the rest fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("goes_on", [False, True])
def test_a_full_disk_stops_the_work_unless_it_may_go_on(kits, tmp_path, caplog, goes_on):
    audit, path = log(tmp_path, kits["east"], goes_on=goes_on), tmp_path / LOG

    def call(number):
        audit.call(1, "work.Add", None, encoded({"a": number}).text)

    call(1)
    audit.settle()
    with full(path):
        call(2)
        if goes_on:
            audit.left(1, "home", "work.Add", "number", 9, None)
        else:
            with pytest.raises(RefusedError, match="site 'east' refuses everything"):
                audit.left(1, "home", "work.Add", "number", 9, None)
            with pytest.raises(RefusedError, match="site 'east' refuses everything"):
                call(2)
    assert "cannot be written" in caplog.text and "File too large" in caplog.text
    call(3)
    audit.close()
    assert verify(tmp_path, kits["east"]).faults == []
    assert whats(path) == ["session", "call", "lost" if goes_on else "call", "call", "signed"]
    if goes_on:
        assert json.loads(path.read_text().splitlines()[2])["records"] == 2


def test_what_no_key_signs_is_refused_and_not_written(tmp_path):
    def vouch(content):
        raise RefusedError("the kit's key is gone")

    key = SessionKey(vouch, lambda *_: {})
    audit = opened(tmp_path, "east", "s1", ANN, logging.getLogger("dfm.test"), key=key)
    with pytest.raises(RefusedError, match="site 'east' refuses everything"):
        audit.left(1, "home", "work.Add", "number", 9, None)
    assert not (tmp_path / LOG).exists()


def test_a_line_that_was_left_unfinished_is_said_to_be(kits, tmp_path):
    path = filled(tmp_path, kits["east"])
    with path.open("ab") as file:
        file.write(b'{"n": 99')
    assert verify(tmp_path, kits["east"]).faults
    filled(tmp_path, kits["east"], session="s2")
    assert whats_of_records(path).count("torn") == 1
    assert verify(tmp_path, kits["east"]).faults == []


def whats_of_records(path):
    return [json.loads(line)["what"] for line in path.read_text().splitlines() if line.endswith("}")]


def test_what_is_kept_of_parameters_is_as_the_policy_says(tmp_path):
    for full in (False, True):
        audit = log(tmp_path / str(full), full=full)
        audit.call(1, "work.Add", None, encoded({"name": "Ada", "other": object()}).text)
        audit.close()
        assert ("Ada" in (tmp_path / str(full) / LOG).read_text()) is full


def test_how_a_call_ended_is_with_it_or_after_it(tmp_path):
    audit = log(tmp_path)
    audit.call(1, "work.Add", None, encoded({}).text)
    audit.runs(7)
    audit.ended(7, "done")
    audit.call(1, "work.Echo", None, encoded({}).text)
    audit.runs(8)
    audit.settle()
    audit.ended(8, "ValueError")
    audit.ended(8, "given up")
    audit.close()
    records = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()]
    told = [(one["what"], one.get("operation"), one.get("how")) for one in records]
    assert told == [
        ("session", None, None),
        ("call", "work.Add", "done"),
        ("call", "work.Echo", None),
        ("ended", "work.Echo", "ValueError"),
    ]
