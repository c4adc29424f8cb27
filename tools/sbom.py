"""What is in a release? Prints a CycloneDX bill of materials: the crates compiled in, and what pip installs beside.

Takes nothing but Cargo's lock file and pyproject.toml, so it says the same everywhere.
"""

import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def compiled_in(metadata: dict[str, Any]) -> list[dict[str, Any]]:
    """The packages that the module and the command are made of; not those that only build or test them."""
    packages = {one["id"]: one for one in metadata["packages"]}
    needs = {
        node["id"]: [
            dependency["pkg"]
            for dependency in node["deps"]
            if any(kind["kind"] is None for kind in dependency["dep_kinds"])
        ]
        for node in metadata["resolve"]["nodes"]
    }
    todo = [one["id"] for one in metadata["packages"] if one["name"] in ("dfm-py", "dfm-cli")]
    found: set[str] = set()
    while todo:
        if (one := todo.pop()) not in found:
            found.add(one)
            todo += needs[one]
    return sorted((packages[one] for one in found), key=lambda one: (one["name"], one["version"]))


def crate(package: dict[str, Any], hashes: dict[tuple[str, str], str]) -> dict[str, Any]:
    name, version = package["name"], package["version"]
    component: dict[str, Any] = {"type": "library", "name": name, "version": version}
    component["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    if package["source"]:
        component["purl"] = f"pkg:cargo/{name}@{version}"
        component["hashes"] = [{"alg": "SHA-256", "content": hashes[name, version]}]
    return component


def from_index(need: str, scope: str) -> dict[str, Any]:
    """What pip chooses a version of, within these bounds."""
    name = re.split(r"[<>=~!; ]", need, maxsplit=1)[0]
    bounds = {"name": "dfm:versions", "value": need.removeprefix(name)}
    return {"type": "library", "name": name, "scope": scope, "purl": f"pkg:pypi/{name}", "properties": [bounds]}


def main() -> None:
    command = [
        "cargo",
        "metadata",
        "--format-version",
        "1",
        "--locked",
        "--filter-platform",
        "x86_64-unknown-linux-gnu",
    ]
    metadata = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
    hashes = {(one["name"], one["version"]): one.get("checksum", "") for one in lock["package"]}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    crates = compiled_in(metadata)
    version = next(one["version"] for one in crates if one["name"] == "dfm-py")
    wanted = [(need, "required") for need in project["dependencies"]]
    wanted += [(need, "optional") for extra in project["optional-dependencies"].values() for need in extra]
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "name": project["name"],
                "version": version,
                "purl": f"pkg:pypi/{project['name']}@{version}",
                "licenses": [{"expression": project["license"]}],
            }
        },
        "components": [crate(one, hashes) for one in crates] + [from_index(need, scope) for need, scope in wanted],
    }
    print(json.dumps(document, indent=2))


if __name__ == "__main__":
    main()
