"""The simulator as an HTTP server: one small ASGI application on the server that Magistrate itself uses."""

import argparse
import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, TypeAlias

import orjson
import uvloop

from magistrate.adapters.serving import Server
from magistrate.adapters.upstreams.simulator.model import SimulatedAnswer, Simulator
from magistrate.exchange.errors import UpstreamError

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

MODELS = orjson.dumps(
    {
        "object": "list",
        "data": [{"id": "simulator", "object": "model", "created": 0, "owned_by": "magistrate"}],
    }
)

_simulator = Simulator()


async def application(scope: Message, receive: Receive, send: Send) -> None:
    """Answer one request."""
    if scope["type"] != "http":
        return
    if scope["method"] == "GET":
        status, body = (200, MODELS) if scope["path"] == "/v1/models" else (200, b"{}")
        await _start(send, status, {"content-type": "application/json"})
        await send({"type": "http.response.body", "body": body})
        return
    answer = await _simulator.answer(scope["path"], await _body(receive))
    await _start(send, answer.status, answer.headers)
    await _pour(answer, receive, send)


async def _body(receive: Receive) -> bytes:
    pieces: list[bytes] = []
    more = True
    while more:
        message = await receive()
        pieces.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(pieces)


async def _start(send: Send, status: int, headers: Mapping[str, str]) -> None:
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})


async def _pour(answer: SimulatedAnswer, receive: Receive, send: Send) -> None:
    """Send the body; stop when the client goes away. A cut answer ends without its end, as a broken road does."""
    gone = asyncio.ensure_future(receive())
    try:
        async for piece in answer.chunks():
            if gone.done():
                return
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    except UpstreamError:
        return
    finally:
        gone.cancel()


async def serve(host: str, port: int) -> None:
    """Serve until cancelled; print ``ready`` once connections are taken."""
    server = Server(application, address=host, port=port)
    serving = asyncio.ensure_future(server.serve())
    while not serving.done():
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError:
            await asyncio.sleep(0.02)
            continue
        writer.close()
        print("ready", flush=True)  # noqa: T201  because whoever started this process waits for that word
        break
    await serving


def main() -> None:
    parser = argparse.ArgumentParser(description="A simulated model endpoint, in every dialect.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000)
    options = parser.parse_args()
    logging.getLogger("uvicorn.error").disabled = True  # it would report each answer that was to be cut
    uvloop.run(serve(options.host, options.port))
