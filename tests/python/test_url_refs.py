"""Is a configuration on the network read only where the user allows it, and as any other file then?"""

import functools
import http.server
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

CONFIGURATION = """\
dfm: 1.0.0
info: {{api-version: 1.0.0, code-package: far, description: Its operations are elsewhere}}
operations:
  $ref: ["{url}/operations.yaml#/shared"]
sites:
  home: {{}}
"""
OPERATIONS = """\
shared:
  work.Add:
    parameters:
      a: {$ref: "more/types.yaml#/number"}
    required: [a]
"""


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """A server on the loopback that has the operations."""
    served = tmp_path / "served"
    (served / "more").mkdir(parents=True)
    (served / "operations.yaml").write_text(OPERATIONS)
    (served / "more" / "types.yaml").write_text("number: {type: integer}\n")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=served)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def check(
    command: Path, folder: Path, url: str, *options: str, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """What `dfm fed config show` says of a configuration that refers to the URL."""
    (folder / "far.dfm.yaml").write_text(CONFIGURATION.format(url=url))
    (folder / "federations.yaml").write_text("federations:\n  far: {federation_dir: ., config_path: far.dfm.yaml}\n")
    arguments = [command, "fed", "config", "show", "far", *options]
    return subprocess.run(
        arguments, cwd=folder, capture_output=True, text=True, timeout=60, env={**os.environ, **(env or {})}
    )


def test_a_url_is_refused_unless_it_is_allowed(command: Path, tmp_path: Path, url: str) -> None:
    done = check(command, tmp_path, url)
    assert done.returncode == 2
    assert "is a URL, and dfm reads no configuration from the network unasked" in done.stderr
    assert "far.dfm.yaml:4:10" in done.stderr and "`--allow-url-refs`" in done.stderr


@pytest.mark.parametrize("asked", ["option", "environment"])
def test_an_allowed_url_is_read_and_what_it_refers_to(command: Path, tmp_path: Path, url: str, asked: str) -> None:
    if asked == "option":
        done = check(command, tmp_path, url, "--allow-url-refs")
    else:
        done = check(command, tmp_path, url, env={"DFM_ALLOW_URL_REFS": "1"})
    assert (done.returncode, "work.Add" in done.stdout) == (0, True), done.stderr


def test_a_fault_behind_a_url_is_shown_there(command: Path, tmp_path: Path, url: str) -> None:
    file = tmp_path / "served" / "operations.yaml"
    file.write_text(OPERATIONS.replace("required: [a]", "required: a"))
    done = check(command, tmp_path, url, "--allow-url-refs")
    assert done.returncode == 2
    assert f"{url}/operations.yaml:5:15" in done.stderr


def test_a_url_that_leads_nowhere(command: Path, tmp_path: Path, url: str) -> None:
    (tmp_path / "served" / "operations.yaml").unlink()
    done = check(command, tmp_path, url, "--allow-url-refs")
    assert done.returncode == 2
    assert f"cannot read the referenced file `{url}/operations.yaml`: HTTP Error 404" in done.stderr
    assert "Traceback" not in done.stderr
