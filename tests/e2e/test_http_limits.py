"""What a socket may do to the server before anything is governed: heads without end, requests that never end, framing that grows."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from magistrate.adapters import serving
from magistrate.adapters.serving import DEPARTURE, MOST_HEAD_BYTES, MOST_HEADERS, Server


class Echo:
    """Answers with the headers it was given and the length of the body; ``/wait`` never answers."""

    def __init__(self) -> None:
        self.left = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        departure = scope["extensions"][DEPARTURE]
        length, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            length, more = length + len(message["body"]), message["more_body"]
        if scope["path"] == "/wait":
            departure.tell = self.left.set
            await self.left.wait()
            assert departure.gone
            return
        names = b",".join(name for name, _ in scope["headers"])
        body = b"%d %s" % (length, names)
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-length", b"%d" % len(body))],
            }
        )
        await send({"type": "http.response.body", "body": body})


class Closing(asyncio.Transport):
    """A transport of uvloop's kind: once it is closed, writing raises."""

    def __init__(self) -> None:
        self.closed = False
        self.written: list[bytes] = []

    def is_closing(self) -> bool:
        return self.closed

    def write(self, data: Any) -> None:
        if self.closed:
            raise RuntimeError
        self.written.append(data)

    def close(self) -> None:
        self.closed = True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.asynccontextmanager
async def serving_echo() -> AsyncIterator[tuple[int, Echo]]:
    port, echo = free_port(), Echo()
    server = Server(echo, address="127.0.0.1", port=port)
    task = asyncio.ensure_future(server.serve())
    for _ in range(200):
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            break
        await asyncio.sleep(0.01)
    try:
        yield port, echo
    finally:
        server.stop()
        await asyncio.wait_for(task, 10)


async def said(port: int, *pieces: bytes, end: bool = True) -> bytes:
    """Send ``pieces`` one after the other and return all that comes until the connection closes or falls silent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.001)
        with contextlib.suppress(TimeoutError):
            while data := await asyncio.wait_for(reader.read(65_536), 2.0 if end else 0.3):
                answer += data
    except ConnectionError:
        pass
    finally:
        writer.close()
    return answer


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "REQUEST_WITHIN_S", 0.2)


@pytest.mark.parametrize(
    "head",
    [
        b"x: " + b"y" * (MOST_HEAD_BYTES + 1) + b"\r\n",
        b"".join(b"x-%d: y\r\n" % n for n in range(MOST_HEADERS + 1)),
    ],
    ids=["long", "many"],
)
async def test_a_head_that_is_too_large_is_refused(head: bytes) -> None:
    """431, and the connection closed."""
    async with serving_echo() as (port, _):
        answer = await said(port, b"GET / HTTP/1.1\r\nhost: a\r\n" + head + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b"connection: close" in answer


async def test_a_head_that_never_ends_is_refused_before_it_fills_memory() -> None:
    """A field's value that goes on and on is nowhere counted by a parser that waits for its end."""
    async with serving_echo() as (port, _):
        pieces = [b"y" * 1024] * (MOST_HEAD_BYTES // 1024 + 1)
        answer = await said(port, b"GET / HTTP/1.1\r\nx: ", *pieces)
    assert answer.startswith(b"HTTP/1.1 431 ")


async def test_trailers_are_no_headers_and_may_not_grow_without_end() -> None:
    """Who let the head pass did not see them."""
    chunked = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n"
    async with serving_echo() as (port, _):
        answer = await said(port, chunked + b"authorization: Bearer x\r\n\r\n", end=False)
        endless = await said(port, chunked, b"x: ", *[b"y" * 16_384] * 64)
    assert answer.endswith(b"2 host,transfer-encoding")
    assert not endless.startswith(b"HTTP/1.1 200 ")


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "begun",
    [b"GET / HTTP/1.1\r\nhost: a\r\n", b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n12345"],
    ids=["head", "body"],
)
async def test_a_request_that_does_not_end_is_closed(begun: bytes) -> None:
    """408: a place is held for those who have something to say."""
    async with serving_echo() as (port, _):
        answer = await said(port, begun)
    assert answer.startswith(b"HTTP/1.1 408 ")


async def test_an_answer_leaves_in_one_piece_and_the_connection_stays() -> None:
    """Head and body in one packet; the next request goes over the same connection."""
    async with serving_echo() as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(2):
            writer.write(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc")
            assert (await reader.read(65_536)).endswith(b"\r\n\r\n3 host,content-length")
        writer.close()


async def test_a_client_that_leaves_is_noticed_at_once() -> None:
    """Without anybody having asked for a message."""
    async with serving_echo() as (port, echo):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /wait HTTP/1.1\r\nhost: a\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.1)
        assert not echo.left.is_set()
        writer.close()
        await asyncio.wait_for(echo.left.wait(), 5)
        del reader


async def test_what_is_written_as_a_client_leaves_is_dropped_without_a_word() -> None:
    """The answer has nowhere to go, and that is no failure of the server."""
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    transport = Closing()
    gathering = serving._Gathering(transport, asyncio.get_running_loop())
    gathering.write(b"late")
    transport.closed = True
    await asyncio.sleep(0.01)
    gathering.close()
    assert not complaints
    assert not transport.written


async def test_no_more_connections_than_the_limit_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one too many is closed unread."""
    monkeypatch.setattr(serving, "MOST_CONNECTIONS", 2)
    async with serving_echo() as (port, _):
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        await asyncio.sleep(0.05)
        assert await said(port, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", end=False) == b""
        for _, writer in held:
            writer.close()


async def test_an_address_that_is_taken_is_an_error_of_the_caller() -> None:
    """Not an end of the process."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="in use"):
            await Server(Echo(), address="127.0.0.1", port=taken.getsockname()[1]).serve()
