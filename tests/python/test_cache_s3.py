"""Does a site's cache work on an object store, and is a value always right, whatever has become of the store?"""
# pyright: basic, reportMissingImports=false

import importlib
import logging
import shutil
import subprocess
import sys
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import s3fs
from dfm._native import Found, NotFound
from dfm.api import Pipeline, PlaceParam, TryFromCache, Yield
from dfm.exec import DfmContext, SecretsVault, Site
from dfm.exec._cache import Cache, digest
from dfm.exec._site import SiteSettings
from moto.server import ThreadedMotoServer

pytestmark = pytest.mark.timeout(120)
CACHE = "    cache_config: {protocol: s3, base_path: kept/%s}\n"


def in_turns(app):
    """The application, one request at a time: a store replaces an object at once, which moto's does in two steps."""
    lock = threading.Lock()

    def answer(*request):
        with lock:
            return app(*request)

    return answer


@pytest.fixture
def server(monkeypatch):
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    assert server._server is not None
    server._server.app = in_turns(server._server.app)
    _, port = server.get_host_and_port()
    url = f"http://127.0.0.1:{port}"
    urllib.request.urlopen(f"{url}/moto-api/reset", data=b"").close()
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "user")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    s3fs.S3FileSystem.clear_instance_cache()  # they are of an earlier server
    yield server
    server.stop()


@pytest.fixture(scope="module")
def runtime(small, command):
    """The federation `small` once more, with the caches of two sites in a bucket."""
    folder = small / "clouded"
    folder.mkdir()
    for of_example in (small / "small").glob("*.dfm.yaml"):
        shutil.copy(of_example, folder)
    text = (small / "small" / "federation.dfm.yaml").read_text().replace("code-package: small", "code-package: clouded")
    for site in ("home", "east"):
        before = f"\n  {site}:\n"
        assert before in text
        text = text.replace(before, before + CACHE % site)
    (folder / "federation.dfm.yaml").write_text(text)
    registry = small / "clouded.yaml"
    registry.write_text("federations:\n  clouded: {federation_dir: clouded, config_path: federation.dfm.yaml}\n")
    subprocess.run([command, "--config", registry, "fed", "gen", "code", "clouded", "--quiet"], check=True)
    importlib.invalidate_caches()
    return importlib.import_module("clouded.fed.runtime.home")


def bucket():
    return s3fs.S3FileSystem(skip_instance_cache=True, use_listings_cache=False)


def run(session, site, path, key):
    work = importlib.import_module("clouded.fed.api.work")
    with Pipeline() as pipeline:
        with TryFromCache(key=PlaceParam("key")) as kept:
            kept.cache(work.Flaky(path=str(path), fails=0, site=site))
        Yield(value=kept)
    return session.run(pipeline, key=key)["yield"]


@pytest.mark.parametrize("site", ["home", "east"])
def test_values_are_kept_in_a_bucket_for_later_sessions(server, runtime, tmp_path, site):
    path = tmp_path / "runs"
    with runtime.get_session(target="local") as session:
        assert run(session, site, path, "a") == [1]
        assert run(session, site, path, "a") == [1]
    [entry] = bucket().ls(f"kept/{site}/results")
    whole = bucket().cat_file(entry)
    with runtime.get_session(target="local") as session:
        assert run(session, site, path, "a") == [1]
        bucket().pipe_file(entry, whole[:-1])
        assert run(session, site, path, "a") == [2]
        assert run(session, site, path, "b") == [3]
    assert len(bucket().ls(f"kept/{site}/results")) == 2
    assert bucket().cat_file(entry) != whole


def test_a_store_that_does_not_answer_is_a_warning(server, runtime, tmp_path, caplog):
    with runtime.get_session(target="local") as session, caplog.at_level(logging.WARNING, "dfm"):
        assert run(session, "home", tmp_path / "runs", "a") == [1]
        assert "cache" not in caplog.text
        server.stop()
        assert run(session, "home", tmp_path / "runs", "a") == [2]
    server.start()
    assert "the cache cannot be read, so a value is made again" in caplog.text
    assert "a value is not kept in the cache" in caplog.text


def site_with(cache):
    settings = SiteSettings(
        info={},
        configured_cache=cache,
        configured_vault={},
        open_vault=lambda config: SecretsVault(),
        providers={},
    )
    return Site(DfmContext("small", "1.0.0", "east", "home", "job", logging.getLogger("dfm.test"), settings))


def found_in(cache: Cache) -> Any:
    answer = cache.look_up(("k",))
    assert isinstance(answer, Found)
    return answer.value


@pytest.mark.parametrize("protocol", ["s3", "memory", "file"])
def test_writers_at_once_leave_whole_entries_on_every_storage(server, protocol, tmp_path):
    base = str(tmp_path / "kept") if protocol == "file" else f"kept/{tmp_path.name}"
    site = site_with({"protocol": protocol, "base_path": base, "storage_options": {}})
    caches = [Cache(lambda: site.cache_storage("results"), logging.getLogger("dfm.test"), [("me",)]) for _ in range(2)]
    missing = caches[0].look_up(("k",))
    assert isinstance(missing, NotFound)
    key = missing.key

    def use(number):
        caches[number % 2].store(key, [number] * 1000)
        found = found_in(caches[number % 2])
        assert found == [found[0]] * 1000

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(use, range(20)))
    assert [entry.name for entry in site.cache_storage("results").iterdir()] == [digest(key)]


def test_an_adapter_has_a_folder_of_its_sites_cache(server):
    site = site_with({"protocol": "s3", "base_path": "kept/own", "storage_options": {}})
    (site.cache_storage("models") / "a.txt").write_text("b")
    assert bucket().cat_file("kept/own/models/a.txt") == b"b"


@pytest.mark.parametrize(
    ("missing", "needed"), [("upath", r"pip install 'data-federation-mesh\[fsspec\]'"), ("s3fs", "s3fs")]
)
def test_a_missing_package_is_named(monkeypatch, missing, needed):
    for module in [name for name in sys.modules if name.partition(".")[0] == missing]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    site = site_with({"protocol": "s3", "base_path": "kept", "storage_options": {}})
    cache = Cache(lambda: site.cache_storage("results"), logging.getLogger("dfm.test"), [("me",)])
    with pytest.raises(ImportError, match=f"the cache of site 'east' is on 's3', which needs.*{needed}"):
        cache.look_up(("k",))


def test_local_files_need_no_other_package(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "upath", None)
    site = site_with({"protocol": "file", "base_path": str(tmp_path), "storage_options": {}})
    cache = Cache(lambda: site.cache_storage("results"), logging.getLogger("dfm.test"), [("me",)])
    key = cache.look_up(("k",)).key
    cache.store(key, 1)
    assert found_in(cache) == 1
