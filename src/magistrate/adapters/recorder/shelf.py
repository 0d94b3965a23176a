"""The shelf: closed shards that still stand below the log's directory, which of them were taken away, and all their indexes.

A shard is put into an archive by moving its directory (``shards/N``) elsewhere, and is back when the directory is. What
is not here is not searched, not overwritten and not pruned; whoever asks is told so.
"""

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from magistrate.adapters.recorder.index import Index, formatted, open_index
from magistrate.adapters.recorder.retrieval import Records
from magistrate.adapters.recorder.rotation import shards_before
from magistrate.adapters.recorder.row import Row, SearchQuery
from magistrate.adapters.recorder.sealer import CHECKPOINT, fill_index, read_headers
from magistrate.adapters.recorder.store import PosixObjects
from magistrate.evidence.checkpoint import parse
from magistrate.evidence.note import open_note
from magistrate.evidence.shards import Closed, shard_path

log = logging.getLogger("magistrate.recorder")


class Shard(msgspec.Struct, frozen=True):
    """A closed shard that is here."""

    number: int
    root: Path
    origin: str
    size: int

    def headers_at(self, indexes: Iterable[int]) -> Iterator[tuple[int, bytes]]:
        """Yield index and exact bytes of some records. Raises `Missing`."""
        objects = PosixObjects(self.root)
        for index in indexes:
            yield from read_headers(objects, index, min(index + 1, self.size))


def here(root: Path) -> list[Shard]:
    """Return the closed shards of the log in ``root`` that are here, oldest first."""
    return [
        Shard(one.number, root / shard_path(one.number), one.checkpoint.origin, one.checkpoint.size)
        for one in shards_before(root)
        if _is_here(root, one)
    ]


def absent(root: Path) -> list[Closed]:
    """Return the closed shards of the log in ``root`` that were taken away, oldest first."""
    return [one for one in shards_before(root) if not _is_here(root, one)]


def told_absent(gone: Iterable[Closed]) -> list[str]:
    """Return a sentence for each shard that is not here."""
    return [
        f"shard {one.number} (`{one.checkpoint.origin}`, {one.checkpoint.size} records) is not here; "
        f"put its directory back as `{shard_path(one.number)}` to have it again"
        for one in gone
    ]


def mend_indexes(root: Path) -> None:
    """Make the index of a closed shard anew where it is missing, of another version, or does not hold every record.

    Raises:
        OSError, sqlite3.Error, Missing: a shard cannot be read, or the disk refuses.
    """
    for shard in here(root):
        path = shard.root / "index" / "records.db"
        if path.exists() and formatted(path):
            index = open_index(path) if _size(path) != shard.size else None
        else:
            index = open_index(path)
        if index is None:
            continue
        log.warning("the index of shard %d is made anew", shard.number)
        try:
            fill_index(index, PosixObjects(shard.root), shard.root, shard.size)
        finally:
            index.close()


class AllRecords:
    """The indexes of the log in ``root`` and of its closed shards, answering as one. Rows say which shard they are of.

    Raises, besides what SQLite raises:
        ConfigurationError: an answer needs the cold index, and DuckDB is missing or a file cannot be read.
    """

    def __init__(self, root: Path) -> None:
        self.current = len(shards_before(root)) + 1
        self._shards = [(shard.number, Records(shard.root)) for shard in here(root)]
        self.whole = len(self._shards) + 1 == self.current
        """Whether every shard is here."""
        self._shards.append((self.current, Records(root)))

    def search(self, query: SearchQuery) -> list[Row]:
        """Return matching records, newest first."""
        found: list[Row] = []
        for number, records in reversed(self._shards):
            left = msgspec.structs.replace(query, limit=query.limit - len(found))
            found += [_of(number, row) for row in records.search(left)]
            if len(found) >= query.limit:
                break
        return found

    def close(self) -> None:
        for _, records in self._shards:
            records.close()


def _is_here(root: Path, one: Closed) -> bool:
    note = PosixObjects(root / shard_path(one.number)).get(CHECKPOINT)
    return note is not None and parse(open_note(note)[0]) == one.checkpoint


def _size(path: Path) -> int:
    index = Index(path, writable=False)
    try:
        return index.size
    finally:
        index.close()


def _of(number: int, row: Row) -> Row:
    return msgspec.structs.replace(row, shard=number)
