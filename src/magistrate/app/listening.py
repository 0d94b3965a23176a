"""Whether an address can be listened on, whether somebody answers there, and how a server of ours begins and ends."""

import asyncio
import errno
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from magistrate.adapters.serving import Server
from magistrate.app.settings import split_address
from magistrate.exchange.errors import ConfigurationError

ANSWERS_WITHIN_S = 5.0
STOP_WITHIN_S = 5.0


async def serve_until_told(
    server: Server,
    address: str,
    ready: Callable[[], None],
    *,
    beside: Sequence[Coroutine[Any, Any, None]] = (),
    stopping: Callable[[], Awaitable[object]] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, or until the server or what runs ``beside`` it ends.

    ``ready`` is called once ``address`` answers; ``stopping`` is awaited before the server is told to end, and what runs
    beside it is cancelled only then.

    Raises:
        ConfigurationError: nothing answers on ``address``, or a part ended without being told to.
    """
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    serving = asyncio.ensure_future(server.serve())
    others = [asyncio.ensure_future(one) for one in (*beside, _until(told))]
    try:
        await answers(address)
        ready()
        await asyncio.wait([serving, *others], return_when=asyncio.FIRST_COMPLETED)
    finally:
        if stopping is not None:
            await stopping()
        server.stop()
        for other in others:
            other.cancel()
        await asyncio.wait([serving, *others], timeout=STOP_WITHIN_S)
    if not told.is_set():
        raise ConfigurationError(f"a part of the server on `{address}` ended by itself")


async def _until(told: asyncio.Event) -> None:
    await told.wait()


def taken(address: str) -> str | None:
    """Return why ``host:port`` cannot be bound, or None when it can.

    Asked before the server starts, because servers that share ports (SO_REUSEPORT) would start beside a stranger.
    """
    host, port = split_address(address)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        with socket.socket(*found[0][:2]) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(found[0][4])
    except OSError as error:
        return (
            "is in use by another process"
            if error.errno == errno.EADDRINUSE
            else f"cannot be bound ({error})"
        )
    return None


def require_free(address: str, setting: str) -> None:
    """Raise unless ``address`` can be listened on.

    Raises:
        ConfigurationError: naming the setting to change.
    """
    why = taken(address)
    if why is not None:
        raise ConfigurationError(f"`{address}` {why}; stop that process or choose another port", setting)


async def answers(address: str, within_s: float = ANSWERS_WITHIN_S) -> None:
    """Return once a connection to ``address`` succeeds.

    Raises:
        ConfigurationError: none does in time.
    """
    host, port = split_address(address)
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  because it is compared, not bound
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return
    raise ConfigurationError(f"nothing answers on `{address}` after {within_s:g} s")
