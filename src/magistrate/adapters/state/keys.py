"""Virtual keys and admin tokens, kept in the state file."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from magistrate.adapters.state.database import Database, StateUnavailable
from magistrate.identity.admin import AdminToken, Right, admit, mint_token
from magistrate.identity.keys import RANDOM_BYTES, KeyRecord, KeyRing, NoSuchKey, mint, rotated

__all__ = ["KeyStore", "NoSuchKey", "local_token"]

_COLUMNS = ", ".join(KeyRecord.__struct_fields__)
"""The table's columns are the record's fields, in its order."""
_LIST = msgspec.json.Decoder(tuple[str, ...])


def _wall_us() -> int:
    return time.time_ns() // 1000


class KeyStore:
    """The keys in one state file. Methods raise `StateUnavailable` when the file cannot be used."""

    def __init__(
        self,
        path: Path,
        *,
        create: bool = True,
        now_us: Callable[[], int] = _wall_us,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._database = Database(path, create=create)
        self._now_us = now_us
        self._random = random
        self._seen = self._database.version()

    def close(self) -> None:
        self._database.close()

    def create(
        self,
        *,
        user: str,
        tenant: str = "default",
        groups: tuple[str, ...] = (),
        application: str = "",
        models: tuple[str, ...] = (),
        expires_us: int | None = None,
    ) -> tuple[str, KeyRecord]:
        """Mint and keep a key. The first of the pair is the only time that the key itself is seen."""
        presented, record = mint(
            self._random(RANDOM_BYTES),
            user=user,
            now_us=self._now_us(),
            tenant=tenant,
            groups=groups,
            application=application,
            models=models,
            expires_us=expires_us,
        )
        marks = ", ".join("?" * len(KeyRecord.__struct_fields__))
        with self._database.writing() as connection:
            connection.execute(f"INSERT INTO keys ({_COLUMNS}) VALUES ({marks})", _row(record))  # noqa: S608  because both are constants
        return presented, record

    def list(self) -> tuple[KeyRecord, ...]:
        """Return every key, revoked ones too, oldest first."""
        found = self._database.rows(f"SELECT {_COLUMNS} FROM keys ORDER BY created_us, id")  # noqa: S608  because it is a constant
        return tuple(self._record(row) for row in found)

    def get(self, key_id: str) -> KeyRecord:
        """Return a key that is not revoked.

        Raises:
            NoSuchKey: there is none of that id.
        """
        found = self._database.rows(
            f"SELECT {_COLUMNS} FROM keys WHERE id = ? AND revoked_us IS NULL",  # noqa: S608  because the columns are constants
            (key_id,),
        )
        if not found:
            raise NoSuchKey(f"there is no active key `{key_id}`; `magistrate keys list` shows them")
        return self._record(found[0])

    def rotate(self, key_id: str, *, grace_us: int = 0) -> tuple[str, KeyRecord]:
        """Give a key a new secret; the old one stays good for ``grace_us``.

        Raises:
            NoSuchKey: there is no active key of that id.
        """
        presented, record = rotated(
            self.get(key_id), self._random(RANDOM_BYTES), now_us=self._now_us(), grace_us=grace_us
        )
        with self._database.writing() as connection:
            done = connection.execute(
                "UPDATE keys SET digest = ?, previous = ?, previous_until_us = ? WHERE id = ? AND revoked_us IS NULL",
                (record.digest, record.previous, record.previous_until_us, key_id),
            )
        if not done.rowcount:
            raise NoSuchKey(f"there is no active key `{key_id}`; it was revoked meanwhile")
        return presented, record

    def revoke(self, key_id: str) -> None:
        """End a key for good. Gateways notice within a second.

        Raises:
            NoSuchKey: there is no active key of that id.
        """
        with self._database.writing() as connection:
            done = connection.execute(
                "UPDATE keys SET revoked_us = ?, previous = NULL WHERE id = ? AND revoked_us IS NULL",
                (self._now_us(), key_id),
            )
        if not done.rowcount:
            raise NoSuchKey(f"there is no active key `{key_id}`; `magistrate keys list` shows them")

    def snapshot(self) -> KeyRing:
        """Return all keys as they are now."""
        version = self._database.version()
        ring = KeyRing(self.list())
        self._seen = version
        return ring

    def changed(self) -> bool:
        """Return whether another connection has written since the last snapshot. Costs microseconds."""
        return self._database.version() != self._seen

    def create_token(self, right: Right = Right.ADMIN, *, person: str = "") -> tuple[str, AdminToken]:
        """Mint and keep a control-plane token; the first of the pair is the only time that it is seen."""
        presented, token = mint_token(
            self._random(RANDOM_BYTES), now_us=self._now_us(), right=right, person=person
        )
        with self._database.writing() as connection:
            connection.execute(
                "INSERT INTO admin_tokens (id, digest, opens, created_us, person) VALUES (?, ?, ?, ?, ?)",
                (token.id, token.digest, token.right.value, token.created_us, token.person),
            )
        return presented, token

    def tokens(self) -> tuple[AdminToken, ...]:
        """Return the control-plane tokens that are not revoked."""
        found = self._database.rows(
            "SELECT id, digest, opens, created_us, person FROM admin_tokens WHERE revoked_us IS NULL ORDER BY created_us, id"
        )
        return tuple(
            AdminToken(str(key), bytes(digest), Right(opens), int(created), person=str(person))
            for key, digest, opens, created, person in found
        )

    def revoke_token(self, token_id: str) -> None:
        """End a control-plane token."""
        with self._database.writing() as connection:
            connection.execute(
                "UPDATE admin_tokens SET revoked_us = ? WHERE id = ?", (self._now_us(), token_id)
            )

    def _record(self, row: tuple[Any, ...]) -> KeyRecord:
        try:
            values = dict(zip(KeyRecord.__struct_fields__, row, strict=True))
            values["groups"], values["models"] = (
                _LIST.decode(values["groups"]),
                _LIST.decode(values["models"]),
            )
            return msgspec.convert(values, KeyRecord)
        except (msgspec.DecodeError, TypeError) as error:
            raise StateUnavailable(f"key `{row[0]}` in the state file is damaged ({error})") from error


def _row(record: KeyRecord) -> tuple[object, ...]:
    return tuple(
        msgspec.json.encode(value).decode() if isinstance(value, tuple) else value
        for value in msgspec.structs.astuple(record)
    )


def local_token(store: KeyStore, path: Path) -> tuple[str, bool]:
    """Return the token in ``path`` (for the command line on this machine) and whether it is new.

    A file that is missing, or whose token is no longer admitted, is written anew with a fresh token, 0600.

    Raises:
        StateUnavailable: the file cannot be read or written.
    """
    try:
        if path.exists():
            presented = path.read_text(encoding="ascii").strip()
            if admit(store.tokens(), presented) is not None:
                return presented, False
        presented, _ = store.create_token()
        descriptor = os.open(
            path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
        )
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            os.fchmod(descriptor, 0o600)
            file.write(presented + "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise StateUnavailable(f"`{path}` cannot be used: {error}; remove it to get a new token") from error
    return presented, True
