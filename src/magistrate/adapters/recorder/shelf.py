"""The shelf: closed shards that still stand below the log's directory, which of them were taken away, and all their indexes.

A shard is put into an archive by moving its directory (``shards/N``) elsewhere, and is back when the directory is. One that
was published to a store elsewhere stays there, until somebody takes it away; only its indexes stand in that directory. What
is not here is not searched, not overwritten and not pruned; whoever asks is told so.
"""

import logging
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from magistrate.adapters.recorder.index import Index, formatted, open_index
from magistrate.adapters.recorder.opening import Stores
from magistrate.adapters.recorder.retrieval import Records
from magistrate.adapters.recorder.rotation import shards_before
from magistrate.adapters.recorder.row import Row, SearchQuery
from magistrate.adapters.recorder.sealer import CHECKPOINT, fill_index, read_headers_at
from magistrate.adapters.recorder.storage import Storage
from magistrate.evidence.checkpoint import parse
from magistrate.evidence.note import NoteError, open_note
from magistrate.evidence.shards import Closed, shard_path

log = logging.getLogger("magistrate.recorder")


class Shard(msgspec.Struct, frozen=True):
    """A closed shard that is here. ``root`` is where its indexes are."""

    number: int
    root: Path
    origin: str
    size: int
    storage: Storage

    def headers_at(self, indexes: Iterable[int]) -> Iterator[tuple[int, bytes]]:
        """Yield index and exact bytes of some records; ``indexes`` rise. Raises `Missing`."""
        return read_headers_at(self.storage.objects, indexes, self.size)


class Shelf:
    """The closed shards of the log in ``root``. What is asked of a store elsewhere raises `StoreUnavailable`."""

    def __init__(self, root: Path, stores: Stores) -> None:
        self._root = root
        self._stores = stores
        self._opened: dict[int, Storage] = {}

    def here(self) -> list[Shard]:
        """Return the closed shards that are here, oldest first."""
        return [
            Shard(
                one.number,
                self._root / shard_path(one.number),
                one.checkpoint.origin,
                one.checkpoint.size,
                self.storage(one.number),
            )
            for one in shards_before(self._root)
            if self._is_here(one)
        ]

    def absent(self) -> list[Closed]:
        """Return the closed shards that were taken away, oldest first."""
        return [one for one in shards_before(self._root) if not self._is_here(one)]

    def storage(self, number: int) -> Storage:
        """Return where the published files of a closed shard are."""
        if number not in self._opened:
            self._opened[number] = self._stores.closed(number)
        return self._opened[number]

    def close(self) -> None:
        """Let go of every store."""
        while self._opened:
            _, storage = self._opened.popitem()
            storage.segments.close()
            storage.objects.close()

    def _is_here(self, one: Closed) -> bool:
        note = self.storage(one.number).objects.get(CHECKPOINT)
        return note is not None and parse(open_note(note)[0]) == one.checkpoint


def told_absent(gone: Iterable[Closed]) -> list[str]:
    """Return a sentence for each shard that is not here."""
    return [
        f"shard {one.number} (`{one.checkpoint.origin}`, {one.checkpoint.size} records) is not here; "
        f"put it back where it was (in the evidence directory: `{shard_path(one.number)}`) to have it again"
        for one in gone
    ]


class ShardStanding(msgspec.Struct, frozen=True):
    """The shard that is written: its number, how many records of it are sealed, when it began; and which others are closed."""

    number: int
    records: int
    began_us: int
    away: tuple[int, ...] = ()
    """Closed shards of which nothing is here."""


def read_shards(root: Path) -> ShardStanding | None:
    """Return how the shards of the log in ``root`` stand, by its index, or None: there is none, or it cannot be read."""
    path = root / "index" / "records.db"
    try:
        before = shards_before(root)
        index = Index(path, writable=False)
        try:
            records, began = index.size, index.oldest_us
        finally:
            index.close()
    except (OSError, sqlite3.Error, NoteError):
        return None
    away = tuple(one.number for one in before if not (root / shard_path(one.number)).is_dir())
    return ShardStanding(len(before) + 1, records, began, away)


def mend_indexes(shelf: Shelf) -> None:
    """Make the index of a closed shard anew where it is missing, of another version, or does not hold every record.

    Raises:
        OSError, sqlite3.Error, Missing: a shard cannot be read, or the disk refuses.
    """
    for shard in shelf.here():
        path = shard.root / "index" / "records.db"
        if path.exists() and formatted(path) and _size(path) == shard.size:
            continue
        log.warning("the index of shard %d is made anew", shard.number)
        index = open_index(path)
        try:
            fill_index(index, shard.storage, shard.size)
        finally:
            index.close()


class AllRecords:
    """The indexes of the log in ``root`` and of its closed shards, answering as one. Rows say which shard they are of.

    Raises, besides what SQLite raises:
        ConfigurationError: an answer needs the cold index, and DuckDB is missing or a file cannot be read.
    """

    def __init__(self, root: Path, shelf: Shelf) -> None:
        current, closed = len(shards_before(root)) + 1, shelf.here()
        self._shards = [(shard.number, Records(shard.root)) for shard in closed]
        self.whole = len(closed) + 1 == current
        """Whether every shard is here."""
        self._shards.append((current, Records(root)))

    def search(self, query: SearchQuery) -> list[Row]:
        """Return matching records, newest first."""
        found: list[Row] = []
        for number, records in reversed(self._shards):
            left = msgspec.structs.replace(query, limit=query.limit - len(found))
            found += [msgspec.structs.replace(row, shard=number) for row in records.search(left)]
            if len(found) >= query.limit:
                break
        return found

    def close(self) -> None:
        for _, records in self._shards:
            records.close()


def _size(path: Path) -> int:
    index = Index(path, writable=False)
    try:
        return index.size
    finally:
        index.close()
