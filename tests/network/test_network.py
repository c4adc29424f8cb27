"""What does a session on Flare do over links that are far, slow or lossy, as between machines?

Each test tells how long its job took, which is no condition: `make test-network` shows it.
"""
# pyright: basic, reportMissingImports=false

import contextlib
import os
import socket
from pathlib import Path

import pytest
from dfm.api import PlaceParam, Yield
from dfm.session import JobStatus
from eventually import until
from flare_federation import declared, opened, written
from link import Link, bare, beyond
from sessions import patient, reached, took

pytestmark = [pytest.mark.network, pytest.mark.timeout(300)]
_LISTENS = "0A"
"""How `/proc/net/tcp` says that a socket listens."""


@pytest.fixture(scope="module")
def federation(command, small):
    with patient(command, small) as federation:
        yield federation


ELSEWHERE = "127.0.0.2"
"""Where links to ports of direct connections are."""
UNLIMITED = float("inf")
"""Megabits a second of a link that does nothing but pass on."""


@contextlib.contextmanager
def reached_directly(federation, fed, folder, nvflare, **how):
    """A session whose application has a direct connection to the server's process through a link, and that link;
    `nvflare` is what its connection through NVFlare is like."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with declared(federation, "server", host=ELSEWHERE, port=port):
        link = Link(port, **how, at=(ELSEWHERE, port))
        with reached(federation, folder, **nvflare) as (session, _):
            session.run(written(lambda: Yield(value=fed.Add(a=1, site="west"))))
            connection = session._home._links._connection
            until(lambda: connection._direct._native.is_connected(connection._cell))
            yield session, link
        link.close()


def there_and_back(session, fed, size):
    """The seconds for a value to site `west` and home again."""
    value = pytest.importorskip("numpy").random.default_rng(1).bytes(size)
    pipeline = written(lambda: Yield(value=fed.Echo(value=PlaceParam(place="value"), site="west")))
    job = session.execute(pipeline, {"value": value})
    seconds = took(job)
    assert job.results() == [value]
    return seconds


def share_of(megabits, size, seconds):
    """How much of a link so many bytes there and back had, one way after the other."""
    had = 2 * size * 8 / 1e6 / seconds
    return f"{had:.0f} Mbit/s" if megabits is UNLIMITED else f"{had / megabits:.0%} of one link"


FAR = [(one, other) for other in (0.0, 0.01, 0.05) for one in (0.01, 0.1, 0.3)]
"""Round trips in seconds, each with a loss."""


@pytest.mark.parametrize(
    ("round_trip", "loss"), [pytest.param(*way, marks=[pytest.mark.short] if way == (0.1, 0.01) else []) for way in FAR]
)
def test_a_far_link_costs_round_trips(federation, fed, tmp_path, round_trip, loss):
    with reached(federation, tmp_path, delay=round_trip / 2, loss=loss) as (session, _):
        prepared = session.prepare(written(lambda: Yield(value=fed.Add(a=1, site="west"))))
        took(session.execute(prepared))
        times = sorted(took(session.execute(prepared)) for _ in range(9))
        print(f"\none operation: median {times[4] * 1000:.0f} ms, slowest {times[-1] * 1000:.0f} ms")


@pytest.mark.parametrize(
    ("megabits", "size"),
    [(2, 1_000_000), (10, 10_000_000), (100, 50_000_000), (100, 200_000_000), (UNLIMITED, 200_000_000)],
)
def test_a_link_carries_what_it_can(federation, fed, tmp_path, megabits, size):
    """The second time, the session knows how much the link carries."""
    how = {"delay": 0.0 if megabits is UNLIMITED else 0.025, "rate": megabits * 125_000}
    with reached(federation, tmp_path, **how) as (session, _):
        for turn in ("first", "second"):
            seconds = there_and_back(session, fed, size)
            share = share_of(megabits, size, seconds)
            print(f"\n{size / 1e6:.0f} MB there and back, the {turn} time: {seconds:.1f} s, {share}")
    print(f"by TCP alone: {share_of(megabits, size, bare(size, **how))}")


@pytest.mark.parametrize(("megabits", "size"), [(10, 10_000_000), (100, 50_000_000)])
def test_a_value_crosses_two_slow_links_as_it_comes(federation, fed, tmp_path, megabits, size):
    """Its site's client is as far from the server as the application."""
    how = {"delay": 0.025, "rate": megabits * 125_000}
    with beyond(federation, "west", **how), reached(federation, tmp_path, **how) as (session, _):
        seconds = there_and_back(session, fed, size)
        share = share_of(megabits, size, seconds)
        print(f"\n{size / 1e6:.0f} MB over two links and back: {seconds:.1f} s, {share}")


@pytest.mark.parametrize("names", [["west"], ["east", "west", "server"]])
def test_a_value_for_several_sites_crosses_a_slow_link_once(federation, fed, tmp_path, names):
    """There once, and back from each of them."""
    value = pytest.importorskip("numpy").random.default_rng(1).bytes(5_000_000)

    def build():
        given = PlaceParam(place="value", multiuse=True)
        for name in names:
            Yield(value=fed.Echo(value=given, site=name), place=name)

    with reached(federation, tmp_path, delay=0.025, rate=10 * 125_000) as (session, link):
        before = link.passed
        job = session.execute(written(build), {"value": value})
        print(f"\n5 MB to {len(names)} sites and back from each took {took(job):.1f} s")
        assert [job.results(name) for name in names] == [[value]] * len(names)
        assert link.passed - before < (len(names) + 1.5) * len(value)


@pytest.mark.short
def test_a_job_over_a_direct_connection_that_is_far(federation, fed, tmp_path):
    how = {"delay": 0.025}
    with reached_directly(federation, fed, tmp_path, how, **how) as (session, link):
        prepared = session.prepare(written(lambda: Yield(value=fed.Add(a=1, site="west"))))
        took(session.execute(prepared))
        before = link.passed
        times = sorted(took(session.execute(prepared)) for _ in range(9))
        assert link.passed > before
        print(f"\none operation over 50 ms: median {times[4] * 1000:.0f} ms, slowest {times[-1] * 1000:.0f} ms")


@pytest.mark.parametrize(("megabits", "size"), [(10, 10_000_000), (100, 50_000_000)])
def test_a_slow_direct_connection_carries_what_it_can(federation, fed, tmp_path, megabits, size):
    how = {"delay": 0.025, "rate": megabits * 125_000}
    with reached_directly(federation, fed, tmp_path, how, **how) as (session, link):
        for turn in ("first", "second"):
            seconds = there_and_back(session, fed, size)
            share = share_of(megabits, size, seconds)
            print(f"\n{size / 1e6:.0f} MB there and back, the {turn} time: {seconds:.1f} s, {share}")
        assert link.passed > 4 * size


@pytest.mark.parametrize("how", ["hold", pytest.param("cut", marks=pytest.mark.short)])
def test_a_value_on_its_way_over_a_direct_connection_that_is_lost_comes_through_nvflare(federation, fed, tmp_path, how):
    """Whether the connection is ended or only nothing passes, and nobody is told."""
    with reached_directly(federation, fed, tmp_path, {}, rate=10_000_000) as (session, link):
        value = pytest.importorskip("numpy").random.default_rng(1).bytes(50_000_000)
        job = session.execute(
            written(lambda: Yield(value=fed.Echo(value=PlaceParam(place="value"), site="west"))), {"value": value}
        )
        until(lambda: link.passed > 5_000_000)
        link.hold()
        if how == "cut":
            link.cut()
        print(f"\n50 MB there and back took {took(job):.1f} s")
        assert job.results() == [value]


@pytest.mark.parametrize(
    ("size", "how"), [(10_000_000, {"delay": 0.025, "rate": 10 * 125_000}), (1_000_000_000, {})], ids=["slow", "fast"]
)
@pytest.mark.parametrize("back", [False, True])
def test_small_jobs_go_on_beside_a_large_value(federation, fed, tmp_path, back, size, how):
    """On its way to its site, and back."""
    numpy = pytest.importorskip("numpy")
    value = numpy.random.default_rng(1).bytes(size)
    with reached(federation, tmp_path, **how) as (session, link):
        small = session.prepare(written(lambda: Yield(value=fed.Add(a=1, site="west"))))
        alone = min(took(session.execute(small)) for _ in range(5))
        large = session.prepare(written(lambda: Yield(value=fed.Echo(value=PlaceParam(place="value"), site="east"))))
        job = session.execute(large, {"value": value})
        # It is on its way back when more than its size went through.
        before = link.passed
        until(lambda: link.passed - before > len(value) * (1.2 if back else 0.1), 60)
        beside = []
        while job.get_status() is JobStatus.RUNNING and len(beside) < 5:
            beside.append(took(session.execute(small)))
        took(job)
        assert job.results() == [value] and beside
        median = sorted(beside)[len(beside) // 2]
        way = "back" if back else "to its site"
        large = f"{size / 1e6:.0f} MB on its way {way}"
        print(f"\none operation: alone {alone * 1000:.0f} ms, beside {large} {median * 1000:.0f} ms")


@pytest.mark.short
def test_only_the_server_has_to_be_reached(federation, fed):
    """A firewall that lets connections out and none in is enough at all others: what they listen on is the loopback."""
    with opened(federation) as session:
        assert session.run(written(lambda: Yield(value=fed.Add(a=1, site="west")))) == {"yield": [2]}
        job = session._home._links._connection.job
        lines = [
            line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()
        ]
        outside = {line[9] for line in lines if line[3] == _LISTENS and line[1].split(":")[0] not in _LOOPBACK}
        for participant in ("east", "west"):
            for pid in (federation.process(participant), federation.process(participant, job)):
                assert outside.isdisjoint(sockets_of(pid)), f"{participant} listens to others"


_LOOPBACK = ("0100007F", "00000000000000000000000001000000")


def sockets_of(pid):
    """The inodes of a process's sockets."""
    found = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            target = os.readlink(descriptor)
            if target.startswith("socket:["):
                found.add(target[8:-1])
    return found
