"""Is a link that is slow, or cut for a moment, taken for what it is and not for a lost site?"""
# pyright: basic, reportMissingImports=false

import contextlib
import json
import socket
import threading

import pytest
from dfm.api import PlaceParam, Yield
from dfm.errors import SessionError
from dfm.session import JobStatus
from eventually import until
from flare_federation import opened, written
from kits import Root
from link import through
from nvflare.apis.fl_exception import FLCommunicationError
from nvflare.fuel.flare_api.api_spec import InternalError

pytestmark = [pytest.mark.flare, pytest.mark.timeout(180)]


@contextlib.contextmanager
def reached(federation, folder, rate):
    """A session through a link, and that link."""
    with (
        through(federation.kit("home@*"), folder, rate=rate) as (kit, link),
        opened(federation, admin_package=kit) as session,
    ):
        session.connect()
        yield session, link


def test_a_slow_link_is_no_lost_one(federation, fed, tmp_path):
    """A value that takes longer than the patience, there and back."""
    numpy = pytest.importorskip("numpy")
    pipeline = written(lambda: Yield(value=fed.Echo(value=PlaceParam(place="value"), site="west")))
    value = numpy.random.default_rng(1).bytes(2_800_000)
    with reached(federation, tmp_path, 400_000) as (session, link):
        before = link.passed
        job = session.execute(pipeline, {"value": value})
        assert job.wait_until_finished(120), job.waiting()
        assert job.get_status() is JobStatus.FINISHED, job.errors
        assert job.results() == [value]
        assert link.passed - before > 2 * len(value)


@pytest.mark.parametrize("made", [False, True])
@pytest.mark.parametrize("kind", ["bytes", "array"])
def test_what_goes_to_several_sites_crosses_the_applications_link_once(federation, fed, tmp_path, made, kind):
    """One of them is in the process at the server itself, and one gets it twice."""
    numpy = pytest.importorskip("numpy")
    value = numpy.random.default_rng(1).random(500_000)

    def build():
        here = PlaceParam(place="value", multiuse=True)
        if made:
            here = fed.Echo(value=here, site="home")
        for site in ("east", "west", "server"):
            Yield(value=fed.Echo(value=here, site=site), place=site)
        Yield(value=fed.Echo(value=here, site="west"), place="again")

    with reached(federation, tmp_path, float("inf")) as (session, link):
        before = link.passed
        job = session.execute(written(build), {"value": value.tobytes() if kind == "bytes" else value})
        assert job.wait_until_finished(120), job.waiting()
        assert job.get_status() is JobStatus.FINISHED, job.errors
        for place in ("east", "west", "server", "again"):
            (found,) = job.results(place)
            assert found == value.tobytes() if kind == "bytes" else (found == value).all()
        # Once there, and from each of the four steps back. What a step here is given and makes is kept beside that.
        times = 7 if made else 5
        assert times * value.nbytes < link.passed - before < (times + 0.5) * value.nbytes


@pytest.mark.parametrize("how", ["hold", "cut"])
def test_a_job_outlives_a_short_cut(federation, fed, tmp_path, how):
    """Each token once, and in order, though the link is gone while they come."""

    def build():
        items = fed.Count(to=3000, site="east")
        Yield(value=items)
        Yield(value=fed.Total(items=items, site="west"), place="total")

    with reached(federation, tmp_path, 200_000) as (session, link):
        had = []
        job = session.execute(written(build), place_callbacks={"yield": lambda *token: had.append(token[-1])})
        until(lambda: len(had) > 100)
        getattr(link, how)()
        if how == "hold":
            threading.Timer(3.0, link.go_on).start()
        assert job.wait_until_finished(120), job.waiting()
        assert job.get_status() is JobStatus.FINISHED, job.errors
        assert had == list(range(3000)) and job.results("total") == [sum(range(3000))]


def test_a_session_is_closed_though_its_server_takes_connections_and_says_nothing(federation, tmp_path):
    """NVFlare's connection ends, and the TLS handshake of the next one is never answered."""
    with through(federation.kit("home@*"), tmp_path) as (kit, link):
        session = opened(federation, admin_package=kit)
        session.connect()
        link.hold()
        before = link.made
        link.cut()
        until(lambda: link.made > before)
        closing = threading.Thread(target=session.close, daemon=True)
        closing.start()
        closing.join(100)
        assert not closing.is_alive()


def test_a_server_that_takes_connections_and_says_nothing_does_not_answer(federation, fed, tmp_path, monkeypatch):
    pipeline = written(lambda: Yield(value=fed.Add(a=1, site="east")))
    monkeypatch.setattr("dfm.flare._login._PATIENCE", 0.0)
    with through(federation.kit("home@*"), tmp_path) as (kit, link):
        link.hold()
        with opened(federation, admin_package=kit) as session, pytest.raises(SessionError, match="does not answer"):
            session.run(pipeline)


def answering(monkeypatch, *answers):
    """NVFlare's sessions get these answers, one after the other, the last one again and again; how often they ask."""
    from dfm.flare import _login

    asked = []

    class Session:
        def __init__(self, **_):
            self.api = self

        def get_cell(self):
            return None

        def close(self):
            pass

        def try_connect(self, _):
            asked.append(1)
            if (answer := answers[min(len(asked), len(answers)) - 1]) is not None:
                raise answer

    monkeypatch.setattr(_login, "Session", Session)
    return asked


UNANSWERED = [
    FLCommunicationError("failed to challenge server: timeout: "),
    FLCommunicationError("error:client_registration"),
    InternalError("Communication Error - please try later"),
]
"""What NVFlare raises where an answer is late or has no content, in the steps of a login."""


@pytest.mark.parametrize("error", UNANSWERED, ids=str)
def test_a_late_answer_or_one_without_content_is_asked_for_again(monkeypatch, tmp_path, error):
    """As when the server is busy, or a link is cut while it answers: it is no refusal."""
    from dfm.flare import _login
    from dfm.flare._kit import Kit

    asked = answering(monkeypatch, error, error, None)
    _login.log_in(Kit(tmp_path, "ann@small.example"))
    assert len(asked) == 3


@pytest.mark.parametrize("error", UNANSWERED, ids=str)
def test_a_server_that_never_answers_is_told_as_such(monkeypatch, tmp_path, error):
    from dfm.flare import _login
    from dfm.flare._kit import Kit

    monkeypatch.setattr(_login, "_PATIENCE", 0.0)
    answering(monkeypatch, error)
    with pytest.raises(SessionError, match="the federation's server does not answer, for the kit"):
        _login.log_in(Kit(tmp_path, "ann@small.example"))


@pytest.mark.parametrize("passed", [7_400, 9_000])
def test_a_login_goes_on_after_a_link_that_stood_still(federation, tmp_path, passed):
    """It stands still once it has carried so many bytes: the handshake of TLS, and some of the login."""
    from dfm.flare._kit import Kit
    from dfm.flare._login import log_in, log_out

    with through(federation.kit("home@*"), tmp_path) as (kit, link):
        link.hold(passed)
        released = threading.Thread(target=lambda: (until(lambda: link.made > 1), link.go_on()), daemon=True)
        released.start()
        session = log_in(Kit(kit, "home@small.example"))
        released.join(60)
        assert not released.is_alive()
        log_out(session)


def test_a_refusal_with_a_reason_is_told_at_once(monkeypatch, tmp_path):
    from dfm.flare import _login
    from dfm.flare._kit import Kit

    asked = answering(monkeypatch, FLCommunicationError("error:client_registration unknown user"))
    with pytest.raises(SessionError, match="does not let user 'ann@small.example' in, .* unknown user"):
        _login.log_in(Kit(tmp_path, "ann@small.example"))
    assert len(asked) == 1


@pytest.mark.parametrize("days", [(-2, -1), (1, 2)])
def test_a_certificate_that_does_not_hold_now_is_told_at_once(monkeypatch, tmp_path, days):
    """As where a clock is wrong: NVFlare only says that the server does not answer."""
    from dfm.flare import _login
    from dfm.flare._kit import Kit

    Root(tmp_path).kit("ann@small.example", "lead", days=days)
    (kit,) = tmp_path.glob("fed/*")
    asked = answering(monkeypatch, None)
    said = (
        r"holds from \S+ \S+ to \S+ \S+, and it is \S+ \S+ here, all in UTC; set this machine's clock if that is wrong"
    )
    with pytest.raises(SessionError, match=said):
        _login.log_in(Kit(kit, "ann@small.example"))
    assert not asked


def test_nobody_waits_for_a_server_where_nothing_listens(tmp_path):
    from dfm.flare import _login
    from dfm.flare._kit import Kit

    (tmp_path / "startup").mkdir()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        host, port = taken.getsockname()
        (tmp_path / "startup" / "fed_admin.json").write_text(json.dumps({"admin": {"host": host, "port": port}}))
        with pytest.raises(SessionError, match=f"nothing listens where the federation's server is, at {host}:{port};"):
            _login.log_in_at_once(Kit(tmp_path, "ann@small.example"))


@pytest.mark.parametrize(("address", "url"), [("::1", "[::1]"), ("127.0.0.1", "127.0.0.1"), ("127.0.0.1", "localhost")])
def test_a_server_is_reached_by_addresses_of_both_kinds(address, url):
    """NVFlare's own driver makes nothing of `::1`, and looks for none at a name that has no other."""
    from dfm.flare._driver import reach

    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as server, socket.socket(family) as nobody:
        nobody.bind((address, 0))
        with reach(f"tcp://{url}:{server.getsockname()[1]}", None) as made:
            assert made.getpeername()[0] == address
        with pytest.raises(ConnectionRefusedError):
            reach(f"tcp://{url}:{nobody.getsockname()[1]}", None)


@pytest.mark.parametrize("admin", ["", "[]", "{}", '{"admin": {"host": 1, "port": "x"}}'])
def test_what_is_wrong_with_a_kit_nvflare_says(monkeypatch, tmp_path, admin):
    from dfm.flare import _login
    from dfm.flare._kit import Kit

    (tmp_path / "startup").mkdir()
    (tmp_path / "startup" / "fed_admin.json").write_text(admin)
    monkeypatch.setattr(_login, "log_in", lambda kit: "NVFlare was asked")
    assert _login.log_in_at_once(Kit(tmp_path, "ann@small.example")) == "NVFlare was asked"
