"""Is what adapters log and print found by its job, with nothing running, and only where their site hands it out?"""
# pyright: basic

import json
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from eventually import until
from small_federation import ADAPTERS, CONFIG, Small

pytestmark = pytest.mark.timeout(60)

OPERATION = """\
  say.Words:
    parameters:
      how: {type: string}
      fifo: {type: string, default: ""}
    required: [how]
    returns: string
sites:
"""
BINDING = '      "#/operations/say.Words": {adapter: small.lib.%s, args: from-operation%s}\n'
TALKS = """

import logging
import time

log = logging.getLogger("small.talks")


def says(site: Any, how: str) -> None:
    log.info("%s says %s\\nand more", site.name, how)
    log.debug("not this")
    print("printed", how, "\\x1b[31mred")
    site.dfm_context.logger.warning("warned of %s", how)


class Later(Adapter):
    async def body(self, how: str, fifo: str) -> str:
        says(self.site, how)
        if fifo:
            with open(fifo, "w") as there:
                print(os.getpid(), file=there)
            await asyncio.Event().wait()
        return how


class OnThread(Adapter):
    def body(self, how: str, fifo: str) -> str:
        says(self.site, how)
        return how


class Items(Adapter):
    def body(self, how: str, fifo: str) -> Iterator[str]:
        says(self.site, how)
        yield how
        for number in range(2000):
            log.info("%d %s", number, "long" * 1000)
"""
PIPELINE = """\
from dfm.api import Pipeline, Yield
from small.fed.api import say

def get_pipeline(args):
    with Pipeline(name="talking") as p:
        if args[0] == "waiting":
            Yield(value=say.Words(site="left", how="soon", fifo=args[1]), place="out")
        elif args[0] == "endless":
            Yield(value=say.Words(site="home", how="often"), place="out")
        else:
            Yield(value=say.Words(site="left", how="now"), place="out")
            Yield(value=say.Words(site="right", how="below"), place="other")
    return p
"""


class Talking:
    def __init__(self, small: Small, state: Path) -> None:
        self.small, self.state = small, {"XDG_STATE_HOME": str(state)}
        self.pipeline = str(small.write("talking.py", PIPELINE))

    def words(self, *words: str) -> list[str]:
        name, *rest = words
        return ["fed", "submit", "small", "--target", "local", *rest, "pipeline", self.pipeline, "--", name]

    def job(self, *words: str) -> tuple[str, str]:
        """The id of a new job, and what was shown of it."""
        done = self.small.run(*self.words(*words), more=self.state)
        assert done.returncode == 0, done.stderr
        return self.ids()[-1], done.stderr

    def ids(self) -> list[str]:
        return [job["id"] for job in json.loads(self.dfm("--json", "jobs", "list", "small").stdout)["jobs"]]

    def dfm(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.small.run(*words, more=self.state)

    def lines(self, job: str, *words: str) -> list[dict[str, Any]]:
        return json.loads(self.dfm("--json", "jobs", "logs", "small", job, *words).stdout)["lines"]


@pytest.fixture(scope="module")
def talking(command: Path, tmp_path_factory: pytest.TempPathFactory) -> Talking:
    small = Small(tmp_path_factory.mktemp("talking"), command)
    small.create()
    config = CONFIG.replace("sites:\n", OPERATION, 1)
    for site, kind in (("home", "Items"), ("left", "Later"), ("right", "OnThread")):
        binding = BINDING % (kind, "" if kind == "Later" else ", is-async: false")
        head = re.search(rf"  {site}:\n    send_cost: .*\n    interface:\n", config)
        assert head is not None
        config = config[: head.end()] + binding + config[head.end() :]
    small.write("small/configs/federation.dfm.yaml", config)
    small.write("small/lib.py", ADAPTERS + TALKS)
    small.run("fed", "gen", "code", "small").check_returncode()
    return Talking(small, tmp_path_factory.mktemp("state"))


def test_what_is_logged_and_printed_is_found_by_its_job_with_all_that_is_known_of_it(talking: Talking) -> None:
    job, _ = talking.job("now")
    lines = talking.lines(job)
    for site, how in (("left", "now"), ("right", "below")):
        told = [(one["level"], one["logger"], one["text"]) for one in lines if one["site"] == site]
        assert told == [
            ("INFO", "small.talks", f"{site} says {how}\n    and more"),
            ("INFO", "stdout", f"printed {how} \\x1b[31mred"),
            ("WARNING", f"dfm.site.{site}", f"warned of {how}"),
        ]
    assert {(one["operation"], tuple(one["frame"])) for one in lines} == {("say.Words", (0,))}
    assert [one["at"] for one in lines] == sorted(one["at"] for one in lines)
    shown = talking.dfm("jobs", "logs", "small", job, "--site", "left")
    assert [re.sub(r"^[\d:.]{12}Z ", "", line) for line in shown.stdout.splitlines()] == [
        "left say.Words [0] INFO small.talks: left says now",
        "    and more",
        "left say.Words [0] INFO stdout: printed now \\x1b[31mred",
        "left say.Words [0] WARNING dfm.site.left: warned of now",
    ]


def test_what_a_site_logs_of_a_job_is_bounded_and_the_rest_counted(talking: Talking) -> None:
    done = talking.small.run(*talking.words("endless", "--homesite", "left"), more=talking.state)
    assert done.returncode == 0, done.stderr
    job = talking.ids()[-1]
    lines = talking.lines(job)
    assert 10 < len(lines) < 1024 and all(len(one["text"]) <= 2001 for one in lines)
    assert sum(len(one["text"]) for one in lines) < 200_000
    assert "more than a record holds" in talking.dfm("jobs", "show", "small", job).stdout


@pytest.mark.parametrize(("policy", "count"), [("logs: none\n", 0), ("# nothing\n", 0), ("logs: all\n", 3)])
def test_a_sites_policy_decides_what_it_hands_out(talking: Talking, policy: str, count: int) -> None:
    file = talking.small.write("policy.yaml", policy)
    job, shown = talking.job("now", "--policy-of", f"left={file}")
    assert sum(one["site"] == "left" for one in talking.lines(job)) == count
    assert "left: printed now" in shown, "what is shown where it runs is the user's own"


def test_a_job_is_followed_while_it_runs(talking: Talking, tmp_path: Path) -> None:
    os.mkfifo(fifo := tmp_path / "fifo")
    before = len(talking.ids())
    submitted = subprocess.Popen(
        talking.small.command(*talking.words("waiting"), str(fifo)),
        cwd=talking.small.folder,
        env=talking.small.environment(talking.state),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    fifo.read_text()
    until(lambda: len(talking.ids()) > before)
    follows = subprocess.Popen(
        talking.small.command("--json", "jobs", "logs", "small", talking.ids()[-1], "--follow"),
        cwd=talking.small.folder,
        env=talking.small.environment(talking.state),
        stdout=subprocess.PIPE,
        text=True,
    )
    until(lambda: len(talking.lines(talking.ids()[-1])) == 3)
    submitted.send_signal(signal.SIGINT)
    submitted.wait(60)
    stdout, _ = follows.communicate(timeout=120)
    assert follows.returncode == 0
    assert [json.loads(line)["logger"] for line in stdout.splitlines()] == ["small.talks", "stdout", "dfm.site.left"]
