"""The simulator behind the `Upstream` port."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from types import ModuleType
from typing import Protocol, cast
from urllib.parse import unquote

import orjson

from magistrate.adapters.upstreams.simulator import chat, embeddings, gemini, messages, responses
from magistrate.adapters.upstreams.simulator.conversation import Asked, Json, Reply, compose
from magistrate.adapters.upstreams.simulator.script import Script
from magistrate.exchange.endpoint import Endpoint
from magistrate.exchange.errors import UpstreamError
from magistrate.pipeline.ports import UpstreamAnswer, UpstreamRequest

JSON = {"content-type": "application/json", "server": "magistrate-simulator"}
STREAM = {"content-type": "text/event-stream", "server": "magistrate-simulator"}


class Writer(Protocol):
    """What each dialect's module offers."""

    read: Callable[[bytes, Json, str, str], Asked]
    whole: Callable[[Reply], bytes]
    stream: Callable[[Reply, Asked], Iterator[bytes]]
    error: Callable[[int, str], bytes]


def _writer(module: ModuleType) -> Writer:
    return cast("Writer", module)


class Simulator:
    """A model in this process. ``request.path`` says which dialect it is to speak."""

    async def call(self, endpoint: Endpoint, request: UpstreamRequest) -> UpstreamAnswer:
        """See `pipeline.ports.Upstream`; the package's docstring says how a message steers the answer."""
        return await self.answer(request.path, request.body, (endpoint.id, endpoint.provider, endpoint.model))

    async def aclose(self) -> None:
        """See `pipeline.ports.Upstream`: there is nothing to let go of."""

    async def answer(self, path: str, body: bytes, names: tuple[str, ...] = ()) -> "SimulatedAnswer":
        """Answer a POST to ``path``; ``names`` are those under which a directive may order a failure."""
        writer, model, verb = _route(path.partition("?")[0])
        if writer is None:
            return _error(chat.error, 404, f"the simulator has no `{path}`")
        try:
            tree = orjson.loads(body)
        except orjson.JSONDecodeError:
            tree = None
        if not isinstance(tree, dict):
            return _error(writer.error, 400, "the simulator wants a JSON object")
        if verb == "embeddings":
            return SimulatedAnswer(200, JSON, iter((embeddings.whole(body, tree),)))
        asked = writer.read(body, tree, model, verb)
        if verb == "count_tokens":
            return SimulatedAnswer(200, JSON, iter((messages.count(asked),)))
        if verb == "countTokens":
            return SimulatedAnswer(200, JSON, iter((gemini.count(asked),)))
        reply = compose(asked)
        if reply.script.hang_s:
            await asyncio.sleep(reply.script.hang_s)
        if reply.script.fails_at(asked.model, *names):
            status = reply.script.fail
            return _error(writer.error, status, f"the simulator was told to fail with {status}")
        if asked.stream:
            return SimulatedAnswer(200, STREAM, _events(reply, asked, writer), reply.script)
        return SimulatedAnswer(200, JSON, _pieces(reply, writer), reply.script)


_FIXED: Mapping[str, tuple[Writer, str]] = {
    "/chat/completions": (_writer(chat), "chat"),
    "/responses": (_writer(responses), "responses"),
    "/messages": (_writer(messages), "messages"),
    "/messages/count_tokens": (_writer(messages), "count_tokens"),
    "/embeddings": (_writer(chat), "embeddings"),
}
_MODELS = "/models/"
_VERBS = frozenset(("generateContent", "streamGenerateContent", "countTokens"))


def _route(path: str) -> tuple[Writer | None, str, str]:
    """Return who writes, the model and the verb that stand in ``path``, with or without the API's version."""
    path = path.removeprefix("/v1beta").removeprefix("/v1")
    if (fixed := _FIXED.get(path)) is not None:
        return fixed[0], "", fixed[1]
    if path.startswith(_MODELS):
        model, _, verb = path.removeprefix(_MODELS).rpartition(":")
        if verb in _VERBS:
            return _writer(gemini), unquote(model), verb
    return None, "", ""


def _error(write: Callable[[int, str], bytes], status: int, message: str) -> "SimulatedAnswer":
    headers = {**JSON, "retry-after": "1"} if status in (429, 503) else JSON
    return SimulatedAnswer(status, headers, iter((write(status, f"[simulator] {message}"),)))


def _events(reply: Reply, asked: Asked, writer: Writer) -> Iterator[bytes]:
    script = reply.script
    for number, piece in enumerate(writer.stream(reply, asked)):
        if number == script.cut_after:
            raise _cut()
        if script.malformed and number == 1:
            yield b'data: {"malformed": "[simulator]\n\n'
        yield piece
    if script.cut_after is not None:
        raise _cut()


def _pieces(reply: Reply, writer: Writer) -> Iterator[bytes]:
    body = writer.whole(reply)
    if reply.script.malformed:
        yield b'{"malformed": "[simulator]'
    elif reply.script.cut_after is not None:
        yield body[: len(body) // 2]
        raise _cut()
    else:
        yield body


def _cut() -> UpstreamError:
    return UpstreamError("the simulator was told to break off", sent=True)


class SimulatedAnswer:
    """The `UpstreamAnswer` port over pieces that are made when they are pulled."""

    def __init__(
        self, status: int, headers: Mapping[str, str], pieces: Iterator[bytes], script: Script | None = None
    ) -> None:
        self.status = status
        self.headers = headers
        self._pieces = pieces
        self._pause_s = script.pause_s if script else 0.0

    async def read(self, limit: int) -> bytes:
        """Return the whole body. Raises `UpstreamError`."""
        read = 0
        gathered: list[bytes] = []
        async for piece in self.chunks():
            read += len(piece)
            if read > limit:
                raise UpstreamError(f"the answer is longer than {limit} bytes", sent=True)
            gathered.append(piece)
        return b"".join(gathered)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body, a piece at a time. Raises `UpstreamError`."""
        first = True
        for piece in self._pieces:
            if self._pause_s and not first:
                await asyncio.sleep(self._pause_s)
            first = False
            yield piece

    async def aclose(self) -> None:
        self._pieces = iter(())
