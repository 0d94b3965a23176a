"""The control plane's listener: keys, status, metrics, the live feed. Never in the data path.

Everything but ``/healthz`` asks for a token, also on loopback: other users and pages in a browser reach loopback too.
A request must name a host that is ours (DNS rebinding) and must not come from another site's page.

No framework: nine routes need a table and a gate, and every framework would bring a second opinion on both.
"""

import asyncio
import ipaddress
import logging
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, MutableMapping
from typing import Any, Protocol, TypeAlias
from urllib.parse import parse_qs, urlsplit

import msgspec

from magistrate.adapters.listeners import control_api as api
from magistrate.exchange.errors import MagistrateError, Refused
from magistrate.exchange.outcome import STATUS, Code
from magistrate.identity.admin import AdminToken, Right, admit
from magistrate.identity.credential import credential
from magistrate.identity.keys import KeyRecord, NoSuchKey
from magistrate.wire import strict

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

MOST_BODY = 64 << 10
_ID = re.compile(r"/api/keys/([a-z2-9]{12})/(rotate|revoke)")
_ROUTES = {(each.method, each.path): each for each in api.OPERATIONS}
_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
log = logging.getLogger("magistrate.control")


class Keys(Protocol):
    """The part of the key store that the control plane uses. Methods may block; they are called in a thread."""

    def create(
        self,
        *,
        user: str,
        tenant: str,
        groups: tuple[str, ...],
        application: str,
        models: tuple[str, ...],
        expires_us: int | None,
    ) -> tuple[str, KeyRecord]: ...

    def list(self) -> tuple[KeyRecord, ...]: ...

    def rotate(self, key_id: str, *, grace_us: int) -> tuple[str, KeyRecord]: ...

    def revoke(self, key_id: str) -> None: ...

    def tokens(self) -> tuple[AdminToken, ...]: ...


class Sources(msgspec.Struct, frozen=True):
    """What the control plane shows, as functions of the process around it."""

    keys: Keys
    metrics: Callable[[], bytes]
    feed: Callable[[int, int], AsyncIterator[bytes]]
    """``feed(last, after)`` yields server-sent events."""
    status: Callable[[], dict[str, Any]]
    now_us: Callable[[], int]
    version: str
    hosts: Collection[str]
    """Host names, without ports, under which it may be reached besides IP addresses and ``localhost``."""


class _Answer(msgspec.Struct, frozen=True):
    status: int
    body: bytes
    media: str = "application/json"


class Control:
    """The ASGI application of the control plane."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._hosts = {"localhost", *(host.lower() for host in sources.hosts)}
        self._turn = asyncio.Lock()
        self._stopping = asyncio.Event()
        """Set to end open feeds, so that the server can stop."""

    async def stop(self) -> None:
        """Let those go who follow the live feed; nothing else of a control plane takes long."""
        self._stopping.set()

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            return
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        try:
            operation, key_id = self._route(scope["method"], scope["path"])
            self._own(headers)
            if operation.right is not None:
                await self._admit(headers, scope["query_string"].decode("latin-1"), operation)
            if operation.name == "feed":
                await self._feed(scope, headers, receive, send)
                return
            answer = await self._act(operation, key_id, await _body(operation, headers, receive))
        except Refused as refused:
            answer = _no(STATUS[refused.code], refused.code, refused.message)
        except NoSuchKey as error:
            answer = _no(404, Code.NOT_FOUND, str(error))
        except MagistrateError as error:
            log.error("control plane: %s", error)
            answer = _no(503, Code.INTERNAL, str(error))
        except Exception:
            incident = uuid.uuid4().hex[:12]
            log.exception("incident %s", incident)
            answer = _no(500, Code.INTERNAL, f"this failed on our side; incident `{incident}` is in the log")
        await _send(send, answer)

    def _route(self, method: str, path: str) -> tuple[api.Operation, str]:
        found = _ID.fullmatch(path)
        shape = f"/api/keys/{{id}}/{found[2]}" if found else path
        operation = _ROUTES.get((method, shape))
        if operation is None:
            if any(known == shape for _, known in _ROUTES):
                raise Refused(Code.METHOD_NOT_ALLOWED, "this path does not take that method")
            raise Refused(Code.NOT_FOUND, "no such path; `/api/openapi.json` lists them")
        return operation, found[1] if found else ""

    def _own(self, headers: Mapping[str, str]) -> None:
        """Refuse requests for a foreign name and from a foreign page."""
        host = _hostname(headers.get("host", ""))
        if host not in self._hosts and not _is_address(host):
            raise Refused(
                Code.INVALID_REQUEST,
                "the `host` header names a host that is not ours; list it in `control_hosts`",
            )
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != headers["host"].lower():
            raise Refused(Code.POLICY_DENIED, "requests from other sites' pages are refused")
        if headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
            raise Refused(Code.POLICY_DENIED, "requests from other sites' pages are refused")

    async def _admit(self, headers: Mapping[str, str], query: str, operation: api.Operation) -> None:
        presented = credential({"authorization": headers.get("authorization", "Bearer")}, query)
        token = admit(await self._off_loop(self._sources.keys.tokens), presented)
        if token is None:
            log.warning("a control-plane request for `%s` presented no valid token", operation.name)
            raise Refused(
                Code.AUTHENTICATION_FAILED,
                "the admin token is not valid; the local one stands in `control.token` in the data directory",
            )
        if token.right is not Right.ADMIN and token.right is not operation.right:
            raise Refused(Code.POLICY_DENIED, f"this token opens only `{token.right.value}`")

    async def _act(self, operation: api.Operation, key_id: str, body: Any) -> _Answer:
        sources = self._sources
        match operation.name:
            case "healthz":
                return _Answer(200, b"ok\n", operation.media)
            case "metrics":
                return _Answer(200, sources.metrics(), operation.media)
            case "status":
                return _json(200, await self._off_loop(sources.status))
            case "openapi":
                return _json(200, api.openapi(sources.version))
            case "create_key":
                return await self._create(body)
            case "rotate_key":
                return await self._rotate(key_id, body)
            case "revoke_key":
                await self._off_loop(lambda: sources.keys.revoke(key_id))
                log.warning("key `%s` was revoked", key_id)
                return await self._list(key_id)
            case _:
                return await self._list()

    async def _list(self, key_id: str = "") -> _Answer:
        now = self._sources.now_us()
        records = await self._off_loop(self._sources.keys.list)
        shown = tuple(api.view(record, now) for record in records if not key_id or record.id == key_id)
        return _json(200, api.KeyList(shown))

    async def _create(self, asked: api.CreateKey) -> _Answer:
        now = self._sources.now_us()
        expires_us = None if asked.expires_in_s is None else now + asked.expires_in_s * 1_000_000
        presented, record = await self._off_loop(
            lambda: self._sources.keys.create(
                user=asked.user,
                tenant=asked.tenant,
                groups=asked.groups,
                application=asked.application,
                models=asked.models,
                expires_us=expires_us,
            )
        )
        log.warning("key `%s` was created", record.id)
        return _json(200, api.KeyShown(presented, api.view(record, now)))

    async def _rotate(self, key_id: str, asked: api.RotateKey) -> _Answer:
        presented, record = await self._off_loop(
            lambda: self._sources.keys.rotate(key_id, grace_us=asked.grace_s * 1_000_000)
        )
        log.warning("key `%s` was rotated", key_id)
        return _json(200, api.KeyShown(presented, api.view(record, self._sources.now_us())))

    async def _off_loop(self, work: Callable[[], Any]) -> Any:
        """Run blocking ``work`` in a thread, one at a time: a connection belongs to one thread at a time."""
        async with self._turn:
            return await asyncio.to_thread(work)

    async def _feed(
        self, scope: Mapping[str, Any], headers: Mapping[str, str], receive: Receive, send: Send
    ) -> None:
        """Stream events until the client leaves or the server stops."""
        last = _number(parse_qs(scope["query_string"].decode("latin-1")).get("last", ["0"])[0], "last", 1000)
        after = _number(headers.get("last-event-id", "0"), "last-event-id", 1 << 53)
        source = self._sources.feed(1000 if after and not last else last, after)
        await send(_start(200, "text/event-stream"))
        leaving: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(_gone(receive)),
            asyncio.ensure_future(self._stopping.wait()),
        ]
        coming: asyncio.Future[bytes] | None = None
        try:
            while True:
                coming = coming or asyncio.ensure_future(_next(source))
                await asyncio.wait([coming, *leaving], return_when=asyncio.FIRST_COMPLETED)
                if any(each.done() for each in leaving) or not (piece := coming.result()):
                    break
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                coming = None
        finally:
            rest = leaving if coming is None else [*leaving, coming]
            for each in rest:
                each.cancel()
            await asyncio.gather(*rest, return_exceptions=True)
            await source.aclose()  # type: ignore[attr-defined]  # because every feed is an async generator
        await send({"type": "http.response.body", "body": b""})


async def _next(source: AsyncIterator[bytes]) -> bytes:
    return await anext(source, b"")


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _body(operation: api.Operation, headers: Mapping[str, str], receive: Receive) -> Any:
    """Read the body as the operation's struct: JSON without duplicate keys, unknown fields or surprises.

    Raises:
        Refused: with the place and what is wrong there.
    """
    whole = b""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(Code.INVALID_REQUEST, "the body was cut short")
        whole += message.get("body", b"")
        more = message.get("more_body", False)
        if len(whole) > MOST_BODY:
            raise Refused(Code.REQUEST_TOO_LARGE, f"the body is longer than {MOST_BODY} bytes")
    if operation.body is None:
        if whole.strip() not in {b"", b"{}"}:
            raise Refused(Code.INVALID_REQUEST, "this operation takes no body")
        return None
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused(Code.INVALID_REQUEST, "the body must be `content-type: application/json`")
    try:
        return msgspec.convert(strict.parse(whole), operation.body)
    except msgspec.ValidationError as error:
        raise Refused(Code.INVALID_REQUEST, f"the body does not fit: {error}") from None


def _hostname(host: str) -> str:
    """Return the name in a Host header, lower case, without port and brackets; empty when it is malformed."""
    found = re.fullmatch(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?", host.lower())
    return found[1].strip("[]").rstrip(".") if found else ""


def _is_address(host: str) -> bool:
    # Rebinding needs a name that an attacker controls; an address is not one.
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _number(text: str, name: str, most: int) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 16 or int(text) > most:
        raise Refused(Code.INVALID_REQUEST, f"`{name}` must be a whole number up to {most}")
    return int(text)


def _json(status: int, value: Any) -> _Answer:
    return _Answer(status, msgspec.json.encode(value) + b"\n")


def _no(status: int, code: Code, message: str) -> _Answer:
    return _json(status, api.Failure(api.Problem(code.value, message)))


def _start(status: int, media: str) -> Message:
    headers = [(b"content-type", media.encode()), *_HEADERS]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    return {"type": "http.response.start", "status": status, "headers": headers}


async def _send(send: Send, answer: _Answer) -> None:
    await send(_start(answer.status, answer.media))
    await send({"type": "http.response.body", "body": answer.body})
