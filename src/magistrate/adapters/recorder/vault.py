"""The vault: keys of bodies, and which person a handle stands for.

It stands apart from the log, so that erasing here leaves every proof there whole. The root key wraps one random key per
tenant, subject, retention class and quarter; a body's own key is derived from that (see `evidence.seal`). Names are kept
encrypted and found by a keyed hash.
"""

import hmac
import os
import sqlite3
import time
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from magistrate.adapters.recorder.disk import Disk
from magistrate.exchange.errors import ConfigurationError

REMEMBERED = 50_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS handles (
    lookup BLOB PRIMARY KEY, handle TEXT NOT NULL UNIQUE, name BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS keys (
    kid TEXT PRIMARY KEY, lookup BLOB NOT NULL UNIQUE, handle TEXT NOT NULL, wrapped BLOB NOT NULL);
"""


class Vault:
    """Keys and handles in ``directory``; one process writes it, readers make nothing.

    What `handle` and `key_for` make is durable after `settle`, which therefore comes before anything that uses it is
    written: one sync for all newcomers of a group.

    Raises:
        ConfigurationError: a reader finds no vault, or a key file is damaged.
    """

    def __init__(self, directory: Path, *, writable: bool = True) -> None:
        path = directory / "vault.db"
        if writable:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        elif not path.exists():
            raise ConfigurationError("there is no vault here; `--vault` names another place", str(directory))
        self._root = secret_file(directory / "root.key", create=writable and not path.exists())
        self._aead = AESGCM(self._root)
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        if writable:
            path.chmod(0o600)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")
            self._database.executescript(_SCHEMA)
        self._handles: dict[tuple[str, str], str] = {}
        self._keys: dict[tuple[str, str, str, str], tuple[str, bytes]] = {}

    def handle(self, tenant: str, subject: str) -> str:
        """Return the random handle of a person, made at first sight."""
        known = self._handles.get((tenant, subject))
        if known is None:
            known = self.find_handle(tenant, subject) or self._new_handle(tenant, subject)
            if len(self._handles) >= REMEMBERED:
                self._handles.clear()
            self._handles[tenant, subject] = known
        return known

    def find_handle(self, tenant: str, subject: str) -> str | None:
        """Return a person's handle if there is one."""
        row = self._database.execute(
            "SELECT handle FROM handles WHERE lookup = ?", (self._lookup("subject", tenant, subject),)
        ).fetchone()
        return str(row[0]) if row else None

    def handles_named(self, subject: str) -> list[str]:
        """Return the handles of a person in every tenant. Reads all names: for the command line, not for the line."""
        found = self._database.execute("SELECT handle, name FROM handles")
        return [
            str(handle)
            for handle, name in found
            if self._unwrap(bytes(name), str(handle)).decode() == subject
        ]

    def key_for(self, tenant: str, handle: str, retention: str, quarter: str) -> tuple[str, bytes]:
        """Return id and key for new bodies."""
        place = (tenant, handle, retention, quarter)
        known = self._keys.get(place)
        if known is None:
            known = self._stored_key(place) or self._new_key(place)
            if len(self._keys) >= REMEMBERED:
                self._keys.clear()
            self._keys[place] = known
        return known

    def key(self, kid: str) -> bytes | None:
        """Return the key ``kid``, or None: it was erased or never was."""
        row = self._database.execute("SELECT wrapped FROM keys WHERE kid = ?", (kid,)).fetchone()
        return self._unwrap(bytes(row[0]), kid) if row else None

    def subject_of(self, handle: str) -> str | None:
        """Return the person behind a handle, or None: erased or unknown."""
        row = self._database.execute("SELECT name FROM handles WHERE handle = ?", (handle,)).fetchone()
        return self._unwrap(bytes(row[0]), handle).decode() if row else None

    def settle(self) -> None:
        """Make durable what was made since the last time.

        Raises:
            sqlite3.Error: no room; `forget_unsettled` then takes back what was made.
        """
        if self._database.in_transaction:
            self._database.execute("COMMIT")

    def forget_unsettled(self) -> None:
        """Take back what was made since the last `settle`."""
        if self._database.in_transaction:
            self._database.execute("ROLLBACK")
        self._handles.clear()
        self._keys.clear()

    def close(self) -> None:
        self._database.close()

    def _new_handle(self, tenant: str, subject: str) -> str:
        handle = "s-" + os.urandom(12).hex()
        self._insert(
            "INSERT INTO handles (lookup, handle, name) VALUES (?, ?, ?)",
            (self._lookup("subject", tenant, subject), handle, self._wrap(subject.encode(), handle)),
        )
        return handle

    def _stored_key(self, place: tuple[str, str, str, str]) -> tuple[str, bytes] | None:
        row = self._database.execute(
            "SELECT kid, wrapped FROM keys WHERE lookup = ?", (self._lookup("key", *place),)
        ).fetchone()
        return (str(row[0]), self._unwrap(bytes(row[1]), str(row[0]))) if row else None

    def _new_key(self, place: tuple[str, str, str, str]) -> tuple[str, bytes]:
        kid, key = "k-" + os.urandom(8).hex(), os.urandom(32)
        self._insert(
            "INSERT INTO keys (kid, lookup, handle, wrapped) VALUES (?, ?, ?, ?)",
            (kid, self._lookup("key", *place), place[1], self._wrap(key, kid)),
        )
        return kid, key

    def _insert(self, statement: str, values: tuple[object, ...]) -> None:
        if not self._database.in_transaction:
            self._database.execute("BEGIN IMMEDIATE")
        self._database.execute(statement, values)

    def _lookup(self, *words: str) -> bytes:
        return hmac.digest(self._root, "\0".join(words).encode(), "sha256")

    def _wrap(self, plain: bytes, bound_to: str) -> bytes:
        nonce = os.urandom(12)
        return nonce + self._aead.encrypt(nonce, plain, bound_to.encode())

    def _unwrap(self, wrapped: bytes, bound_to: str) -> bytes:
        return self._aead.decrypt(wrapped[:12], wrapped[12:], bound_to.encode())


def quarter(now_us: int) -> str:
    """Return the calendar quarter, for example ``2026Q4``: the span that one subject key covers."""
    moment = time.gmtime(now_us // 1_000_000)
    return f"{moment.tm_year}Q{(moment.tm_mon + 2) // 3}"


def secret_file(path: Path, *, create: bool) -> bytes:
    """Return the 32 bytes in ``path``, readable by their owner only; made at first use if ``create``.

    Raises:
        ConfigurationError: it is missing where it must not be, or holds something else.
    """
    if create and not path.exists():
        # Aside and renamed: a crash must not leave half a key under the name of a key.
        Disk().put(path, os.urandom(32))
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"the key cannot be read ({error.strerror}); restore it from its backup", str(path)
        ) from None
    if len(content) != 32:
        raise ConfigurationError("does not hold a key of 32 bytes; restore it from its backup", str(path))
    return content
