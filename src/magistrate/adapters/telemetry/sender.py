"""The gateway's end: observations leave in batches, without waiting, or are counted as dropped."""

import asyncio
import socket
from pathlib import Path

import msgspec

from magistrate.pipeline.ports import Observation

FLUSH_AFTER_S = 0.1
"""How long an observation may wait for company; the live feed is that much behind."""
BATCH_BYTES = 96 << 10
"""Well under Linux's default datagram limit (212,992 bytes of socket buffer). Large, because the kernel queues only
ten or so datagrams (``net.unix.max_dgram_qlen``): ten full batches bridge a second in which the receiver is busy."""
LONGEST_OBSERVATION = 24 << 10


class Batch(msgspec.Struct, frozen=True, array_like=True):
    """What one datagram holds. ``dropped`` counts what the sender lost since its last batch that went out."""

    dropped: int
    observations: tuple[Observation, ...]


class _Packed(msgspec.Struct, frozen=True, array_like=True):
    """A `Batch` whose observations are encoded already: the same bytes, each encoded once."""

    dropped: int
    observations: tuple[msgspec.Raw, ...]


class TelemetrySender:
    """Answers the `Telemetry` port over a Unix datagram socket. Never blocks, never raises.

    The receiver may be absent, start later or come back: meanwhile observations are dropped and counted. Evidence is
    kept elsewhere; losing an observation loses a number, never a record.
    """

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._socket = socket.socket(
            socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        )
        self._encoder = msgspec.msgpack.Encoder()
        self._waiting: list[msgspec.Raw] = []
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self.dropped = 0
        """Observations lost since the last batch that went out."""

    def observe(self, event: Observation) -> None:
        try:
            packed = self._encoder.encode(event)
        except (TypeError, ValueError, OverflowError):  # numbers out of MessagePack's range
            self.dropped += 1
            return
        if len(packed) > LONGEST_OBSERVATION:
            self.dropped += 1
            return
        if self._bytes + len(packed) > BATCH_BYTES:
            self.flush()
        self._waiting.append(msgspec.Raw(packed))
        self._bytes += len(packed)
        if self._timer is None:
            try:
                self._timer = asyncio.get_running_loop().call_later(FLUSH_AFTER_S, self.flush)
            except RuntimeError:  # no loop is running, so nobody would flush later
                self.flush()

    def flush(self) -> None:
        """Send what waits, now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting, self._bytes = self._waiting, [], 0
        if not waiting:
            return
        try:
            self._socket.sendto(self._encoder.encode(_Packed(self.dropped, tuple(waiting))), self._path)
        except OSError:  # nobody listens, or the receiver is behind
            self.dropped += len(waiting)
        else:
            self.dropped = 0

    def close(self) -> None:
        """Send what waits and close the socket."""
        self.flush()
        self._socket.close()
