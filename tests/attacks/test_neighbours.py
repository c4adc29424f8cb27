"""What does another user of the machine get to read, whatever umask things were started with?"""
# pyright: basic, reportMissingImports=false

import logging
import os
import subprocess
import sys

import pytest
from dfm._private import private_folder
from dfm.api import Yield
from dfm.exec._adapters import Adapters
from flare_federation import opened, written


def readable(folder):
    """What below a folder others than its owner may do anything with."""
    found = []
    for path in [folder, *folder.rglob("*")]:
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            continue
        if mode & 0o077 and not path.is_symlink():
            found.append(f"{mode:o} {path.relative_to(folder)}")
    return found


@pytest.mark.flare
def test_what_a_federation_on_this_machine_keeps_is_its_owners(federation, fed):
    pytest.importorskip("nvflare")
    with opened(federation) as session:
        session.run(written(lambda: Yield(value=fed.Echo(site="east", value=1))))
        assert (federation.kit("server") / session._home._links._connection.job).is_dir()
        assert readable(federation.folder) == []


def test_kits_are_their_owners_whatever_the_umask(command, small, tmp_path):
    pytest.importorskip("nvflare")
    registry = tmp_path / "federations.yaml"
    registry.write_text(
        (small / "federations.yaml").read_text().replace("{federation_dir: small", f"{{federation_dir: {small}/small")
    )
    start = [command, "--config", registry, "poc", "start", "-f", "small", "--prepare-only"]
    subprocess.run(start, check=True, capture_output=True, umask=0)
    assert readable(tmp_path / "workspace" / "small_poc") == []


def test_folders_are_made_for_their_owner_and_others_stay(tmp_path):
    (tmp_path / "old").mkdir(mode=0o755)
    before = os.umask(0)
    try:
        private_folder(tmp_path / "old" / "a" / "b")
    finally:
        os.umask(before)
    assert readable(tmp_path / "old" / "a") == []
    assert (tmp_path / "old").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("with_upath", [True, False])
def test_an_adapters_folder_in_the_cache_is_its_sites_own(tmp_path, monkeypatch, with_upath):
    if with_upath:
        pytest.importorskip("upath")
    else:
        monkeypatch.setitem(sys.modules, "upath", None)
    settings = {"federation": "f", "api_version": "1.0.0", "site": "s", "info": {}, "impl": None, "vault": {}}
    settings |= {"cache": {"base_path": str(tmp_path / "cache")}, "providers": {}, "bindings": []}
    before = os.umask(0)
    try:
        Adapters(settings, "s", "job", logging.getLogger("neighbours")).site().cache_storage("a/b")
    finally:
        os.umask(before)
    assert readable(tmp_path / "cache") == [] and (tmp_path / "cache").stat().st_mode & 0o077 == 0
