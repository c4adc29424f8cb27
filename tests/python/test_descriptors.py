"""Do large values come through where a process may have few descriptors, or none more?"""
# pyright: basic

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(120)

SCRIPT = """\
import sys
import numpy
sys.path.insert(0, sys.argv[1])
from dfm.api import ForEach, Pipeline, PlaceParam, Yield
from dfm.session import JobStatus
from small.fed.api import work
from small.fed.runtime.home import get_session

MANY = 600
with Pipeline() as pipeline:
    sequence = work.Echo(value=PlaceParam(place="items"), site="east")
    with ForEach(seq=sequence) as item:
        Yield(value=work.Echo(value=item, site="west"))
with get_session(target="local") as session:
    items = [numpy.full(100_000, number % 256, numpy.uint8) for number in range(MANY)]
    job = session.execute(pipeline, {"items": items})
    job.wait_until_finished()
    job.raise_for_errors()
    back = job.results()
    # As long as the application holds them, nobody has their memory back.
    assert [int(one[0]) for one in back] == [number % 256 for number in range(MANY)]
    assert all((one == one[0]).all() and len(one) == 100_000 for one in back)
print("all came")
"""


def few() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))


def test_more_large_values_than_there_may_be_descriptors_all_come(small: Path) -> None:
    pytest.importorskip("numpy")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, small], preexec_fn=few, capture_output=True, text=True, timeout=100
    )
    assert (done.stdout, done.stderr) == ("all came\n", "")


def test_a_process_is_allowed_more_descriptors_where_the_system_lets_it(small: Path) -> None:
    script = (
        "import resource\n"
        "from dfm import _native\n"
        "_native.Site('home')\n"
        "print(*resource.getrlimit(resource.RLIMIT_NOFILE))\n"
    )

    def bounded() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (128, 256))

    done = subprocess.run([sys.executable, "-c", script], preexec_fn=bounded, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("256 256\n", "")


STARTED = """\
import os, resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from dfm.api import Pipeline, Yield
from dfm.errors import SessionError
from processes import read
from small.fed.api import work
from small.fed.runtime.home import get_session

def state():
    children = [each for task in Path("/proc/self/task").glob("*/children") for each in read(task).split()]
    links = [os.readlink(fd) for fd in Path("/proc/self/fd").iterdir() if os.path.lexists(fd)]
    return len(children), links.count("anon_inode:[pidfd]")

with Pipeline() as pipeline:
    for site in ("east", "west", "server"):
        Yield(value=work.Add(a=1, site=site), place=site)
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
refused = 0
for more in range(0, 30, 3):
    with get_session(target="local") as session:
        session.connect()
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 1 + more, hard))
        try:
            job = session.execute(pipeline)
            assert job.wait_until_finished(30), (more, [str(one) for one in job.waiting()])
        except SessionError:
            refused += 1
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert state() == (0, 0), (more, state())
assert 0 < refused < 10, refused
print("nothing was left")
"""


def test_a_site_that_cannot_be_started_whole_leaves_nothing(small: Path) -> None:
    """However far its start came: the process, its link, and those to each other site."""
    helpers = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-c", STARTED, small]
    done = subprocess.run(command, env=helpers, capture_output=True, text=True, timeout=100)
    assert done.stdout.endswith("nothing was left\n"), done.stderr


def test_a_number_that_is_no_descriptors_is_refused() -> None:
    from dfm import _native

    for takes in (lambda: _native.Site("home").add_link("a", -1), lambda: _native.end_with_parent(-1)):
        with pytest.raises(ValueError, match="-1 is no descriptor"):
            takes()
