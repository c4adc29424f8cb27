"""How is a pipeline written, saved and loaded?"""

import importlib
import json
from contextlib import AbstractContextManager
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TextIO, cast

from pydantic import BaseModel, ModelWrapValidatorHandler, PrivateAttr, model_serializer, model_validator

from dfm._html import table, titled
from dfm.api._blocks import Block, WriteToCache
from dfm.api._document import FORMAT, write_statements
from dfm.api._elsewhere import BODY, Elsewhere
from dfm.api._graph import Graph, current, has_inside
from dfm.api._lines import user_line
from dfm.api._operation import Yield
from dfm.api._reading import generated_class, read_document
from dfm.api._references import NodeId
from dfm.api._taking import taking
from dfm.errors import MissingPipelineError, PipelineError, ValuePipelineError

_encode = json.JSONEncoder(separators=(",", ":")).encode
_AT_ONCE = 32
"""So many statements are encoded in one go: each go takes as long as encoding some of them, and the dictionaries of
all at once would keep the garbage collector busy."""


class Pipeline(BaseModel, frozen=True, extra="forbid", defer_build=True):
    """A dataflow graph, written as the operations of a `with Pipeline() as p:` block.

    `model_dump_json` and `model_validate_json` are its JSON form.
    """

    name: str | None = None
    """For people; its jobs carry it."""
    mode: Literal["execute", "discovery"] = "execute"
    """Whether it is to be run, or to ask the sites which values its operations' parameters may take."""
    _graph: Graph = PrivateAttr(default_factory=Graph)
    _line: str = PrivateAttr("")

    @taking
    def __init__(self, name: str | None = None, mode: Literal["execute", "discovery"] = "execute") -> None:
        line = user_line()
        _check(name, mode, line)
        super().__init__(name=name, mode=mode)
        self._graph.discovers = mode == "discovery"
        self._line = line  # pyright: ignore[reportAttributeAccessIssue]

    def __enter__(self) -> Self:
        if current.graph is not None:
            first = next(iter(current.graph.lines.values()), None)
            which = f", whose first node was made at {first}" if first else ""
            message = f"this thread is in the `with` block of another pipeline already{which}; leave that first"
            raise PipelineError(message, user_line())
        current.graph = self._graph
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        current.graph = None
        if kind is None:
            for statement in self._graph.statements.values():
                if isinstance(statement, Block):
                    statement.dfm_check_entered()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pipeline) and self.model_dump() == other.model_dump()

    def __hash__(self) -> int:
        return hash((self.name, self.mode))

    def __repr__(self) -> str:
        return f"Pipeline(name={self.name!r}, mode={self.mode!r}, {len(self._graph.statements)} statements)"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        """For notebooks, which show it: its statements, and the line that each was made at."""
        graph = self._graph
        rows = [(node, one.dfm_title, graph.lines.get(node, "")) for node, one in graph.statements.items()]
        return titled(repr(self), table(("node", "statement", "line"), rows))

    def dfm_lines(self) -> dict[NodeId, str]:
        """Node id → the `file:line` that made it. It is not saved; a loaded pipeline's are places in its file."""
        return self._graph.lines

    def dfm_without_a_yield(self) -> str | None:
        """The user's line of a pipeline that gives nothing to the application and leaves nothing in a cache, but should
        have; its operations may still be there for what they do."""
        kinds = set(map(type, self._graph.statements.values()))
        gives = any(issubclass(kind, (Yield, WriteToCache)) for kind in kinds)
        return None if gives or self.mode == "discovery" else self._line

    def dfm_yielded_literals(self) -> dict[NodeId, Any]:
        """The yields, by node id, whose value is a literal, and that."""
        yields = ((node, one) for node, one in self._graph.statements.items() if isinstance(one, Yield))
        return {node: one.value for node, one in yields if not has_inside(one.value)}

    def dfm_federation(self) -> tuple[str | None, str | None]:
        """The package and the API version of the federation whose operations it uses; None before the first one."""
        graph = self._graph
        return graph.package, graph.api_version

    @model_serializer
    def _write(self) -> dict[str, Any]:
        return self.model_dump()

    def model_dump(self, **options: Any) -> dict[str, Any]:
        """The pipeline as JSON-like data; there are no options.

        Raises:
            PipelineError: a literal has no encoding.
        """
        return {**self._head(), "statements": list(write_statements(self._graph))}

    def model_dump_json(self, *, indent: int | None = None, **options: Any) -> str:
        """The pipeline as JSON; there are no options but `indent`.

        Raises:
            PipelineError: a literal has no encoding.
        """
        if indent is not None:
            return json.dumps(self.model_dump(), indent=indent)
        statements, written = write_statements(self._graph), list[str]()
        while some := list(islice(statements, _AT_ONCE)):
            written.append(_encode(some)[1:-1])
        return f'{_encode(self._head())[:-1]},"statements":[{",".join(written)}]}}'

    def _head(self) -> dict[str, Any]:
        package, version = self.dfm_federation()
        return {
            "dfm_pipeline": FORMAT,
            "name": self.name,
            "mode": self.mode,
            "package": package,
            "api_version": version,
        }

    @model_validator(mode="wrap")
    @classmethod
    def _validate(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if isinstance(data, dict) and ("dfm_pipeline" in data or BODY in data):
            return cls._read(cast(dict[str, Any], data), "the pipeline's JSON")
        return handler(data)

    @classmethod
    def _read(cls, document: dict[str, Any], source: str) -> Self:
        if "dfm_pipeline" not in document:
            document = Elsewhere(source, generated_class).document(document) | {"dfm_pipeline": FORMAT}
        if (format := document["dfm_pipeline"]) != FORMAT:
            raise PipelineError(
                f"the pipeline has format {format!r}, and this dfm reads format {FORMAT}; save it again with this dfm, "
                "or use the dfm that saved it",
                source,
            )
        name, mode = document.get("name"), document.get("mode")
        _check(name, mode, source)
        graph = read_document(document, source, discovers=mode == "discovery")
        pipeline = cls(name, cast(Literal["execute", "discovery"], mode))
        pipeline._graph = graph  # pyright: ignore[reportAttributeAccessIssue]
        pipeline._line = source  # pyright: ignore[reportAttributeAccessIssue]
        return pipeline

    def save_to_file(self, file: str | Path, **storage_options: Any) -> None:
        """Writes it as JSON to a local path or any fsspec URL, whose file system gets the options.

        Folders of a local path that are missing are made.
        """
        save(self.model_dump_json(indent=2) + "\n", file, **storage_options)

    @classmethod
    def load_from_file(cls, file: str | Path, **storage_options: Any) -> Self:
        """Reads what `save_to_file` wrote, here or in `nv-dfm-core`.

        Only generated operations are imported, whatever the file says.

        Raises:
            MissingPipelineError: there is no such file.
            PipelineError: it cannot be read, or is no pipeline.
        """
        path = file
        try:
            with _open(path, "r", storage_options) as opened:
                document = json.load(opened)
        except OSError as error:
            # Other file systems than the local one tell the path alone.
            missing = isinstance(error, FileNotFoundError)
            why = error.strerror or ("there is no such file" if missing else error)
            kind = MissingPipelineError if missing else PipelineError
            raise kind(f"no pipeline can be read from {path}: {why}", user_line()) from None
        except ValueError as error:
            raise PipelineError(f"{path} is not JSON: {error}", user_line()) from None
        except RecursionError:
            raise PipelineError(f"{path} is no saved pipeline: it is nested too deeply", user_line()) from None
        if not isinstance(document, dict) or not ("dfm_pipeline" in document or BODY in document):
            raise PipelineError(f"{path} is not a saved pipeline: it has no key dfm_pipeline", user_line())
        return cls._read(cast(dict[str, Any], document), str(path))


def _check(name: object, mode: object, line: str) -> None:
    if name is not None and not isinstance(name, str):
        raise ValuePipelineError(f"Pipeline: name takes a string, not {name!r}", line)
    if mode not in ("execute", "discovery"):
        raise ValuePipelineError(f"Pipeline: mode takes 'execute' or 'discovery', not {mode!r}", line)


def save(document: str, path: str | Path, **storage_options: Any) -> None:
    """Writes a pipeline's JSON to a local path, whose folders are made, or to any fsspec URL.

    Raises:
        PipelineError: it cannot be written there.
    """
    try:
        if not _is_url(path):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        with _open(path, "w", storage_options) as file:
            file.write(document)
    except OSError as error:
        raise PipelineError(f"the pipeline cannot be saved to {path}: {error.strerror or error}", user_line()) from None


def _is_url(path: str | Path) -> bool:
    return "://" in str(path)


def _open(path: str | Path, mode: Literal["r", "w"], storage_options: dict[str, Any]) -> AbstractContextManager[TextIO]:
    if not _is_url(path):
        return open(path, mode, encoding="utf-8")
    try:
        fsspec = importlib.import_module("fsspec")
    except ImportError:
        raise PipelineError(
            f"{path} is a URL, which needs: pip install 'data-federation-mesh[fsspec]'", user_line()
        ) from None
    return fsspec.open(str(path), mode, encoding="utf-8", **storage_options)
