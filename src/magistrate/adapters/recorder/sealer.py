"""The sealer: from durable records to a signed, published tree, in Sunlight's order.

1 write bodies to segments   2 stage every new file in one   3 swap the signed checkpoint in the register
4 apply the staged files     5 publish the checkpoint        6 index   7 discard the staging

A crash before 3 leaves the register as it was: the records are still in the write-ahead log and are sealed again, to
the same tree; bodies written by 1 stand twice, the same bytes. A crash after 3 is finished at the next start by 4 and
5, from the staging file, before anything else. Only then may the write-ahead log lose what was sealed. An error between
3 and 5 is like a crash there: nothing new is staged before what is signed has been applied. A swap of which nobody knows
whether it happened is asked for again, the same bytes: should the first one still arrive, it changes nothing.

The staging stands where the published files stand. In a remote store it makes the log outlive the machine that seals it.
"""

import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec
import orjson

from magistrate.adapters.recorder.breath import Breath
from magistrate.adapters.recorder.disk import Disk
from magistrate.adapters.recorder.index import Index
from magistrate.adapters.recorder.keys import Keys
from magistrate.adapters.recorder.recent import Recent
from magistrate.adapters.recorder.row import Located
from magistrate.adapters.recorder.storage import Storage, StoreUnavailable
from magistrate.adapters.recorder.wal import Entry, WalBroken
from magistrate.evidence.checkpoint import Checkpoint, parse
from magistrate.evidence.note import NoteError, Verifier
from magistrate.evidence.ports import Objects, Readable, Register
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

CHECKPOINT, STAGING, BEFORE = "checkpoint", "staging", "staging-before"

ROLLED_BACK = (
    "it was rolled back or changed, and going on would fork the log. Restore the newest copy of the evidence "
    "directory, or begin a new log elsewhere"
)

TWO_RECORDERS = "another recorder signed for this log; two of them must never run on one directory"

RESTS_AT_MOST_S = 0.4
"""A checkpoint covers a record within 1.5 s: a second until sealing begins, and this much more at most for rests."""

log = logging.getLogger("magistrate.recorder")


class Staged(msgspec.Struct, frozen=True):
    """Everything that a checkpoint needs on disk."""

    size: int
    note: bytes
    files: dict[str, bytes]


class Sealing(msgspec.Struct, frozen=True):
    """What one checkpoint brings: what is staged, its records, and where their bodies stand."""

    staged: Staged
    batch: Sequence[Entry]
    located: list[tuple[Located, ...]]


class Sealer:
    """Owns what is signed. Not thread-safe: one caller at a time.

    ``rests``: whether others on this machine are answered meanwhile, so that a seal is taken slowly.
    """

    def __init__(
        self,
        root: Path,
        keys: Keys,
        index: Index,
        disk: Disk,
        register: Register,
        storage: Storage,
        *,
        rests: bool = False,
    ) -> None:
        self._root = root
        self._signer, self._cosigner = keys.signer, keys.cosigner
        self._following: Keys | None = None
        self._index = index
        self._disk = disk
        self._storage = storage
        self._objects = storage.objects
        # What was put last need not be asked for again in a store that is far away.
        self._edge: Readable = Recent(storage.objects) if storage.remote else storage.objects
        self._register = register
        self._breath = Breath()
        self._rests_s = RESTS_AT_MOST_S if rests else 0.0
        self._note = b""
        self._unsettled: Sealing | None = None
        self._unapplied: Sealing | None = None
        self.size = 0

    def recover(self) -> None:
        """Finish what a crash interrupted, and check that the disk holds what was signed.

        Raises:
            WalBroken: it does not: register and disk tell of different trees. Going on would fork the log.
            ConfigurationError: the log was signed by another key.
            OSError: no room to finish, or the store does not answer.
        """
        self._note = self._register.read()
        signed, published = self._signed(self._note), self._signed(self._objects.get(CHECKPOINT) or b"")
        if signed is None:
            if published is not None or self._objects.children("tile"):
                raise WalBroken(f"the register of checkpoints is empty but the log is not: {ROLLED_BACK}")
            self._finish_staged(0)
            return
        if published is not None and published.size > signed.size:
            raise WalBroken(
                f"a checkpoint of {published.size} records was published, the register knows {signed.size}: {ROLLED_BACK}"
            )
        self._finish_staged(signed.size)
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

    def seal(self, batch: Sequence[Entry]) -> None:
        """Seal ``batch``, which follows the last sealed record.

        Raises:
            WalBroken: another process swapped the register: two recorders on one log. Fatal, never retried.
            OSError, sqlite3.Error: the disk refused. Either nothing was signed and the records stay in the write-ahead
                log, or what was signed is staged; the same batch, or a longer one, may be sealed again.
        """
        self._settle()
        if self._unapplied is not None:
            self._complete(self._unapplied)
            batch = [entry for entry in batch if entry.index >= self.size]
        if not batch:
            return
        assert batch[0].index == self.size
        self._breath.begin(self._rests_s)
        located = self._storage.segments.write(batch, self._breath.rest)  # 1
        growth = grow(self._edge.get, self.size, [entry.header for entry in batch])
        note = self._sign(Checkpoint(self._signer.name, growth.size, growth.root).text())
        staged = Staged(growth.size, note, growth.files)
        self._stage(staged)  # 2
        self._unsettled = sealing = Sealing(staged, batch, located)
        self._settle()  # 3
        self._complete(sealing)

    @property
    def note(self) -> bytes:
        """The checkpoint all of whose files are in place; empty before the first, and while a signed one waits to be applied."""
        return self._note if self._unapplied is None else b""

    def follow(self, note: bytes) -> None:
        """Take over what another process of this recorder has sealed up to ``note``. Raises ConfigurationError: not its key."""
        signed = self._signed(note)
        if signed is not None:
            self._note, self.size = note, signed.size

    def forget_segments(self, folder: str) -> None:
        """Write no further into the segments of ``folder``; see `Segments.forget`."""
        self._storage.segments.forget(folder)

    def catch_up(self) -> None:
        """Bring the index up to what is sealed. Raises sqlite3.Error."""
        if self._index.size != self.size:
            self._catch_up()

    def headers(self, first: int) -> Iterator[tuple[int, bytes]]:
        """Yield index and exact bytes of the sealed records from ``first`` on."""
        return read_headers(self._objects, first, self.size)

    def headers_at(self, indexes: Iterable[int]) -> Iterator[tuple[int, bytes]]:
        """Yield index and exact bytes of some sealed records; ``indexes`` rise. Each bundle is read once."""
        return read_headers_at(self._objects, indexes, self.size)

    def headers_backwards(self, last: int) -> Iterator[tuple[int, bytes]]:
        """Yield index and exact bytes of the sealed records from ``last`` down to the first."""
        for number in range(min(last, self.size - 1) // WIDTH, -1, -1):
            yield from reversed(
                list(read_headers(self._objects, number * WIDTH, min((number + 1) * WIDTH, self.size)))
            )

    def last_type(self) -> str:
        """Return what kind of record the last sealed one is; empty in an empty log."""
        if self.size == 0:
            return ""
        (last,) = self.headers(self.size - 1)
        return str(orjson.loads(last[1])["t"])

    def countersign_with(self, keys: Keys) -> None:
        """Let ``keys``, which follow those in force, sign beside them."""
        self._following = keys

    def foresee(self) -> Callable[[bytes], Checkpoint]:
        """Return what tells the checkpoint of what is sealed and one record more, by its bytes, without asking a store again.

        Raises:
            OSError: the tree's right edge cannot be read now.
            WalBroken: it is damaged.
        """
        size, name = self.size, self._signer.name
        edge: dict[str, bytes | None] = {}

        def read(path: str) -> bytes | None:
            if path not in edge:
                edge[path] = self._edge.get(path)
            return edge[path]

        def ending_with(header: bytes) -> Checkpoint:
            growth = grow(read, size, [header])
            return Checkpoint(name, growth.size, growth.root)

        try:
            ending_with(b"")  # whatever the record is, the same files are read
        except Missing as missing:
            raise WalBroken(f"the tree on disk is damaged: {missing}") from missing
        return ending_with

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

    def _settle(self) -> None:
        """Swap what was staged last, unless that is done. Raises what the register raises."""
        sealing = self._unsettled
        if sealing is None:
            return
        note = sealing.staged.note
        try:
            swapped = self._register.swap(self._note, note)
        except (sqlite3.Error, StoreUnavailable):
            # Failed for the caller does not mean failed on the device. What is there now decides.
            if self._register.read() != note:
                raise
            swapped = True
        if not swapped and self._register.read() != note:
            raise WalBroken(TWO_RECORDERS)
        self._note, self._unsettled, self._unapplied = note, None, sealing

    def _complete(self, sealing: Sealing) -> None:
        self._apply(sealing.staged)  # 4, 5
        self._unapplied = None
        self._add_to_index(sealing.batch, sealing.located)  # 6
        self._discard()  # 7

    def _apply(self, staged: Staged) -> None:
        self._objects.put_all(staged.files)
        self._objects.put(CHECKPOINT, staged.note)
        if isinstance(self._edge, Recent):
            self._edge.keep(staged.files)
        self.size = staged.size
        for path in staged.files:
            # tlog-tiles: partial tiles MAY go once the full tile is there. Not before: who holds an older checkpoint
            # still asks for them, and falls back to the full one.
            if ".p/" not in path:
                self._drop(f"{path}.p")

    def _drop(self, folder: str) -> None:
        try:
            self._objects.remove_below(folder)
        except OSError as error:
            log.info("superseded tiles stay: %s", error)

    def _stage(self, staged: Staged) -> None:
        self._put_aside(STAGING, msgspec.msgpack.encode(staged))

    def _put_aside(self, name: str, data: bytes) -> None:
        if self._storage.remote:
            self._objects.put(name, data)
        else:
            self._disk.put(self._root / name, data)

    def _discard(self) -> None:
        # In a remote store the next staging takes its place: what has been applied is recognised by its checkpoint.
        if not self._storage.remote:
            self._disk.remove(self._root / STAGING)
            self._disk.remove(self._root / BEFORE)

    def _finish_staged(self, signed: int) -> None:
        """Apply what was staged for the checkpoint in force.

        What was staged and never signed is kept aside until something else is signed: its swap may still be on its way.
        """
        for name in (STAGING, BEFORE):
            data = self._objects.get(name)
            staged = self._staged(data) if data else None
            if staged is None:
                continue
            if staged.note == self._note:
                if self._objects.get(CHECKPOINT) != self._note:
                    self._apply(staged)
                self._discard()
                return
            if name == STAGING and staged.size > signed:
                self._put_aside(BEFORE, data or b"")
                if not self._storage.remote:
                    self._disk.remove(self._root / STAGING)

    def _staged(self, data: bytes) -> Staged:
        try:
            return msgspec.msgpack.decode(data, type=Staged)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise WalBroken(f"`{STAGING}` is damaged: {ROLLED_BACK}") from None

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

    def _add_to_index(self, batch: Sequence[Entry], located: list[tuple[Located, ...]]) -> None:
        """Add to the index. It is derived: when it cannot take these, a later seal or start catches up."""
        try:
            if self._index.size != batch[0].index:
                self._catch_up()
            else:
                self._index.add(
                    ((e.index, e.fields(), s) for e, s in zip(batch, located, strict=True)), self._breath.rest
                )
        except sqlite3.Error as error:
            log.error("the index waits: %s", error)

    def _catch_up(self) -> None:
        fill_index(self._index, self._storage, self.size)


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


def read_headers_at(objects: Objects, indexes: Iterable[int], size: int) -> Iterator[tuple[int, bytes]]:
    """Yield index and exact bytes of some records of a log of ``size``; ``indexes`` rise. Each bundle is read once.

    Raises:
        Missing: a bundle cannot be read.
    """
    for number, wanted in groupby(indexes, lambda index: index // WIDTH):
        chosen = set(wanted)
        for index, raw in read_headers(objects, number * WIDTH, min((number + 1) * WIDTH, size)):
            if index in chosen:
                yield index, raw


def fill_index(index: Index, storage: Storage, size: int) -> None:
    """Add what the index lacks of the log's first ``size`` records; everything, if it is new."""
    if index.size > size:
        index.clear()  # it is about another log
    first = index.size
    if first == size:
        return
    folders: dict[str, int] = {}

    def records() -> Iterator[tuple[int, dict[str, Any]]]:
        for number, raw in read_headers(storage.objects, first, size):
            header = orjson.loads(raw)
            folder = folder_of(header)
            folders[folder] = min(folders.get(folder, header["ts"]), header["ts"])
            yield number, header

    def bodies() -> Iterator[tuple[str, Located]]:
        for folder, since_us in folders.items():
            for name in storage.segments.names(folder, since_us if first else 0):
                yield from storage.segments.locate(name)

    index.fill(first, records(), bodies())
