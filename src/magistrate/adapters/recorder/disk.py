"""Every write that matters, behind one small object, so that tests can lose or fail each of them."""

import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TypeVar

FILES_AT_ONCE = 64
"""So many files are open together."""

Item = TypeVar("Item")


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
        self.put_all({path: data}, mode=mode)

    def put_all(self, files: Mapping[Path, bytes], *, mode: int = 0o600) -> None:
        """Put each file in place whole or not at all; which of them, if this fails, is not said.

        All are written before the first is synced, and all renamed before the first directory is: a journalling file
        system then commits twice in all, not twice for each file, and who waits for the same device waits less.
        """
        for some in batched(files.items(), FILES_AT_ONCE):
            written: list[tuple[int, Path, Path]] = []
            try:
                for path, data in some:
                    partial = path.with_name(path.name + ".partial")
                    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
                    written.append((descriptor, partial, path))
                    self.write(descriptor, data)
                for descriptor, _, _ in written:
                    self.sync(descriptor)
            except OSError:
                for _, partial, _ in written:
                    partial.unlink(missing_ok=True)  # on a full disk its space is needed
                raise
            finally:
                for descriptor, _, _ in written:
                    os.close(descriptor)
            for _, partial, path in written:
                self.rename(partial, path)
            for directory in dict.fromkeys(path.parent for _, _, path in written):
                self.sync_directory(directory)


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield ``items`` in lists of at most ``size``."""
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some
