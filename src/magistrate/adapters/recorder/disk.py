"""Every write that matters, behind one small object, so that tests can lose or fail each of them."""

import os
from pathlib import Path


class Disk:
    """The real disk."""

    def write(self, descriptor: int, data: bytes) -> None:
        """Write all of ``data``. Raises OSError; then any part of it may have been written."""
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]

    def sync(self, descriptor: int) -> None:
        """Return when what was written is on the device. After an error nothing is known, so nobody may retry."""
        os.fdatasync(descriptor)

    def rename(self, old: Path, new: Path) -> None:
        old.rename(new)

    def sync_directory(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def put(self, path: Path, data: bytes, *, mode: int = 0o600) -> None:
        """Put a file in place whole: written aside, synced, renamed."""
        partial = path.with_name(path.name + ".partial")
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
        try:
            self.write(descriptor, data)
            self.sync(descriptor)
        finally:
            os.close(descriptor)
        self.rename(partial, path)
