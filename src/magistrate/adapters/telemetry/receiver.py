"""The control process's end of telemetry."""

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path

import msgspec

from magistrate.adapters.telemetry.sender import Batch
from magistrate.pipeline.ports import Observation

LONGEST_DATAGRAM = 256 << 10
PER_WAKE = 64
"""Datagrams read before other work of the loop gets its turn."""


class Receiver:
    """Owns the socket at ``path`` (0600: only processes of our user can write to it)."""

    def __init__(
        self, path: Path, deliver: Callable[[Observation], None], lost: Callable[[int, int], None]
    ) -> None:
        """Bind. ``lost(dropped, malformed)`` is told what senders dropped and what could not be read.

        Raises:
            OSError: the path cannot be bound.
        """
        self._path = path
        self._deliver = deliver
        self._lost = lost
        self._decoder = msgspec.msgpack.Decoder(Batch)
        self._socket = socket.socket(
            socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        )
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            self._socket.bind(str(path))
        finally:
            os.umask(before)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Read whenever something arrives, from now until `close`."""
        loop.add_reader(self._socket.fileno(), self.drain)

    def drain(self) -> None:
        """Read what is there, at most `PER_WAKE` datagrams."""
        for _ in range(PER_WAKE):
            try:
                datagram = self._socket.recv(LONGEST_DATAGRAM)
            except BlockingIOError:
                return
            try:
                batch = self._decoder.decode(datagram)
            except (msgspec.DecodeError, UnicodeDecodeError):
                self._lost(0, 1)
                continue
            if batch.dropped:
                self._lost(batch.dropped, 0)
            for observation in batch.observations:
                self._deliver(observation)

    def close(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        if loop is not None:
            loop.remove_reader(self._socket.fileno())
        self._socket.close()
        self._path.unlink(missing_ok=True)
