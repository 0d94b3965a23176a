"""Opening the state file: permissions, schema version, ordered migrations, and plain words for what can be wrong."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from magistrate.exchange.errors import MagistrateError

APPLICATION_ID = 0x4D616773
"""Marks the file as ours (``Mags``), so that a wrong path is told as such."""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE keys (
            id TEXT PRIMARY KEY,
            digest BLOB NOT NULL CHECK (length(digest) = 32),
            previous BLOB CHECK (previous IS NULL OR length(previous) = 32),
            previous_until_us INTEGER NOT NULL DEFAULT 0,
            user TEXT NOT NULL,
            tenant TEXT NOT NULL,
            groups TEXT NOT NULL,
            application TEXT NOT NULL,
            models TEXT NOT NULL,
            created_us INTEGER NOT NULL,
            expires_us INTEGER,
            revoked_us INTEGER
        ) WITHOUT ROWID""",
        """CREATE TABLE admin_tokens (
            id TEXT PRIMARY KEY,
            digest BLOB NOT NULL CHECK (length(digest) = 32),
            opens TEXT NOT NULL CHECK (opens IN ('admin', 'metrics')),
            created_us INTEGER NOT NULL,
            revoked_us INTEGER
        ) WITHOUT ROWID""",
    ),
    ("ALTER TABLE admin_tokens ADD COLUMN person TEXT NOT NULL DEFAULT ''",),
)
"""Schema version N is reached by running the first N. Released ones never change; new ones are appended."""


class StateUnavailable(MagistrateError):  # noqa: N818  because it names the state that callers handle
    """The state file cannot be used. The message says why and what to do."""


class Database:
    """One connection to the state file.

    Autocommit outside of `writing`. May be used from another thread than the one that opened it, by one at a time.
    """

    def __init__(self, path: Path, *, create: bool = True) -> None:
        """Open ``path``, migrating it as needed; ``create`` it (0600, its directory 0700) if it is missing.

        Raises:
            StateUnavailable: it cannot be opened, is not ours, is damaged, or is newer than this program.
        """
        self.path = path
        with self.plainly():
            if create:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, (os.O_CREAT if create else 0) | os.O_RDWR | os.O_CLOEXEC, 0o600))
            self._inode = path.stat().st_ino
            self._connection = sqlite3.connect(
                path, timeout=5.0, isolation_level=None, check_same_thread=False
            )
        try:
            with self.plainly():
                self._prepare()
        except StateUnavailable:
            self._connection.close()
            raise

    def close(self) -> None:
        self._connection.close()

    def rows(self, sql: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        with self.plainly():
            return self._connection.execute(sql, values).fetchall()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Run the block in one transaction that is durable when the block has ended."""
        with self.plainly():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def version(self) -> int:
        """Return a number that differs after any other connection's commit. Costs microseconds.

        Raises:
            StateUnavailable: also when the file at the path is no longer the one that was opened.
        """
        with self.plainly():
            if self.path.stat().st_ino != self._inode:
                raise StateUnavailable(f"`{self.path}` was replaced while in use")
            (found,) = self._connection.execute("PRAGMA data_version").fetchone()
        return int(found)

    @contextmanager
    def plainly(self) -> Iterator[None]:
        """Turn what SQLite and the system raise into `StateUnavailable`."""
        try:
            yield
        except OSError as error:
            raise StateUnavailable(f"`{self.path}` cannot be used: {error.strerror or error}") from error
        except sqlite3.DatabaseError as error:
            advice = "restore it from a backup, or move it away to start with no keys"
            raise StateUnavailable(f"`{self.path}` cannot be used: {error}; {advice}") from error

    def _prepare(self) -> None:
        execute = self._connection.execute
        (known,) = execute("PRAGMA user_version").fetchone()
        (owner,) = execute("PRAGMA application_id").fetchone()
        (tables,) = execute("SELECT count(*) FROM sqlite_master").fetchone()
        if owner != APPLICATION_ID and (owner or known or tables):
            raise StateUnavailable(f"`{self.path}` is another program's database; check `data_dir`")
        if known > len(MIGRATIONS):
            raise StateUnavailable(
                f"`{self.path}` has schema {known}, this magistrate knows up to {len(MIGRATIONS)}: it was written by a newer one; upgrade"
            )
        (health,) = execute("PRAGMA quick_check(1)").fetchone()
        if health != "ok":
            raise StateUnavailable(f"`{self.path}` is damaged ({health}); restore it from a backup")
        execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = FULL")
        execute("PRAGMA trusted_schema = OFF")
        if known < len(MIGRATIONS):
            self._migrate()

    def _migrate(self) -> None:
        with self.writing() as connection:
            (known,) = connection.execute(
                "PRAGMA user_version"
            ).fetchone()  # another process may have been first
            for number in range(known, len(MIGRATIONS)):
                for statement in MIGRATIONS[number]:
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number + 1}")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
