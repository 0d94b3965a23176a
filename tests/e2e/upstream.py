"""A scripted upstream: a real HTTP server that says what a test tells it and remembers every byte it was sent.

It runs on a loop of its own in a thread, so that blocking and asynchronous clients can both talk to it, and it is
written on bare sockets, because a test must be able to hang, to cut a stream in the middle and to see raw bodies.
"""

import asyncio
import json
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from tests.e2e.answers import STREAM, WHOLE, Answer, native_error

PATHS = {
    "/v1/chat/completions": "openai.chat",
    "/v1/responses": "openai.responses",
    "/v1/embeddings": "openai.embeddings",
    "/v1/messages": "anthropic.messages",
    "/v1/messages/count_tokens": "anthropic.count_tokens",
}
MODELS = ("gpt-test", "claude-test")

Script = Answer | Callable[[dict[str, Any]], Answer]


@dataclass(frozen=True)
class Seen:
    """One request as it arrived. Header names are lower case; ``dialect`` is empty for paths we do not know."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    raw: bytes
    dialect: str

    @property
    def json(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.raw)
        return value


class ScriptedUpstream:
    """Say in advance what will be answered: ``say(dialect, answer, …)`` queues, ``always`` sets what follows."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.cancelled = 0
        """How often a client hung up while an answer was hanging or half sent."""
        self._queues: dict[str, deque[Script]] = {name: deque() for name in WHOLE}
        self._default: dict[str, Script] = dict.fromkeys(WHOLE, Answer("ok"))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._handlers: set[asyncio.Task[None]] = set()
        self.port = 0

    # --- the script ---

    def say(self, dialect: str, *answers: Script) -> None:
        self._queues[dialect].extend(answers)

    def always(self, dialect: str, answer: Script) -> None:
        self._default[dialect] = answer

    def reset(self) -> None:
        """Forget what was said, asked and answered."""
        self.seen.clear()
        self.cancelled = 0
        for queue in self._queues.values():
            queue.clear()
        self._default = dict.fromkeys(WHOLE, Answer("ok"))

    def of(self, dialect: str) -> list[Seen]:
        """Return the requests of ``dialect`` that arrived, oldest first."""
        return [one for one in self.seen if one.dialect == dialect]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    # --- life ---

    def __enter__(self) -> Self:
        self._thread.start()
        starting = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._connection, "127.0.0.1", 0, limit=1 << 24), self._loop
        )
        self._server = starting.result(10)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _stop(self) -> None:
        self._server.close()
        for task in list(self._handlers):
            task.cancel()
        await asyncio.gather(*self._handlers, return_exceptions=True)

    # --- HTTP/1.1, as much of it as clients use ---

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        try:
            while (request := await self._read(reader)) is not None:
                self.seen.append(request)
                if not await self._answer(request, reader, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            self.cancelled += 1
        except asyncio.CancelledError:
            pass
        finally:
            self._handlers.discard(task)
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> Seen | None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return None
        line, *rest = head.decode("latin-1").split("\r\n")
        method, target, _ = line.split(" ")
        pairs = (one.partition(":") for one in rest if one)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        body = await self._body(reader, headers)
        path, _, query = target.partition("?")
        return Seen(method, path, query, headers, body, PATHS.get(path, "") if method == "POST" else "")

    @staticmethod
    async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() != "chunked":
            return await reader.readexactly(int(headers.get("content-length", "0")))
        body = b""
        while size := int((await reader.readline()).split(b";")[0], 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
        return body

    async def _answer(
        self, request: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Answer one request; False when the connection must not be used again."""
        if not request.dialect:
            status, value = self._other(request)
            return await _send_json(writer, status, value, bare=request.method == "HEAD")
        asked = request.json
        queue = self._queues[request.dialect]
        script = queue.popleft() if queue else self._default[request.dialect]
        answer = script if isinstance(script, Answer) else script(asked)
        if answer.hang:
            await reader.read(1)
            raise ConnectionResetError
        if answer.status != 200:
            body = answer.body or json.dumps(native_error(request.dialect, answer.status)).encode()
            return await _send(writer, answer.status, body, answer.headers)
        if asked.get("stream") and request.dialect in STREAM:
            return await self._stream(request.dialect, answer, asked, writer)
        if answer.cut_after is not None:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 999\r\n\r\n{")
            await writer.drain()
            return False
        body = answer.body or json.dumps(WHOLE[request.dialect](answer, asked)).encode()
        return await _send(writer, 200, body, answer.headers)

    @staticmethod
    async def _stream(
        dialect: str, answer: Answer, asked: dict[str, Any], writer: asyncio.StreamWriter
    ) -> bool:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
        extra = "".join(f"{n}: {v}\r\n" for n, v in answer.headers).encode()
        writer.write(head + extra + b"transfer-encoding: chunked\r\n\r\n")
        for number, event in enumerate(STREAM[dialect](answer, asked)):
            if number == answer.cut_after:
                await writer.drain()
                return False
            writer.write(b"%x\r\n%s\r\n" % (len(event), event))
            await writer.drain()
            if answer.pace_s:
                await asyncio.sleep(answer.pace_s)
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    @staticmethod
    def _other(request: Seen) -> tuple[int, Any]:
        if request.path == "/v1/models" and "anthropic-version" in request.headers:
            data = [
                {"type": "model", "id": m, "display_name": m, "created_at": "2026-08-07T00:00:00Z"}
                for m in MODELS
            ]
            return 200, {"data": data, "has_more": False, "first_id": MODELS[0], "last_id": MODELS[-1]}
        if request.path == "/v1/models":
            data = [{"id": m, "object": "model", "created": 1, "owned_by": "scripted"} for m in MODELS]
            return 200, {"object": "list", "data": data}
        return 404, {"error": {"message": "no such path here", "type": "not_found", "code": None}}


async def _send_json(writer: asyncio.StreamWriter, status: int, value: Any, *, bare: bool = False) -> bool:
    return await _send(writer, status, json.dumps(value).encode(), (), bare=bare)


async def _send(
    writer: asyncio.StreamWriter,
    status: int,
    body: bytes,
    headers: tuple[tuple[str, str], ...],
    *,
    bare: bool = False,
) -> bool:
    head = f"HTTP/1.1 {status} Scripted\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
    extra = "".join(f"{name}: {value}\r\n" for name, value in headers)
    writer.write(f"{head}{extra}\r\n".encode() + (b"" if bare else body))
    await writer.drain()
    return True
