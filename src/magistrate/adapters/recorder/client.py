"""The gateway's end: hands drafts over without blocking and waits for their acknowledgement."""

import asyncio
import contextlib
import logging
import socket
import time
from collections import deque
from pathlib import Path

from magistrate.adapters.recorder.frames import pack_draft, pack_hello, unpack_acks
from magistrate.evidence.draft import Draft, Receipt
from magistrate.exchange.errors import EvidenceUnavailable

MOST_WAITING = 20_000
MOST_WAITING_BYTES = 256 * 1024 * 1024
SWEEP_S = 0.1
LARGEST_MESSAGE = 256 * 1024

log = logging.getLogger("magistrate.recorder.client")


class _Waiting:
    """A draft that is not acknowledged yet: kept whole, because a reconnect hands it over again."""

    __slots__ = ("deadline", "eid", "future", "length", "messages")

    def __init__(
        self, eid: str, messages: list[bytes], future: "asyncio.Future[Receipt]", deadline: float
    ) -> None:
        self.eid = eid
        self.messages = messages
        self.length = sum(map(len, messages))
        self.future = future
        self.deadline = deadline


class RecorderClient:
    """The `EvidenceLog` port over the recorder's socket. One per process; reconnects by itself."""

    def __init__(self, path: Path, *, wid: str, deadline_s: float = 2.0) -> None:
        self._path = path
        self._wid = wid
        self._deadline_s = deadline_s
        self._socket: socket.socket | None = None
        self._waiting: dict[int, _Waiting] = {}
        self._bytes = 0
        self._seq = 0
        self._outbox: deque[bytes] = deque()
        self._upkeep: asyncio.Task[None] | None = None
        self._closed = False

    async def connect(self) -> None:
        """Connect for the first time.

        Raises:
            EvidenceUnavailable: nobody listens at the socket.
        """
        try:
            self._open()
        except OSError as error:
            raise EvidenceUnavailable(
                f"the recorder does not listen at `{self._path}` ({error.strerror})"
            ) from error
        self._upkeep = asyncio.get_running_loop().create_task(self._keep_up())

    async def append(self, draft: Draft) -> Receipt:
        """See `pipeline.ports.EvidenceLog`."""
        if self._socket is None:
            raise EvidenceUnavailable("the recorder is not connected")
        if len(self._waiting) >= MOST_WAITING or self._bytes >= MOST_WAITING_BYTES:
            raise EvidenceUnavailable(f"{len(self._waiting)} records already wait for the recorder")
        self._seq += 1
        seq = self._seq
        messages = pack_draft(seq, draft)
        future: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        waiting = _Waiting(str(draft.header["eid"]), messages, future, time.monotonic() + self._deadline_s)
        self._waiting[seq] = waiting
        self._bytes += waiting.length
        self._post(messages)
        try:
            return await future
        finally:
            if self._waiting.pop(seq, None) is not None:
                self._bytes -= waiting.length

    def problem(self) -> str | None:
        """Return why records cannot be made at the moment, or None."""
        return "the evidence recorder is not connected" if self._socket is None else None

    async def close(self) -> None:
        self._closed = True
        if self._upkeep is not None:
            self._upkeep.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._upkeep
        self._drop("the gateway is stopping")

    def _open(self) -> None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            connection.connect(str(self._path))
        except OSError:
            connection.close()
            raise
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * 1024 * 1024)
        self._socket = connection
        asyncio.get_running_loop().add_reader(connection.fileno(), self._readable)
        self._outbox.clear()
        self._post([pack_hello(self._wid)])
        for waiting in self._waiting.values():
            self._post(waiting.messages)

    def _post(self, messages: list[bytes]) -> None:
        """Send what the socket takes now; the rest goes when it takes more."""
        if self._outbox:
            self._outbox.extend(messages)
            return
        assert self._socket is not None
        for number, message in enumerate(messages):
            try:
                self._socket.send(message)
            except BlockingIOError:
                self._outbox.extend(messages[number:])
                asyncio.get_running_loop().add_writer(self._socket.fileno(), self._writable)
                return
            except OSError as error:
                self._lost(error)
                return

    def _writable(self) -> None:
        while self._outbox and self._socket is not None:
            try:
                self._socket.send(self._outbox[0])
            except BlockingIOError:
                return
            except OSError as error:
                self._lost(error)
                return
            self._outbox.popleft()
        if self._socket is not None:
            asyncio.get_running_loop().remove_writer(self._socket.fileno())

    def _readable(self) -> None:
        while self._socket is not None:
            try:
                message = self._socket.recv(LARGEST_MESSAGE)
            except BlockingIOError:
                return
            except OSError as error:
                self._lost(error)
                return
            if not message:
                self._lost(None)
                return
            for ack in unpack_acks(message):
                waiting = self._waiting.get(ack.seq)
                if waiting is None or waiting.future.done():
                    continue
                if ack.reason:
                    waiting.future.set_exception(EvidenceUnavailable(ack.reason))
                else:
                    waiting.future.set_result(ack.receipt(waiting.eid))

    def _lost(self, error: OSError | None) -> None:
        log.error(
            "the recorder is gone (%s); records wait, calls are refused",
            error.strerror if error else "closed",
        )
        self._detach()

    def _detach(self) -> None:
        connection, self._socket = self._socket, None
        if connection is not None:
            loop = asyncio.get_running_loop()
            loop.remove_reader(connection.fileno())
            loop.remove_writer(connection.fileno())
            connection.close()

    def _drop(self, reason: str) -> None:
        self._detach()
        for waiting in self._waiting.values():
            if not waiting.future.done():
                waiting.future.set_exception(EvidenceUnavailable(reason))

    async def _keep_up(self) -> None:
        """Let go of what waited too long; reconnect when the recorder is back."""
        while not self._closed:
            await asyncio.sleep(SWEEP_S)
            now = time.monotonic()
            for waiting in self._waiting.values():
                if waiting.deadline > now:
                    break  # they wait in order, so the rest is younger
                if not waiting.future.done():
                    reason = f"no acknowledgement from the recorder within {self._deadline_s:g} s"
                    waiting.future.set_exception(EvidenceUnavailable(reason))
            if self._socket is None:
                with contextlib.suppress(OSError):
                    self._open()
                    log.warning("the recorder is back")
