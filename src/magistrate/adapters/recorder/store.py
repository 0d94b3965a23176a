"""The two storage ports on a POSIX file system: immutable objects, and the register that a checkpoint is swapped in."""

import shutil
import sqlite3
from collections.abc import Mapping
from pathlib import Path

from magistrate.adapters.recorder.disk import Disk
from magistrate.adapters.recorder.storage import checked
from magistrate.exchange.errors import ConfigurationError


class PosixObjects:
    """The `Objects` port: files under ``root``. A path that leaves it is no path."""

    def __init__(self, root: Path, disk: Disk | None = None) -> None:
        self.root = root
        self._disk = disk or Disk()

    def get(self, path: str) -> bytes | None:
        try:
            return self._file(path).read_bytes()
        except FileNotFoundError:
            return None

    def put(self, path: str, data: bytes) -> None:
        self.put_all({path: data})

    def put_all(self, files: Mapping[str, bytes]) -> None:
        """Keep each file whole or not at all. Raises OSError."""
        placed = {self._file(path): data for path, data in files.items()}
        for folder in dict.fromkeys(path.parent for path in placed):
            self._disk.make_directories(folder)
        self._disk.put_all(placed)

    def children(self, path: str) -> list[str]:
        """Return the names directly below a path."""
        folder = self._file(path)
        return sorted(child.name for child in folder.iterdir()) if folder.is_dir() else []

    def replace(self, path: str, data: bytes) -> bool:
        """Put other bytes in place; always done."""
        self.put(path, data)
        return True

    def remove(self, path: str) -> None:
        """Remove a file if it is there. Raises OSError."""
        self._disk.remove(self._file(path))

    def remove_below(self, path: str) -> None:
        """Remove a folder of superseded files as far as that is possible."""
        shutil.rmtree(self._file(path), ignore_errors=True)

    def close(self) -> None:
        """Nothing is held open."""

    def _file(self, path: str) -> Path:
        return self.root / checked(path)


class SqliteRegister:
    """The `Register` port: the signed checkpoint in one row, swapped only if nobody swapped it before.

    Small and trusted: together with the signing key it is what makes two histories impossible.

    Raises:
        ConfigurationError: the file is no register any more.
    """

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            path.chmod(0o600)
            # A rollback journal, not a WAL: one small file that is whole in itself can be copied and watched.
            self._database.execute("PRAGMA journal_mode = DELETE")
            self._database.execute("PRAGMA synchronous = FULL")
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS checkpoint (id INTEGER PRIMARY KEY CHECK (id = 1), note BLOB NOT NULL)"
            )
            self._database.execute("INSERT OR IGNORE INTO checkpoint (id, note) VALUES (1, x'')")
        except sqlite3.DatabaseError as error:
            self._database.close()
            raise ConfigurationError(
                f"the register of checkpoints cannot be used ({error}); restore it from its backup", str(path)
            ) from error

    def read(self) -> bytes:
        """Return the newest signed checkpoint; empty before the first."""
        row = self._database.execute("SELECT note FROM checkpoint WHERE id = 1").fetchone()
        return bytes(row[0])

    def swap(self, old: bytes, new: bytes) -> bool:
        """Put ``new`` in place of ``old``; False when it was not there any more."""
        done = self._database.execute("UPDATE checkpoint SET note = ? WHERE id = 1 AND note = ?", (new, old))
        return done.rowcount == 1

    def close(self) -> None:
        self._database.close()
