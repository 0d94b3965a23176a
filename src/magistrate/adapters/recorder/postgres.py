"""Both storage ports on PostgreSQL: one row a file, and the register as one row that is compared and swapped.

Every statement is a transaction of its own with ``synchronous_commit = on``; a server that runs without ``fsync`` is
refused. The tables are made when they are missing:

    magistrate_object (log, path, data)        magistrate_register (log, note)
"""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from magistrate.adapters.recorder.storage import (
    WITHIN_S,
    Altered,
    PostgresPlace,
    StoreUnavailable,
    checked,
    written_once,
)
from magistrate.exchange.errors import ConfigurationError

CONNECT_WITHIN_S = 5
_OBJECTS = (
    "CREATE TABLE magistrate_object"
    " (log text NOT NULL, path text NOT NULL, data bytea NOT NULL, PRIMARY KEY (log, path))"
)
_REGISTER = "CREATE TABLE magistrate_register (log text PRIMARY KEY, note bytea NOT NULL)"

_PUT_ONCE = (
    "INSERT INTO magistrate_object (log, path, data) VALUES (%s, %s, %s) ON CONFLICT (log, path) DO NOTHING"
)
_PUT = (
    "INSERT INTO magistrate_object (log, path, data) VALUES (%s, %s, %s)"
    " ON CONFLICT (log, path) DO UPDATE SET data = excluded.data"
)


class PostgresObjects:
    """The `Files` of a log in a table.

    Raises:
        ConfigurationError: the address will not do, or the server does not sync.
        StoreUnavailable: it does not answer.
    """

    def __init__(self, place: PostgresPlace, *, writable: bool) -> None:
        self._database = _Database(place)
        self._log = place.prefix
        if writable:
            self._database.prepare("magistrate_object", _OBJECTS)

    def get(self, path: str) -> bytes | None:
        """Return the file, or None if there is none. Raises `StoreUnavailable`."""
        rows, _ = self._database.run(
            "SELECT data FROM magistrate_object WHERE log = %s AND path = %s", self._log, checked(path)
        )
        return bytes(rows[0][0]) if rows else None

    def put(self, path: str, data: bytes) -> None:
        """Keep the file. The same bytes again are fine.

        Raises:
            StoreUnavailable: nobody knows whether it is kept.
            Altered: other bytes are kept at a path that is written once.
        """
        statement = _PUT_ONCE if written_once(path) else _PUT
        _, done = self._database.run(statement, self._log, checked(path), data)
        if not done and self.get(path) != data:
            raise Altered(path)

    def put_all(self, files: Mapping[str, bytes]) -> None:
        """Keep each file. Raises what `put` raises."""
        for path, data in files.items():
            self.put(path, data)

    def children(self, path: str) -> list[str]:
        """Return the names directly below a path."""
        rows, _ = self._database.run(
            "SELECT DISTINCT split_part(substr(path, %s), '/', 1) FROM magistrate_object"
            " WHERE log = %s AND starts_with(path, %s)",
            len(path) + 2,
            self._log,
            f"{path}/",
        )
        return sorted(str(row[0]) for row in rows)

    def replace(self, path: str, data: bytes) -> bool:
        """Put other bytes in place; always done."""
        self._database.run(
            "UPDATE magistrate_object SET data = %s WHERE log = %s AND path = %s", data, self._log, path
        )
        return True

    def remove(self, path: str) -> None:
        """Remove a file if it is there."""
        self._database.run("DELETE FROM magistrate_object WHERE log = %s AND path = %s", self._log, path)

    def remove_below(self, path: str) -> None:
        """Remove every file below a path."""
        self._database.run(
            "DELETE FROM magistrate_object WHERE log = %s AND starts_with(path, %s)", self._log, f"{path}/"
        )

    def close(self) -> None:
        self._database.close()


class PostgresRegister:
    """The `Register` in one row.

    Raises:
        ConfigurationError: the address will not do, or the server does not sync.
        StoreUnavailable: it does not answer.
    """

    def __init__(self, place: PostgresPlace) -> None:
        self._database = _Database(place)
        self._log = place.prefix
        first = "INSERT INTO magistrate_register (log, note) VALUES (%s, '') ON CONFLICT (log) DO NOTHING"
        self._database.prepare("magistrate_register", _REGISTER)
        self._database.run(first, self._log)

    def read(self) -> bytes:
        """Return the newest signed checkpoint; empty before the first. Raises `StoreUnavailable`."""
        rows, _ = self._database.run("SELECT note FROM magistrate_register WHERE log = %s", self._log)
        return bytes(rows[0][0]) if rows else b""

    def swap(self, old: bytes, new: bytes) -> bool:
        """Put ``new`` in place of ``old``; False if ``old`` is not there any more. Raises `StoreUnavailable`."""
        _, done = self._database.run(
            "UPDATE magistrate_register SET note = %s WHERE log = %s AND note = %s", new, self._log, old
        )
        return done == 1

    def close(self) -> None:
        self._database.close()


class _Database:
    """One connection, made again when it was lost; whoever asks meanwhile waits his turn."""

    def __init__(self, place: PostgresPlace) -> None:
        try:
            parts = conninfo_to_dict(place.url)
        except psycopg.ProgrammingError:
            raise ConfigurationError(
                "the address of the database cannot be read as one", "evidence"
            ) from None
        if not _protected(parts):
            raise ConfigurationError(
                "the database is reached over a network without knowing who answers; add `sslmode=verify-full`",
                "evidence",
            )
        self._place = place
        self._turn = threading.Lock()
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None

    def prepare(self, table: str, statement: str) -> None:
        """Make a table that is missing.

        Raises:
            ConfigurationError: the server may forget what it committed.
        """
        try:
            self._examine()
            if not self._has(table):
                self._make(table, statement)
        except BaseException:
            self.close()
            raise

    def _examine(self) -> None:
        rows, _ = self.run("SELECT current_setting('fsync'), current_setting('full_page_writes')")
        if rows[0] != ("on", "on"):
            raise ConfigurationError(
                "the database runs without `fsync` or `full_page_writes`: it may forget what it committed",
                "evidence",
            )

    def _make(self, table: str, statement: str) -> None:
        try:
            self.run(statement)
        except StoreUnavailable:
            if not self._has(table):  # nobody else made it at the same moment
                raise

    def _has(self, table: str) -> bool:
        rows, _ = self.run("SELECT to_regclass(%s)", table)
        return rows[0][0] is not None

    def run(self, statement: str, *arguments: object) -> tuple[Sequence[tuple[Any, ...]], int]:
        """Run one statement; return its rows and how many it touched. Raises `StoreUnavailable`."""
        with self._turn:
            try:
                connection = self._connected()
                cursor = connection.execute(statement.encode(), arguments, binary=True)
                rows = cursor.fetchall() if cursor.description else []
            except psycopg.Error as error:
                if self._connection is not None and (
                    self._connection.broken or isinstance(error, psycopg.OperationalError)
                ):
                    self._connection.close()
                    self._connection = None
                raise StoreUnavailable(f"{self._place!r}: {_reason(error)}") from None
            return rows, cursor.rowcount

    def close(self) -> None:
        with self._turn:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _connected(self) -> psycopg.Connection[tuple[Any, ...]]:
        if self._connection is None:
            within_ms = int(WITHIN_S * 1000)
            self._connection = psycopg.connect(
                self._place.url,
                autocommit=True,
                connect_timeout=CONNECT_WITHIN_S,
                application_name="magistrate",
                keepalives_idle=5,
                keepalives_interval=2,
                keepalives_count=3,
                tcp_user_timeout=within_ms,
                options=f"-c synchronous_commit=on -c statement_timeout={within_ms} -c lock_timeout={within_ms}",
            )
        return self._connection


def _protected(parts: dict[str, Any]) -> bool:
    """Return whether nobody else can answer: a local address, or a server whose certificate is checked."""
    hosts = [*str(parts.get("hostaddr") or "").split(","), *str(parts.get("host") or "").split(",")]
    local = all(host in {"", "localhost", "::1"} or host.startswith(("/", "@", "127.")) for host in hosts)
    return local or parts.get("sslmode") in {"verify-full", "verify-ca"}


def _reason(error: psycopg.Error) -> str:
    """Return what went wrong in one line. The server's words may quote our statement, never the password."""
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:200]
