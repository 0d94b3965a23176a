"""The vault: keys of bodies, and which person a handle stands for.

It stands apart from the log, so that erasing here leaves every proof there whole. Four levels: the *root key* wraps one
random *tenant key* each; that wraps one random *subject key* per person, retention class and quarter; a body's own *data
key* is derived from that and used once (see `evidence.seal`). Names are kept encrypted under the tenant's key and found
by a keyed hash.

Every wrapping has a key of its own, derived from the wrapping key and what is wrapped, so no pair of key and nonce comes
twice whatever the random source does.
"""

import hmac
import os
import sqlite3
import time
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from magistrate.adapters.recorder.disk import Disk
from magistrate.adapters.recorder.rootkey import RootKey
from magistrate.evidence.retention import DAY_US, Bound
from magistrate.evidence.seal import derive
from magistrate.exchange.errors import ConfigurationError

REMEMBERED = 50_000
FORMAT = 2
_SCHEMA = """
CREATE TABLE IF NOT EXISTS epoch (id INTEGER PRIMARY KEY CHECK (id = 1), number INTEGER NOT NULL, wrapped BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS tenants (id INTEGER PRIMARY KEY, lookup BLOB NOT NULL UNIQUE, wrapped BLOB NOT NULL, name BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS handles (
    lookup BLOB PRIMARY KEY, handle TEXT NOT NULL UNIQUE, tenant INTEGER NOT NULL, name BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS keys (
    kid TEXT PRIMARY KEY, lookup BLOB NOT NULL UNIQUE, handle TEXT NOT NULL, tenant INTEGER NOT NULL,
    retention TEXT NOT NULL, wrapped BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS keys_handle ON keys (handle) WHERE handle != '';
CREATE TABLE IF NOT EXISTS erasing (id TEXT PRIMARY KEY, sealed BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS standing (name TEXT PRIMARY KEY, sealed BLOB NOT NULL);
"""


class Subject(msgspec.Struct, frozen=True):
    """A person of one tenant, as the log knows them."""

    tenant: str
    handle: str


class SubjectKey(msgspec.Struct, frozen=True):
    kid: str
    retention: str


class Erasing(msgspec.Struct, frozen=True):
    """An erasure whose keys are destroyed and which is not on record as done yet. ``id`` is its order's."""

    id: str
    subject: Subject
    kids: tuple[str, ...]
    kept: dict[str, int] = {}
    last: bool = True
    """Whether the person's name goes too, unless keys of theirs are left. More keys than one order names take several."""
    bound: tuple[Bound, ...] = ()
    """What is erased by itself later; it stands with the last order, and so does who asked."""
    uid: int = 0
    token: str = ""


class Vault:
    """Keys and handles in ``directory``; one process writes it, readers make nothing.

    What `handle` and `key_for` make is durable after `settle`, which therefore comes before anything that uses it is
    written: one sync for all newcomers of a group.

    Raises:
        ConfigurationError: a reader finds no vault, a key file is damaged or open to others, or the root key is another one.
    """

    def __init__(self, directory: Path, *, root_key: Path | None = None, writable: bool = True) -> None:
        path = directory / "vault.db"
        if writable:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        elif not path.exists():
            raise ConfigurationError("there is no vault here; `--vault` names another place", str(directory))
        self._root_key = RootKey(root_key or directory / "root.key", create=writable and not path.exists())
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._handles: dict[tuple[str, str], str] = {}
        self._keys: dict[tuple[str, str, str, str], tuple[str, bytes]] = {}
        self._tenants: dict[str, tuple[int, bytes]] = {}
        try:
            if writable:
                self._prepare(path)
            else:
                self._database.execute("PRAGMA query_only = ON")
            self._lookup_key = self._unlock(path, writable=writable)
        except BaseException:
            self._database.close()
            raise

    # --- on the way of every record

    def handle(self, tenant: str, subject: str) -> str:
        """Return the random handle of a person, made at first sight."""
        known = self._handles.get((tenant, subject))
        if known is None:
            known = self.find_handle(tenant, subject) or self._new_handle(tenant, subject)
            if len(self._handles) >= REMEMBERED:
                self._handles.clear()
            self._handles[tenant, subject] = known
        return known

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
        self._forget_cached()

    # --- reading

    def find_handle(self, tenant: str, subject: str) -> str | None:
        """Return a person's handle if there is one."""
        row = self._one(
            "SELECT handle FROM handles WHERE lookup = ?", self._lookup("subject", tenant, subject)
        )
        return str(row[0]) if row else None

    def subjects_named(self, name: str, tenant: str = "") -> list[Subject]:
        """Return a person in every tenant, or in one."""
        tenants = [tenant] if tenant else self._tenant_names()
        found = ((each, self.find_handle(each, name)) for each in tenants)
        return [Subject(each, handle) for each, handle in found if handle is not None]

    def key(self, tenant: str, kid: str) -> bytes | None:
        """Return the key ``kid`` of ``tenant``, or None: it was erased, never was, or is another tenant's."""
        row = self._one("SELECT tenant, wrapped FROM keys WHERE kid = ?", kid)
        owner = self._known_tenant(tenant)
        if row is None or owner is None or row[0] != owner[0]:
            return None
        return _unwrap(owner[1], bytes(row[1]), f"key\0{kid}")

    def subject_of(self, handle: str) -> str | None:
        """Return the person behind a handle, or None: erased or unknown."""
        row = self._one("SELECT tenant, name FROM handles WHERE handle = ?", handle)
        if row is None:
            return None
        return _unwrap(self._tenant_key(int(row[0])), bytes(row[1]), f"name\0{handle}").decode()

    def keys_of(self, handle: str) -> list[SubjectKey]:
        """Return the keys under which a person's bodies lie."""
        found = self._database.execute(
            "SELECT kid, retention FROM keys WHERE handle = ? ORDER BY kid", (handle,)
        )
        return [SubjectKey(str(kid), str(retention)) for kid, retention in found]

    def standing(self, name: str) -> bytes | None:
        """Return a standing order (holds, retention) as it was kept."""
        row = self._one("SELECT sealed FROM standing WHERE name = ?", name)
        return _unwrap(self._lookup_key, bytes(row[0]), f"standing\0{name}") if row else None

    # --- changing what stands

    def keep_standing(self, name: str, value: bytes) -> None:
        """Keep a standing order durably. Raises sqlite3.Error."""
        self._database.execute(
            "INSERT OR REPLACE INTO standing VALUES (?, ?)",
            (name, _wrap(self._lookup_key, value, f"standing\0{name}", fresh=True)),
        )

    def retire(self, kids: Iterable[str]) -> None:
        """Let no further body be written under these keys, durably: whoever comes after them gets new ones.

        They open what they opened. Raises sqlite3.Error.
        """
        self.settle()
        with self._database:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.executemany(
                "UPDATE keys SET lookup = ? WHERE kid = ?", ((os.urandom(32), kid) for kid in kids)
            )
        self._forget_cached()

    def begin_erasure(self, erasing: Erasing) -> None:
        """Destroy keys, and with the last of them the person's name; all or nothing, durably.

        Raises:
            sqlite3.Error: nothing was destroyed.
        """
        self.settle()
        with self._database:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.executemany("DELETE FROM keys WHERE kid = ?", ((kid,) for kid in erasing.kids))
            if erasing.last:
                handle = erasing.subject.handle
                self._database.execute(
                    "DELETE FROM handles WHERE handle = ? AND NOT EXISTS (SELECT 1 FROM keys WHERE handle = ?)",
                    (handle, handle),
                )
            sealed = _wrap(
                self._lookup_key, msgspec.json.encode(erasing), f"erasing\0{erasing.id}", fresh=True
            )
            self._database.execute("INSERT INTO erasing VALUES (?, ?)", (erasing.id, sealed))
        self._forget_cached()

    def unfinished(self) -> list[Erasing]:
        """Return the erasures that are not on record as done."""
        return [
            msgspec.json.decode(_unwrap(self._lookup_key, bytes(sealed), f"erasing\0{order}"), type=Erasing)
            for order, sealed in self._database.execute("SELECT id, sealed FROM erasing ORDER BY id")
        ]

    def finish_erasure(self, order: str) -> None:
        self._database.execute("DELETE FROM erasing WHERE id = ?", (order,))

    def scrub(self) -> bool:
        """Rewrite the file so that no page holds what was deleted; False while another program reads it.

        Raises:
            sqlite3.Error: no room to rewrite it; nothing is lost.
        """
        self.settle()
        try:
            self._database.execute("VACUUM")
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                return False
            raise
        busy, _, _ = self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return int(busy) == 0

    def rotate_root(self, disk: Disk) -> int:
        """Put a new root key in place of the old one, wrap every tenant key anew, and return the epoch's number.

        Copies of the vault that were made before open only with the old root key, which is gone here.

        Raises:
            OSError, sqlite3.Error: the old root key is still in force.
        """
        self.settle()
        new = os.urandom(32)
        old = self._root_key.value
        self._root_key.stage(new, disk)
        with self._database:
            self._database.execute("BEGIN IMMEDIATE")
            for number, wrapped in self._database.execute("SELECT id, wrapped FROM tenants").fetchall():
                key = _unwrap(old, bytes(wrapped), f"tenant\0{number}")
                self._database.execute(
                    "UPDATE tenants SET wrapped = ? WHERE id = ?",
                    (_wrap(new, key, f"tenant\0{number}"), number),
                )
            self._database.execute(
                "UPDATE epoch SET number = number + 1, wrapped = ?", (_wrap(new, self._lookup_key, "lookup"),)
            )
        # A crash before the commit leaves the old key in force, one after it the staged key: `_unlock` tries both.
        self._root_key.put_in_force(disk)
        return int(self._database.execute("SELECT number FROM epoch").fetchone()[0])

    def close(self) -> None:
        self._database.close()

    # --- beginning

    def _prepare(self, path: Path) -> None:
        path.chmod(0o600)
        (known,) = self._database.execute("PRAGMA user_version").fetchone()
        (tables,) = self._database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and known != FORMAT:
            raise ConfigurationError(
                f"this vault has format {known or 1}, this magistrate writes {FORMAT}; "
                "use the version that wrote it, or begin a log and a vault elsewhere",
                str(path),
            )
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.execute("PRAGMA secure_delete = ON")
        self._database.executescript(f"{_SCHEMA} PRAGMA user_version = {FORMAT};")

    def _unlock(self, path: Path, *, writable: bool) -> bytes:
        row = self._one("SELECT wrapped FROM epoch WHERE id = 1")
        if row is None:
            if not writable:
                raise ConfigurationError("this vault was never used", str(path))
            key = os.urandom(32)
            self._database.execute(
                "INSERT INTO epoch VALUES (1, 1, ?)", (_wrap(self._root_key.value, key, "lookup"),)
            )
            return key
        for candidate in self._root_key.candidates():
            try:
                key = _unwrap(candidate, bytes(row[0]), "lookup")
            except InvalidTag:
                continue
            self._root_key.settle_on(candidate, Disk() if writable else None)
            return key
        raise ConfigurationError(
            "the root key is not the one this vault was locked with; restore the newest one",
            self._root_key.place,
        )

    def _forget_cached(self) -> None:
        self._handles.clear()
        self._keys.clear()
        self._tenants.clear()

    # --- tenants, handles, keys

    def _known_tenant(self, tenant: str) -> tuple[int, bytes] | None:
        known = self._tenants.get(tenant)
        if known is None:
            row = self._one(
                "SELECT id, wrapped FROM tenants WHERE lookup = ?", self._lookup("tenant", tenant)
            )
            if row is None:
                return None
            number = int(row[0])
            known = number, _unwrap(self._root_key.value, bytes(row[1]), f"tenant\0{number}")
            self._tenants[tenant] = known
        return known

    def _tenant(self, tenant: str) -> tuple[int, bytes]:
        known = self._known_tenant(tenant)
        if known is None:
            number, key = int.from_bytes(os.urandom(6)), os.urandom(32)
            self._insert(
                "INSERT INTO tenants (id, lookup, wrapped, name) VALUES (?, ?, ?, ?)",
                (
                    number,
                    self._lookup("tenant", tenant),
                    _wrap(self._root_key.value, key, f"tenant\0{number}"),
                    _wrap(key, tenant.encode(), "tenant name"),
                ),
            )
            known = self._tenants[tenant] = (number, key)
        return known

    def _tenant_key(self, number: int) -> bytes:
        (wrapped,) = self._database.execute("SELECT wrapped FROM tenants WHERE id = ?", (number,)).fetchone()
        return _unwrap(self._root_key.value, bytes(wrapped), f"tenant\0{number}")

    def _tenant_names(self) -> list[str]:
        found = self._database.execute("SELECT id, name FROM tenants ORDER BY id").fetchall()
        return sorted(
            _unwrap(self._tenant_key(number), bytes(name), "tenant name").decode() for number, name in found
        )

    def _new_handle(self, tenant: str, subject: str) -> str:
        handle = "s-" + os.urandom(12).hex()
        number, key = self._tenant(tenant)
        self._insert(
            "INSERT INTO handles (lookup, handle, tenant, name) VALUES (?, ?, ?, ?)",
            (
                self._lookup("subject", tenant, subject),
                handle,
                number,
                _wrap(key, subject.encode(), f"name\0{handle}"),
            ),
        )
        return handle

    def _stored_key(self, place: tuple[str, str, str, str]) -> tuple[str, bytes] | None:
        row = self._one("SELECT kid, wrapped FROM keys WHERE lookup = ?", self._lookup("key", *place))
        if row is None:
            return None
        kid = str(row[0])
        return kid, _unwrap(self._tenant(place[0])[1], bytes(row[1]), f"key\0{kid}")

    def _new_key(self, place: tuple[str, str, str, str]) -> tuple[str, bytes]:
        kid, key = "k-" + os.urandom(8).hex(), os.urandom(32)
        number, tenant_key = self._tenant(place[0])
        self._insert(
            "INSERT INTO keys (kid, lookup, handle, tenant, retention, wrapped) VALUES (?, ?, ?, ?, ?, ?)",
            (
                kid,
                self._lookup("key", *place),
                place[1],
                number,
                place[2],
                _wrap(tenant_key, key, f"key\0{kid}"),
            ),
        )
        return kid, key

    def _one(self, statement: str, *values: object) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._database.execute(statement, values).fetchone()
        return row

    def _insert(self, statement: str, values: tuple[object, ...]) -> None:
        if not self._database.in_transaction:
            self._database.execute("BEGIN IMMEDIATE")
        self._database.execute(statement, values)

    def _lookup(self, *words: str) -> bytes:
        return hmac.digest(self._lookup_key, "\0".join(words).encode(), "sha256")


def quarter(now_us: int) -> str:
    """Return the calendar quarter, for example ``2026Q4``: the span that one subject key covers."""
    return _quarter_of(now_us // DAY_US)


@lru_cache(maxsize=64)
def _quarter_of(day: int) -> str:
    moment = time.gmtime(day * 86_400)
    return f"{moment.tm_year}Q{(moment.tm_mon + 2) // 3}"


def _wrap(key: bytes, plain: bytes, what: str, *, fresh: bool = False) -> bytes:
    """Encrypt ``plain`` under a key derived for ``what``.

    ``what`` names a thing that is wrapped once under ``key``; ``fresh`` is for values that change under one name: a random
    salt then goes into the derivation too.
    """
    salt = os.urandom(32) if fresh else b""
    nonce = os.urandom(12)
    sealed = AESGCM(derive(key, what.encode() + b"\0" + salt)).encrypt(nonce, plain, None)
    return bytes([len(salt)]) + salt + nonce + sealed


def _unwrap(key: bytes, wrapped: bytes, what: str) -> bytes:
    end = 1 + wrapped[0]
    salt, nonce, sealed = wrapped[1:end], wrapped[end : end + 12], wrapped[end + 12 :]
    return AESGCM(derive(key, what.encode() + b"\0" + salt)).decrypt(nonce, sealed, None)
