"""HTTP/1.1 to ASGI: uvicorn over llhttp, and the limits that a server at the edge needs and uvicorn leaves to a proxy."""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["MOST_CONNECTIONS", "MOST_HEADERS", "MOST_HEAD_BYTES", "REQUEST_WITHIN_S", "Application", "Server"]

Application: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]
"""ASGI 3, HTTP only."""

BACKLOG = 1024
MOST_CONNECTIONS = 8192
"""Open connections of one server. One more is closed before anything is read from it."""

MOST_HEAD_BYTES = 64 * 1024
"""Target and header fields of one request; trailers and the framing of chunks count apart, to the same limit."""

MOST_HEADERS = 200
REQUEST_WITHIN_S = 120.0
"""From a request's first byte to its last one, in seconds. Who sends more slowly holds a place for nothing."""

IDLE_S = 75.0
"""How long a connection stays open without a request. More than the usual client keeps one, so that the client closes first."""

TOO_LARGE = b"431 Request Header Fields Too Large"
TOO_SLOW = b"408 Request Timeout"

DEPARTURE = "magistrate.departure"

_FRAMING_PER_BYTE = 16
"""A body of chunks of one byte takes six bytes for each; what takes more than this is no body but a trick."""


class Departure:
    """Whether a request's client has gone, and whom to tell. In the ASGI scope as extension `DEPARTURE`.

    ASGI would have every request wait for a message that nearly never comes: a task, and its cancellation, for each.
    """

    __slots__ = ("gone", "tell")

    def __init__(self) -> None:
        self.gone = False
        self.tell: Callable[[], object] | None = None


class Server:
    """One application on one address, in the running loop. Signals are left to whoever runs the process."""

    def __init__(
        self,
        application: Application,
        *,
        address: str,
        port: int,
        cert: Path | None = None,
        key: Path | None = None,
    ) -> None:
        self._address, self._port = address, port
        config = uvicorn.Config(
            application,
            http=LimitedProtocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=int(IDLE_S),
            ssl_context_factory=(lambda *_: _tls(cert, key)) if cert else None,
        )
        logging.getLogger("uvicorn.error").setLevel(logging.WARNING)  # when it begins and ends is said by us
        self._server = _Server(config)

    async def serve(self) -> None:
        """Serve until `stop`; returns when every connection is closed.

        Raises:
            OSError: the address cannot be listened on.
        """
        found = socket.getaddrinfo(
            self._address, self._port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        with contextlib.ExitStack() as opened:
            listening = [opened.enter_context(_listen(family, place)) for family, _, _, _, place in found]
            await self._server.serve(sockets=listening)

    def stop(self) -> None:
        """Take no more connections, close those that are idle, and end when the others are done."""
        self._server.should_exit = True


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


class LimitedProtocol(HttpToolsProtocol):
    """One connection. A head too large is 431, a request too slow 408, both with the connection closed."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._departure = Departure()
        self._in_head = False
        self._read = 0
        self._body = 0
        self._deadline: asyncio.TimerHandle | None = None
        self._too_large = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # because uvicorn narrows it too
        super().connection_made(_Gathering(transport, self.loop))
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
            return
        self.timeout_keep_alive_task = self.loop.call_later(IDLE_S, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._departure.gone = True
        if self._departure.tell is not None:
            self._departure.tell()
        self._unset_keepalive_if_required()
        self._end_deadline()

    def data_received(self, data: bytes) -> None:
        # Bytes of a request that are neither its body nor a finished head: what a parser would have to keep.
        self._read += len(data)
        super().data_received(data)
        unseen = self._read - self._body
        if unseen > MOST_HEAD_BYTES + self._body * _FRAMING_PER_BYTE and self._deadline is not None:
            self._refuse(TOO_LARGE)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {DEPARTURE: self._departure}  # type: ignore[dict-item]  # because it is not one of the specification's
        self._in_head = True
        self._read = self._body = 0
        self._deadline = self.loop.call_later(REQUEST_WITHIN_S, self._too_slow)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:
            super().on_header(name, value)
        # A field that comes behind the body is no header (RFC 9110 section 6.5.1): nobody who let the head pass saw it.

    def on_headers_complete(self) -> None:
        length = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if length > MOST_HEAD_BYTES or len(self.headers) > MOST_HEADERS:
            self._too_large = True
            raise ValueError
        self._in_head = False
        self._read = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._end_deadline()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what the parser refused, or what a callback above did."""
        self._end_deadline()
        if self._too_large:
            self._refuse(TOO_LARGE)
        else:
            super().send_400_response(msg)

    def _too_slow(self) -> None:
        self._refuse(TOO_SLOW)

    def _refuse(self, status: bytes) -> None:
        """Close the connection, with an answer if this request is the one whose answer is due."""
        self._end_deadline()
        answered = self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr]  # because uvicorn declares it without its None
        due = answered if self._in_head else not self.cycle.response_started
        if due and not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 %s\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % status)
        self.transport.close()

    def _end_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class _Gathering(asyncio.Transport):
    """A transport that sends what one turn of the loop writes as one: an answer's head and its body, or many events."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> None:  # type: ignore[override]  # because nobody here writes anything else
        if not self._pieces:
            self._loop.call_soon(self._flush)
        self._pieces.append(data)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    def _flush(self) -> None:
        pieces, self._pieces = self._pieces, []
        if pieces and not self._transport.is_closing():
            self._transport.write(b"".join(pieces))


def _listen(family: int, place: Any) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind(place)
    except OSError:
        listening.close()
        raise
    return listening


def _tls(cert: Path, key: Path | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(cert, key)
    return context
