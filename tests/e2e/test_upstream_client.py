"""The HTTP road to an endpoint, on real sockets: what goes wrong there is named, and nothing goes where it should not."""

import asyncio
import gzip
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from magistrate.adapters.upstreams.http import Access, HttpUpstream
from magistrate.exchange.endpoint import Endpoint
from magistrate.exchange.errors import UpstreamError
from magistrate.pipeline.ports import UpstreamRequest

HERE = Endpoint(id="p/m", provider="p", api="openai", model="m", upstream_model="m")
ASK = UpstreamRequest("POST", "/chat/completions", (("x-app", "test"),), b'{"model":"m"}', stream=False)

Handler = Callable[[bytes, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """Bare sockets that hand each request's head to ``handler``."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.heads: list[bytes] = []
        self.hung_up = 0
        self.url = ""

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(len(ASK.body))
                self.heads.append(head)
                await self.handler(head, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.hung_up += 1
        finally:
            writer.close()


@asynccontextmanager
async def serving(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    server = Server(handler)
    listening = await asyncio.start_server(server.connection, "127.0.0.1", 0, ssl=tls)
    port = listening.sockets[0].getsockname()[1]
    server.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}/v1"
    try:
        yield server
    finally:
        listening.close()


@asynccontextmanager
async def road(url: str, key: str | None = "sk-secret", **limits: float) -> AsyncIterator[HttpUpstream]:
    upstream = HttpUpstream({"p": Access(url, "openai", key, **limits)})
    try:
        yield upstream
    finally:
        await upstream.aclose()


def answering(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> Handler:
    async def handler(_head: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = [b"HTTP/1.1 " + status, b"content-length: %d" % len(body), *headers, b"", body]
        writer.write(b"\r\n".join(lines))
        await writer.drain()

    return handler


async def test_a_connection_is_used_again_and_carries_the_providers_key_and_no_cookie() -> None:
    """Two calls, one connection; what the endpoint wants remembered is forgotten."""
    async with serving(answering(b"{}", b"set-cookie: a=b")) as server, road(server.url) as upstream:
        for _ in range(2):
            answer = await upstream.call(HERE, ASK)
            assert await answer.read(100) == b"{}"
        assert server.hung_up == 0
        first, second = (head.lower() for head in server.heads)
        assert b"authorization: bearer sk-secret" in first
        assert b"x-app: test" in first
        assert b"accept-encoding: identity" in first
        assert b"cookie" not in second
        assert b"user-agent" not in first


async def test_pieces_arrive_as_they_are_sent() -> None:
    """The first word does not wait for the last."""
    go_on = asyncio.Event()

    async def handler(_head: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        await go_on.wait()
        writer.write(b"4\r\nlast\r\n0\r\n\r\n")

    async with serving(handler) as server, road(server.url) as upstream:
        chunks = (await upstream.call(HERE, ASK)).chunks()
        assert await asyncio.wait_for(anext(chunks), 5) == b"first"
        go_on.set()
        assert [chunk async for chunk in chunks] == [b"last"]


async def _silent(_head: bytes, reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.readexactly(1)


async def test_a_caller_that_is_cancelled_before_the_answer_hangs_up() -> None:
    """So the endpoint can stop, and nobody pays for what nobody reads."""
    async with serving(_silent) as server, road(server.url) as upstream:
        asking = asyncio.ensure_future(upstream.call(HERE, ASK))
        while not server.heads:
            await asyncio.sleep(0.01)
        asking.cancel()
        async with asyncio.timeout(5):
            while not server.hung_up:
                await asyncio.sleep(0.01)


async def _cut(_head: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
    raise ConnectionResetError


async def _gone(_head: bytes, _reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    raise ConnectionResetError


async def _no_http(_head: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"good day to you\r\n\r\n")
    await writer.drain()


async def _asked(upstream: HttpUpstream) -> bytes:
    answer = await upstream.call(HERE, ASK)
    try:
        return await answer.read(100)
    finally:
        await answer.aclose()


@pytest.mark.requirement("R6")
@pytest.mark.parametrize(
    ("handler", "says", "timed_out"),
    [
        (_silent, "it was silent for 0.2 s", True),
        (_cut, "its answer was cut short", False),
        (_gone, "it closed the connection without an answer", False),
        (_no_http, "its answer is no HTTP", False),
        (answering(b"x" * 200), "longer than 100 bytes", False),
        (answering(gzip.compress(b"{}"), b"content-encoding: gzip"), "compressed although", False),
    ],
)
async def test_what_goes_wrong_behind_the_connection_may_have_begun(
    handler: Handler, says: str, timed_out: bool
) -> None:
    """So the same endpoint is not asked again; the words are ours and quote nothing."""
    async with serving(handler) as server, road(server.url, idle_s=0.2) as upstream:
        with pytest.raises(UpstreamError, match=says) as caught:
            await _asked(upstream)
    assert caught.value.sent
    assert caught.value.timed_out is timed_out
    assert "sk-secret" not in str(caught.value)


@pytest.mark.requirement("R6")
@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://127.0.0.1:1/v1", "cannot be connected to"),
        ("http://nowhere.invalid/v1", "cannot be resolved"),
    ],
)
async def test_what_goes_wrong_before_the_connection_has_not_begun(url: str, says: str) -> None:
    """So the call may be tried elsewhere, or again."""
    async with road(url) as upstream:
        with pytest.raises(UpstreamError, match=says) as caught:
            await upstream.call(HERE, ASK)
    assert not caught.value.sent


async def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    """A prompt and a key never go where no policy has looked."""
    elsewhere = answering(b"", b"location: http://127.0.0.1:1/", status=b"307 Temporary Redirect")
    async with serving(elsewhere) as server, road(server.url) as upstream:
        answer = await upstream.call(HERE, ASK)
        assert answer.status == 307
        await answer.aclose()
        assert len(server.heads) == 1


async def test_no_proxy_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sets a variable does not thereby read everybody's prompts."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with serving(answering(b"{}")) as server, road(server.url) as upstream:
        answer = await upstream.call(HERE, ASK)
        assert await answer.read(100) == b"{}"


@pytest.mark.tool("openssl")
async def test_an_untrusted_certificate_ends_the_call_before_it_begins(tool: str, tmp_path: Path) -> None:
    """Not even the key is sent."""
    make = (
        f"{tool} req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 1 -subj /CN=localhost"
    )
    subprocess.run(make.split(), cwd=tmp_path, check=True, capture_output=True, timeout=30)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    async with serving(answering(b"{}"), context) as server, road(server.url) as upstream:
        with pytest.raises(UpstreamError, match="certificate cannot be trusted") as caught:
            await upstream.call(HERE, ASK)
        assert server.heads == []
    assert not caught.value.sent
