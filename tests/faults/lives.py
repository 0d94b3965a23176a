"""One life of a recorder, ended by SIGKILL at a boundary; and the life after it, which must lose nothing.

``python -m tests.faults.lives DIR FIRST STEP`` tries boundaries FIRST, FIRST + STEP… until a life ends by itself, and prints one
JSON line for each. Each life is a process of its own, forked from this one, so that nothing is imported again.

A boundary is the moment before anything that changes the disk: each `write` (and one with half of it written), `fsync`,
`fdatasync`, file that is made or emptied, rename, removal, directory, `truncate`, `fallocate`, and each statement that SQLite is
given (what happens inside one is SQLite's own promise). They are caught where Python calls the system, not in the recorder's `Disk`, so
nothing that the recorder writes passes by them. `fsync` and `fdatasync` are boundaries and otherwise do nothing: SIGKILL takes no page from
the cache, and what a power cut may take is other tests' business.
"""

import json
import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson

from magistrate.adapters.copied import LogCopy
from magistrate.adapters.recorder import recovery
from magistrate.adapters.recorder import wal as wal_module
from magistrate.adapters.recorder.custodian import Custodian
from magistrate.adapters.recorder.frames import Ack
from magistrate.adapters.recorder.ledger import Ledger, Settings
from magistrate.adapters.recorder.orders import Erase
from magistrate.adapters.recorder.reader import open_evidence
from magistrate.adapters.recorder.sealer import read_headers
from magistrate.adapters.recorder.writer import Submission
from magistrate.evidence.verify import verify_log

from .custody import ADA, draft

GRACE, ALAN = "grace@hopper.org", "alan@turing.org"
OPENS_TO_WRITE = os.O_CREAT | os.O_TRUNC

os.fsync = os.fdatasync = lambda descriptor: None
wal_module.FILE_BYTES = 32 * 1024  # several files, and files used again, in a short life
recovery.RESERVE_BYTES = 4096


class Boundaries:
    """Counts boundaries of this process, and kills it at one of them (0: at none)."""

    def __init__(self, last: int) -> None:
        self.seen = 0
        self._last = last
        self.words = ""

    def pass_by(self, words: str, at_the_end: Callable[[], object] = lambda: None) -> None:
        self.seen += 1
        if self.seen == self._last:
            at_the_end()
            WRITE(STORY, f"! {words}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self) -> None:
        """Stand between Python and the system from now on. Never undone: the process is the test's own."""

        def write(descriptor: int, data: bytes) -> int:
            self.pass_by("write")
            self.pass_by("half a write", lambda: WRITE(descriptor, bytes(data)[: len(data) // 2]))
            return WRITE(descriptor, data)

        os.write = write
        for name in ("fsync", "fdatasync", "posix_fallocate"):
            setattr(os, name, self._before(name, getattr(os, name)))
        sys.addaudithook(self._hear)
        connect = sqlite3.connect
        sqlite3.connect = lambda *args, **named: connect(*args, **named, factory=self._connection())

    def _before(self, name: str, work: Callable[..., object]) -> Callable[..., object]:
        def watched(*args: object) -> object:
            self.pass_by(name)
            return work(*args)

        return watched

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if event in {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate"}:
            self.pass_by(event.removeprefix("os."))
        elif event == "open" and isinstance(args[2], int) and args[2] & OPENS_TO_WRITE:
            self.pass_by("make a file")

    def _connection(self) -> type[sqlite3.Connection]:
        boundaries = self

        class Watched(sqlite3.Connection):
            def execute(self, statement: str, *args: Any) -> sqlite3.Cursor:
                boundaries.told(statement)
                return super().execute(statement, *args)

            def executemany(self, statement: str, *args: Any) -> sqlite3.Cursor:
                boundaries.told(statement)
                return super().executemany(statement, *args)

            def executescript(self, statement: str) -> sqlite3.Cursor:
                boundaries.told(statement)
                return super().executescript(statement)

        return Watched

    def told(self, statement: str) -> None:
        word = statement.split(maxsplit=1)[0].upper()
        if word != "SELECT":
            self.pass_by(f"SQL {word}")


WRITE = os.write
STORY = -1
"""Where a life tells what was acknowledged, and the boundary it ended at: a file that is not the recorder's."""


def settings(directory: Path) -> Settings:
    return Settings(directory / "evidence", directory / "vault", directory / "r.sock", "lives.example/log")


class Life:
    """A ledger that is written to; what it acknowledges is told at once."""

    def __init__(self, directory: Path) -> None:
        self.ledger = Ledger(settings(directory))
        self.custodian = Custodian(self.ledger)
        self.custodian.resume()
        self._seq = 0

    def write(self, count: int, subject: str = ALAN, tenant: str = "default") -> None:
        group = []
        for _ in range(count):
            self._seq += 1
            one = draft(subject, b"words of a prompt " * 8, tenant=tenant)
            group.append(Submission("w", self._seq, one, self._teller(str(one.header["eid"]), subject)))
        self.ledger.write(group)

    def _teller(self, eid: str, subject: str) -> Callable[[Ack], None]:
        def tell(ack: Ack) -> None:
            if not ack.reason:
                WRITE(STORY, f"{ack.index} {eid} {subject}\n".encode())

        return tell


def live(directory: Path) -> None:
    """Birth of a log, groups of several tenants, a full tile, full write-ahead files, an erasure, a recovery, a stop."""
    life = Life(directory)
    life.write(3)
    life.write(2, GRACE, "other")
    life.ledger.seal()
    for _ in range(5):
        life.write(52)
    life.ledger.seal()
    life.write(1)
    life.custodian.obey(Erase(GRACE, "", "she asked us to", ADA), os.getuid())
    life.write(40)
    life.write(1)  # into a file of its own, for the one before is full
    life.ledger.close(clean=False)  # to the disk this is a crash: nothing of the last group is sealed
    tear(directory / "evidence" / "wal")
    life = Life(directory)
    life.write(2)
    life.ledger.write([life.ledger.notes.farewell()])
    life.ledger.seal()
    life.ledger.close(clean=True)


def tear(wal: Path) -> None:
    """Leave a group behind the last one that only begins."""
    newest = max(wal.glob("*.wal"))
    written = memoryview(newest.read_bytes())
    *_, (_, end) = wal_module._groups(written, int(newest.stem), wal_module._decoder)  # noqa: SLF001  because what is torn must look like a group
    with newest.open("r+b") as file:
        file.seek(end)
        file.write(wal_module.MAGIC + (5000).to_bytes(4, "little") + bytes(4) + b"torn" * 50)


def live_again(directory: Path) -> dict[str, object]:
    """Start, write, stop; then return what our verifier says and what of the acknowledged is not as it was told."""
    life = Life(directory)
    life.write(1)
    life.ledger.seal()
    life.ledger.close(clean=True)
    root = directory / "evidence"
    with closing(LogCopy(root)) as copy:
        report = verify_log(copy.objects, life.ledger.vkey, ciphertext=copy.ciphertext)
    lost = []
    with closing(open_evidence(directory, directory / "vault")) as reader:
        headers = [orjson.loads(raw) for _, raw in read_headers(reader.objects, 0, reader.size)]
        for line in (directory / "story").read_text().splitlines():
            index, eid, *subject = line.split()
            if index == "!":
                continue
            header = headers[int(index)]
            kept = subject == [GRACE] or reader.bodies(header) == {"request": b"words of a prompt " * 8}
            if header["eid"] != eid or not kept:
                lost.append(line)
    ids = [header["eid"] for header in headers]
    return {
        "verdict": report.verdict.value,
        "findings": [f"{problem.place}: {problem.what}" for problem in report.findings],
        "lost": lost,
        "twice": len(ids) - len(set(ids)),
        "size": len(ids),
    }


def forked(work: Callable[[], object]) -> int:
    """Do ``work`` in a process of its own; return how it ended (negative: by that signal)."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException as error:  # noqa: BLE001  because the child must end here, whatever happened
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            sys.stderr.flush()
            os._exit(70)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def attempt(directory: Path, boundary: int) -> dict[str, object]:
    """Let a recorder die at ``boundary`` and another one go on."""
    global STORY
    directory.mkdir()
    STORY = os.open(directory / "story", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def die() -> None:
        boundaries = Boundaries(boundary)
        boundaries.watch()
        live(directory)

    ended = forked(die)
    result: dict[str, object] = {"boundary": boundary, "ended": ended}

    def go_on() -> None:
        WRITE(answer, json.dumps(live_again(directory)).encode())

    answer = os.open(directory / "answer", os.O_WRONLY | os.O_CREAT, 0o600)
    result["again"] = forked(go_on)
    os.close(answer)
    os.close(STORY)
    story = (directory / "story").read_text().splitlines()
    result["at"] = next((line[2:] for line in story if line.startswith("!")), "")
    result["acknowledged"] = len(story) - (ended != 0)
    return result | json.loads((directory / "answer").read_text() or "{}")


if __name__ == "__main__":
    place, first, step = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    while True:
        done = attempt(place / str(first), first)
        sys.stdout.write(f"{json.dumps(done)}\n")
        sys.stdout.flush()
        if done["ended"] != -signal.SIGKILL:
            break
        first += step
