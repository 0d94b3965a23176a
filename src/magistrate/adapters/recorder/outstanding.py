"""What has gone ahead before its record was durable: how much, for how long, and who waits for room.

*Bound*: how much may. *Outstanding*: the records that the recorder holds and has not acknowledged yet.
"""

import asyncio
import time
from collections import deque

import msgspec

from magistrate.adapters.recorder.writer import check
from magistrate.evidence.draft import Draft

MOST_RECORDS = 1024
MOST_BYTES = 64 * 1024 * 1024
MOST_MS = 1000
"""Nobody may configure a bound above these."""

LARGEST_HEADER = 32 * 1024
"""Bytes of a draft without its content. The recorder refuses headers of twice that with all that it adds; what it could
refuse must not go ahead."""


class Bound(msgspec.Struct, frozen=True):
    """At most so many records, bytes of records, and milliseconds between the hand-over of the oldest and the newest."""

    records: int = 64
    bytes: int = 8 * 1024 * 1024
    ms: int = 100

    def __post_init__(self) -> None:
        within = (
            1 <= self.records <= MOST_RECORDS and 1 <= self.bytes <= MOST_BYTES and 1 <= self.ms <= MOST_MS
        )
        if not within:
            raise ValueError("a bound lies outside of what a bound may be")

    def admits(self, draft: Draft, overhead: int = 0) -> bool:
        """Return whether a record may go ahead at all: its form is beyond doubt, and it fits the bound by itself."""
        try:
            check(draft, own=False)
        except ValueError:
            return False
        content = sum(len(body.content) for body in draft.bodies)
        return overhead <= LARGEST_HEADER and content + overhead <= self.bytes


class Outstanding:
    """Records that went ahead, by sequence number, oldest first. One event loop."""

    def __init__(self, bound: Bound) -> None:
        self.bound = bound
        self._records: dict[int, tuple[int, float]] = {}
        self._bytes = 0
        self._waiters: deque[asyncio.Future[None]] = deque()

    def __len__(self) -> int:
        return len(self._records)

    def has_room(self, length: int, now: float) -> bool:
        """Return whether a record of ``length`` bytes may go ahead at ``now`` (monotonic seconds)."""
        if not self._records:
            return True
        _, since = next(iter(self._records.values()))
        return (
            len(self._records) < self.bound.records
            and self._bytes + length <= self.bound.bytes
            and (now - since) * 1000 < self.bound.ms
        )

    def add(self, seq: int, length: int, now: float) -> None:
        self._records[seq] = (length, now)
        self._bytes += length

    def remove(self, seq: int) -> None:
        """Take note that a record is durable, and let the next one in line look for room."""
        length, _ = self._records.pop(seq, (0, 0.0))
        self._bytes -= length
        self.wake()

    def wake(self) -> None:
        """Let the first in line look again: there is room, or the recorder is back."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    async def settled(self, deadline: float) -> bool:
        """Wait until nothing is outstanding; False when ``deadline`` (monotonic seconds) passed first."""
        while self._records:
            if not await self.turn(deadline):
                return False
            self.wake()
        return True

    async def turn(self, deadline: float) -> bool:
        """Wait in line for a reason to look again; False when ``deadline`` (monotonic seconds) passed first."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(deadline - time.monotonic()):
                await waiter
        except TimeoutError:
            return False
        except asyncio.CancelledError:
            if waiter.done():
                self.wake()  # the turn was ours and we go: somebody else's now
            raise
        return True
