"""Is only a federation's own package found without a search path, and only where nobody else could have put it?"""
# pyright: basic

import os
import subprocess
import sys
from pathlib import Path

import pytest
from dfm._find import FederationFinder


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a package that has generated code; the current folder is deep in it."""
    (tmp_path / "project" / "pyproject.toml").parent.mkdir()
    (tmp_path / "project" / "pyproject.toml").touch()
    package(tmp_path / "project")
    deep = tmp_path / "project" / "some" / "where"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    return tmp_path


def package(folder: Path, name: str = "grid") -> None:
    (folder / name / "fed").mkdir(parents=True)
    (folder / name / "__init__.py").touch()
    (folder / name / "fed" / "fed_info.json").write_text("{}")


def found(name: str = "grid") -> Path | None:
    spec = FederationFinder.find_spec(name)
    return None if spec is None or spec.origin is None else Path(spec.origin).parent.parent


def test_a_package_is_found_up_to_the_projects_root(there: Path) -> None:
    assert found() == there / "project"


def test_a_package_beyond_the_projects_root_is_not(there: Path) -> None:
    package(there, "polars")
    assert found("polars") is None


def test_where_there_is_no_project_only_the_folder_itself_is_searched(
    there: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (there / "project" / "pyproject.toml").unlink()
    assert found() is None
    monkeypatch.chdir(there / "project")
    assert found() == there / "project"


def test_a_script_inside_the_package_finds_it(there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (there / "project" / "pyproject.toml").unlink()
    apps = there / "project" / "grid" / "apps"
    apps.mkdir()
    monkeypatch.chdir(apps)
    assert found() == there / "project"


def test_the_folder_around_a_package_that_has_its_name_is_no_package(
    there: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (there / "made").mkdir()
    package(there / "made" / "grid")
    monkeypatch.chdir(there / "made")
    assert found() == there / "made" / "grid"


def test_the_folder_around_a_package_may_have_hyphens(there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (there / "made").mkdir()
    package(there / "made" / "my-grid", "my_grid")
    monkeypatch.chdir(there / "made")
    assert found("my_grid") == there / "made" / "my-grid"


@pytest.mark.parametrize("script", ["ask.py", "scripts/ask.py"])
def test_a_script_beside_the_registry_finds_what_init_makes(tmp_path: Path, script: str) -> None:
    package(tmp_path / "grid")
    (tmp_path / "grid" / "grid" / "__init__.py").write_text("VERSION = 1")
    (tmp_path / "grid" / "grid" / "fed" / "__init__.py").touch()
    (tmp_path / "federations.yaml").touch()
    (tmp_path / script).parent.mkdir(exist_ok=True)
    (tmp_path / script).write_text("import dfm, grid.fed, importlib.resources\nprint(grid.VERSION, grid.__file__)")
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (f"1 {tmp_path / 'grid' / 'grid' / '__init__.py'}\n", "")


@pytest.mark.parametrize("planted", ["grid/fed/fed_info.json", "grid", "."])
def test_what_belongs_to_another_user_is_not_imported(
    there: Path, monkeypatch: pytest.MonkeyPatch, planted: str
) -> None:
    place = there / "project" / planted
    if os.geteuid() == 0:
        os.chown(place, 12345, -1)
    else:
        own = os.geteuid()
        monkeypatch.setattr(os, "geteuid", lambda: own + 1)
    assert found() is None


@pytest.mark.parametrize("configs", ["", "configs/", "grid/configs/"])
def test_code_that_was_never_generated_names_the_command(tmp_path: Path, configs: str) -> None:
    (tmp_path / "grid" / configs).mkdir(parents=True)
    (tmp_path / "grid" / configs / "federation.dfm.yaml").touch()
    (tmp_path / "other").mkdir()
    script = "import dfm, importlib, sys; sys.path.insert(0, ''); importlib.import_module(sys.argv[1])"

    def imported(name: str) -> str:
        command = [sys.executable, "-c", script, name]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stderr

    assert "No module named 'grid.fed': generate it with `dfm fed gen code grid`" in imported("grid.fed.api")
    assert "gen code" not in imported("other.fed.api")
    assert "gen code" not in imported("grid.federation")
