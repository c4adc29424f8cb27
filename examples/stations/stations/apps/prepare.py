"""Which records does each station have?

In a real federation they have always been there. Here this script puts each station's file into a folder of its own,
from the public-domain NOAA records that the package `vega_datasets` carries.
"""

import shutil
from importlib.resources import as_file, files
from pathlib import Path

DATA = Path(__file__).parents[1] / "data"
RECORDS = {
    "seattle/temperatures.csv": "seattle-temps.csv",
    "san_francisco/temperatures.csv": "sf-temps.csv",
    "puget_sound/days.csv": "seattle-weather.csv",
}


def main() -> None:
    """Writes each station's file; needs no network."""
    for path, name in RECORDS.items():
        target = DATA / path
        target.parent.mkdir(parents=True, exist_ok=True)
        # The package's own loader would need pandas at work; its files are all that is wanted.
        with as_file(files("vega_datasets") / "_data" / name) as source:
            shutil.copyfile(source, target)
        print(f"{target}: {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
