"""Does a cache spare its body, and is a value always right, whatever has become of the cache?"""
# pyright: basic, reportMissingImports=false

import importlib
import json
import logging
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from dfm import _values
from dfm._native import Found, NotFound
from dfm.api import ErrorToken, ForEach, If, Pipeline, PlaceParam, TryFromCache, WriteToCache, Yield
from dfm.errors import PipelineError, PlanError
from dfm.exec._cache import Cache
from dfm.session import JobStatus
from written import refusal

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def session(small, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    runtime = importlib.import_module("small.fed.runtime.home")
    with runtime.get_session(target="local") as session:
        yield session


@pytest.fixture
def runs(tmp_path):
    """Counts how often `Flaky` has run with its path."""

    class Runs:
        path = str(tmp_path / "runs")

        @property
        def count(self):
            return os.path.getsize(self.path) if os.path.exists(self.path) else 0

    return Runs()


def entries(tmp_path, site):
    return sorted((tmp_path / "caches" / "dfm" / "small" / site / "results").iterdir())


def written(build):
    with Pipeline() as pipeline:
        build()
    return Pipeline.model_validate_json(pipeline.model_dump_json())


def results(session, build, params=None, place="yield"):
    job = session.execute(written(build), {} if params is None else params)
    assert job.wait_until_finished(30)
    job.raise_for_errors()
    return job.results(place)


@pytest.mark.parametrize("site", ["home", "east"])
def test_a_hit_spares_the_body_in_this_session_and_in_the_next(session, small, fed, runs, site, tmp_path):
    def build():
        with TryFromCache(key=PlaceParam("key")) as kept:
            made = fed.Flaky(path=runs.path, fails=0, site=site)
            Yield(value=made, place="made")
            kept.cache(made)
        Yield(value=fed.Add(a=kept, b=10, site="west"))

    assert results(session, build, {"key": "a"}) == [11]
    assert results(session, build, {"key": "a"}) == [11]
    assert results(session, build, {"key": "a"}, "made") == []
    assert runs.count == 1
    assert len(entries(tmp_path, site)) == 1
    with importlib.import_module("small.fed.runtime.home").get_session(target="local") as later:
        assert results(later, build, {"key": "a"}) == [11]
        assert runs.count == 1
        assert results(later, build, [{"key": "b"}, {"key": "a"}]) == [12, 11]
    assert len(entries(tmp_path, site)) == 2


def test_the_cache_is_where_the_value_is_made_unless_a_site_is_named(session, fed, tmp_path):
    def build():
        key = fed.Echo(value="k", site="west")
        with TryFromCache(key=("there", key)) as there:
            there.cache(fed.Add(a=fed.Echo(value=1, site="west"), site="server"))
        with TryFromCache(key=key, site="west") as named:
            named.cache(fed.Add(a=2, site="east"))
        Yield(value=fed.Add(a=there, b=named, site="home"))

    assert results(session, build) == results(session, build) == [5]
    assert len(entries(tmp_path, "server")) == len(entries(tmp_path, "west")) == 1


def test_caches_lie_in_loops_branches_and_each_other(session, fed, runs):
    def build():
        with ForEach(seq=PlaceParam("all")) as x:
            with TryFromCache(key=("outer", x)) as outer:
                with If(cond=fed.Add(a=x, b=0, site="east") > 1):
                    Yield(value=x, place="large")
                with TryFromCache(key=("inner", x)) as inner:
                    inner.cache(fed.Add(a=x, b=100, site="east"))
                WriteToCache(outer, fed.Add(a=inner, b=fed.Flaky(path=runs.path, fails=0, site="home"), site="west"))
            twice = fed.Add(a=outer, b=outer, site="west")
        Yield(value=fed.Total(items=x.collect(twice), site="home"))

    first = results(session, build, {"all": [1, 2]})
    assert first in ([410], [412])  # each has the number of its run, in either order
    assert results(session, build, {"all": [1, 2]}) == first
    assert results(session, build, {"all": [1, 2]}, "large") == []
    assert runs.count == 2
    assert results(session, build, {"all": [3]}, "large") == [3]


def test_nothing_is_kept_of_a_body_that_failed(session, fed, tmp_path):
    def build():
        with TryFromCache(key="fails") as kept:
            Yield(value=fed.Echo(value="runs", site="west"), place="body")
            kept.cache(fed.Fail(value=1, site="east"))
        Yield(value=fed.Add(a=kept, site="east"))

    for _ in range(2):
        job = session.execute(written(build))
        assert job.wait_until_finished(30) and job.get_status() is JobStatus.FAILED
        [token] = job.results()
        assert isinstance(token, ErrorToken) and [error.message for error in token.errors] == ["no luck with 1"]
        assert job.results("body") == ["runs"]
    assert entries(tmp_path, "east") == []


def test_an_error_in_the_key_takes_the_place_of_all_that_the_block_makes(session, fed, runs):
    def build():
        with TryFromCache(key=fed.Fail(value="key", site="server")) as kept:
            made = fed.Flaky(path=runs.path, fails=0, site="east")
            Yield(value=made, place="body")
            kept.cache(made)
        Yield(value=kept)

    job = session.execute(written(build))
    assert job.wait_until_finished(30)
    assert [error.message for token in job.errors for error in token.errors] == ["no luck with key"]
    assert [isinstance(job.results(place)[0], ErrorToken) for place in ("yield", "body")] == [True, True]
    assert runs.count == 0


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "other format", "no entry"])
def test_a_damaged_entry_is_made_again(session, fed, runs, tmp_path, damage, caplog):
    def build():
        with TryFromCache(key=1) as kept:
            kept.cache(fed.Flaky(path=runs.path, fails=0, site="home"))
        Yield(value=kept)

    assert results(session, build) == [1]
    [entry] = entries(tmp_path, "home")
    whole = entry.read_bytes()
    entry.write_bytes(
        {
            "cut": whole[:-1],
            "flipped": whole[:-1] + bytes([whole[-1] ^ 1]),
            "emptied": b"",
            "other format": b"dfm cache 0\n" + whole[12:],
            "no entry": b"\x80\x04N.",
        }[damage]
    )
    with caplog.at_level(logging.WARNING, "dfm"):
        assert results(session, build) == [2]
    assert "is damaged, so its value is made again" in caplog.text
    assert results(session, build) == [2]
    assert entry.read_bytes() != whole


def test_a_cache_that_cannot_be_used_is_a_warning(session, fed, runs, tmp_path, caplog):
    (tmp_path / "caches").write_text("a file where the folder should be")

    def build():
        with TryFromCache(key=1) as kept:
            kept.cache(fed.Flaky(path=runs.path, fails=0, site="home"))
        Yield(value=kept)

    with caplog.at_level(logging.WARNING, "dfm"):
        assert results(session, build) == [1]
    assert "the cache cannot be read" in caplog.text
    assert "a value is not kept in the cache" in caplog.text


def found_in(cache: Cache) -> Any:
    answer = cache.look_up(("k",))
    assert isinstance(answer, Found)
    return answer.value


def test_a_value_that_has_no_encoding_is_used_but_not_kept(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(_values.policy, "lenient", False)
    cache = Cache(lambda: tmp_path, logging.getLogger("dfm.test"), [("me",)])
    missing = cache.look_up(("k",))
    assert isinstance(missing, NotFound)
    odd = object()
    assert cache.store(missing.key, odd) is odd
    assert "has no encoding that is safe" in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_a_pickled_entry_is_not_opened_where_pickle_is_not_allowed(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(_values.policy, "lenient", True)
    lenient = Cache(lambda: tmp_path, logging.getLogger("dfm.test"), [("me",)])
    monkeypatch.setattr(_values.policy, "lenient", False)
    strict = Cache(lambda: tmp_path, logging.getLogger("dfm.test"), [("me",)])
    key = lenient.look_up(("k",)).key
    lenient.store(key, logging.Filter("a"))
    assert isinstance(lenient.look_up(("k",)), Found)
    assert isinstance(strict.look_up(("k",)), NotFound)
    assert "does not accept pickled objects" in caplog.text


def test_writers_at_once_leave_whole_entries(tmp_path):
    numpy = pytest.importorskip("numpy")
    caches = [Cache(lambda: tmp_path, logging.getLogger("dfm.test"), [("me",)]) for _ in range(4)]
    key = caches[0].look_up(("k",)).key

    def use(number):
        cache = caches[number % 4]
        cache.store(key, numpy.full(20_000, number))
        found = found_in(cache)
        assert (found == found[0]).all()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(use, range(100)))
    [entry] = tmp_path.iterdir()
    assert entry.name.isalnum() and entry.name != key


def test_users_and_bindings_do_not_meet_in_a_cache(tmp_path):
    mine, theirs, changed = (
        Cache(lambda: tmp_path, logging.getLogger("dfm.test"), [owner])
        for owner in (("me", "1"), ("them", "1"), ("me", "2"))
    )
    key = theirs.look_up(("k",)).key
    theirs.store(key, "forged")
    assert isinstance(mine.look_up(("k",)), NotFound) and isinstance(changed.look_up(("k",)), NotFound)
    assert found_in(theirs) == "forged"


@pytest.mark.parametrize("key", ["../outside", "/absolute", "a/b", "..", "", "\0"])
def test_a_key_is_no_path(tmp_path, key):
    folder = tmp_path / "cache"
    folder.mkdir()
    Cache(lambda: folder, logging.getLogger("dfm.test"), [("me",)]).store(key, "value")
    assert [path.parent for path in tmp_path.rglob("*") if path.is_file()] == [folder]


def test_no_other_account_reads_or_writes_an_entry(tmp_path, caplog):
    before = os.umask(0)
    try:
        cache = Cache(lambda: tmp_path / "results", logging.getLogger("dfm.test"), [("a user",)])
        key = cache.look_up(("k",)).key
        cache.store(key, 1)
    finally:
        os.umask(before)
    [entry] = (tmp_path / "results").iterdir()
    assert stat.S_IMODE(entry.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(entry.stat().st_mode) == 0o600
    assert found_in(cache) == 1
    whole = entry.read_bytes()
    entry.chmod(0o666)
    assert isinstance(cache.look_up(("k",)), NotFound)
    assert "only this account may write" in caplog.text
    entry.rename(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").chmod(0o600)
    entry.symlink_to(tmp_path / "elsewhere")
    assert isinstance(cache.look_up(("k",)), NotFound)
    entry.unlink()
    os.mkfifo(entry, 0o600)
    assert isinstance(cache.look_up(("k",)), NotFound)
    entry.unlink()
    entry.write_bytes(whole)
    entry.chmod(0o600)
    assert found_in(cache) == 1


def test_keys_say_what_their_values_are_in_every_process(small):
    script = "import sys; sys.path[:0] = sys.argv[1].split(':'); from test_keys import all_keys; print(all_keys())"
    from test_keys import all_keys

    paths = ":".join([os.path.dirname(__file__), str(small)])
    outputs = {
        subprocess.run(
            [sys.executable, "-c", script, paths],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert outputs == {str(all_keys())}


def test_what_breaks_the_rules_is_refused(fed, session):
    def nothing_written():
        with TryFromCache(key=1):
            fed.Echo(value=1)

    def written_twice():
        with TryFromCache(key=1) as kept:
            kept.cache(fed.Echo(value=1))
            kept.cache(fed.Echo(value=1))

    def written_in_a_branch():
        with TryFromCache(key=1) as kept, If(cond=fed.Echo(value=1) > 0):
            kept.cache(fed.Echo(value=1))

    def written_outside():
        with TryFromCache(key=1) as kept:
            kept.cache(fed.Echo(value=1))
        kept.cache(fed.Echo(value=1))

    def used_inside():
        with TryFromCache(key=1) as kept:
            kept.cache(fed.Echo(value=kept))

    def body_used_outside():
        with TryFromCache(key=1) as kept:
            made = fed.Echo(value=1)
            kept.cache(made)
        fed.Echo(value=made)

    assert "writes no value; call its cache(node) there" in refusal(nothing_written)
    assert "has its value already" in refusal(written_twice)
    assert "in a block inside it" in refusal(written_in_a_branch)
    assert "has its value already" in refusal(written_outside)
    assert "has no value in its own body" in refusal(used_inside)
    assert "outside of that body; what the body gives to cache(…) is the value of the TryFromCache itself" in refusal(
        body_used_outside
    )
    with pytest.raises(PlanError, match="'nowhere', is not a site"):
        session.prepare(written(lambda: _cached(fed, "nowhere")))
    with pytest.raises(PlanError, match="its cache is at west, which the session's restriction excludes"):
        session.prepare(written(lambda: _cached(fed, "west")), restrict_to_sites=["east"])


def _cached(fed, site):
    with TryFromCache(key=1, site=site) as kept:
        kept.cache(fed.Echo(value=1, site="east"))
    Yield(value=kept)


def test_a_pipeline_with_a_cache_is_data(fed):
    with Pipeline() as pipeline:
        with TryFromCache(key=("a", PlaceParam("p")), site="east") as kept:
            kept.cache(fed.Echo(value=1))
        Yield(value=kept)
    document = json.loads(pipeline.model_dump_json())
    assert [statement["kind"] for statement in document["statements"]][:3] == [
        "try_from_cache",
        "operation",
        "write_to_cache",
    ]
    assert Pipeline.model_validate(document).model_dump() == document
    document["statements"][2]["cache"] = 1
    with pytest.raises(PipelineError, match="not the node id of a TryFromCache"):
        Pipeline.model_validate(document)
