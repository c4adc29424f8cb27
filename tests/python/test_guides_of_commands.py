"""Does each command that the guides show do something, where there is what its page speaks of?

A page's commands are those of its blocks, and those in its text that say what they are about; of one that is only
named there, such as `dfm fed plan`, `test_guides.py` sees that it is there. They are run in the page's order, as
somebody would type them, with what is there for NAME, KIT and other words that the reader has to know. What a `console`
block shows as output has to be the output, but for ids and times. `ELSEWHERE` says what other tests run; what needs a
cluster is run by nothing.
"""

import json
import re
import shutil
import textwrap
import threading
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import pytest
from dfm.api import Yield
from eventually import until
from flare_federation import Federation, as_home, opened, written
from receiver import receiving
from test_http import DESCRIPTION
from test_tutorial import ROOT, Reader

GUIDES = sorted(page.name for page in (ROOT / "docs").glob("*.md") if page.name not in ("tutorial.md", "index.md"))
NAMED = re.compile(r"dfm( [a-z][a-z-]*)*( --help)?|dfm .*─.*|dfm \[.*", re.DOTALL)
"""What a page's text only names."""
ELSEWHERE = {
    "deploy/docker/build_image.sh --lock": ("containers.sh", "build --lock"),
    "deploy/docker/build_image.sh": ("containers.sh", "build_image.sh"),
    'DFM_USER="$(id -u):$(id -g)" docker compose --file deploy/docker/compose.yaml up': ("containers.sh", "compose up"),
    "docker compose --file deploy/docker/compose.yaml exec north dfm site requests list /workspace": (
        "containers.sh",
        "dfm site requests list /workspace",
    ),
    "dfm ui": ("python/served_page.py", '"ui"'),
}
"""What another file of tests runs, and by which words."""
IN_A_CLUSTER = re.compile(r"kubectl |helm |DFM_WORKSPACE_\w+=\S+ deploy/helm/deploy\.sh ")
ON_FLARE = re.compile(r"dfm fed submit .*--(poc|receipt)|dfm poc |dfm jobs (results|cancel|verify) ")


def shown(page: str) -> list[str]:
    """The lines of a page that somebody types, in its order; those of a `console` block with what they show."""
    text = (ROOT / "docs" / page).read_text()
    blocks = r"^( *)```(?P<language>\w*)\n(?P<block>.*?)^\1```$"
    lines: list[str] = []
    for one in re.finditer(rf"{blocks}|`(?P<inline>dfm [^`]*)`", text, re.MULTILINE | re.DOTALL):
        block = textwrap.dedent(one["block"] or "")
        if one["inline"]:
            inline = " ".join(one["inline"].split())
            lines += [] if NAMED.fullmatch(inline) else [inline]
        elif one["language"] == "console":
            lines += re.findall(r"^\$ .*\n(?:(?!\$ ).*\n)*", block, re.MULTILINE)
        elif block.startswith("export "):
            lines.append(block)
        elif one["language"] == "sh":
            lines += [re.sub(r" +#.*", "", line) for line in block.splitlines() if line]
    return [one for one in dict.fromkeys(lines) if one not in ELSEWHERE and not IN_A_CLUSTER.match(one)]


def on_local(page: str) -> list[str]:
    return [line for line in shown(page) if not ON_FLARE.match(line)]


def on_flare(page: str) -> list[str]:
    return [line for line in shown(page) if ON_FLARE.match(line)]


class Typist(Reader):
    """Who types what a page shows, with some words for others."""

    def type(self, line: str, words: dict[str, str]) -> None:
        typed, _, output = line.removeprefix("$ ").partition("\n") if line.startswith("$ ") else (line, "", "")
        for word, there in words.items():
            typed = re.sub(rf"(?<![\w./-]){re.escape(word)}(?![\w/-])", lambda _, there=there: there, typed)
        said = self.run(typed)
        if output:
            assert told(said) == told(output)

    def dfm(self, *words: str) -> str:
        return self.run(" ".join(["dfm", *words]))

    def write(self, path: str, text: str) -> None:
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(textwrap.dedent(text))


def told(output: str) -> str:
    """An output in which ids, times and targets are as any others."""
    for each, one in (
        (r"\b[0-9a-f]{8}-\d+\b", "ID"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", "DAY"),
        (r"\d\d:\d\d:\d\d\.\d{3}Z", "TIME"),
        (r"\d+\.\d+ m?s\b", "SECONDS"),
        (r" on (local|flare):", " on TARGET:"),
        (r'File "\S+/(weather/\S+)", line \d+', r'File "\1", line N'),
        (r'File "(weather/\S+)", line \d+', r'File "\1", line N'),
    ):
        output = re.sub(each, one, output)
    return output


CONFIG = """\
dfm: 1.0.0
info: {code-package: weather, api-version: 1.0.0}
operations:
  climate.Means:
    description: Means of each month, since a year
    parameters: {city: {type: string}, since: {type: integer, default: 1980}}
    required: [city]
    returns: object
    disclosure: {aggregate: {min-group: 10}}
  climate.Join:
    parameters: {left: {type: object}, right: {type: object}}
    required: [left, right]
    returns: string
    disclosure: public
sites:
  home:
    interface:
      "#/operations/climate.Join": {adapter: weather.lib.HomeJoin, is-async: false, args: from-operation}
  ocean:
    interface:
      "#/operations/climate.Means": {adapter: weather.lib.OceanMeans, is-async: false, args: from-operation}
  coast:
    interface:
      "#/operations/climate.Means": {adapter: weather.lib.Means, is-async: false, args: from-operation}
      "#/operations/climate.Join": {adapter: weather.lib.Join, is-async: false, args: from-operation}
"""
LIBRARY = """\
import logging

import pyarrow


class HomeJoin:
    def body(self, left, right):
        if len(left) != len(right):
            raise ValueError(f"{len(left)} rows do not fit to {len(right)}")
        return f"{len(left)} rows"


class Join(HomeJoin):
    def body(self, left, right):
        print("joining 1980 to 2020")
        return super().body(left, right)


class Means:
    def __init__(self, site):
        self.site = site

    def body(self, city, since):
        months = range(12 if since < 2000 else 9)
        return pyarrow.table({"month": months, "mean": [0.5 * m for m in months], "count": months})


class OceanMeans(Means):
    def body(self, city, since):
        logging.getLogger("ocean.grids").info("12 grids found")
        self.site.dfm_context.logger.warning("two of them are empty")
        return super().body(city, since)
"""
PIPELINE = """\
from dfm.api import Pipeline, PlaceParam, Yield
from weather.fed.api import climate


def get_pipeline(args):
    with Pipeline(name="{name}") as pipeline:
        left = climate.Means(site="coast", city=PlaceParam(place="city"))
        right = climate.Means(site="{other}", city="Bergen", since={since})
        Yield(value=climate.Join(site="{join}", left=left, right=right))
    return pipeline


def get_pipeline_parameters(args):
    return {{"city": "Oslo"}}
"""
PIPELINES = {
    "slope": {"other": "ocean", "since": 1980, "join": "coast"},
    "means": {"other": "coast", "since": 2000, "join": "home"},
}
"""Of which the second fails."""
POLICY = """\
default: allow
rules: {a-person: {decision: ask, operations: [climate.Means], parameters: {city: {one-of: [Oslo]}}}}
audit: {parameters: digest, folder: audit}
"""
FAILS = " || [ $? -eq 1 ]"


@pytest.fixture(scope="module")
def typist(command: Path, tmp_path_factory: pytest.TempPathFactory) -> Typist:
    """Somebody with the federations `weather` and `examplefed` in a registry of their own."""
    typist = Typist(tmp_path_factory.mktemp("typist"))
    typist.write("weather/__init__.py", "")
    typist.write("weather/lib.py", LIBRARY)
    typist.write("weather/federation.dfm.yaml", CONFIG)
    for name, differs in PIPELINES.items():
        typist.write(f"{name}.py", PIPELINE.format(name=name, **differs))
    typist.write("federations.yaml", (ROOT / "examples" / "federations.yaml").read_text().partition("  gradient:")[0])
    shutil.copytree(ROOT / "examples" / "examplefed", typist.folder / "examplefed")
    typist.dfm("fed config set weather --federation-dir weather --config-path federation.dfm.yaml")
    typist.dfm("fed gen code weather")
    typist.dfm("fed gen provision weather")
    return typist


def block(page: str, words: str) -> str:
    """The one block of a page that has these words."""
    found = re.findall(r"^```\w+\n(.*?)^```$", (ROOT / "docs" / page).read_text(), re.MULTILINE | re.DOTALL)
    (one,) = [block for block in found if words in block]
    return one


def submit(typist: Typist, pipeline: str, *words: str) -> str:
    """The id of a job on the local target."""
    typist.dfm("fed submit weather --target local", *words, "pipeline", pipeline)
    return json.loads(typist.dfm("--json jobs list weather"))["jobs"][-1]["id"]


@contextmanager
def nothing(typist: Typist) -> Generator[dict[str, str]]:
    yield {"check --adapters": "check weather --adapters", "NAME": "weather"}


@contextmanager
def costs(typist: Typist) -> Generator[dict[str, str]]:
    submit(typist, "slope.py", "--save-costs", "costs.yaml")
    yield {"NAME PIPELINE.py": "weather slope.py"}


@contextmanager
def deployed(typist: Typist) -> Generator[dict[str, str]]:
    config = CONFIG.replace("weather", "orchard").replace("ocean:", "north:").replace("coast:", "server:")
    typist.write("orchard/orchard/__init__.py", "")
    typist.write("orchard/orchard/federation.dfm.yaml", config + block("deploy.md", "startup_package_source: env"))
    typist.dfm("fed config set orchard --federation-dir orchard/orchard --config-path federation.dfm.yaml")
    yield {}


@contextmanager
def discovered(typist: Typist) -> Generator[dict[str, str]]:
    yield {"NAME": "weather --target local", "PATH": "slope.py"}


@contextmanager
def jobs(typist: Typist) -> Generator[dict[str, str]]:
    first, second = submit(typist, "slope.py"), submit(typist, "slope.py")
    yield {"NAME": "weather", "JOB": second, "A": first, "B": second, "a1b2c3d4-1": first}


@contextmanager
def governed(typist: Typist) -> Generator[dict[str, str]]:
    """While two jobs wait for a person at `coast`: one is approved, and one is not."""
    typist.write("kit/policy.yaml", POLICY)
    policy = "--policy-of coast=kit/policy.yaml"
    submit(typist, "slope.py", policy, "--param", "city=Bergen")
    ended: list[str] = []

    def wait(name: str, *end: str) -> None:
        ended.append(typist.run(f"dfm fed submit weather --target local {policy} pipeline {name}.py{''.join(end)}"))

    asking = [threading.Thread(target=wait, args=args) for args in (("slope",), ("means", FAILS))]
    for job in asking:
        job.start()
    requests: dict[str, str] = {}

    def ask() -> bool:
        waiting = json.loads(typist.dfm("--json site requests list kit"))["requests"]
        requests.update({one["name"]: one["request"] for one in waiting})
        return len(requests) == len(asking)

    until(ask)
    try:
        yield {
            "KIT ID --why TEXT": f"kit {requests['means']} --why no",
            "KIT ID": f"kit {requests['slope']}",
            "KIT": "kit",
            "NAME PIPELINE": "weather slope.py",
            "…": "weather --target local pipeline slope.py",
            "SITE=FILE": "ocean=kit/policy.yaml",
        }
    except BaseException:
        # Else they would wait for an hour.
        for request in requests.values():
            typist.run(f"dfm site requests deny kit {request} --why over || true")
        raise
    finally:
        for job in asking:
            job.join()
    assert sorted(ended) == ["", "yield [0]: 12 rows\n"]


@contextmanager
def described(typist: Typist) -> Generator[dict[str, str]]:
    typist.write("served/openapi.yaml", DESCRIPTION)
    typist.write("shop/__init__.py", "")
    typist.write(
        "shop/federation.dfm.yaml", "dfm: 1.0.0\ninfo: {code-package: shop, api-version: 1.0.0}\nsites: {store: {}}\n"
    )
    typist.dfm("fed config set shop --federation-dir shop --config-path federation.dfm.yaml")
    served = ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(typist.folder / "served"))
    )
    thread = threading.Thread(target=served.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield {"https://pets.example/openapi.yaml": f"http://127.0.0.1:{served.server_port}/openapi.yaml -f shop"}
    finally:
        served.shutdown()
        thread.join()
        served.server_close()


@contextmanager
def moved(typist: Typist) -> Generator[dict[str, str]]:
    """What an application of the other tool would have in a folder of its own."""
    shutil.copytree(typist.folder / "weather", typist.folder / "old", ignore=shutil.ignore_patterns("fed"))
    typist.write("old/app.py", PIPELINE.replace("dfm.api", "nv_dfm_core.api"))
    yield {"FOLDER": "old", "NAME": "weather"}
    assert "from dfm.api import" in (typist.folder / "old" / "app.py").read_text()


@contextmanager
def collected(typist: Typist) -> Generator[dict[str, str]]:
    with receiving() as receiver:
        yield {"http://collector:4318": receiver.endpoint, "submit weather": "submit weather --target local"}
        assert {span.name for span in receiver.spans()} >= {"job slope", "plan", "climate.Means"}


@contextmanager
def planned(typist: Typist) -> Generator[dict[str, str]]:
    shutil.copy(ROOT / "examples" / "examplefed" / "examplefed" / "apps" / "pipeline.py", typist.folder)
    typist.write("network.yaml", block("planning.md", "dfm-network: "))
    submit(typist, "slope.py", "--save-costs", "costs.yaml")
    yield {"…": "weather slope.py", "plan --network": "plan weather slope.py --network"}


@contextmanager
def decided(typist: Typist) -> Generator[dict[str, str]]:
    typist.write("kit/policy.yaml", POLICY)
    yield {
        "FILE": "kit/policy.yaml",
        "KIT OPERATION --user NAME": "kit/policy.yaml climate.Means --user ada",
        "KIT": "workspace/weather/weather/prod_00/coast",
        "submit --policy-of": "submit weather --target local pipeline slope.py --policy-of",
        "SITE=kit/policy.yaml": "ocean=kit/policy.yaml",
    }


@contextmanager
def failing(typist: Typist) -> Generator[dict[str, str]]:
    yield {"submit weather": "submit weather --target local", "means.py": f"means.py{FAILS}"}


WORDS: dict[str, Callable[[Typist], AbstractContextManager[dict[str, str]]]] = {
    "adapters.md": nothing,
    "costs.md": costs,
    "deploy.md": deployed,
    "discovery.md": discovered,
    "events.md": jobs,
    "governance.md": governed,
    "http.md": described,
    "jobs.md": jobs,
    "moving.md": moved,
    "otel.md": collected,
    "planning.md": planned,
    "policy.md": decided,
    "replay.md": failing,
    "upgrading.md": nothing,
}
"""What there is for a page, and by which words: each is put in the place of that of the page, in this order."""


def test_each_page_is_typed() -> None:
    assert [page for page in GUIDES if on_local(page)] == sorted(WORDS)
    for file, words in ELSEWHERE.values():
        assert words in (ROOT / "tests" / file).read_text()


@pytest.mark.parametrize("page", sorted(WORDS))
def test_the_commands_of_a_page_do_something(typist: Typist, page: str) -> None:
    with WORDS[page](typist) as words:
        for line in on_local(page):
            typist.type(line, words)


SMALL = """\
from dfm.api import Pipeline, Yield
from small.fed.api import work


def get_pipeline(args):
    with Pipeline() as pipeline:
        Yield(value=work.Add(a=1, site="east"))
    return pipeline
"""


@pytest.fixture(scope="module")
def at_poc(federation: Federation) -> Typist:
    """Somebody beside the federation that runs."""
    typist = Typist(federation.registry.parent)
    typist.environment |= as_home()
    typist.write("pipeline.py", SMALL)
    return typist


@contextmanager
def submitted(typist: Typist, federation: Federation, fed: ModuleType) -> Generator[dict[str, str]]:
    yield {"NAME": "small", "examplefed": "small", "PIPELINE.py": "pipeline.py"}


@contextmanager
def proved(typist: Typist, federation: Federation, fed: ModuleType) -> Generator[dict[str, str]]:
    yield {
        "submit --receipt": "submit small --poc pipeline pipeline.py --receipt",
        "FILE --federation NAME": "receipt.json --federation small --poc",
        "FILE": "receipt.json",
    }


@contextmanager
def detached(typist: Typist, federation: Federation, fed: ModuleType) -> Generator[dict[str, str]]:
    """While an application is there that has left two jobs, of which one is over."""
    with opened(federation) as session:
        over = session.execute(written(lambda: Yield(value=fed.Add(a=1, site="east"))))
        running = session.execute(written(lambda: Yield(value=fed.Wait(seconds=600, site="east"))))
        over.detach()
        running.detach()
        typist.dfm("fed submit small --poc pipeline pipeline.py --receipt receipt.json")
        yield {
            "results NAME JOB": f"results small {over.job_id} --poc",
            "cancel NAME JOB": f"cancel small {running.job_id} --poc",
            "FILE --federation NAME": "receipt.json --federation small --poc",
        }


@contextmanager
def made_anew(typist: Typist, federation: Federation, fed: ModuleType) -> Generator[dict[str, str]]:
    yield {}
    federation.wait()


ON_POC: dict[str, Callable[[Typist, Federation, ModuleType], AbstractContextManager[dict[str, str]]]] = {
    "costs.md": submitted,
    "governance.md": proved,
    "jobs.md": detached,
    "planning.md": submitted,
    # The last one: after it, the federation has other kits.
    "deploy.md": made_anew,
}


def test_each_page_is_typed_at_a_federation() -> None:
    assert [page for page in GUIDES if on_flare(page)] == sorted(ON_POC)


@pytest.mark.flare
@pytest.mark.parametrize("page", ON_POC)
def test_the_commands_of_a_page_do_something_at_a_federation(
    at_poc: Typist, federation: Federation, fed: ModuleType, page: str
) -> None:
    with ON_POC[page](at_poc, federation, fed) as words:
        for line in on_flare(page):
            at_poc.type(line, words)
