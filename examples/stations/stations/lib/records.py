"""How does a station make monthly means of its own records?"""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, TypedDict

from dfm.exec import Provider, Site
from dfm.exec.discovery import AdvisedLiteral, AdvisedOneOf, Context, field_advisor

DATA = Path(__file__).parents[1] / "data"

Unit = Literal["celsius", "fahrenheit"]


class MonthlyMeans(TypedDict):
    """What leaves a station."""

    label: str
    """Where and when, for the reader of a chart."""
    unit: Unit
    """Of `means`."""
    means: list[float | None]
    """January first; None for a month without a record."""


class DatedRecords:
    """A file whose column `date` begins with `YYYY/MM/`."""

    def __init__(self, site: Site, provider: Provider | None) -> None:
        self._site = site

    @field_advisor("year")
    async def years(self, value: object, context: Context) -> AdvisedOneOf:
        """The years that the file knows."""
        return AdvisedOneOf(sorted({year_of(row["date"]) for row in read(context.get("path"))}))


class HourlyRecords(DatedRecords):
    """It has the column `temp`, in Fahrenheit, for each hour."""

    def body(self, unit: Unit, path: str, label: str, year: int | None = None) -> MonthlyMeans:
        """`path` is relative to the folder `data`."""
        celsius = ((month(row["date"]), (float(row["temp"]) - 32) * 5 / 9) for row in of_year(read(path), year))
        return {"label": label, "unit": unit, "means": means(celsius, unit)}


class AirportRecords:
    """A file of several airports with the columns `month`, 1 for January, and `temp`, in Fahrenheit or `NA`."""

    def __init__(self, site: Site, provider: Provider | None) -> None:
        self._site = site

    @field_advisor("year")
    async def years(self, value: object, context: Context) -> AdvisedLiteral:
        """The only one."""
        return AdvisedLiteral(context.get("recorded"))

    def body(self, unit: Unit, path: str, label: str, recorded: int, year: int | None = None) -> MonthlyMeans:
        """`path` is relative to the folder `data`; all of the file is of the year `recorded`."""
        if year not in (None, recorded):
            return {"label": label, "unit": unit, "means": means([], unit)}
        known = (row for row in read(path) if row["temp"] != "NA")
        celsius = ((int(row["month"]) - 1, (float(row["temp"]) - 32) * 5 / 9) for row in known)
        return {"label": label, "unit": unit, "means": means(celsius, unit)}


class DailyExtremes(DatedRecords):
    """It has the columns `temp_min` and `temp_max`, in Celsius, for each day."""

    def body(self, unit: Unit, path: str, label: str, year: int | None = None) -> MonthlyMeans:
        """`path` is relative to the folder `data`; a day's mean is half-way between its extremes, as is usual."""
        rows = of_year(read(path), year)
        celsius = ((month(row["date"]), (float(row["temp_min"]) + float(row["temp_max"])) / 2) for row in rows)
        return {"label": label, "unit": unit, "means": means(celsius, unit)}


def read(path: str) -> Iterator[dict[str, str]]:
    """The rows of a file of the station's own."""
    file = DATA / path
    if not file.exists():
        raise FileNotFoundError(f"this station has no records: {file} does not exist; run stations/apps/prepare.py")
    with file.open(newline="") as text:
        yield from csv.DictReader(text)


def of_year(rows: Iterable[dict[str, str]], year: int | None) -> Iterator[dict[str, str]]:
    """The rows of one year; all without one."""
    return (row for row in rows if year is None or year_of(row["date"]) == year)


def year_of(date: str) -> int:
    """`date` begins with `YYYY/`."""
    return int(date[:4])


def month(date: str) -> int:
    """0 for January; `date` begins with `YYYY/MM/`."""
    return int(date.split("/")[1]) - 1


def means(celsius: Iterable[tuple[int, float]], unit: Unit) -> list[float | None]:
    """The mean of each month in `unit`, to a tenth of a degree."""
    sums, counts = [0.0] * 12, [0] * 12
    for number, temperature in celsius:
        sums[number] += temperature
        counts[number] += 1
    averages = [total / count if count else None for total, count in zip(sums, counts, strict=True)]
    if unit == "fahrenheit":
        averages = [None if average is None else average * 9 / 5 + 32 for average in averages]
    return [None if average is None else round(average, 1) for average in averages]
