"""Key files of 32 bytes that only their owner may read, and the root key, which can be put aside for a new one."""

import os
import stat
from pathlib import Path

from magistrate.adapters.recorder.disk import Disk
from magistrate.exchange.errors import ConfigurationError


class RootKey:
    """The key at the top, in a file that may stand outside of the vault."""

    def __init__(self, path: Path, *, create: bool) -> None:
        self._path = path
        self._next = path.with_name(path.name + ".next")
        self.value = secret_file(path, create=create)

    @property
    def place(self) -> str:
        return str(self._path)

    def candidates(self) -> list[bytes]:
        """Return the key, and the one that a crash may have left staged."""
        return [self.value] + ([secret_file(self._next, create=False)] if self._next.exists() else [])

    def settle_on(self, value: bytes, disk: Disk | None) -> None:
        """Use ``value``, which opened the vault; with ``disk`` also tidy up what a crash left."""
        staged = value != self.value
        self.value = value
        if disk is None:
            return
        if staged:
            self.put_in_force(disk)
        else:
            disk.remove(self._next)

    def stage(self, value: bytes, disk: Disk) -> None:
        """Write a new key beside the old one, durably. Raises OSError."""
        disk.put(self._next, value)

    def put_in_force(self, disk: Disk) -> None:
        """Let the staged key take the old one's place. Raises OSError."""
        self.value = secret_file(self._next, create=False)
        disk.rename(self._next, self._path)
        disk.sync_directory(self._path.parent)


def secret_file(path: Path, *, create: bool) -> bytes:
    """Return the 32 bytes in ``path``, readable by their owner only; made at first use if ``create``.

    Raises:
        ConfigurationError: it is missing where it must not be, holds something else, or others may read it.
    """
    if create and not path.exists():
        # Aside and renamed: a crash must not leave half a key under the name of a key.
        Disk().put(path, os.urandom(32))
    try:
        content = path.read_bytes()
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        raise ConfigurationError(
            f"the key cannot be read ({error.strerror}); restore it from its backup", str(path)
        ) from None
    if mode & 0o077:
        raise ConfigurationError(f"others may read this key ({mode:04o}); chmod 600 it", str(path))
    if len(content) != 32:
        raise ConfigurationError("does not hold a key of 32 bytes; restore it from its backup", str(path))
    return content
