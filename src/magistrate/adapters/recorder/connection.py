"""The recorder's end of one gateway's connection."""

import logging
import re
import socket
import struct
from collections import deque
from collections.abc import Callable

import msgspec

from magistrate.adapters.recorder.frames import (
    HELLO,
    LARGEST_DRAFT,
    LARGEST_MESSAGE,
    Ack,
    pack_acks,
    read_hello,
    read_piece,
    unpack_draft,
)
from magistrate.adapters.recorder.orders import ORDER, Answer, Order, pack_answer, unpack_order
from magistrate.adapters.recorder.storage import StoreUnavailable
from magistrate.adapters.recorder.writer import Submission
from magistrate.evidence.draft import Draft

LARGEST_GROUP = 512
LARGEST_GROUP_BYTES = 16 * 1024 * 1024
"""One group is one write, one sync and one wait for everybody in it."""

_WID = re.compile(r"[A-Za-z0-9._:-]{1,64}", re.ASCII)
_CREDENTIALS = struct.Struct("3i")
_buffer = memoryview(bytearray(LARGEST_MESSAGE))
"""One for all connections: a message is taken apart before the next is received."""

log = logging.getLogger("magistrate.recorder")


class Connection:
    """One gateway: drafts come in, acknowledgements go out when there is room for them.

    Or one person's command: an order comes in, an answer goes out. Never both, and an order only if ``may_order``.
    """

    def __init__(
        self, peer: socket.socket, greet: Callable[[str, int], None], uid: int, *, may_order: bool
    ) -> None:
        self.socket = peer
        self.uid = uid
        self._may_order = may_order
        self.orders: list[Order] = []
        """What was ordered and not answered yet."""
        self._greet = greet
        self._wid = ""
        self._partial = bytearray()
        self._partial_seq = -1
        self._acks: list[Ack] = []
        self._outbox: deque[bytes] = deque()
        self.handed = -1
        """How many records its writer let go ahead of their durability, as far as was received; -1: it lets none."""
        self.waiting = False
        """Whether acknowledgements wait for room in the socket."""

    def receive(self, group: list[Submission]) -> bool:
        """Add complete drafts to ``group``; return False when the gateway is gone or speaks nonsense."""
        taken, reset = 0, False
        while len(group) < LARGEST_GROUP and taken < LARGEST_GROUP_BYTES:
            try:
                length = self.socket.recv_into(_buffer)
            except BlockingIOError:
                return True
            except ConnectionResetError:
                # A gateway that died with acknowledgements unread: said once, and what it had sent is still there to
                # be read. Some of it may have had its effect already.
                if reset:
                    return False
                reset = True
                continue
            except OSError:
                return False
            if not length:
                return False
            taken += length
            try:
                self._take(_buffer[:length], group)
            except StoreUnavailable:
                # How far its writer has counted stands in a store that is away, which is told elsewhere. It comes again.
                return False
            except (msgspec.DecodeError, struct.error, ValueError, RecursionError) as error:
                log.error(
                    "a connection sent what is no draft and no order of its own (%s): it is closed",
                    type(error).__name__,
                )
                return False
        return True

    def answer(self, answer: Answer) -> None:
        """Let an answer go out with the next `flush`."""
        self._outbox.append(pack_answer(answer))

    def flush(self) -> bool:
        """Send the acknowledgements that are due; return whether some still wait for room."""
        if self._acks:
            self._outbox.extend(pack_acks(self._acks))
            self._acks = []
        while self._outbox:
            try:
                self.socket.send(self._outbox[0])
            except BlockingIOError:
                return True
            except OSError:
                self._outbox.clear()  # the gateway is gone; it hands the drafts over again when it is back
                return False
            self._outbox.popleft()
        return False

    def _take(self, message: memoryview, group: list[Submission]) -> None:
        if message[:1] == ORDER:
            if self._wid or not self._may_order:
                raise ValueError("an order from where none may come")
            self.orders.append(unpack_order(message))
            return
        if message[:1] == HELLO:
            wid, last_index = read_hello(message)
            if not _WID.fullmatch(wid):
                raise ValueError("no name of a writer")
            self._greet(wid, last_index)
            self._wid = wid
            return
        if not self._wid:
            raise ValueError("a draft before the greeting")
        seq, total, piece = read_piece(message)
        if total > LARGEST_DRAFT:
            raise ValueError("too large")
        if len(piece) == total:
            self._submit(seq, unpack_draft(piece), group)
            return
        if seq != self._partial_seq:
            self._partial, self._partial_seq = bytearray(), seq
        self._partial += piece
        if len(self._partial) > total:
            raise ValueError("longer than announced")
        if len(self._partial) == total:
            whole, self._partial, self._partial_seq = self._partial, bytearray(), -1
            self._submit(seq, unpack_draft(whole), group)

    @property
    def wid(self) -> str:
        """The writer's name; empty before its greeting."""
        return self._wid

    def _submit(self, seq: int, draft: Draft, group: list[Submission]) -> None:
        handed = draft.header.get("handed")
        if type(handed) is int and handed > self.handed:
            self.handed = handed
        group.append(Submission(self._wid, seq, draft, self._acks.append))


def user_of(peer: socket.socket) -> int:
    """Return the user id of the process at the other end, from the kernel."""
    _, uid, _ = _CREDENTIALS.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return int(uid)
