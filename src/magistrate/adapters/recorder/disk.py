"""Every write that matters, behind one small object, so that tests can lose or fail each of them."""

import os
from pathlib import Path


class Disk:
    """The real disk. Everything raises OSError."""

    def write(self, descriptor: int, data: bytes) -> None:
        """Write all of ``data``. After an error any part of it may have been written."""
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]

    def sync(self, descriptor: int) -> None:
        """Return when what was written is on the device. After an error nothing is known, so nobody may retry."""
        os.fdatasync(descriptor)

    def truncate(self, descriptor: int, length: int) -> None:
        """Cut the file back to ``length``."""
        os.ftruncate(descriptor, length)

    def rename(self, old: Path, new: Path) -> None:
        old.rename(new)

    def remove(self, path: Path) -> None:
        """Remove a file if it is there."""
        path.unlink(missing_ok=True)

    def sync_directory(self, path: Path) -> None:
        """Return when names made, changed or removed in ``path`` are on the device."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def make_directories(self, path: Path) -> None:
        """Make ``path`` and what is missing above it; each new name is on the device when this returns."""
        if path.is_dir():
            return
        self.make_directories(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)
        self.sync_directory(path.parent)

    def put(self, path: Path, data: bytes, *, mode: int = 0o600) -> None:
        """Put a file in place whole or not at all: written aside, synced, renamed, its directory synced."""
        partial = path.with_name(path.name + ".partial")
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
        try:
            self.write(descriptor, data)
            self.sync(descriptor)
        except OSError:
            partial.unlink(missing_ok=True)  # on a full disk its space is needed
            raise
        finally:
            os.close(descriptor)
        self.rename(partial, path)
        self.sync_directory(path.parent)
