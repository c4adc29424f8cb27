"""What does the native module offer?"""

import enum
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Self, final

from typing_extensions import Buffer

from dfm.exec._audit_log import Signer
from dfm.exec._policy import PerDay
from dfm.exec._site import Asker

DECLARED: str
"""The text of this file when the module was built."""
VERSION: str
"""dfm's version, three numbers."""

class Panic(BaseException):
    """A fault of this module's own: what it was called on cannot be relied on any more."""

@final
class Memory(Buffer):
    """A received part of a value, or a packet to carry, as a writable buffer."""

    def __buffer__(self, flags: int, /) -> memoryview: ...
    def __len__(self) -> int: ...

@final
class Hole:
    """A place in a packet where a part of another one belongs."""

    def __new__(cls, at: int, packet: int, begin: int, size: int) -> Self: ...
    @property
    def at(self) -> int:
        """Where, in the packet's content."""

    @property
    def packet(self) -> int:
        """The other packet: its place among those that are taken together."""

    @property
    def begin(self) -> int:
        """Where the part begins in that one's content."""

    @property
    def size(self) -> int:
        """How many bytes it has."""

@final
class Carried:
    """A packet that is carried to another site."""

    def __new__(cls, to: str, content: Buffer, holes: list[Hole] = ...) -> Self: ...
    @property
    def to(self) -> str:
        """The site that it is for; empty of one that only fills holes."""

    @property
    def content(self) -> Buffer:
        """What is in it, without what goes into its holes."""

    @property
    def holes(self) -> list[Hole]:
        """In their order."""

@final
class Refusal:
    """Why a lane's message is not answered."""

    def __new__(cls, reason: str, is_final: bool) -> Self: ...
    @property
    def reason(self) -> str: ...
    @property
    def is_final(self) -> bool:
        """Whether it makes no sense to ask again."""

@final
class Direct:
    """A process's connections straight to the other processes of its session, each by its name here."""

    def __new__(
        cls,
        certificate: bytes,
        key: bytes,
        session: str,
        receive: Callable[[str, str, int, Memory, bool], bytes | Refusal | None],
        changed: Callable[[str, bool], None],
    ) -> Self:
        """Shows this certificate (DER), whose private key this is (PKCS #8), to who is of the same session, whose name
        everybody on the way may read.

        `receive` gets who has sent a lane's message, its kind, number and content, and whether it is asked; then it
        returns what answers it. `changed` is told when a connection begins or is over. Both are called on threads of
        the connections.
        """

    def listen(self, interface: str | None, first: int, last: int) -> int:
        """Listens at an interface's address, or at all, at the first of these ports that is free, and returns it; 0
        stands for any. Raises `OSError` where none is, and `ValueError` for what is no address."""

    def meet(self, name: str, certificate: bytes) -> None:
        """From now on, whoever has this certificate may connect and be connected to, and is called so."""

    def part(self, name: str) -> None:
        """Whoever is called so may not any more."""

    def connect(self, name: str, host: str, port: int) -> None:
        """Connects, unless it is connected. Raises `ConnectionError`, which says why it is not."""

    def is_connected(self, name: str) -> bool: ...
    def wait(self, name: str, connected: bool, seconds: float) -> bool:
        """Waits until there is a connection, or none; whether it is so, and not too late or closed."""

    def takes_at_once(self, name: str) -> bool:
        """Whether there is a connection over which `say` keeps nobody waiting now."""

    def say(self, name: str, kind: str, number: int, message: bytes, seconds: float) -> None:
        """Sends a message, of which nobody knows whether it arrives. Raises `ConnectionError` where there is no
        connection any more, and `TimeoutError` where it does not take it within so many seconds."""

    def ask(self, name: str, kind: str, number: int, parts: Sequence[Buffer], seconds: float) -> bytes | Refusal:
        """Sends a message, of parts that follow each other, and returns its answer; raises as `say`."""

    def descriptors(self) -> list[int]:
        """Those of all that is open, which a forked process is to give up."""

    def close(self) -> None:
        """Ends all connections, and lets nobody in any more; does nothing in a forked process."""

@final
class Plan:
    """A pipeline as one net per site."""

    def report(self) -> str: ...
    def placements(self) -> str: ...
    def operations(self) -> list[tuple[str, list[tuple[str, str | None]]]]: ...
    def asked(self) -> list[tuple[str, list[tuple[tuple[str, str | None, str | None, list[str]], int | str]]]]: ...
    def crossings(self) -> list[tuple[str, str, int | str, list[str]]]: ...
    def leaving(self) -> list[tuple[str, list[list[str]]]]: ...
    def acts(self) -> bool: ...
    def has_trees(self) -> bool: ...
    def calls(self) -> list[tuple[str, int]]: ...
    def explain(self) -> str: ...
    def saved(self, pipeline: str) -> str: ...
    def picture(self) -> str | None: ...

@final
class Measurement:
    """What was measured of a job."""

    def nodes(self, plan: Plan) -> str: ...
    def explain(self, plan: Plan) -> str: ...
    def picture(self, plan: Plan) -> str: ...
    def costs(self, plan: Plan) -> str: ...

@final
class Notes:
    """How far a site is with a job."""

    @property
    def site(self) -> str: ...
    @property
    def calls(self) -> tuple[int, int, int]:
        """Those that are known to be needed, those of them that are over, and those that ended with an error."""
    @property
    def elements(self) -> int:
        """Elements and rounds of loops that have begun."""
    @property
    def sent(self) -> int:
        """Bytes of values that the site has sent to others."""
    @property
    def left_out(self) -> int:
        """How much has happened that was not noted."""

@final
class Happened:
    """What has happened in a job at a site. Moments are seconds since 1970."""

    def __len__(self) -> int: ...
    def fired(self) -> list[tuple[int | str, tuple[int, ...], float, float, float, bool]]:
        """Its calls, each with its node, its frame, when it began, its seconds and those for which it waited before,
        and whether it failed."""
    def sent(self) -> list[tuple[int | str, tuple[int, ...], str, float, int]]:
        """What was sent, each with its node, its frame, where to, when, and its bytes."""
    def said(self) -> list[tuple[int | str, tuple[int, ...], float, str, str, str]]:
        """What was logged, each with its node, its frame, when, its level, its logger and its text."""

@final
class History:
    """The records of a session's jobs."""

    @staticmethod
    def of(package: str, folder: str | None = None) -> History | None: ...
    def usual_reach(self, target: str) -> float | None: ...
    def begin(
        self,
        job: str,
        pipeline: str,
        target: str,
        homesite: str,
        params: list[str],
        plan: Plan,
        reached: float | None,
    ) -> JobRecord: ...
    def resume(self, job: str) -> JobRecord: ...
    def flush(self) -> str | None: ...

@final
class JobRecord:
    """The record of one job."""

    def add(self, notes: Notes, happened: Happened) -> None: ...
    def failed(self, failure: Failure, line: str | None) -> None: ...
    def end(self, status: str, frames: int, tokens: int, errors: int) -> None: ...

@final
class CameTo:
    """What has come of a call at home."""

    __match_args__: Final = ("transition", "frame", "kind", "value", "failure")
    def __new__(
        cls, transition: int, frame: tuple[int, ...], kind: str, value: Any, failure: Failure | None
    ) -> Self: ...
    @property
    def transition(self) -> int:
        """The number of what has fired."""
    @property
    def frame(self) -> tuple[int, ...]:
        """The frame's numbers."""
    @property
    def kind(self) -> str:
        """`item`, `value`, `streamed`, `failed`, `found` or `not-found`."""
    @property
    def value(self) -> Any:
        """The value, a generator's items where they are needed as a list, or a cache's key."""
    @property
    def failure(self) -> Failure | None:
        """The error."""

@final
class Recorder:
    """Writes what happens in a job to a file."""

    def __new__(
        cls,
        path: str | Path,
        values: str,
        api_version: str,
        package: str,
        job: str,
        pipeline: str,
        target: str,
        homesite: str,
        params: list[str],
        plan: Plan,
    ) -> Self: ...
    def packet(self, site: str, packet: bytes) -> None: ...
    def add_noted(self, notes: Notes, happened: Happened) -> None: ...
    def failed(self, failure: Failure, line: str | None) -> None: ...
    def end(self, status: str, frames: int, tokens: int, errors: int) -> None: ...

@final
class Recording:
    """A recording that somebody has made."""

    def __new__(cls, path: str | Path) -> Self: ...
    @property
    def beginning(self) -> str:
        """Its first line, as JSON."""
    @property
    def only_told(self) -> str | None:
        """Why it cannot be run but only told."""
    @property
    def status(self) -> str | None:
        """How the job ended; `None` where the recording is cut short."""
    def lines(self) -> list[tuple[str, bytes | None]]: ...

@final
class Setup:
    """First of all, at a site that is not home: what it is."""

    __match_args__: Final = ("text",)
    def __new__(cls, text: str) -> Self: ...
    @property
    def text(self) -> str:
        """JSON."""

@final
class Check:
    """Home asks whether these calls can be made; `Site.checked` answers."""

    __match_args__: Final = ("request", "calls", "leaving")
    def __new__(
        cls, request: int, calls: list[tuple[str, str | None, str | None, list[str]]], leaving: list[list[str]]
    ) -> Self: ...
    @property
    def request(self) -> int:
        """The question's number."""
    @property
    def calls(self) -> list[tuple[str, str | None, str | None, list[str]]]:
        """The calls."""
    @property
    def leaving(self) -> list[list[str]]:
        """Values that would leave, each by the operations of whose results there may be something in it."""

@final
class Checked:
    """At home: a site's answer to `Site.check`."""

    __match_args__: Final = ("site", "request", "problems")
    def __new__(cls, site: str, request: int, problems: list[str]) -> Self: ...
    @property
    def site(self) -> str:
        """The site that answers."""
    @property
    def request(self) -> int:
        """The question's number."""
    @property
    def problems(self) -> list[str]:
        """What is wrong with each operation, empty for nothing."""

@final
class Answered:
    """At home: a site's answer to `Site.ask`."""

    __match_args__: Final = ("site", "request", "unfinished")
    def __new__(cls, site: str, request: int, unfinished: Unfinished) -> Self: ...
    @property
    def site(self) -> str:
        """The site that answers."""
    @property
    def request(self) -> int:
        """The question's number."""
    @property
    def unfinished(self) -> Unfinished:
        """What is not done there."""

@final
class Opened:
    """A job began here."""

    __match_args__: Final = ("job", "name")
    def __new__(cls, job: int, name: str) -> Self: ...
    @property
    def job(self) -> int:
        """Its number."""
    @property
    def name(self) -> str:
        """Its name."""

@final
class Yielded:
    """At home: a value for the application."""

    __match_args__: Final = ("series", "value")
    def __new__(cls, series: Series, value: Any) -> Self: ...
    @property
    def series(self) -> Series:
        """Where it comes from."""
    @property
    def value(self) -> Any:
        """The value."""

@final
class Items:
    """At home: items of a stream that follow each other; `Site.consumed` once the application has them."""

    __match_args__: Final = ("series", "values")
    def __new__(cls, series: Series, values: list[Any]) -> Self: ...
    @property
    def series(self) -> Series:
        """Where they come from."""
    @property
    def values(self) -> list[Any]:
        """The items."""

@final
class Failed:
    """At home: the errors that stand in the place of a value, or of what would follow in a stream."""

    __match_args__: Final = ("series", "failures")
    def __new__(cls, series: Series, failures: Sequence[Failure]) -> Self: ...
    @property
    def series(self) -> Series:
        """Where they come from."""
    @property
    def failures(self) -> Sequence[Failure]:
        """All of them."""

@final
class StreamEnded:
    """At home: nothing more of a stream follows."""

    __match_args__: Final = ("series",)
    def __new__(cls, series: Series) -> Self: ...
    @property
    def series(self) -> Series:
        """Which one."""

@final
class Reported:
    """At home: an error arose, which is told once."""

    __match_args__: Final = ("job", "failure")
    def __new__(cls, job: int, failure: Failure) -> Self: ...
    @property
    def job(self) -> int:
        """Its job."""
    @property
    def failure(self) -> Failure:
        """The error."""

@final
class Measured:
    """At home, before its end: what was measured of a job."""

    __match_args__: Final = ("job", "measurement")
    def __new__(cls, job: int, measurement: Measurement) -> Self: ...
    @property
    def job(self) -> int:
        """Its number."""
    @property
    def measurement(self) -> Measurement:
        """Of all sites."""

@final
class Asks:
    """At home: a call waits at its site for a person to decide; with an empty request, it waits no more."""

    __match_args__: Final = ("job", "node", "frame", "request")
    def __new__(cls, job: int, node: NodeAt, frame: tuple[int, ...], request: str) -> Self: ...
    @property
    def job(self) -> int:
        """The job's number."""
    @property
    def node(self) -> NodeAt:
        """The call's node."""
    @property
    def frame(self) -> tuple[int, ...]:
        """The frame's numbers."""
    @property
    def request(self) -> str:
        """The name of the request."""

@final
class Receipt:
    """At home, before its end: a site's part of a job's receipt."""

    __match_args__: Final = ("job", "site", "text")
    def __new__(cls, job: int, site: str, text: str) -> Self: ...
    @property
    def job(self) -> int:
        """The job's number."""
    @property
    def site(self) -> str:
        """The site that gave it."""
    @property
    def text(self) -> str:
        """What it has given."""

@final
class Noted:
    """What a site has noted of a job: at home of all sites, elsewhere of this one, where it notes all jobs."""

    __match_args__: Final = ("job", "notes", "happened")
    def __new__(cls, job: int, notes: Notes, happened: Happened) -> Self: ...
    @property
    def job(self) -> int:
        """The job's number."""
    @property
    def notes(self) -> Notes:
        """How far the site is."""
    @property
    def happened(self) -> Happened:
        """What it has noted."""

@final
class Kept:
    """At home, of a job that is kept: a packet that began it or came from elsewhere, or what a call has come to."""

    __match_args__: Final = ("job", "site", "packet")
    def __new__(cls, job: int, site: str, packet: bytes) -> Self: ...
    @property
    def job(self) -> int:
        """The job's number."""
    @property
    def site(self) -> str:
        """The site that said it."""
    @property
    def packet(self) -> bytes:
        """What it said, with what came beside it."""

@final
class Traced:
    """At a site that notes all jobs: its application has this job in a trace."""

    __match_args__: Final = ("job", "trace")
    def __new__(cls, job: int, trace: Trace) -> Self: ...
    @property
    def job(self) -> int:
        """The job's number."""
    @property
    def trace(self) -> Trace:
        """The trace."""

@final
class Trace:
    """To which trace a job belongs."""

    __match_args__: Final = ("id", "span", "sampled")
    def __new__(cls, id: tuple[int, int], span: int, sampled: bool) -> Self: ...
    @property
    def id(self) -> tuple[int, int]:
        """The trace's id, its first half first; not all zero."""
    @property
    def span(self) -> int:
        """The id of the span that the application has for the job; not zero."""
    @property
    def sampled(self) -> bool:
        """Whether it is recorded there."""

@final
class Ended:
    """At home: every site has done what there was to do for a job."""

    __match_args__: Final = ("job",)
    def __new__(cls, job: int) -> Self: ...
    @property
    def job(self) -> int:
        """Its number."""

@final
class Over:
    """Nothing of a job is called here any more."""

    __match_args__: Final = ("job",)
    def __new__(cls, job: int) -> Self: ...
    @property
    def job(self) -> int:
        """Its number."""

@final
class Abandoned:
    """Calls that are not wanted any more."""

    __match_args__: Final = ("calls",)
    def __new__(cls, calls: list[int]) -> Self: ...
    @property
    def calls(self) -> list[int]:
        """Their numbers."""

@final
class GoOn:
    """A stream that waited may go on."""

    __match_args__: Final = ("call",)
    def __new__(cls, call: int) -> Self: ...
    @property
    def call(self) -> int:
        """The number of its call."""

@final
class Warned:
    """The user should hear of a value that was sent from here."""

    __match_args__: Final = ("text",)
    def __new__(cls, text: str) -> Self: ...
    @property
    def text(self) -> str:
        """The sentence."""

@final
class Closed:
    """A link has ended, and what was behind it is gone; at home, answer with `Site.lose` once the cause is known."""

    __match_args__: Final = ("site",)
    def __new__(cls, site: str) -> Self: ...
    @property
    def site(self) -> str:
        """The site that it led to."""

@final
class Cancelled:
    """At home: a site has forgotten a cancelled job."""

    __match_args__: Final = ("site", "job")
    def __new__(cls, site: str, job: int) -> Self: ...
    @property
    def site(self) -> str:
        """The site."""
    @property
    def job(self) -> int:
        """The job's number."""

@final
class Bye:
    """The session ends."""

    __match_args__: Final = ()
    def __new__(cls) -> Self: ...

@final
class Series:
    """Where tokens for the application come from: a `Yield` in one frame."""

    __match_args__: Final = ("job", "site", "node", "place", "frame", "key")
    def __new__(
        cls, job: int, site: str, node: int | str, place: str, frame: tuple[int, ...], key: tuple[int, ...]
    ) -> Self: ...
    @property
    def job(self) -> int:
        """The job's number."""
    @property
    def site(self) -> str:
        """The site that makes them."""
    @property
    def node(self) -> int | str:
        """The `Yield`'s node."""
    @property
    def place(self) -> str:
        """The place that the application knows."""
    @property
    def frame(self) -> tuple[int, ...]:
        """The frame's numbers."""
    @property
    def key(self) -> tuple[int, ...]:
        """The number of the `Yield`'s transition, and the frame's."""

@final
class Failure:
    """One original error."""

    __match_args__: Final = ("site", "node", "operation", "frame", "kind", "message", "stack_trace")
    def __new__(
        cls,
        site: str,
        node: int | str | None,
        operation: str | None,
        frame: tuple[int, ...] | None,
        kind: str,
        message: str,
        stack_trace: str,
    ) -> Self: ...
    @property
    def site(self) -> str:
        """The site where it happened, or that was lost."""
    @property
    def node(self) -> int | str | None:
        """The node that failed; None where a whole site did."""
    @property
    def operation(self) -> str | None:
        """The operation that it was to run, if it was one."""
    @property
    def frame(self) -> tuple[int, ...] | None:
        """The frame's numbers; None where it concerns all of them."""
    @property
    def kind(self) -> str:
        """The kind of error, such as the exception's class."""
    @property
    def message(self) -> str:
        """What happened, for the user."""
    @property
    def stack_trace(self) -> str:
        """The adapter's own traceback; empty where no adapter raised."""

@final
class Unfinished:
    """What is not done of a job at a site."""

    __match_args__: Final = ("waits", "more")
    def __new__(cls, waits: list[Runs | Needs], more: int) -> Self: ...
    @property
    def waits(self) -> list[Runs | Needs]:
        """The first of it, each a `Runs` or a `Needs`."""
    @property
    def more(self) -> int:
        """How much more there is."""

@final
class Runs:
    """A node's call that has not ended."""

    __match_args__: Final = ("node", "frame", "seconds", "rests")
    def __new__(cls, node: NodeAt, frame: tuple[int, ...], seconds: float, rests: bool) -> Self: ...
    @property
    def node(self) -> NodeAt:
        """Which node."""
    @property
    def frame(self) -> tuple[int, ...]:
        """The frame's numbers."""
    @property
    def seconds(self) -> float:
        """Seconds since its first try."""
    @property
    def rests(self) -> bool:
        """Whether it is a generator that rests until its consumers have caught up."""

@final
class Needs:
    """A node that has not got all that it needs."""

    __match_args__: Final = ("node", "frame", "nodes", "more")
    def __new__(cls, node: NodeAt, frame: tuple[int, ...], nodes: list[NodeAt], more: int) -> Self: ...
    @property
    def node(self) -> NodeAt:
        """Which node."""
    @property
    def frame(self) -> tuple[int, ...]:
        """The frame's numbers."""
    @property
    def nodes(self) -> list[NodeAt]:
        """The first of those that have not put out yet what it needs."""
    @property
    def more(self) -> int:
        """How many more inputs are missing."""

@final
class NodeAt:
    """A node of the pipeline, at the site that works for it."""

    __match_args__: Final = ("site", "node", "label")
    def __new__(cls, site: str, node: int | str, label: str) -> Self: ...
    @property
    def site(self) -> str:
        """The site."""
    @property
    def node(self) -> int | str:
        """The node's number or name."""
    @property
    def label(self) -> str:
        """Its operation, or what else it is."""

JobEvent = Opened | Yielded | Items | Failed | StreamEnded | Reported | Measured | Receipt | Asks | Noted | Kept | Ended
"""What the application may hear of a job."""
HomeEvent = JobEvent | Checked | Answered | Cancelled
"""What only the homesite acts on."""
OuterEvent = HomeEvent | Setup | Warned | Closed | Bye
"""What is the business of who made the site."""
OwnEvent = Check | Over | Traced | Abandoned | GoOn
"""What is the business of who drives it."""
Event = OuterEvent | OwnEvent
"""What a site has to tell."""

class CacheStep(enum.Enum):
    """What is asked of the cache."""

    LOOK_UP = 0
    """What it has for the parts of a key: `Found` or `NotFound` answers."""
    STORE = 1
    """To keep a value under a key."""

class Room(enum.Enum):
    """Whether a generator may go on."""

    MORE = 0
    """At once."""
    WAIT = 1
    """After a `GoOn`: its consumers are behind."""
    GONE = 2
    """Never: its job is gone."""

class OrderKind(enum.Enum):
    """What the homesite may order for a job."""

    NET = 0
    """To begin it."""
    PARAMS = 1
    """To begin a frame with these parameters."""
    CANCEL = 2
    """To forget it."""

@final
class Call:
    """A call that is due."""

    __match_args__: Final = ("id", "job", "operation", "provider", "parameters", "tries")
    def __new__(
        cls,
        id: int,
        job: int,
        operation: str | CacheStep,
        provider: str | None,
        parameters: dict[str, Any],
        tries: Tries | None,
    ) -> Self: ...
    @property
    def id(self) -> int:
        """Its number."""
    @property
    def job(self) -> int:
        """The number of its job."""
    @property
    def operation(self) -> str | CacheStep:
        """The operation, or what it asks of the cache: a `CacheStep`."""
    @property
    def provider(self) -> str | None:
        """The provider that is meant, if any."""
    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters by their names; a `LOOK_UP` has the `parts` of a key, a `STORE` a `key` and a `value`."""
    @property
    def tries(self) -> Tries | None:
        """How often and how long it is tried; None for a single try of any length."""

@final
class Tries:
    """How often and how long a call is tried."""

    __match_args__: Final = ("retries", "backoff", "timeout")
    def __new__(cls, retries: int, backoff: float, timeout: float | None) -> Self: ...
    @property
    def retries(self) -> int:
        """How many tries may follow the first."""
    @property
    def backoff(self) -> float:
        """Seconds before the second, and twice as many before each that follows."""
    @property
    def timeout(self) -> float | None:
        """Seconds that each may take; None for any number."""

@final
class Found:
    """Answers a `LOOK_UP`: the cache has a value."""

    __match_args__: Final = ("key", "value")
    def __new__(cls, key: str, value: Any) -> Self: ...
    @property
    def key(self) -> str:
        """The key under which a value of these parts would be kept here."""

    @property
    def value(self) -> Any:
        """The value."""

@final
class NotFound:
    """Answers a `LOOK_UP`: the cache has no value."""

    __match_args__: Final = ("key",)
    def __new__(cls, key: str) -> Self: ...
    @property
    def key(self) -> str:
        """The key under which to `STORE` one."""

@final
class Progress:
    """How far a job is."""

    __match_args__: Final = ("frames", "stopped", "tokens", "errors", "waiting")
    def __new__(cls, frames: int, stopped: bool, tokens: int, errors: int, waiting: list[str]) -> Self: ...
    @property
    def frames(self) -> int:
        """How many frames have begun."""
    @property
    def stopped(self) -> bool:
        """Whether that is all."""
    @property
    def tokens(self) -> int:
        """How many tokens came from other sites."""
    @property
    def errors(self) -> int:
        """How many errors."""
    @property
    def waiting(self) -> list[str]:
        """The sites that are waited for."""

@final
class Order:
    """What the homesite orders for a job."""

    __match_args__: Final = ("kind", "job")
    def __new__(cls, kind: OrderKind, job: int) -> Self: ...
    @property
    def kind(self) -> OrderKind:
        """An `OrderKind`."""
    @property
    def job(self) -> int:
        """The job's number."""

@final
class Site:
    """One site of a session, in this process. It belongs to the thread of its event loop."""

    def __new__(cls, name: str, home: str | None = None) -> Self: ...
    def add_link(self, site: str, fd: int) -> None: ...
    def connect(self, site: str) -> int: ...
    def add_pipe(self, site: str) -> None: ...
    def share_parts(self) -> None: ...
    def take_packets(self) -> list[Carried]: ...
    def receive_packet(self, site: str, packet: Buffer) -> None: ...
    def close_link(self, site: str) -> None: ...
    def introduce(self, a: str, b: str) -> None: ...
    def sockets(self) -> dict[str, tuple[int, int]]: ...
    def readable(self, site: str) -> None: ...
    def guard(self, judge: Callable[..., Any], digests: bool) -> None: ...
    def give_receipts(self, receipt: Callable[[int, str], str | None]) -> None: ...
    def open_pickles(self, of: set[str]) -> None: ...
    def limit(self, limits: object, operations: list[tuple[str, str | None, int]]) -> None: ...
    def calls(self) -> tuple[int, bool]: ...
    def overdue(self, seconds: float) -> list[int]: ...
    def operation(self, call: int) -> str | None: ...
    def asks(self, call: int, request: str) -> None: ...
    def pipeline(self, job: int) -> tuple[str, str] | None: ...
    def deciding(self, job: int) -> list[str]: ...
    def again(self, call: int) -> bool: ...
    def flush(self) -> list[str] | None: ...
    def next_call(self) -> Call | None: ...
    def complete(self, call: int, value: object) -> None: ...
    def streamed(self, call: int, items: list[Any] | None = None) -> None: ...
    def tell_noted(self) -> None: ...
    def said(self, call: int, at: float, level: str, logger: str, text: str, for_home: bool) -> None: ...
    def fail(self, call: int, kind: str, message: str, stack_trace: str) -> None: ...
    def streams_to(self, call: int) -> tuple[int | str, list[int], list[str | None]] | None: ...
    def gathers(self, call: int) -> bool: ...
    def item(self, call: int, value: object) -> Room: ...
    def events(self) -> list[Event]: ...
    def open(self, job: int, name: str, plan: Plan, absent: dict[str, str]) -> None: ...
    def measure(self, job: int) -> None: ...
    def want_receipt(self, job: int) -> None: ...
    def note(self, job: int, trace: Trace | None = None) -> None: ...
    def note_all(self) -> None: ...
    def waiting(self) -> int: ...
    def operations(self, job: int) -> list[tuple[int | str, str, str | None]]: ...
    def origin(self, call: int) -> tuple[int, int | str, tuple[int, ...]] | None: ...
    def start(self, job: int, params: dict[str, Any]) -> None: ...
    def stop(self, job: int) -> None: ...
    def cancel(self, job: int) -> list[str]: ...
    def lose(self, site: str, message: str) -> None: ...
    def set_up(self, site: str, text: str) -> None: ...
    def check(
        self,
        site: str,
        request: int,
        calls: list[tuple[str, str | None, str | None, list[str]]],
        leaving: list[list[str]],
    ) -> None: ...
    def checked(self, request: int, problems: list[str]) -> None: ...
    def ask(self, request: int, job: int) -> tuple[Unfinished, list[str]]: ...
    def consumed(self, job: int, transition: int, frame: list[int], count: int) -> None: ...
    def keep_record(self) -> None: ...
    def replay(self, history: list[tuple[str, bytes]]) -> list[str]: ...
    def keep_job(self, job: int) -> None: ...
    def repeat(self, site: str, packet: bytes) -> None: ...
    def came_to(self, packet: bytes) -> CameTo | None: ...
    def parameters(self, packet: bytes) -> dict[str, Any] | None: ...
    def firing(self, call: int) -> tuple[int, tuple[int, ...]] | None: ...
    def node(self, job: int, transition: int) -> tuple[int | str, str | None] | None: ...
    def leave(self, job: int) -> None: ...
    def say_bye(self, site: str) -> None: ...

@final
class Keeper:
    """What is kept of a session's jobs. Its owner calls it from one thread at a time."""

    def __new__(cls, most: int) -> Self: ...
    def let_go(self) -> int | None: ...
    def record(self, home: str, outline: bytes, head: bytes, body: Buffer) -> None: ...
    def take(self, site: str, outline: bytes, head: bytes, body: Buffer) -> int | None: ...
    def acknowledge(self, job: int, transition: int, frame: Sequence[int], had: int) -> None: ...
    def forget(self, job: int) -> None: ...
    def jobs(self) -> list[int]: ...
    def progress(self, job: int) -> Progress | None: ...
    def history(self, job: int) -> list[tuple[str, bytes, bytes | None]]: ...
    def had(self, job: int) -> list[tuple[int, tuple[int, ...], int]]: ...
    def ask(self, job: int) -> None: ...
    @staticmethod
    def question(job: int) -> bytes: ...
    def told(self, job: int) -> list[tuple[str, bytes, bytes | None]]: ...
    @staticmethod
    def cancellation(job: int) -> bytes: ...

def outline(home: str, packet: Buffer) -> tuple[bytes, int | None, bool]: ...
def order(packet: Buffer) -> Order | None: ...
def unfold(
    home: str, history: Sequence[tuple[str, bytes, Buffer | None]]
) -> tuple[list[tuple[str, bytes]], list[tuple[int, tuple[int, ...], int]]] | None: ...
def read_answer(plan: bytes, site: str, answer: bytes) -> Unfinished | None: ...

@final
class Audit:
    """A site's log, for what happens in one process."""

    def __new__(
        cls,
        folder: Path,
        largest: int,
        site: str,
        session: str,
        asker: Asker,
        unwritten: Callable[[str, bool], None],
        missing: Callable[[int], None],
        *,
        full: bool,
        goes_on: bool,
        key: Signer | None,
    ) -> Self: ...
    def job(self, job: int, pipeline: str, application: str) -> None: ...
    def call(self, job: int | None, operation: str, provider: str | None, given: str) -> None: ...
    def runs(self, call: int) -> None: ...
    def ended(self, call: int, how: str) -> None: ...
    def left(self, job: int, to: str, operation: str | None, kind: str, size: int, digest: str | None) -> None: ...
    def refused(self, job: int | None, operation: str | None, why: str) -> None: ...
    def asked(self, job: int | None, operation: str, request: str) -> None: ...
    def decided(self, job: int | None, operation: str, request: str, until: str) -> None: ...
    def settle(self) -> None: ...
    def sign(self) -> None: ...
    def close(self) -> None: ...

@final
class Counting:
    """Counts what one user asks for in a day. What there is no more of is told with how much there may be."""

    def __new__(cls, user: str, folder: Path | None, most: PerDay) -> Self: ...
    def allow(self, most: PerDay) -> None: ...
    def wants_questions(self) -> bool: ...
    def call(self) -> tuple[str, int] | None: ...
    def question(self, operation: str, provider: str | None, parameters: str) -> tuple[str, int] | None: ...
    def leave(self, size: int) -> tuple[str, int] | None: ...
    def rest(self) -> None: ...
    def close(self) -> None: ...

@final
class PlaceUse:
    """One use of a place."""

    __match_args__: Final = ("yields", "multiuse", "at")
    def __new__(cls, yields: bool, multiuse: bool, at: str) -> Self: ...
    @property
    def yields(self) -> bool:
        """Whether tokens come out of it, rather than go in."""
    @property
    def multiuse(self) -> bool:
        """Whether it says that there may be others."""
    @property
    def at(self) -> str:
        """Where it stands, such as `at f.py:3`."""

@final
class SumTerms:
    """What all sites of a sum know of it before it begins."""

    def __new__(cls, about: str, sites: list[str], least: int, bound: float, precision: float) -> Self: ...
    @property
    def dishonest(self) -> int:
        """How many sites that deceive it withstands."""

@final
class SumParty:
    """One site in one sum."""

    def __new__(cls, terms: SumTerms, site: str, seed: bytes) -> Self: ...
    def keys(self) -> bytes: ...
    def shares(self, keys: dict[str, bytes]) -> dict[str, bytes]: ...
    def masked(self, shares: dict[str, bytes], numbers: bytes) -> bytes: ...
    @property
    def spoils(self) -> bool:
        """Whether one of its numbers is none, or beyond the bound."""

    def agree(self, survivors: list[str]) -> bytes: ...
    def unmask(self, agreed: dict[str, bytes]) -> bytes: ...

def add_masked(masked: dict[str, bytes]) -> bytes: ...
def unmasked(
    terms: SumTerms, keys: dict[str, bytes], survivors: list[str], added: bytes, told: dict[str, bytes]
) -> bytes: ...
def same_api(one: str, other: str) -> bool: ...
def place_conflict(place: str, first: PlaceUse, next: PlaceUse) -> str | None: ...
def out_of_block(node: str, around: str | None, kind: str) -> str: ...
def plan(
    fed_info: str, pipeline: str, homesite: str, restrict_to_sites: list[str] | None, straight: bool = False
) -> Plan: ...
def read_policy(path: str | None) -> str: ...
def deciding_rules(policy: str, user: str, organisation: str, role: str, operation: str) -> tuple[list[int], bool]: ...
def is_like(text: str, pattern: str) -> bool: ...
def dumps(object: object) -> bytes: ...
def loads(bytes: bytes) -> Any: ...
def end_with_parent(fd: int) -> int: ...
