"""How fast is dfm, beside its peer and beside bare Python?

`run.py [--no-peer] [QUESTION…]` asks all questions, or those that are named, and prints one table.
"""

import argparse
import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import environments
from rows import Row

QUESTIONS = [
    "commands",
    "loading",
    "first_result",
    "memory",
    "warm_job",
    "planning",
    "simulating",
    "alternating",
    "arrays",
    "stream",
    "operations",
    "governing",
    "recording",
    "exporting",
    "hop",
    "idle",
    "learning",
    "flare",
    "direct",
]
_LIMIT = {"ours": 90.0, "peer": 60.0}
"""Seconds for one question."""
_LIMIT_OF_OTHERS = {"flare": 240.0, "direct": 240.0, "learning": 600.0}
"""The same, where a federation is started for it."""
_END = 30.0
"""Seconds that a question has to end its federation when its time is over."""


def ask(question: str, side: str) -> dict[str, float]:
    """The figures that one side has for a question before its time is over."""
    command = [str(environments.python(side)), str(environments.HERE / "ask.py"), question, environments.PACKAGES[side]]
    folder = environments.TARGET / "benches" / side
    with (folder / f"{question}.log").open("w") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environments.environment(side),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
        try:
            out, _ = process.communicate(timeout=_LIMIT_OF_OTHERS.get(question, _LIMIT[side]))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_END)
            _end(process.pid)
            out, _ = process.communicate()
        except BaseException:
            _end(process.pid)
            raise
    if side == "ours" and process.returncode != 0:
        sys.exit(f"{question} failed:\n{(folder / f'{question}.log').read_text()}")
    figures: dict[str, float] = {}
    for line in out.splitlines():
        figures |= json.loads(line)
    return figures


def _end(session: int) -> None:
    """Ends what the process that leads this system session has started, and itself."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[3]) == session:
                os.kill(int(stat.parent.name), signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError):
            pass


def shown(value: float | None, unit: str) -> str:
    """A figure for people."""
    if value is None:
        return "cannot"
    if unit != "s":
        return f"{value:.0f} {unit}" if abs(value) >= 10 else f"{value:.2f} {unit}"
    for name, size in [("s", 1.0), ("ms", 1e-3)]:
        if value >= size:
            return f"{value / size:.3g} {name}"
    return f"{value * 1e6:.3g} µs"


def line(row: Row, ours: dict[str, float], peer: dict[str, float], with_peer: bool) -> list[str]:
    """One line of the table."""
    value = ours[row.key]
    of_peer = row.beside.startswith("peer")
    if of_peer:
        other = peer.get(row.beside.removeprefix("peer's ") if row.beside != "peer" else row.key)
        beside = shown(other, row.unit) if with_peer else ""
    else:
        other = ours.get(row.beside)
        beside = f"{shown(other, row.unit)} ({row.beside})" if row.beside else ""
    goals: list[tuple[str, bool | None]] = []
    if row.possible:
        goals.append(("possible", True))
    if row.faster is not None:
        goals.append((f"{row.faster:g} times faster", other >= row.faster * value if other else None))
    if row.slower is not None and other:
        goals.append((f"at most {row.slower:g} times as long", value / other <= row.slower))
    if row.below is not None:
        goals.append((f"below {row.below:g} {row.unit}", value <= row.below))
    if not other or not value:
        ratio = ""
    elif of_peer:
        ratio = f"{float(f'{other / value:.2g}'):,.4g} times better"
    else:
        ratio = f"{value / other:.2f} times"
    met = {True: "yes", False: "NO", None: "?"}
    goal, answer = ", ".join(text for text, _ in goals), ", ".join(met[good] for _, good in goals)
    return [row.what, shown(value, row.unit), beside, ratio, goal, answer]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Measures dfm beside its peer and beside bare Python.")
    parser.add_argument("questions", nargs="*", metavar="QUESTION", help=f"some of: {', '.join(QUESTIONS)}")
    parser.add_argument("--no-peer", action="store_true", help="measure dfm alone")
    args = parser.parse_args()
    if unknown := set(args.questions) - set(QUESTIONS):
        parser.error(f"no such question: {', '.join(sorted(unknown))}")
    sides = ["ours"] if args.no_peer else ["ours", "peer"]
    for side in sides:
        environments.federation(side)
    table = [["what", "dfm", "beside", "ratio", "goal", "met"]]
    for question in args.questions or QUESTIONS:
        print(f"{question} …", file=sys.stderr)
        module = importlib.import_module(f"questions.{question}")
        for name, packages in getattr(module, "ELSEWHERE", {}).items():
            environments.installed(name, packages)
        figures = {side: ask(question, side) for side in sides}
        (environments.TARGET / "benches" / f"{question}.json").write_text(json.dumps(figures))
        rows: list[Row] = module.ROWS
        table += [line(row, figures["ours"], figures.get("peer", {}), not args.no_peer) for row in rows]
    widths = [max(len(row[column]) for row in table) for column in range(6)]
    table.insert(1, ["-" * width for width in widths])
    for row in table:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |")


if __name__ == "__main__":
    main()
