"""How long does it take to load a large configuration, and to generate its code?"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rows import Row
from side import Side, timed

ROWS = [
    Row("check", "`dfm fed check`: 1,000 operations and 200 sites", beside="", below=0.15),
    Row("check 2", "2,000 and 400", beside=""),
    Row("check 4", "4,000 and 800", beside=""),
    Row("check a byte of 4", "a byte of the last, beside one of the first", beside="check a byte of 1", slower=1.5),
    Row("faulty", "`dfm fed check` where all 2,000 bindings of 200 sites name no operation", beside=""),
    Row("faulty a byte of 4", "a byte of that, four times as large", beside="faulty a byte of 1", slower=1.5),
    Row("code", "`dfm fed gen code` where nothing changed: 1,000 operations and 200 sites", beside=""),
    Row("code a byte of 4", "a byte of that, four times as large", beside="code a byte of 1", slower=1.5),
]


def measure(side: Side) -> Iterator[tuple[str, float]]:
    if not side.ours:
        return
    with tempfile.TemporaryDirectory() as folder:
        for question, failing, words, sizes in [
            ("check", False, "fed check large", [1, 2, 4]),
            ("faulty", True, "fed check large", [1, 4]),
            ("code", False, "fed gen code large", [1, 4]),
        ]:
            bytes_of_1 = 0.0
            for times in sizes:
                text = configuration(1000 * times, 200 * times, "missing" if failing else "space")
                seconds = _seconds(Path(folder) / f"{question}{times}", text, words, 2 if failing else 0)
                yield question if times == 1 else f"{question} {times}", seconds
                if times == 1:
                    bytes_of_1 = seconds / len(text)
                if times == 4:
                    yield f"{question} a byte of 4", seconds / len(text)
                    yield f"{question} a byte of 1", bytes_of_1


def _seconds(folder: Path, text: str, words: str, expected: int) -> float:
    (folder / "large").mkdir(parents=True)
    (folder / "large" / "large.dfm.yaml").write_text(text)
    (folder / "federations.yaml").write_text(
        "federations:\n  large: {federation_dir: large, config_path: large.dfm.yaml}\n"
    )
    command = [str(Path(sys.executable).parent / "dfm"), "--quiet", *words.split()]

    def call() -> None:
        ran = subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if ran.returncode != expected:
            raise RuntimeError(f"{command} ended with {ran.returncode}")

    return timed(call, 3)


def configuration(operations: int, sites: int, bound: str) -> str:
    """A `.dfm.yaml` whose sites bind ten operations each, in namespaces whose names begin with `bound`."""
    lines = ["dfm: 1.0.0", "info: {api-version: 1.0.0, code-package: large}", "schemas:"]
    for number in range(operations // 50):
        lines += [f"  Kind{number}:", "    type: object", "    properties: {x: {type: number}, y: {type: number}}"]
    lines.append("operations:")
    for number in range(operations):
        lines += [
            f"  space{number // 50}.Operation{number}:",
            f"    description: Does thing {number}",
            "    parameters:",
            f"      place: {{$ref: '#/schemas/Kind{number // 50}', description: Where}}",
            "      hours: {type: integer, minimum: 1, default: 24}",
            "      name: {type: string, accepts-node-input: false}",
            "    required: [place]",
            "    returns: number",
        ]
    lines.append("sites:")
    for site in range(sites):
        lines += [f"  site{site}:", "    info: {description: One of many}", "    interface:"]
        for binding in range(10):
            number = (site * 7 + binding * 13) % operations
            lines += [
                f'      "#/operations/{bound}{number // 50}.Operation{number}":',
                f"        adapter: large.adapters.Adapter{number}",
                "        args:",
                "          place: {from-param: place}",
                "          hours: hours",
                f"          key: {{from-secrets: key{number}}}",
                "          retries: {const: 3, expose-as: retries}",
                "        compute_cost: {fixed_time: 0.5, output_factor: 1.5}",
            ]
        lines.append("    send_cost:")
        for other in range(1, 6):
            lines.append(f"      site{(site + other) % sites}: {{fixed_time: 0.01, bandwidth: 1.0e+8}}")
    return "\n".join(lines) + "\n"
