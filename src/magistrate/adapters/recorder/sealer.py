"""The sealer: from durable records to a signed, published tree, in Sunlight's order.

1 write bodies to segments   2 stage every new file in one   3 swap the signed checkpoint in the register
4 apply the staged files     5 publish the checkpoint        6 index   7 discard the staging, drop sealed WAL files

A crash before 3 leaves the register as it was: the records are still in the write-ahead log and are sealed again, to
the same tree. A crash after 3 is finished at the next start by 4 and 5, from the staging file, before anything else.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import orjson

from magistrate.adapters.recorder.disk import Disk
from magistrate.adapters.recorder.index import Index, Located
from magistrate.adapters.recorder.segments import SegmentWriter
from magistrate.adapters.recorder.store import PosixObjects, SqliteRegister
from magistrate.adapters.recorder.wal import Entry, WalBroken
from magistrate.evidence.checkpoint import Checkpoint, parse
from magistrate.evidence.note import Signer, Verifier
from magistrate.evidence.tiles import Missing, entry, grow, root_of

CHECKPOINT = "checkpoint"


class Staged(msgspec.Struct, frozen=True):
    """Everything that a checkpoint needs on disk."""

    size: int
    note: bytes
    files: dict[str, bytes]


class Sealer:
    """Owns what is signed. Not thread-safe: one caller at a time."""

    def __init__(self, root: Path, signer: Signer, index: Index, disk: Disk) -> None:
        self._root = root
        self._signer = signer
        self._index = index
        self._disk = disk
        self._objects = PosixObjects(root, disk)
        self._register = SqliteRegister(root / "lock.db")
        self._segments = SegmentWriter(root, disk)
        self._staging = root / "staging"
        self._note = self._register.read()
        self.size = 0
        self.root_hash = b""
        self._partials: set[str] = set()

    def recover(self) -> None:
        """Finish what a crash interrupted, and check that the disk holds what was signed.

        Raises:
            WalBroken: it does not. The register knows a larger or another tree: the disk was rolled back or tampered
                with, and going on would fork the log.
        """
        if not self._note:
            return
        text = Verifier(self._signer.vkey).verify(self._note)
        signed = parse(text)
        if self._staging.exists():
            staged = msgspec.msgpack.decode(self._staging.read_bytes(), type=Staged)
            if staged.note == self._note:
                self._apply(staged)
            self._staging.unlink()
        try:
            root = root_of(self._objects.get, signed.size)
        except Missing:
            root = b""
        if root != signed.root:
            raise WalBroken(
                f"the register signed a tree of {signed.size} records that the disk does not hold: it was rolled back "
                "or changed. Restore it, or begin a new log elsewhere"
            )
        self.size, self.root_hash = signed.size, signed.root
        if self._objects.get(CHECKPOINT) != self._note:
            self._objects.put(CHECKPOINT, self._note)
        self._reindex()

    def seal(self, entries: Sequence[Entry]) -> None:
        """Seal ``entries``, which follow the last sealed record.

        Raises:
            WalBroken: another process swapped the register: two recorders on one log. Fatal, never retried.
            OSError: the disk refused; nothing was signed, the records stay in the write-ahead log.
        """
        assert not entries or entries[0].index == self.size
        headers: list[dict[str, Any]] = [orjson.loads(e.header) for e in entries]
        located = self._segments.write(entries, headers)  # 1
        growth = grow(self._objects.get, self.size, [e.header for e in entries])
        note = self._signer.sign(Checkpoint(self._signer.name, growth.size, growth.root).text())
        staged = Staged(growth.size, note, growth.files)
        self._disk.put(self._staging, msgspec.msgpack.encode(staged))  # 2
        self._disk.sync_directory(self._root)
        if not self._register.swap(self._note, note):  # 3
            raise WalBroken(
                "another recorder signed for this log; two of them must never run on one directory"
            )
        self._note = note
        self._apply(staged)  # 4, 5
        self.size, self.root_hash = growth.size, growth.root
        self._index.add(
            (e.index, h, spots) for e, h, spots in zip(entries, headers, located, strict=True)
        )  # 6
        self._staging.unlink()  # 7

    def header(self, index: int) -> bytes:
        """Return the exact bytes of a sealed record."""
        return entry(self._objects.get, index, self.size)

    def close(self) -> None:
        self._segments.close()
        self._register.close()

    def _apply(self, staged: Staged) -> None:
        directories: set[Path] = set()
        for path, data in staged.files.items():
            self._objects.put(path, data)
            directories.add((self._root / path).parent)
        for directory in directories:
            self._disk.sync_directory(directory)
        self._objects.put(CHECKPOINT, staged.note)
        self._disk.sync_directory(self._root)
        self._drop_superseded(set(staged.files))

    def _drop_superseded(self, files: set[str]) -> None:
        """Remove partial tiles of which a wider one was just published (tlog-tiles allows it)."""
        widened = {path.partition(".p/")[0] for path in files}
        superseded = {path for path in self._partials - files if path.partition(".p/")[0] in widened}
        for path in superseded:
            (self._root / path).unlink(missing_ok=True)
        self._partials = {path for path in self._partials | files if ".p/" in path} - superseded

    def _reindex(self) -> None:
        """Add what the index lacks; from nothing, if it was removed."""
        known = self._index.size
        if known > self.size:
            raise WalBroken(
                "the index knows records that the log does not; remove `index/` to have it rebuilt"
            )
        spots = self._segments.locate() if known < self.size else {}
        batch: list[tuple[int, dict[str, Any], tuple[Located, ...]]] = []
        for number in range(known, self.size):
            header = orjson.loads(entry(self._objects.get, number, self.size))
            batch.append((number, header, tuple(spots.get(str(header["eid"]), ()))))
            if len(batch) == 1000:
                self._index.add(batch)
                batch = []
        if batch:
            self._index.add(batch)
