"""The sealer: from durable records to a signed, published tree, in Sunlight's order.

1 write bodies to segments   2 stage every new file in one   3 swap the signed checkpoint in the register
4 apply the staged files     5 publish the checkpoint        6 index   7 discard the staging

A crash before 3 leaves the register as it was: the records are still in the write-ahead log and are sealed again, to
the same tree; bodies written by 1 stand twice, the same bytes. A crash after 3 is finished at the next start by 4 and
5, from the staging file, before anything else. Only then may the write-ahead log lose what was sealed. An error between
3 and 5 is like a crash there: nothing new is staged before what is signed has been applied.
"""

import logging
import shutil
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec
import orjson

from magistrate.adapters.recorder.disk import Disk
from magistrate.adapters.recorder.index import Index
from magistrate.adapters.recorder.keys import Keys
from magistrate.adapters.recorder.row import Located
from magistrate.adapters.recorder.segments import SegmentWriter, locate
from magistrate.adapters.recorder.store import PosixObjects, SqliteRegister
from magistrate.adapters.recorder.wal import WalBroken
from magistrate.adapters.recorder.writer import Kept
from magistrate.evidence.checkpoint import Checkpoint, parse
from magistrate.evidence.note import NoteError, Verifier
from magistrate.evidence.ports import Objects, Register
from magistrate.evidence.receipt import SignedRoot, sign_root
from magistrate.evidence.segment import folder_of
from magistrate.evidence.tiles import (
    WIDTH,
    Missing,
    decode_bundle,
    entries_path,
    grow,
    root_of,
)
from magistrate.exchange.errors import ConfigurationError

CHECKPOINT = "checkpoint"
ROLLED_BACK = (
    "it was rolled back or changed, and going on would fork the log. Restore the newest copy of the evidence "
    "directory, or begin a new log elsewhere"
)

log = logging.getLogger("magistrate.recorder")


class Staged(msgspec.Struct, frozen=True):
    """Everything that a checkpoint needs on disk."""

    size: int
    note: bytes
    files: dict[str, bytes]


class Sealer:
    """Owns what is signed. Not thread-safe: one caller at a time."""

    def __init__(
        self,
        root: Path,
        keys: Keys,
        index: Index,
        disk: Disk,
        register: Register | None = None,
    ) -> None:
        self._root = root
        self._signer, self._cosigner = keys.signer, keys.cosigner
        self._following: Keys | None = None
        self._index = index
        self._disk = disk
        self._objects = PosixObjects(root, disk)
        self._register: Register = register or SqliteRegister(root / "lock.db")
        self._segments = SegmentWriter(root, disk)
        self._staging = root / "staging"
        self._note = self._register.read()
        self._unapplied: Staged | None = None
        self.size = 0

    def recover(self) -> None:
        """Finish what a crash interrupted, and check that the disk holds what was signed.

        Raises:
            WalBroken: it does not: register and disk tell of different trees. Going on would fork the log.
            ConfigurationError: the log was signed by another key.
            OSError: no room to finish.
        """
        signed, published = self._signed(self._note), self._signed(self._objects.get(CHECKPOINT) or b"")
        if signed is None:
            if published is not None or (self._root / "tile").exists():
                raise WalBroken(f"the register of checkpoints is empty but the log is not: {ROLLED_BACK}")
            self._disk.remove(self._staging)
            return
        if published is not None and published.size > signed.size:
            raise WalBroken(
                f"a checkpoint of {published.size} records was published, the register knows {signed.size}: {ROLLED_BACK}"
            )
        self._finish_staged()
        try:
            root = root_of(self._objects.get, signed.size)
        except Missing as missing:
            raise WalBroken(
                f"the register signed {signed.size} records but {missing} on the disk: {ROLLED_BACK}"
            ) from None
        if root != signed.root:
            raise WalBroken(
                f"the register signed {signed.size} records that the disk does not hold: {ROLLED_BACK}"
            )
        self.size = signed.size
        if self._objects.get(CHECKPOINT) != self._note:
            self._objects.put(CHECKPOINT, self._note)
        self._catch_up()

    def seal(self, batch: Sequence[Kept]) -> None:
        """Seal ``batch``, which follows the last sealed record.

        Raises:
            WalBroken: another process swapped the register: two recorders on one log. Fatal, never retried.
            OSError, sqlite3.Error: the disk refused. Either nothing was signed and the records stay in the write-ahead
                log, or what was signed is staged; the same batch, or a longer one, may be sealed again.
        """
        if self._unapplied is not None:
            self._apply(self._unapplied)
            batch = [kept for kept in batch if kept.entry.index >= self.size]
        if not batch:
            return
        assert batch[0].entry.index == self.size
        located = self._segments.write(batch)  # 1
        growth = grow(self._objects.get, self.size, [kept.entry.header for kept in batch])
        note = self._sign(Checkpoint(self._signer.name, growth.size, growth.root).text())
        staged = Staged(growth.size, note, growth.files)
        self._disk.put(self._staging, msgspec.msgpack.encode(staged))  # 2
        self._swap(note)  # 3
        self._unapplied = staged
        self._apply(staged)  # 4, 5
        self._add_to_index(batch, located)  # 6
        self._disk.remove(self._staging)  # 7

    def forget_segments(self, folder: str) -> None:
        """Write no further into the segments of ``folder``; see `SegmentWriter.forget`."""
        self._segments.forget(folder)

    def catch_up(self) -> None:
        """Bring the index up to what is sealed. Raises sqlite3.Error."""
        if self._index.size != self.size:
            self._catch_up()

    def headers(self, first: int) -> Iterator[tuple[int, bytes]]:
        """Yield index and exact bytes of the sealed records from ``first`` on."""
        return read_headers(self._objects, first, self.size)

    def headers_at(self, indexes: Iterable[int]) -> Iterator[tuple[int, bytes]]:
        """Yield index and exact bytes of some sealed records; ``indexes`` rise. Each bundle is read once."""
        for number, wanted in groupby(indexes, lambda index: index // WIDTH):
            chosen = set(wanted)
            for index, raw in read_headers(
                self._objects, number * WIDTH, min((number + 1) * WIDTH, self.size)
            ):
                if index in chosen:
                    yield index, raw

    def headers_backwards(self, last: int) -> Iterator[tuple[int, bytes]]:
        """Yield index and exact bytes of the sealed records from ``last`` down to the first."""
        for number in range(min(last, self.size - 1) // WIDTH, -1, -1):
            yield from reversed(
                list(read_headers(self._objects, number * WIDTH, min((number + 1) * WIDTH, self.size)))
            )

    def close(self) -> None:
        if isinstance(self._register, SqliteRegister):
            self._register.close()

    def last_type(self) -> str:
        """Return what kind of record the last sealed one is; empty in an empty log."""
        return (
            next((str(orjson.loads(raw)["t"]) for _, raw in self.headers(self.size - 1)), "")
            if self.size
            else ""
        )

    def countersign_with(self, keys: Keys) -> None:
        """Let ``keys``, which follow those in force, sign beside them."""
        self._following = keys

    def signed_root(self) -> SignedRoot:
        """Return the root of what is sealed, signed for COSE receipts. Raises `Missing`."""
        tree = self._signed(self._note)
        if tree is None:
            raise Missing("nothing is sealed yet")
        return sign_root(self._signer, tree)

    def published(self, path: str) -> bytes:
        """Return a file that was published. Raises `Missing`."""
        data = self._objects.get(path)
        if data is None:
            raise Missing(f"`{path}` cannot be read")
        return data

    def _sign(self, text: str) -> bytes:
        now = int(time.time())
        note = self._signer.sign(text) + self._cosigner.line(text, now)
        if self._following is not None:
            # Only the line: the note's text stands there already.
            note += self._following.signer.sign(text).removeprefix(f"{text}\n".encode())
            note += self._following.cosigner.line(text, now)
        return note

    def _swap(self, note: bytes) -> None:
        try:
            swapped = self._register.swap(self._note, note)
        except sqlite3.Error:
            # Failed for the caller does not mean failed on the device. What is there now decides.
            swapped = self._register.read() == note
            if not swapped:
                raise
        if not swapped and self._register.read() != note:
            raise WalBroken(
                "another recorder signed for this log; two of them must never run on one directory"
            )
        self._note = note

    def _apply(self, staged: Staged) -> None:
        for path, data in staged.files.items():
            self._objects.put(path, data)
        self._objects.put(CHECKPOINT, staged.note)
        self.size = staged.size
        self._unapplied = None
        for path in staged.files:
            # tlog-tiles: partial tiles MAY go once the full tile is there. Not before: who holds an older checkpoint
            # still asks for them, and falls back to the full one.
            if ".p/" not in path:
                shutil.rmtree(self._root / f"{path}.p", ignore_errors=True)

    def _finish_staged(self) -> None:
        if not self._staging.exists():
            return
        try:
            staged = msgspec.msgpack.decode(self._staging.read_bytes(), type=Staged)
        except msgspec.DecodeError:
            raise WalBroken(f"`{self._staging.name}` is damaged: {ROLLED_BACK}") from None
        if staged.note == self._note:
            self._apply(staged)
        self._disk.remove(self._staging)

    def _signed(self, note: bytes) -> Checkpoint | None:
        if not note:
            return None
        try:
            return parse(Verifier(self._signer.vkey).verify(note))
        except NoteError as error:
            raise ConfigurationError(
                f"the log's checkpoint is not signed by the key in the vault ({error}); "
                "restore `signing.key`, and keep `evidence.origin` as it was",
                str(self._root),
            ) from None

    def _add_to_index(self, batch: Sequence[Kept], located: list[tuple[Located, ...]]) -> None:
        """Add to the index. It is derived: when it cannot take these, a later seal or start catches up."""
        try:
            if self._index.size != batch[0].entry.index:
                self._catch_up()
            else:
                self._index.add((k.entry.index, k.header, s) for k, s in zip(batch, located, strict=True))
        except sqlite3.Error as error:
            log.error("the index waits: %s", error)

    def _catch_up(self) -> None:
        fill_index(self._index, self._objects, self._root, self.size)


def read_headers(objects: Objects, first: int, size: int) -> Iterator[tuple[int, bytes]]:
    """Yield index and exact bytes of the records from ``first`` up to ``size``, reading each bundle once.

    Raises:
        Missing: a bundle cannot be read.
    """
    for number in range(first // WIDTH, (size + WIDTH - 1) // WIDTH):
        width = min(size - number * WIDTH, WIDTH)
        data = objects.get(entries_path(number, width)) or objects.get(entries_path(number))
        if data is None:
            raise Missing(f"`{entries_path(number, width)}` cannot be read")
        for offset, raw in enumerate(decode_bundle(data)[:width]):
            if number * WIDTH + offset >= first:
                yield number * WIDTH + offset, raw


def fill_index(index: Index, objects: Objects, root: Path, size: int) -> None:
    """Add what the index lacks of the log's first ``size`` records; everything, if it is new."""
    if index.size > size:
        index.clear()  # it is about another log
    first = index.size
    if first == size:
        return
    folders: dict[str, None] = {}

    def records() -> Iterator[tuple[int, dict[str, Any]]]:
        for number, raw in read_headers(objects, first, size):
            header = orjson.loads(raw)
            folders[folder_of(header)] = None
            yield number, header

    def bodies() -> Iterator[tuple[str, Located]]:
        for folder in folders:
            yield from locate(root, folder)

    index.fill(first, records(), bodies())
