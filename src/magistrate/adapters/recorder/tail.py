"""The tail of the write-ahead log: what is durable, read again in order by whoever seals it, in any process."""

import os
from pathlib import Path

from magistrate.adapters.recorder.wal import Entry, WalBroken, read_group

SEALED_AT_ONCE = 64 * 1024 * 1024
"""Bytes under one checkpoint: after a crash much may wait, and all of a piece stands in memory."""


class Tail:
    """Follows the files as they were written. One reader at a time.

    It is told how far records are durable and never looks beyond: what stands there may be half written. Each group's CRC
    is checked again. A file is open until the next one is reached, so it may be set aside, or used again, once it is sealed.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._descriptor = -1
        self._at = 0
        self._next = -1

    def read(self, first: int, end: int) -> list[Entry]:
        """Return the records from ``first`` on, some `SEALED_AT_ONCE` bytes of them; those below ``end`` are durable.

        Raises:
            WalBroken: they cannot be read, or are not what was written.
            OSError: the disk refuses.
        """
        if self._next != first:
            self._seek(first)
        entries: list[Entry] = []
        weight = 0
        while self._next < end and weight < SEALED_AT_ONCE:
            for entry in self._group():
                if entry.index >= first:
                    entries.append(entry)
                    weight += entry.weight
        return entries

    def close(self) -> None:
        """Let go of the file that was read last."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._next = -1, -1

    def _seek(self, first: int) -> None:
        """Go to the file in which ``first`` stands; the groups before it are read over."""
        starts = [int(path.stem) for path in self._directory.glob("*.wal")]
        begin = max((start for start in starts if start <= first), default=None)
        if begin is None:
            raise self._missing(first)
        self._open(begin)

    def _group(self) -> list[Entry]:
        """Return the next group, from this file or from the one that is named by its first record."""
        found = read_group(self._descriptor, self._at)
        if found is None or found[0][0].index != self._next:
            self._open(self._next)
            found = read_group(self._descriptor, 0)
        if found is None or found[0][0].index != self._next:
            raise self._missing(self._next)
        entries, self._at = found
        self._next = entries[-1].index + 1
        return entries

    def _open(self, index: int) -> None:
        self.close()
        try:
            self._descriptor = os.open(self._directory / f"{index:016d}.wal", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise self._missing(index) from None
        self._at, self._next = 0, index

    def _missing(self, index: int) -> WalBroken:
        self.close()
        return WalBroken(f"record {index} is durable and cannot be read from the write-ahead log")
