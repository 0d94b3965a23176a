"""The data plane's listener: ASGI in, the line, ASGI out. One broad ``except`` at the top, and it is recorded."""

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeAlias

from magistrate.adapters.serving import DEPARTURE, Departure
from magistrate.exchange.errors import Refused
from magistrate.exchange.outcome import Code
from magistrate.pipeline.case import Case
from magistrate.pipeline.govern import conclude, govern
from magistrate.pipeline.line import Line
from magistrate.pipeline.ports import Disconnected, Inbound

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

MOST_IN_FLIGHT = 2048
"""Calls governed at once by one worker. Above it a client is told to come back, before anything is read."""

log = logging.getLogger("magistrate.gateway")


class Gateway:
    """The ASGI application of the data plane."""

    def __init__(self, line: Line, *, ready: Callable[[], str | None]) -> None:
        self.line = line
        """Replaced whole on reload; a call under way keeps the one it began with."""
        self._ready = ready
        self._in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self.draining = False

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            return
        path = scope["path"]
        if path in {"/healthz", "/readyz"} and scope["method"] in {"GET", "HEAD"}:
            await self._probe(path, send)
            return
        reply = AsgiReply(receive, send, scope["extensions"][DEPARTURE])
        if self.draining or self._in_flight >= MOST_IN_FLIGHT:
            await _overloaded(reply)
            return
        self._in_flight += 1
        self._idle.clear()
        try:
            await self._attend(scope, reply)
        finally:
            self._in_flight -= 1
            if not self._in_flight:
                self._idle.set()

    async def drain(self, seconds: float) -> int:
        """Refuse new calls, wait for those under way; return how many were still running at the end."""
        self.draining = True
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            log.warning("%d calls were still running when the time to drain was over", self._in_flight)
        return self._in_flight

    async def _attend(self, scope: Mapping[str, Any], reply: "AsgiReply") -> None:
        line = self.line
        started_ns, received_us = line.clock.ticks_ns(), line.clock.now_us()
        try:
            body, overflow = await reply.read_body(line.limits.request_bytes)
        except Disconnected:
            return  # nobody asked for anything yet: half a request is not an exchange
        client = scope.get("client")
        inbound = Inbound(
            method=scope["method"],
            path=scope["path"],
            query=scope["query_string"].decode("latin-1"),
            headers=_headers(scope["headers"]),
            body=body,
            received_us=received_us,
            started_ns=started_ns,
            peer=client[0] if client else "",
            overflow=overflow,
        )
        case = Case(inbound, line)
        try:
            await govern(case, reply)
        except Exception as error:  # noqa: BLE001  because the top of a listener turns our own failure into a recorded refusal
            # The type and the place, never the message: that may quote content.
            place = traceback.extract_tb(error.__traceback__)[-1]
            log.critical(
                "incident %s: %s at %s:%s", case.record, type(error).__name__, place.filename, place.lineno
            )
            message = f"magistrate failed; the incident is on record as `{case.record}`"
            await conclude(case, reply, Refused(Code.INTERNAL, message))

    async def _probe(self, path: str, send: Send) -> None:
        problem = self._ready() if path == "/readyz" else None
        if path == "/readyz" and self.draining:
            problem = "draining"
        body = (problem or "ok").encode() + b"\n"
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 503 if problem else 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class AsgiReply:
    """The `Reply` port over one ASGI request."""

    def __init__(self, receive: Receive, send: Send, departure: Departure) -> None:
        self._receive = receive
        self._send = send
        self._departure = departure
        self.started = False

    async def read_body(self, limit: int) -> tuple[bytes, bool]:
        """Return the body and whether it was longer than ``limit``; then it is read no further."""
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        body: bytes = message.get("body", b"")
        if not message.get("more_body"):
            return (b"", True) if len(body) > limit else (body, False)
        chunks, length = [body], len(body)
        while message.get("more_body"):
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            chunk = message.get("body", b"")
            length += len(chunk)
            if length > limit:
                return b"", True
            chunks.append(chunk)
        return b"".join(chunks), False

    def while_connected(self) -> AbstractContextManager[None]:
        """See `pipeline.ports.Reply`."""
        return _WhileConnected(self._departure)

    async def start(self, status: int, headers: Sequence[tuple[str, str]]) -> None:
        if self._departure.gone:
            raise Disconnected
        self.started = True
        raw = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers]
        await self._send({"type": "http.response.start", "status": status, "headers": raw})

    async def send(self, body: bytes) -> None:
        if self._departure.gone:
            raise Disconnected
        await self._send({"type": "http.response.body", "body": body, "more_body": True})

    async def end(self, body: bytes = b"") -> None:
        if self._departure.gone:
            raise Disconnected
        await self._send({"type": "http.response.body", "body": body, "more_body": False})


class _WhileConnected:
    """The client's leaving cancels what is awaited here, and is raised as what it is."""

    __slots__ = ("_departure", "_task")

    def __init__(self, departure: Departure) -> None:
        self._departure = departure
        self._task: asyncio.Task[Any] | None = None

    def __enter__(self) -> None:
        if self._departure.gone:
            raise Disconnected
        self._task = asyncio.current_task()
        assert self._task is not None, "a request is attended by a task"
        self._departure.tell = self._task.cancel

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._departure.tell = None
        if kind is asyncio.CancelledError and self._departure.gone and self._task is not None:
            self._task.uncancel()
            raise Disconnected from None


def _headers(raw: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return headers by lower-case name. Repeated ones are joined as RFC 9110 section 5.3 says."""
    headers: dict[str, str] = {}
    for name, value in raw:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


async def _overloaded(reply: AsgiReply) -> None:
    body = b'{"error":{"message":"magistrate is at its limit or shutting down; try again","type":"overloaded_error","code":"overloaded"}}'
    headers = [("content-type", "application/json"), ("retry-after", "1"), ("content-length", str(len(body)))]
    await reply.start(503, headers)
    await reply.end(body)
