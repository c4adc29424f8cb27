"""How do stations' monthly means become a chart?"""

import math
from itertools import cycle, pairwise

from dfm.exec import Provider, Site
from PIL import Image, ImageDraw, ImageFont

from stations.lib.records import MonthlyMeans

WIDTH, HEIGHT = 960, 540
LEFT, TOP, RIGHT, BOTTOM = 64, 92, 928, 488
# Drawn larger and scaled down, which smooths the lines.
SCALE = 3

PAPER, INK, FAINT = "#ffffff", "#333333", "#dddddd"
# Told apart by those who see red and green alike, too.
COLOURS = "#0072b2", "#56b4e9", "#d55e00", "#009e73", "#e69f00", "#cc79a7"
MONTHS = "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"
SIGNS = {"celsius": "°C", "fahrenheit": "°F"}

Point = tuple[float, float]


class DrawMonths:
    """Draws stations' months as lines."""

    def __init__(self, site: Site, provider: Provider | None) -> None:
        self._site = site

    def body(self, stations: dict[str, MonthlyMeans]) -> Image.Image:
        """All in the same unit."""
        return chart(list(stations.values()))


class Canvas:
    """A picture drawn in points of the finished size."""

    def __init__(self) -> None:
        self.image = Image.new("RGB", (WIDTH * SCALE, HEIGHT * SCALE), PAPER)
        self._draw = ImageDraw.Draw(self.image)

    def line(self, points: list[Point], colour: str, width: float) -> None:
        """Joins the points."""
        scaled = [(x * SCALE, y * SCALE) for x, y in points]
        self._draw.line(scaled, fill=colour, width=round(width * SCALE), joint="curve")

    def dot(self, x: float, y: float, colour: str) -> None:
        """A filled circle."""
        self._draw.circle((x * SCALE, y * SCALE), 3.5 * SCALE, fill=colour)

    def text(self, x: float, y: float, words: str, anchor: str, size: float = 14) -> float:
        """Writes, and returns where the words end; `anchor` as in Pillow."""
        font = ImageFont.load_default(size * SCALE)
        self._draw.text((x * SCALE, y * SCALE), words, fill=INK, font=font, anchor=anchor)
        return x + self._draw.textlength(words, font=font) / SCALE

    def finished(self) -> Image.Image:
        """The picture in its own size."""
        return self.image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)


def chart(lines: list[MonthlyMeans]) -> Image.Image:
    """Axes, a legend and a line for each station; a month without a mean is a gap."""
    canvas = Canvas()
    known = [mean for line in lines for mean in line["means"] if mean is not None]
    if not known:
        raise ValueError("there is nothing to draw: no station has a mean for any month")
    ticks = round_numbers(min(known), max(known))
    sign = SIGNS[lines[0]["unit"]]

    def x(month: int) -> float:
        return LEFT + (month + 0.5) * (RIGHT - LEFT) / 12

    def y(value: float) -> float:
        return BOTTOM - (value - ticks[0]) / (ticks[-1] - ticks[0]) * (BOTTOM - TOP)

    canvas.text(LEFT, 30, f"Mean temperature of each month, {sign}", "lm", size=20)
    for tick in ticks:
        canvas.line([(LEFT, y(tick)), (RIGHT, y(tick))], INK if tick == ticks[0] else FAINT, 1)
        canvas.text(LEFT - 10, y(tick), str(tick), "rm")
    for month, name in enumerate(MONTHS):
        canvas.line([(x(month), BOTTOM), (x(month), BOTTOM + 5)], INK, 1)
        canvas.text(x(month), BOTTOM + 10, name, "mt")

    legend = float(LEFT)
    for line, colour in zip(lines, cycle(COLOURS), strict=False):
        canvas.line([(legend, 64), (legend + 28, 64)], colour, 3)
        canvas.dot(legend + 14, 64, colour)
        legend = canvas.text(legend + 36, 64, line["label"], "lm") + 32
        points = [None if mean is None else (x(month), y(mean)) for month, mean in enumerate(line["means"])]
        for one, next_one in pairwise(points):
            if one and next_one:
                canvas.line([one, next_one], colour, 3)
        for point in points:
            if point:
                canvas.dot(*point, colour)
    return canvas.finished()


def round_numbers(low: float, high: float) -> list[int]:
    """Multiples of 5 or 10 that reach around all values."""
    step = 5 if high - low <= 30 else 10
    first = math.floor(low / step)
    last = max(math.ceil(high / step), first + 1)
    return [step * number for number in range(first, last + 1)]
