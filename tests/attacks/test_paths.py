"""Does a configuration that somebody else wrote read or write anything outside of its own folder?"""

import os
import subprocess
from pathlib import Path

import pytest

CONFIGURATION = """\
dfm: 1.0.0
info: {{api-version: 1.0.0, code-package: fed, description: From a stranger}}
operations:
  work.Add: {{description: Adds, parameters: {{a: {{$ref: "{ref}"}}}}, required: [a]}}
provision:
  docker:
    image: fed
    tag: one
    dockerfile: {dockerfile}
    build: {{context: "{context}", engine: docker, arch: amd64}}
  helm: {{path: "{chart}", name: fed, startup_package_source: env}}
sites: {{home: {{}}, server: {{}}, away: {{}}}}
"""
GOOD = {"ref": "types.yaml#/number", "dockerfile": "deploy/Dockerfile", "context": "..", "chart": "deploy/helm"}


def dfm(command: Path, place: Path, *words: str, **paths: str) -> subprocess.CompletedProcess[str]:
    """What dfm says of the federation in `place/inside/fed`, with these paths in its configuration."""
    folder = place / "inside" / "fed"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "types.yaml").write_text("number: {type: integer}\n")
    (folder / "f.dfm.yaml").write_text(CONFIGURATION.format(**(GOOD | paths)))
    (place / "federations.yaml").write_text(
        "federations:\n  fed: {federation_dir: inside/fed, config_path: f.dfm.yaml}\n"
    )
    return subprocess.run(
        [command, "--config", place / "federations.yaml", *words], cwd=place, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("way", ["absolute", "dots", "link"])
def test_a_reference_shows_no_line_of_a_file_elsewhere(command: Path, tmp_path: Path, way: str) -> None:
    secret = tmp_path / "secret.yaml"
    secret.write_text("root:x:0:0\n")
    (tmp_path / "inside" / "fed").mkdir(parents=True)
    (tmp_path / "inside" / "fed" / "link.yaml").symlink_to(secret)
    ref = {"absolute": str(secret), "dots": "../../secret.yaml", "link": "link.yaml"}[way]
    done = dfm(command, tmp_path, "fed", "check", "fed", ref=ref + "#/a")
    assert done.returncode != 0
    assert "outside of the federation's folder" in done.stderr and "--allow-refs" in done.stderr
    assert "root:x" not in done.stdout + done.stderr


def test_what_the_user_allows_is_read(command: Path, tmp_path: Path) -> None:
    (tmp_path / "types.yaml").write_text("number: {type: integer}\n")
    ref = "../../types.yaml#/number"
    done = dfm(command, tmp_path, "fed", "config", "show", "fed", "--allow-refs", ".", ref=ref)
    assert done.returncode == 0, done.stderr
    assert dfm(command, tmp_path, "fed", "config", "show", "fed", ref=ref).returncode == 2


def test_the_repository_around_a_federation_is_its_own(command: Path, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "types.yaml").write_text("number: {type: integer}\n")
    done = dfm(command, tmp_path, "fed", "config", "show", "fed", ref="../../types.yaml#/number")
    assert done.returncode == 0, done.stderr


def test_a_reference_to_what_never_ends_is_refused(command: Path, tmp_path: Path) -> None:
    (tmp_path / "inside" / "fed").mkdir(parents=True)
    os.mkfifo(tmp_path / "inside" / "fed" / "endless.yaml")
    done = dfm(command, tmp_path, "fed", "check", "fed", ref="endless.yaml#/a")
    assert done.returncode != 0 and "it is no regular file" in done.stderr


@pytest.mark.parametrize(
    ("kind", "paths", "key"),
    [
        ("helm", {"chart": "../../outside"}, "`path`"),
        ("helm", {"chart": "link/chart"}, "`path`"),
        ("docker", {"context": "../.."}, "`build.context`"),
        ("docker", {"dockerfile": "link/Dockerfile"}, "`dockerfile`"),
        ("docker", {"dockerfile": "../../outside/Dockerfile", "context": "../.."}, "`dockerfile`"),
    ],
)
def test_nothing_is_generated_elsewhere_unasked(
    command: Path, tmp_path: Path, kind: str, paths: dict[str, str], key: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "inside" / "fed").mkdir(parents=True)
    (tmp_path / "inside" / "fed" / "link").symlink_to(outside)
    done = dfm(command, tmp_path, "fed", "gen", kind, "fed", **paths)
    assert done.returncode == 2
    assert f"{key} leads out of the federation's folder" in done.stderr and "--allow-outside" in done.stderr
    assert "f.dfm.yaml:" in done.stderr
    assert list(outside.iterdir()) == [] and not (tmp_path / ".dockerignore").exists()


def test_a_link_in_a_charts_way_is_not_followed(command: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    chart = tmp_path / "inside" / "fed" / "deploy" / "helm"
    chart.mkdir(parents=True)
    (chart / "templates").symlink_to(outside)
    done = dfm(command, tmp_path, "fed", "gen", "helm", "fed")
    assert done.returncode == 2 and "a symbolic link leads" in done.stderr
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("link", ["fed/fed", "fed/fed/runtime", "fed/fed/api/work.py"])
def test_no_code_is_generated_where_a_link_leads(command: Path, tmp_path: Path, link: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "inside" / link).parent.mkdir(parents=True)
    (tmp_path / "inside" / link).symlink_to(outside / "new" if link.endswith(".py") else outside)
    for more in ([], ["--cleanup"]):
        done = dfm(command, tmp_path, "fed", "gen", "code", "fed", *more)
        assert done.returncode == 2 and "a symbolic link leads `inside/fed/fed" in done.stderr
        assert list(outside.iterdir()) == []


def test_the_user_may_say_where(command: Path, tmp_path: Path) -> None:
    done = dfm(command, tmp_path, "fed", "gen", "helm", "fed", "--allow-outside", chart="../../outside")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "outside" / "Chart.yaml").is_file()
    for kind in ("docker", "helm"):
        assert dfm(command, tmp_path, "fed", "gen", kind, "fed").returncode == 0
