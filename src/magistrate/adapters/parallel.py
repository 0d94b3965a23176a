"""A copy of a log read by several processes at once; one other judges what they read.

Threads would not do: most of the work is parsing, which holds the interpreter. Each process opens the copy by itself and
is told numbers of bundles; what it read comes back as one message for many bundles.
"""

import multiprocessing
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from pathlib import Path

import msgspec

from magistrate.adapters.copied import LogCopy
from magistrate.evidence.reading import Bundle, Bundles, read_bundle, read_bundles
from magistrate.evidence.report import Problem, Verdict
from magistrate.evidence.tiles import WIDTH

AT_A_TIME = 8
"""Bundles in one task: 2,048 records, some tens of milliseconds; a few hundred kilobytes come back."""

WORTH_IT = 40_000
"""Records: below it a log is read sooner than other processes have started."""

MOST_PROCESSES = 4
"""What one process can judge of what others read, about."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Bundle])
_copy: LogCopy | None = None
_bodies = False


def cores() -> int:
    """Return how many processes are worth starting here."""
    return min(MOST_PROCESSES, len(os.sched_getaffinity(0)))


def read_copy(root: Path, *, bodies: bool, processes: int) -> Bundles:
    """Return what reads the copy under ``root``, in ``processes`` of its own if the log is long enough.

    A process that the system ends (for want of memory, say) leaves the verdict open: it is a broken bundle.
    """

    def bundles(origin: str, size: int) -> Iterator[Bundle]:
        if processes < 2 or size < WORTH_IT:
            with closing(LogCopy(root)) as copy:
                yield from read_bundles(copy.objects, copy.ciphertext if bodies else None)(origin, size)
            return
        # Spawned, not forked: whoever verifies may have threads.
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(processes, context, _begin, (root, bodies))
        try:
            for bundle in _read(pool, processes, origin, size):
                yield bundle
                if bundle.broken is not None:
                    return
        except BrokenProcessPool:
            what = "a process that read it was ended by the system; `--processes 1` needs the least memory"
            yield Bundle(broken=Problem(Verdict.UNDECIDABLE, "log", what))
        finally:
            pool.shutdown(cancel_futures=True)

    return bundles


def _read(pool: ProcessPoolExecutor, processes: int, origin: str, size: int) -> Iterator[Bundle]:
    """Keep every process busy, and no more read than is soon judged; yield bundles in order."""
    waiting: deque[Future[bytes]] = deque()
    bundles = (size + WIDTH - 1) // WIDTH
    for first in range(0, bundles, AT_A_TIME):
        numbers = range(first, min(first + AT_A_TIME, bundles))
        waiting.append(pool.submit(_read_some, origin, size, numbers))
        if len(waiting) > 2 * processes:
            yield from _decoder.decode(waiting.popleft().result())
    while waiting:
        yield from _decoder.decode(waiting.popleft().result())


def _begin(root: Path, bodies: bool) -> None:
    global _copy, _bodies
    _copy, _bodies = LogCopy(root), bodies


def _read_some(origin: str, size: int, numbers: range) -> bytes:
    assert _copy is not None
    read = []
    for number in numbers:
        bundle = read_bundle(_copy.objects, _copy.ciphertext if _bodies else None, origin, size, number)
        read.append(bundle)
        if bundle.broken is not None:
            break
    return _encoder.encode(read)
