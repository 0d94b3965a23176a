"""The book of a witness: for each log the newest checkpoint it cosigned, and the contradictions it was shown."""

import fcntl
import os
import sqlite3
from pathlib import Path
from urllib.parse import quote

import msgspec

from magistrate.evidence.witness import Accepted, Seen
from magistrate.exchange.errors import ConfigurationError

MOST_CONFLICTS = 1000
"""Kept for each log. A log whose key is in the wrong hands must not be able to fill the disk."""

LOST = (
    "restore the witness's book from its newest backup; without it the witness could cosign a second history. Where there "
    "is none, begin another witness, with another name, elsewhere"
)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS logs (
    origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, note BLOB NOT NULL, at_s INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS conflicts (
    id INTEGER PRIMARY KEY, origin TEXT NOT NULL, at_s INTEGER NOT NULL, held BLOB NOT NULL, shown BLOB NOT NULL);
"""


class Entry(msgspec.Struct, frozen=True):
    """What the book says of one log. ``conflicts`` counts checkpoints that it was shown and that contradict ``note``."""

    origin: str
    size: int
    at_s: int
    note: bytes
    conflicts: int


class Book:
    """Owns its directory: two witnesses must never share a key and keep two books.

    ``create`` is for the birth of a witness only. Later a missing book is an error: a witness that forgot what it saw
    would cosign a second history of a log.

    Raises:
        ConfigurationError: another witness is at work here, or the book is missing or damaged.
    """

    def __init__(self, directory: Path, *, create: bool = False) -> None:
        path = directory / "witness.db"
        if not create and not path.exists():
            raise ConfigurationError(LOST, str(path))
        self._lock = _only_one(directory / "witness.lock")
        try:
            self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            path.chmod(0o600)
            # FULL and a rollback journal: a cosignature that left is on the device, in one file that can be copied.
            self._database.execute("PRAGMA journal_mode = DELETE")
            self._database.execute("PRAGMA synchronous = FULL")
            if create:
                self._database.executescript(_SCHEMA)
            self.entries()
        except sqlite3.DatabaseError as error:
            os.close(self._lock)
            raise ConfigurationError(f"the book cannot be used ({error}): {LOST}", str(path)) from None

    def seen(self, origin: str) -> Seen:
        """Return what was cosigned last for ``origin``; the empty tree, if nothing was."""
        row = self._database.execute("SELECT size, root FROM logs WHERE origin = ?", (origin,)).fetchone()
        return Seen(int(row[0]), bytes(row[1])) if row else Seen()

    def advance(self, accepted: Accepted, now_s: int) -> bool:
        """Enter what was accepted; it is durable when this returns.

        False: the book has moved on since it was judged, so the judgement no longer holds.

        Raises:
            sqlite3.Error: the disk refuses; nothing may be cosigned.
        """
        new, before = accepted.checkpoint, accepted.before
        if before.size == 0:
            done = self._database.execute(
                "INSERT INTO logs (origin, size, root, note, at_s) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (origin) DO UPDATE SET size = excluded.size, root = excluded.root,"
                " note = excluded.note, at_s = excluded.at_s WHERE logs.size = 0",
                (new.origin, new.size, new.root, accepted.note, now_s),
            )
        else:
            done = self._database.execute(
                "UPDATE logs SET size = ?, root = ?, note = ?, at_s = ? WHERE origin = ? AND size = ? AND root = ?",
                (new.size, new.root, accepted.note, now_s, new.origin, before.size, before.root),
            )
        return done.rowcount == 1

    def contradicted(self, origin: str, shown: bytes, now_s: int) -> None:
        """Keep a checkpoint that its log signed and that cannot stand beside the one in the book."""
        self._database.execute(
            "INSERT INTO conflicts (origin, at_s, held, shown)"
            " SELECT origin, ?, note, ? FROM logs WHERE origin = ?"
            " AND (SELECT COUNT(*) FROM conflicts WHERE origin = ?) < ?",
            (now_s, shown, origin, origin, MOST_CONFLICTS),
        )

    def entries(self) -> list[Entry]:
        """Return what the book says, by origin."""
        return _entries(self._database)

    def close(self) -> None:
        self._database.close()
        os.close(self._lock)


def read_book(directory: Path) -> list[Entry]:
    """Return what the book in ``directory`` says, also while its witness is at work.

    Raises:
        ConfigurationError: there is none, or it cannot be read.
    """
    path = directory / "witness.db"
    try:
        database = sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode=ro", uri=True)
        try:
            return _entries(database)
        finally:
            database.close()
    except sqlite3.Error as error:
        raise ConfigurationError(f"the book cannot be read ({error})", str(path)) from None


def _entries(database: sqlite3.Connection) -> list[Entry]:
    rows = database.execute(
        "SELECT origin, size, at_s, note, (SELECT COUNT(*) FROM conflicts WHERE origin = logs.origin)"
        " FROM logs ORDER BY origin"
    )
    return [Entry(str(o), int(size), int(at), bytes(note), int(count)) for o, size, at, note, count in rows]


def _only_one(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise ConfigurationError("another witness is at work here; stop it first", str(path.parent)) from None
    return descriptor
