"""The live feed: the last observations, and watchers of the next."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import msgspec

from magistrate.pipeline.ports import Observation

KEPT = 1_000
BEHIND = 500
"""Events a watcher may be behind before the oldest are skipped (and counted to it)."""
WATCHERS = 50


class Watcher:
    """One reader's queue. A slow reader loses events, and is told how many; it never slows anybody."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._awake = asyncio.Event()
        self._skipped = 0

    def put(self, event: tuple[int, bytes]) -> None:
        if len(self._waiting) >= BEHIND:
            self._waiting.popleft()
            self._skipped += 1
        self._waiting.append(event)
        self._awake.set()

    async def take(self) -> tuple[int, list[tuple[int, bytes]]]:
        """Wait for events; return how many were skipped since the last call, and the events."""
        await self._awake.wait()
        self._awake.clear()
        taken, skipped = list(self._waiting), self._skipped
        self._waiting.clear()
        self._skipped = 0
        return skipped, taken


class Feed:
    """Numbers observations from 1 and keeps the last `KEPT` as JSON. Belongs to one event loop."""

    def __init__(self) -> None:
        self._kept: deque[tuple[int, bytes]] = deque(maxlen=KEPT)
        self._watchers: set[Watcher] = set()
        self._encoder = msgspec.json.Encoder()
        self._count = 0

    @property
    def count(self) -> int:
        """How many observations ever came in."""
        return self._count

    def publish(self, seen: Observation) -> None:
        self._count += 1
        event = (self._count, self._encoder.encode(seen))
        self._kept.append(event)
        for watcher in self._watchers:
            watcher.put(event)

    def recent(self, last: int, after: int = 0) -> list[tuple[int, bytes]]:
        """Return at most the ``last`` kept events numbered above ``after``, oldest first."""
        if last <= 0:
            return []
        return [event for event in self._kept if event[0] > after][-last:]

    @contextmanager
    def watching(self) -> Iterator[Watcher | None]:
        """Register a watcher for the block; None when there are too many already."""
        if len(self._watchers) >= WATCHERS:
            yield None
            return
        watcher = Watcher()
        self._watchers.add(watcher)
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)


async def lines(feed: Feed, *, last: int = 0, after: int = 0, every_s: float = 15.0) -> AsyncIterator[bytes]:
    """Yield server-sent events: the ``last`` ones above ``after``, then new ones; a comment when all is quiet."""
    with feed.watching() as watcher:
        if watcher is None:
            yield b'event: error\ndata: {"error":"too many watchers; close one"}\n\n'
            return
        yield b": magistrate\n\n" + b"".join(map(_sse, feed.recent(last, after)))
        while True:
            try:
                async with asyncio.timeout(every_s):
                    skipped, events = await watcher.take()
            except TimeoutError:
                yield b": quiet\n\n"
                continue
            told = b'event: skipped\ndata: {"skipped":%d}\n\n' % skipped if skipped else b""
            yield told + b"".join(map(_sse, events))


def _sse(event: tuple[int, bytes]) -> bytes:
    return b"id: %d\ndata: %s\n\n" % event
