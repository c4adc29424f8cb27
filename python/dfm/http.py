"""How does an operation become a request of an HTTP interface?

`dfm fed import openapi` binds operations to `Call`, which needs `pip install 'data-federation-mesh[http]'`. What
belongs to the site, is in the `info` of its provider: where the interface is, and what its requests show.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, cast
from urllib.parse import quote, urljoin, urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic import Field as field
from pydantic_core import to_jsonable_python

from dfm.exec import Provider, Site

if TYPE_CHECKING:
    import httpx

_AGAIN = frozenset({429, 502, 503, 504})
"""Answers that may be other ones soon."""
_REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})
"""Methods of which a second request does no more than the first."""


class HttpError(Exception):
    """An interface has answered that something is wrong, or cannot be reached."""

    def __init__(self, message: str, status: int | None = None):
        super().__init__(message)
        self.status = status
        """The answer's status; None where there was none."""


class Shown(BaseModel, frozen=True, extra="forbid"):
    """A secret that goes with each request."""

    place: Literal["header", "query"] = field(alias="in")
    name: str
    key: str
    """The secret's, in the site's vault."""
    before: str = ""
    """What is written before it."""


class Interface(BaseModel, frozen=True, extra="ignore"):
    """What the `info` of a provider says of an HTTP interface."""

    model_config = ConfigDict(populate_by_name=True)

    address: str = field(pattern=r"^https?://[^/?#@\s]+[^?#\s]*$")
    """Where its paths begin."""
    headers: dict[str, str] = {}
    """What each request says."""
    secrets: tuple[Shown, ...] = ()
    """What each request shows."""
    timeout: float = field(default=30.0, gt=0)
    """Seconds without a byte after which a request has failed."""
    retries: int = field(default=2, ge=0, le=10)
    """How often a request is made again that the interface could not answer, if that does no harm."""
    backoff: float = field(default=0.5, ge=0, le=60)
    """Seconds before it is made again, doubled each time; more if the interface asks for it, up to a minute."""
    max_bytes: int = field(default=64 << 20, gt=0)
    """Bytes of an answer, of all its pages together; longer ones are refused."""
    max_pages: int = field(default=1000, gt=0)
    """Pages that are followed."""


@dataclasses.dataclass(frozen=True)
class _Sent:
    place: str
    name: str
    style: str | None


class Call:
    """One operation of an HTTP interface: its arguments make a request, and its result is what the answer holds.

    That is what JSON says, a text, or bytes, by the answer's own type; `None` for an empty one. Pages of one list come
    as one list.
    """

    def __init__(
        self,
        site: Site,
        provider: Provider | None,
        method: str,
        path: str,
        parameters: Mapping[str, Mapping[str, str]],
        pages: bool = False,
    ):
        """As the binding's `args` say: a method, a path with names in braces, how each argument is sent, and whether an
        answer's `Link` header leads to the next page.

        Raises:
            ValueError: the provider does not say what it has to.
        """
        if provider is None:
            raise ValueError("an HTTP operation is bound at a provider, whose `info` has the interface's `address`")
        try:
            self._interface = Interface.model_validate(provider.info)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(step) for step in first["loc"])
            raise ValueError(
                f"the `info` of the provider '{provider.name}' is wrong at `{where}`: {first['msg']}"
            ) from None
        self._site = site
        self._method = method
        self._path = path
        self._sent = {name: _Sent(one["in"], one["name"], one.get("style")) for name, one in parameters.items()}
        self._pages = pages

    async def body(self, **arguments: Any) -> Any:
        """Makes the request.

        Raises:
            HttpError: the interface refuses it, or cannot be reached.
            ValueError: an argument cannot be sent.
        """
        try:
            import httpx
        except ImportError:
            raise ImportError("HTTP operations need httpx: pip install 'data-federation-mesh[http]'") from None
        address, query, headers, content = self._request(arguments)
        async with httpx.AsyncClient(timeout=self._interface.timeout, follow_redirects=False) as client:
            first = await self._answer(client, address, query, headers, content, self._interface.max_bytes)
            value: Any = first.value
            if not self._pages or not isinstance(value, list):
                return value
            items, left = cast("list[Any]", value), self._interface.max_bytes - first.size
            page = first
            for _ in range(self._interface.max_pages - 1):
                if page.next is None:
                    return items
                # Secrets go to the interface alone, wherever its answers point.
                if _origin(page.next) != _origin(address):
                    raise HttpError("the next page would be at another address than the interface's")
                page = await self._answer(client, page.next, {}, headers, None, left)
                if not isinstance(page.value, list):
                    raise HttpError("the next page is no list, as the first one is")
                items += cast("list[Any]", page.value)
                left -= page.size
            if page.next is not None:
                raise HttpError(f"there are more than {self._interface.max_pages} pages")
            return items

    def _request(self, arguments: Mapping[str, Any]) -> tuple[str, dict[str, Any], dict[str, str], bytes | None]:
        path, query, headers = self._path, dict[str, Any](), {"Accept": "*/*", **self._interface.headers}
        content: bytes | None = None
        for name, value in arguments.items():
            if value is None:
                continue
            sent, value = self._sent[name], _plain(value)
            match sent.place:
                case "path":
                    text = _text(name, value)
                    if text in ("", ".", ".."):
                        raise ValueError(f"`{name}` is {text!r}, which is no part of a path")
                    path = path.replace(f"{{{sent.name}}}", quote(text, safe=","))
                case "query":
                    query |= _entries(name, sent, value)
                case "header":
                    text = _text(name, value)
                    if not _fits_header(text):
                        raise ValueError(f"`{name}` has characters that no header has: it takes printable ASCII")
                    headers[sent.name] = text
                case _:
                    content, headers["Content-Type"] = _content(name, sent.name, value)
        for secret in self._interface.secrets:
            target = headers if secret.place == "header" else query
            text = secret.before + self._site.secret_for_key(secret.key)
            if secret.place == "header" and not _fits_header(text):
                raise ValueError(
                    f"the secret `{secret.key}` has characters that no header has, which takes printable ASCII; look "
                    "for a line's end or a letter with an accent in what the site has for it"
                )
            target[secret.name] = text
        return self._interface.address.rstrip("/") + path, query, headers, content

    async def _answer(
        self,
        client: httpx.AsyncClient,
        address: str,
        query: Mapping[str, Any],
        headers: Mapping[str, str],
        content: bytes | None,
        most: int,
    ) -> _Answer:
        import httpx

        tries = self._interface.retries if self._method in _REPEATABLE else 0
        wait = self._interface.backoff
        # An address that has a query already, as that of a next page, keeps it.
        params = dict(query) or None
        for again in range(tries, -1, -1):
            asked = 0.0
            try:
                async with client.stream(
                    self._method, address, params=params, headers=dict(headers), content=content
                ) as response:
                    if again and response.status_code in _AGAIN:
                        given = response.headers.get("Retry-After", "")
                        asked = min(float(given), 60.0) if given.isdecimal() else 0.0
                    else:
                        return await _read(response, most)
            except httpx.TransportError as error:
                if not again:
                    words = str(error) or type(error).__name__
                    raise HttpError(f"{self._method} {_bare(address)} has no answer: {words}") from None
            await asyncio.sleep(max(wait, asked))
            wait *= 2
        raise AssertionError("the last try answers or raises")


@dataclasses.dataclass(frozen=True)
class _Answer:
    value: object
    size: int
    next: str | None


async def _read(response: httpx.Response, most: int) -> _Answer:
    data = bytearray()
    async for piece in response.aiter_bytes():
        data += piece
        if len(data) > most:
            raise HttpError(f"the answer is larger than the provider's `max_bytes` allows, of which {most} are left")
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    what = f"{response.request.method} {_bare(str(response.request.url))}"
    if not response.is_success:
        said = bytes(data[:500]).decode(errors="replace").strip()
        raise HttpError(f"{what}: {response.status_code} {response.reason_phrase}: {said}", response.status_code)
    following = response.links.get("next", {}).get("url")
    link = urljoin(str(response.request.url), following) if following else None
    if not data:
        return _Answer(None, 0, link)
    if kind == "application/json" or kind.endswith("+json"):
        try:
            value: Any = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise HttpError(f"{what} says that it answers with JSON, and does not: {error}") from None
    elif kind.startswith("text/"):
        value = bytes(data).decode(response.charset_encoding or "utf-8", errors="replace")
    else:
        value = bytes(data)
    return _Answer(value, len(data), link)


def _plain(value: Any) -> Any:
    """What JSON says of a value; of a model, only what it was given. Bytes stay what they are."""
    match value:
        case BaseModel():
            return value.model_dump(mode="json", by_alias=True, exclude_unset=True)
        case list() | tuple():
            return [_plain(one) for one in cast("list[Any]", value)]
        case dict():
            return {key: _plain(one) for key, one in cast("dict[Any, Any]", value).items()}
        case bytes() | bytearray():
            return bytes(value)
        case _:
            return to_jsonable_python(value)


def _bare(address: str) -> str:
    """An address without its query, which may hold secrets."""
    return address.partition("?")[0]


def _origin(address: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(address)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _fits_header(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _text(name: str, value: Any) -> str:
    """A value as a request's text has it."""
    match value:
        case bool():
            return "true" if value else "false"
        case str() | int() | float():
            return str(value)
        case list():
            return ",".join(_text(name, one) for one in cast("list[Any]", value))
        case _:
            raise ValueError(f"`{name}` cannot be sent as a text: it is a {type(value).__name__}")


def _entries(name: str, sent: _Sent, value: Any) -> dict[str, Any]:
    if isinstance(value, list) and sent.style is None:
        return {sent.name: [_text(name, one) for one in cast("list[Any]", value)]}
    if isinstance(value, dict):
        entries = cast("dict[str, Any]", value)
        if sent.style == "deep":
            return {f"{sent.name}[{key}]": _text(name, one) for key, one in entries.items()}
        return {key: _text(name, one) for key, one in entries.items()}
    return {sent.name: _text(name, value)}


def _content(name: str, kind: str, value: Any) -> tuple[bytes, str]:
    """A body, and the type that the request says it has."""
    if kind == "application/json" or kind.endswith("+json"):
        try:
            return json.dumps(value).encode(), kind
        except TypeError as error:
            raise ValueError(f"`{name}` cannot be sent as JSON: {error}") from None
    if kind == "application/x-www-form-urlencoded":
        from urllib.parse import urlencode

        if not isinstance(value, dict):
            raise ValueError(f"`{name}` is sent as a form, and has to be a dictionary")
        fields = {key: _text(name, one) for key, one in cast("dict[str, Any]", value).items()}
        return urlencode(fields).encode(), kind
    if kind == "multipart/form-data":
        if not isinstance(value, dict):
            raise ValueError(f"`{name}` is sent as a form, and has to be a dictionary")
        return _form(name, cast("dict[str, Any]", value))
    return (value if isinstance(value, bytes) else _text(name, value).encode()), kind


def _form(name: str, fields: Mapping[str, Any]) -> tuple[bytes, str]:
    boundary, form = secrets.token_hex(16), b""
    for key, value in fields.items():
        several: list[Any] = [value]
        if isinstance(value, list) and _file(key, value) is None:
            several = cast("list[Any]", value)
        for one in several:
            said = f'form-data; name="{_quoted(key)}"'
            if (file := _file(key, one)) is not None:
                called, data = file
                said, kind = f'{said}; filename="{_quoted(called)}"', "application/octet-stream"
            elif isinstance(one, dict | list):
                data, kind = _content(f"{name}.{key}", "application/json", one)
            else:
                data, kind = _text(f"{name}.{key}", one).encode(), "text/plain; charset=utf-8"
            head = f"--{boundary}\r\nContent-Disposition: {said}\r\nContent-Type: {kind}\r\n\r\n"
            form += head.encode() + data + b"\r\n"
    return form + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def _file(key: str, value: Any) -> tuple[str, bytes] | None:
    """A file's name and its content, if it is one."""
    match value:
        case bytes():
            return key, value
        case [str() as called, bytes() as content]:
            return called, content
        case _:
            return None


def _quoted(name: str) -> str:
    """A name as a form's head has it, which it cannot end."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
