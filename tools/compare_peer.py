"""Do the tutorials of `nv-dfm-core` run on dfm once `dfm migrate` has changed their imports?

Run by hand, as `make compare-peer FOLDER=…`: it fetches the tutorials into that folder, which is outside of the
repository, and needs git and the network for it. `example-fed` and `zero-to-thirty` run on both targets.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

SOURCE = "https://github.com/NVIDIA/data-federation-mesh"
FILE = re.compile(r"^### Create `(?P<path>[^`]+)`")
NOTEBOOK = """
import json, pathlib, sys
cells = json.loads(pathlib.Path(sys.argv[1]).read_text())["cells"]
names = {"display": lambda value: print("shown:", value.size), "__name__": "__main__"}
for cell in cells:
    exec("".join(cell["source"]), names)
"""


def blocks(text: str, language: str) -> Iterator[tuple[str, str]]:
    """Each block of code in a language, with the heading that it is under."""
    heading = ""
    code: list[str] | None = None
    for line in text.splitlines():
        if code is not None and line.strip() == "```":
            yield heading, "\n".join(code) + "\n"
            code = None
        elif code is not None:
            code.append(line)
        elif line == f"```{language}":
            code = []
        elif line.startswith("#"):
            heading = line


def run(folder: Path, *words: str, **environment: str) -> str:
    """Runs a command, shows what it says, and returns that; one that fails ends the comparison."""
    print("$", *words, flush=True)
    bin = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    paths = {"PATH": bin, "DFM_CONFIG": str(folder / "federations.yaml")}
    ran = subprocess.run(words, cwd=folder, env=os.environ | paths | environment, text=True, capture_output=True)
    print(ran.stdout + ran.stderr, flush=True)
    if ran.returncode:
        sys.exit(f"failed with exit code {ran.returncode}")
    return ran.stdout


def on_poc(folder: Path, name: str, *application: str, **environment: str) -> None:
    """Runs an application while a federation's POC does."""
    run(folder, "dfm", "poc", "start", "-f", name, **environment)
    try:
        run(folder, "dfm", "poc", "wait", "-f", name)
        run(folder, *application, **environment)
    finally:
        run(folder, "dfm", "poc", "stop", "-f", name)
        run(folder, "dfm", "poc", "cleanup", "-f", name)


def example_fed(folder: Path) -> None:
    """Greets from each site."""
    package = folder / "tutorials/example-fed"
    run(folder, "dfm", "migrate", str(package), "--write")
    run(folder, "dfm", "fed", "gen", "code", "examplefed")
    application = [sys.executable, str(package / "examplefed/apps/concierge.py"), "--name", "World"]
    for more in (["app"], ["app", "--message", "Hi {name}"], ["server"], ["reception"]):
        run(folder, *application, "--target", "local", "--greetme-from", *more, PYTHONPATH=str(package))
    kits = str(folder / "workspace/examplefed_poc/examplefed")
    words = [*application, "--greetme-from", "reception", "--federation-path", kits]
    on_poc(folder, "examplefed", *words, PYTHONPATH=str(package))


def zero_to_thirty(source: Path, folder: Path) -> None:
    """Follows the tutorial's steps, with the files that it has in its text."""
    first, second = ((source / name).read_text() for name in ("01-local-federation.md", "02-flare-poc-mode.md"))
    config, package = folder / "myfed/configs/federation.dfm.yaml", folder / "myfed"
    for heading, code in blocks(first, "python"):
        if found := FILE.match(heading):
            path = folder / found["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(code)
    config.parent.mkdir(parents=True)
    config.write_text(next(code for heading, code in blocks(first, "yaml") if "Complete Configuration" in heading))
    cells = [code for heading, code in blocks(first, "python") if heading.startswith("### Cell")]
    local, poc = package / "apps/local.ipynb", package / "apps/poc.ipynb"
    local.parent.mkdir()
    local.write_text(json.dumps({"cells": [{"source": cell.splitlines(True)} for cell in cells]}, indent=1))
    connect = next(code for heading, code in blocks(second, "python") if "Update Your Notebook" in heading)
    cells = [connect if "get_session(" in cell else cell for cell in cells]
    poc.write_text(json.dumps({"cells": [{"source": cell.splitlines(True)} for cell in cells]}, indent=1))
    run(folder, "dfm", "migrate", ".", "--write")
    run(folder, "dfm", "fed", "config", "create-default")
    words = ["dfm", "fed", "config", "set", "myfed", "--federation-dir", "myfed", "--config-path"]
    words += ["configs/federation.dfm.yaml", "--project-path"]
    run(folder, *words, "None")
    run(folder, "dfm", "fed", "gen", "code", "myfed", "--output-dir", "myfed")
    notebook = [sys.executable, "-c", f"import os; os.chdir({str(local.parent)!r}){NOTEBOOK}"]
    run(folder, *notebook, local.name, PYTHONPATH=str(package))
    server = "  server:\n    info:\n      description: Flare server\n    interface: {}\n"
    config.write_text(config.read_text().replace("  loader:\n", f"{server}  loader:\n", 1))
    project = next(code for heading, code in blocks(second, "yaml") if "project.yaml" in heading)
    (config.parent / "project.yaml").write_text(project)
    run(folder, *words, "configs/project.yaml")
    run(folder, "dfm", "fed", "gen", "code", "myfed", "--output-dir", "myfed")
    on_poc(folder, "myfed", *notebook, poc.name, PYTHONPATH=str(package))


def main(folder: Path) -> None:
    """Fetches the tutorials into a folder that is not there yet, and runs them."""
    repository = Path(__file__).resolve().parents[1]
    if folder.is_relative_to(repository):
        sys.exit(f"{folder} is in dfm's own repository; name a folder outside of it")
    if folder.exists():
        sys.exit(f"{folder} is there already; name one that is not")
    folder.mkdir(parents=True)
    subprocess.run(["git", "clone", "--depth=1", "--quiet", SOURCE, str(folder / "peer")], check=True)
    example_fed(folder / "peer")
    (folder / "zero-to-thirty").mkdir()
    zero_to_thirty(folder / "peer/tutorials/zero-to-thirty", folder / "zero-to-thirty")
    print("both tutorials run, on the local target and on a POC")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
