"""May a site's processes together run no more calls than its policy says?"""
# pyright: basic

import asyncio
import subprocess
import sys
from pathlib import Path

from dfm.api import Pipeline, PlaceParam, Yield
from dfm.exec._policy import Limits, SitePolicy
from dfm.exec._turns import Turns
from dfm.testing import Federation

OTHER = """
import sys
from pathlib import Path
from dfm.exec._turns import Turns
turns = Turns(Path(sys.argv[1]), 4)
for line in sys.stdin:
    what, calls = line.split()
    if what == "fit":
        print(turns.fit(int(calls)), flush=True)
    else:
        turns.keep(int(calls))
        print("kept", flush=True)
"""


class Other:
    """Another process of the site."""

    def __init__(self, path: Path) -> None:
        command = [sys.executable, "-c", OTHER, str(path)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, what: str, calls: int) -> str:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"{what} {calls}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def test_calls_of_all_processes_are_bounded_and_each_has_one(tmp_path: Path) -> None:
    path = tmp_path / "calls"
    mine, other = Turns(path, 4), Other(path)
    try:
        assert other.ask("fit", 4) == "True"
        assert mine.fit(1), "the first needs no room"
        assert mine.fit(2), "and there is room for one more"
        assert not mine.fit(3)
        assert other.ask("fit", 5) == "False"
        assert other.ask("keep", 2) == "kept"
        assert mine.fit(4) and not mine.fit(5)
        mine.keep(1)
        assert other.ask("fit", 5) == "True"
        assert not mine.fit(2)
    finally:
        other.kill()
    assert mine.fit(5), "a process that was killed holds nothing"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_session_has_one_call_where_others_leave_no_room_and_goes_on_when_they_do(small, fed, tmp_path: Path) -> None:
    running, most = 0, [0]

    async def wait(seconds: float) -> float:
        nonlocal running
        running += 1
        most[-1] = max(most[-1], running)
        for _ in range(10):
            await asyncio.sleep(0)
        running -= 1
        return seconds

    other = Other(tmp_path / "calls")
    try:
        assert other.ask("fit", 5) == "True"
        federation = Federation("small", homesite="home", fakes={"east": {"work.Wait": wait}})
        policy = SitePolicy(errors="full", limits=Limits(site_calls_at_once=4), calls=tmp_path / "calls")
        federation._adapters["east"].policy = policy
        with Pipeline() as waits:
            Yield(value=fed.Wait(seconds=PlaceParam(place="s"), site="east"))
        with federation:
            for _ in range(2):
                job = federation.session.execute(waits, [{"s": number} for number in range(5)])
                assert job.wait_until_finished(60)
                assert sorted(job.results()) == [0, 1, 2, 3, 4]
                other.ask("keep", 1)
                most.append(0)
    finally:
        other.kill()
    assert most[:2] == [1, 5]
