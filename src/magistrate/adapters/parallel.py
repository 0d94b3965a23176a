"""A copy of a log read by several processes at once; one other judges what they read.

Threads would not do: most of the work is parsing, which holds the interpreter. Nor would `multiprocessing`, whose
processes begin by importing the program that started them, all of it. These import this module, read every n-th run of
bundles, and write what each says to their standard output.
"""

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import IO

import msgspec

from magistrate.adapters.copied import LogCopy
from magistrate.evidence.reading import Bundle, Bundles, read_bundle
from magistrate.evidence.report import Problem, Verdict
from magistrate.evidence.shapes import Shapes
from magistrate.evidence.tiles import WIDTH, entries_path

AT_A_TIME = 8
"""Bundles in one message: 2,048 records, some tens of milliseconds of reading; about 800 KB."""

PIPE_BYTES = 1 << 20
"""What one process may be ahead of the judge: a message, so that neither waits for the other. Linux allows it to all."""

WORTH_IT = 16_384
"""Records: below it a log is read sooner than other processes have started."""

MOST_PROCESSES = 4
"""What one process can judge of what others read, about."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Bundle])


class Share(msgspec.Struct, frozen=True):
    """What one process reads: of a copy, every ``of``-th run of bundles from number ``which`` on."""

    root: str
    bodies: bool
    origin: str
    size: int
    which: int
    of: int
    at_a_time: int

    def runs(self) -> Iterator[range]:
        bundles = (self.size + WIDTH - 1) // WIDTH
        for first in range(self.which * self.at_a_time, bundles, self.of * self.at_a_time):
            yield range(first, min(first + self.at_a_time, bundles))

    def read(self) -> Iterator[list[Bundle]]:
        """Yield what each run says; the last one ends with a bundle that is broken, if one is."""
        shapes = Shapes()
        with closing(LogCopy(Path(self.root))) as copy:
            for numbers in self.runs():
                run: list[Bundle] = []
                for number in numbers:
                    run.append(self._bundle(copy, number, shapes))
                    if run[-1].broken is not None:
                        break
                yield run
                if run[-1].broken is not None:
                    return

    def _bundle(self, copy: LogCopy, number: int, shapes: Shapes) -> Bundle:
        ciphertext = copy.ciphertext if self.bodies else None
        try:
            return read_bundle(copy.objects, ciphertext, self.origin, self.size, number, shapes)
        except OSError as error:
            what = f"cannot be read ({error.strerror})"
            return Bundle(broken=Problem(Verdict.UNDECIDABLE, entries_path(number), what))


def cores() -> int:
    """Return how many processes are worth starting here."""
    return min(MOST_PROCESSES, len(os.sched_getaffinity(0)))


def read_copy(root: Path, *, bodies: bool, processes: int) -> Bundles:
    """Return what reads the copy under ``root``, in ``processes`` of its own if the log is long enough.

    A process that the system ends (for want of memory, say) leaves the verdict open: it is a broken bundle.
    """

    def bundles(origin: str, size: int) -> Iterator[Bundle]:
        of = processes if processes > 1 and size >= WORTH_IT else 1
        shares = [Share(str(root), bodies, origin, size, which, of, AT_A_TIME) for which in range(of)]
        runs = shares[0].read() if of == 1 else _elsewhere(shares)
        return (bundle for run in runs for bundle in run)

    return bundles


def _elsewhere(shares: list[Share]) -> Iterator[list[Bundle]]:
    """Start a process for each share; yield their runs in the log's order, up to the first broken one."""
    readers = [_start(share) for share in shares]
    try:
        count = -(-shares[0].size // (WIDTH * shares[0].at_a_time))
        for turn in range(count):
            reader = readers[turn % len(readers)]
            assert reader.stdout is not None
            run = _receive(reader.stdout)
            if run is None:
                what = f"a process that read it ended early (status {reader.wait()}); `--processes 1` needs least memory"
                run = [Bundle(broken=Problem(Verdict.UNDECIDABLE, "log", what))]
            yield run
            if run[-1].broken is not None:
                return
    finally:
        for reader in readers:
            reader.kill()
            reader.communicate()


def _start(share: Share) -> "subprocess.Popen[bytes]":
    # -P: whatever lies in the directory that an auditor happens to stand in is not imported.
    command = [sys.executable, "-P", "-m", __name__, msgspec.json.encode(share).decode()]
    reader = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)  # noqa: S603  because it is this interpreter and this module
    assert reader.stdout is not None
    with suppress(OSError):  # its user has many large pipes already: it works with a small one, too
        fcntl.fcntl(reader.stdout.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    return reader


def _receive(stream: IO[bytes]) -> list[Bundle] | None:
    length = int.from_bytes(stream.read(8))
    message = stream.read(length)
    return _decoder.decode(message) if length and len(message) == length else None


def _main() -> None:
    share = msgspec.json.decode(sys.argv[1], type=Share)
    for run in share.read():
        message = _encoder.encode(run)
        sys.stdout.buffer.write(len(message).to_bytes(8) + message)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    _main()
