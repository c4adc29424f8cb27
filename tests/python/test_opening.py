"""Does what is asked of a job happen in the order in which it was asked, however it falls on the job's beginning?"""
# pyright: basic

import asyncio
import itertools
import threading

from dfm.api import Pipeline, PlaceParam, Yield
from dfm.session._opening import Opening

ASKED = 4
TURNS = 6


def happens(turns, first, nested):
    """What happens in which order where ask `i` comes in the loop's turn `turns[i]`, and the sites are reached in turn
    1, after the first so many of them. Each ask may have another one follow from it."""
    happened = []

    async def run():
        loop = asyncio.get_running_loop()
        reached = loop.create_future()
        opening = None

        def after(turn, work):
            loop.call_soon(work) if turn == 0 else loop.call_soon(after, turn - 1, work)

        async def reach():
            await reached

        def then(work):
            work() if opening is None else opening.then(work)

        def do(ask):
            happened.append(ask)
            if nested and ask < ASKED:
                then(lambda: happened.append(ask + ASKED))

        def begun():
            nonlocal opening
            opening = None

        opening = Opening(loop.create_task(reach()), lambda task: happened.append("begin"), begun)
        for at, turn in enumerate(turns):
            if at == first:
                after(1, lambda: reached.set_result(None))
            after(turn, lambda at=at: then(lambda: do(at)))
        if first == ASKED:
            after(1, lambda: reached.set_result(None))
        for _ in range(2 * TURNS):
            await asyncio.sleep(0)
        assert opening is None

    asyncio.run(run())
    return happened


def test_nothing_overtakes_what_was_asked_before_in_any_interleaving():
    ways = itertools.combinations_with_replacement(range(TURNS), ASKED)
    for turns, first, nested in itertools.product(ways, range(ASKED + 1), (False, True)):
        happened = happens(turns, first, nested)
        assert happened[0] == "begin"
        asked = [ask for ask in happened[1:] if ask < ASKED]
        assert asked == list(range(ASKED)), (turns, first, nested)
        assert len(happened) == 1 + ASKED * (1 + nested)


def test_what_cannot_be_done_keeps_nothing_else_from_being_done():
    happened = []

    def begin(task):
        raise OSError("it cannot begin")

    async def run():
        async def reach():
            pass

        opening = Opening(asyncio.create_task(reach()), begin, lambda: happened.append("begun"))
        opening.then(lambda: happened.append("asked"))
        await asyncio.wait([opening.reaching])
        await asyncio.sleep(0)

    asyncio.run(run())
    assert happened == ["asked", "begun"]


def echo(fed):
    with Pipeline() as pipeline:
        Yield(value=fed.Echo(value=PlaceParam(place="n"), site="home"), place="out")
    return pipeline


def test_sets_that_several_threads_send_while_a_job_begins_are_frames_each_with_its_own_value(shared, fed):
    prepared = shared.prepare(echo(fed))
    for _ in range(20):
        job = shared.execute(prepared, None, autostop=False)
        together = threading.Barrier(3)

        def send(thread, job=job, together=together):
            together.wait()
            for index in range(50):
                job.send_input_params({"n": (thread, index)})

        threads = [threading.Thread(target=send, args=(thread,)) for thread in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        job.send_stop_frame()
        values = job.results("out")
        assert sorted(values) == [(thread, index) for thread in range(3) for index in range(50)]
        for thread in range(3):
            assert [index for of, index in values if of == thread] == list(range(50))
