"""The gateway's end: hands drafts over without blocking and waits for their acknowledgement."""

import asyncio
import contextlib
import logging
import socket
import time
from collections import deque
from collections.abc import Awaitable
from pathlib import Path

import msgspec

from magistrate.adapters.recorder.frames import (
    LARGEST_DRAFT,
    LARGEST_MESSAGE,
    Ack,
    pack_draft,
    pack_hello,
    unpack_acks,
)
from magistrate.adapters.recorder.outstanding import Bound, Outstanding
from magistrate.evidence.draft import Draft, Receipt
from magistrate.exchange.errors import EvidenceUnavailable

MOST_WAITING = 20_000
MOST_WAITING_BYTES = 256 * 1024 * 1024
SWEEP_S = 0.05
"""How often deadlines are looked at and, while the recorder is away, its return is tried."""

BEFORE_EFFECT, BOUNDED_ASYNC = "before-effect", "bounded-async"
"""What a record's own header says it waited for."""

log = logging.getLogger("magistrate.recorder.client")


class _Waiting:
    """A draft without an acknowledgement: kept whole, because a reconnect hands it over again.

    ``ahead``: its effect does not wait for the acknowledgement, only for the hand-over, and it is kept until it is durable.
    """

    __slots__ = ("ahead", "deadline", "eid", "future", "left", "length", "messages", "refused", "sent")

    def __init__(
        self,
        eid: str,
        messages: list[bytes],
        future: "asyncio.Future[Receipt | None]",
        deadline: float,
        *,
        ahead: bool,
    ) -> None:
        self.eid = eid
        self.messages = messages
        self.length = sum(map(len, messages))
        self.left = len(messages)
        """How many messages the socket has not taken."""
        self.future = future
        self.deadline = deadline
        self.ahead = ahead
        self.refused = False
        self.sent = False
        """Whether a recorder may have some of it."""

    def took_one(self) -> None:
        """Take note that the socket took a message."""
        self.left -= 1
        self.sent = True
        if not self.left and self.ahead and not self.future.done():
            self.future.set_result(None)


class RecorderClient:
    """The `EvidenceLog` port over the recorder's socket. One per process; reconnects by itself.

    ``bound`` is how much may go ahead of its durability; None: nothing, and `hand_over` waits as `append` does.
    ``wid`` names this process among writers; it must be fresh at each start. While the recorder is away, drafts wait
    until their deadline, so that its restart is not felt; when it has been away for a whole deadline, they are refused
    at once. A draft that was sent and then given up stays until the recorder answers: it may be on record.
    """

    def __init__(
        self,
        path: Path,
        wid: str,
        *,
        deadline_s: float = 2.0,
        most_waiting: int = MOST_WAITING,
        most_waiting_bytes: int = MOST_WAITING_BYTES,
        bound: Bound | None = None,
    ) -> None:
        self._path = path
        self._wid = wid
        self._deadline_s = deadline_s
        self._most_waiting = most_waiting
        self._most_waiting_bytes = most_waiting_bytes
        self._loop: asyncio.AbstractEventLoop | None = None
        self._socket: socket.socket | None = None
        self._away_since = 0.0
        self._waiting: dict[int, _Waiting] = {}
        self._bound = bound
        self._ahead = Outstanding(bound or Bound())
        self._handed = 0
        """How many records went ahead so far: each says its number, so that one that is lost leaves a gap."""
        self._bytes = 0
        self._seq = 0
        self._last_index = -1
        self._outbox: deque[tuple[_Waiting | None, bytes]] = deque()
        self._upkeep: asyncio.Task[None] | None = None
        self._closed = False
        self.refused = 0
        """How many records were refused or not acknowledged in time since the start."""

    async def connect(self) -> None:
        """Connect for the first time.

        Raises:
            EvidenceUnavailable: nobody listens at the socket.
        """
        self._loop = asyncio.get_running_loop()
        try:
            self._open()
        except OSError as error:
            raise EvidenceUnavailable(
                f"the recorder does not listen at `{self._path}` ({error.strerror})"
            ) from error
        self._upkeep = self._loop.create_task(self._keep_up())

    def append(self, draft: Draft, *, deadline_s: float | None = None) -> Awaitable[Receipt]:
        """See `pipeline.ports.EvidenceLog`. ``deadline_s``: how long to wait, if not as long as usual."""
        try:
            self._require_room()
            draft = self._promised(draft, BEFORE_EFFECT, self._handed)
            messages = self._packed(self._seq + 1, draft)
        except EvidenceUnavailable as error:
            return _unavailable(error)
        deadline = time.monotonic() + (self._deadline_s if deadline_s is None else deadline_s)
        return self._durable(self._put(draft, messages, deadline, ahead=False))

    async def hand_over(self, draft: Draft, *, deadline_s: float | None = None) -> None:
        """See `pipeline.ports.EvidenceLog`.

        Once every byte is in the recorder's socket, only the end of both processes, or of the machine, can lose it: the
        one reads what is there, the other hands it over again.
        """
        self._require_room()
        ahead = self._promised(draft, BOUNDED_ASYNC, self._handed + 1)
        messages = self._packed(self._seq + 1, ahead)
        length = sum(map(len, messages))
        if self._bound is None or not self._bound.admits(
            draft, length - sum(len(body.content) for body in draft.bodies)
        ):
            await self.append(draft, deadline_s=deadline_s)
            return
        deadline = time.monotonic() + (self._deadline_s if deadline_s is None else deadline_s)
        if self._socket is None or not self._ahead.has_room(length, time.monotonic()):
            await self._room_for(length, deadline)
            await self.hand_over(draft, deadline_s=max(0.0, deadline - time.monotonic()))
            return
        self._handed += 1
        self._ahead.add(self._seq + 1, length, time.monotonic())
        waiting = self._put(ahead, messages, deadline, ahead=True)
        self._ahead.wake()  # there may be room for another one in line
        await waiting.future

    def problem(self) -> str | None:
        """Return why records cannot be made at the moment, or None."""
        return "the evidence recorder is not connected" if self._socket is None else None

    async def close(self) -> None:
        """Let go; whoever still waits is told that nothing is known. What went ahead is waited for, within the deadline."""
        deadline = time.monotonic() + self._deadline_s
        if not await self._ahead.settled(deadline):
            log.critical("%d records went ahead and are not known to be durable", len(self._ahead))
        self._closed = True
        if self._upkeep is not None:
            self._upkeep.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._upkeep
        self._detach()
        for waiting in self._waiting.values():
            self._fail(waiting, "the gateway is stopping")
        self._waiting.clear()
        self._bytes = 0

    def _require_room(self) -> None:
        reason = self._full()
        if reason is not None:
            self.refused += 1
            raise EvidenceUnavailable(reason)

    def _promised(self, draft: Draft, durability: str, handed: int) -> Draft:
        """Return ``draft`` with what it waited for in its own header, and how far this writer has counted."""
        told: dict[str, object] = {"durability": durability}
        if self._bound is not None:
            told |= {"handed": handed, "bound": msgspec.structs.asdict(self._bound)}
        return Draft({**draft.header, **told}, draft.bodies, draft.tenant, draft.subject, draft.retention)

    def _put(self, draft: Draft, messages: list[bytes], deadline: float, *, ahead: bool) -> _Waiting:
        """Hand a draft over as the next one."""
        assert self._loop is not None, "`connect` comes first"
        self._seq += 1
        future: asyncio.Future[Receipt | None] = self._loop.create_future()
        waiting = _Waiting(str(draft.header["eid"]), messages, future, deadline, ahead=ahead)
        self._waiting[self._seq] = waiting
        self._bytes += waiting.length
        self._post(waiting)
        return waiting

    async def _durable(self, waiting: _Waiting) -> Receipt:
        receipt = await waiting.future
        assert receipt is not None
        return receipt

    def _fail(self, waiting: _Waiting, reason: str) -> None:
        if not waiting.future.done():
            self.refused += 1
            waiting.future.set_exception(EvidenceUnavailable(reason))

    async def _room_for(self, length: int, deadline: float) -> None:
        """Wait until ``length`` bytes may go ahead: the recorder is there and has caught up."""
        while self._socket is None or not self._ahead.has_room(length, time.monotonic()):
            if self._closed or not await self._ahead.turn(deadline):
                self.refused += 1
                raise EvidenceUnavailable("the recorder has not caught up with what went ahead")

    def _full(self) -> str | None:
        if self._closed:
            return "the gateway is stopping"
        if self._socket is None and time.monotonic() - self._away_since > self._deadline_s:
            return "the recorder is not connected"
        if len(self._waiting) >= self._most_waiting:
            return f"{len(self._waiting)} records already wait for the recorder"
        if self._bytes >= self._most_waiting_bytes:
            return f"{self._bytes} bytes of records already wait for the recorder"
        return None

    def _packed(self, seq: int, draft: Draft) -> list[bytes]:
        try:
            messages = pack_draft(seq, draft)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            self.refused += 1
            raise EvidenceUnavailable(f"not a record: {error}") from error
        if sum(map(len, messages)) > LARGEST_DRAFT:
            self.refused += 1
            raise EvidenceUnavailable(f"a record of more than {LARGEST_DRAFT} bytes cannot be kept")
        return messages

    def _open(self) -> None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        try:
            connection.connect(str(self._path))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * 1024 * 1024)
        except OSError:
            connection.close()
            raise
        assert self._loop is not None
        self._socket = connection
        self._loop.add_reader(connection.fileno(), self._readable)
        self._outbox.clear()
        self._outbox.append((None, pack_hello(self._wid, self._last_index)))
        for waiting in self._waiting.values():
            waiting.left, waiting.refused = len(waiting.messages), False
            self._outbox.extend((waiting, message) for message in waiting.messages)
        self._loop.add_writer(connection.fileno(), self._writable)

    def _post(self, waiting: _Waiting) -> None:
        """Send what the socket takes now; the rest goes when it takes more."""
        if self._socket is None:
            return  # goes out with all that waits, when the recorder is back
        if self._outbox:
            self._outbox.extend((waiting, message) for message in waiting.messages)
            return
        for number, message in enumerate(waiting.messages):
            try:
                self._socket.send(message)
            except BlockingIOError:
                self._outbox.extend((waiting, later) for later in waiting.messages[number:])
                assert self._loop is not None
                self._loop.add_writer(self._socket.fileno(), self._writable)
                return
            except OSError as error:
                self._lost(error)
                return
            waiting.took_one()

    def _writable(self) -> None:
        while self._outbox and self._socket is not None:
            waiting, message = self._outbox[0]
            try:
                self._socket.send(message)
            except BlockingIOError:
                return
            except OSError as error:
                self._lost(error)
                return
            self._outbox.popleft()
            if waiting is not None:
                waiting.took_one()
        if self._socket is not None:
            assert self._loop is not None
            self._loop.remove_writer(self._socket.fileno())

    def _readable(self) -> None:
        """Take one message: one holds all that was acknowledged together, and if there is another the loop calls again."""
        if self._socket is None:
            return
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
        try:
            acks = unpack_acks(message)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._lost(OSError(0, "it speaks nonsense"))
            return
        for ack in acks:
            self._take(ack)

    def _take(self, ack: Ack) -> None:
        waiting = self._waiting.get(ack.seq)
        if waiting is None:
            return
        if ack.reason and waiting.ahead:
            # Its effect cannot be taken back, so it is handed over again until it is durable; the bound is full meanwhile.
            log.error("a record that went ahead is refused (%s); it is handed over again", ack.reason)
            waiting.refused = True
            return
        del self._waiting[ack.seq]
        self._bytes -= waiting.length
        if ack.reason:
            self._fail(waiting, ack.reason)
        else:
            self._last_index = ack.index  # the newest, not the highest: a new shard counts from 0
            if not waiting.future.done():
                waiting.future.set_result(ack.receipt(waiting.eid))
        if waiting.ahead:
            self._ahead.remove(ack.seq)

    def _lost(self, error: OSError | None) -> None:
        log.error(
            "the recorder is gone (%s); %d records wait for it",
            error.strerror if error else "closed",
            len(self._waiting),
        )
        self._detach()

    def _detach(self) -> None:
        connection, self._socket = self._socket, None
        self._away_since = time.monotonic()
        self._outbox.clear()
        if connection is not None:
            assert self._loop is not None
            self._loop.remove_reader(connection.fileno())
            self._loop.remove_writer(connection.fileno())
            connection.close()

    def _expire(self) -> None:
        now = time.monotonic()
        never_sent: list[int] = []
        for seq, waiting in self._waiting.items():
            if waiting.deadline > now:
                continue
            self._fail(waiting, "no acknowledgement from the recorder in time")
            if not waiting.sent and self._socket is None and not waiting.ahead:
                never_sent.append(seq)
        for seq in never_sent:
            self._bytes -= self._waiting.pop(seq).length

    async def _keep_up(self) -> None:
        """Let go of what waited too long; reconnect when the recorder is back."""
        while not self._closed:
            await asyncio.sleep(SWEEP_S)
            self._expire()
            if self._socket is None:
                with contextlib.suppress(OSError):
                    self._open()
                    log.warning("the recorder is back")
                    self._ahead.wake()
            for waiting in list(self._waiting.values()) if self._ahead else ():
                if waiting.refused and self._socket is not None:
                    waiting.left, waiting.refused = len(waiting.messages), False
                    self._post(waiting)


async def _unavailable(error: EvidenceUnavailable) -> Receipt:
    raise error
