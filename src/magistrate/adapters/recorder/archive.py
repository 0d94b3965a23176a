"""The archive: the log that is written and the closed shards that are here, read as one."""

from pathlib import Path
from typing import Any

from magistrate.adapters.recorder.opening import Stores
from magistrate.adapters.recorder.reader import EvidenceReader, open_evidence
from magistrate.adapters.recorder.row import Row, SearchQuery
from magistrate.adapters.recorder.shelf import Shard, Shelf
from magistrate.adapters.recorder.storage import Place, Places
from magistrate.exchange.errors import ConfigurationError


class Archive:
    """Answers for every shard that is here. ``absent`` are those that are not; ``place`` as `open_evidence` takes it.

    Raises:
        ConfigurationError: there is no evidence, or a closed shard has lost its index.
        StoreUnavailable: the store that holds it does not answer.
    """

    def __init__(
        self, data: Path, vault: Path, root_key: Path | None = None, place: Place | None = None
    ) -> None:
        self.current = open_evidence(data, vault, root_key, place)
        self.shards = {self.current.number: self.current}
        """The readers of the shards that are here, by number, oldest first."""
        self._shelf = Shelf(self.current.root, Stores(self.current.root, Places(place)))
        try:
            self.absent = self._shelf.absent()
            closed = {one.number: _opened(one, vault, root_key) for one in self._shelf.here()}
            self.shards = closed | self.shards
        except BaseException:
            self.close()
            raise

    def of(self, row: Row) -> EvidenceReader:
        """Return the reader of the shard that a row was found in."""
        return self.shards[row.shard]

    def find(self, prefix: str) -> list[Row]:
        """Return the records of the calls whose id begins with ``prefix``, oldest first."""
        return [row for reader in self.shards.values() for row in reader.find(prefix)]

    def trace(self, trace: str) -> list[Row]:
        """Return the records of a trace, oldest first."""
        return [row for reader in self.shards.values() for row in reader.trace(trace)]

    def search(self, query: SearchQuery) -> list[Row]:
        """Return matching records, newest first; the newest shards are asked first."""
        rows: list[Row] = []
        for reader in reversed(self.shards.values()):
            rows += reader.search(query)
            if len(rows) >= query.limit:
                break
        return rows[: query.limit]

    def header(self, row: Row) -> bytes:
        """Return the exact leaf bytes of a record."""
        return self.of(row).header(row.index)

    def erasure(self, header: dict[str, Any]) -> Row | None:
        """Return the order by which keys of a record were destroyed, or None. It may stand in a later shard."""
        orders = (reader.erasure(header) for reader in reversed(self.shards.values()))
        return next((order for order in orders if order is not None), None)

    def close(self) -> None:
        for reader in self.shards.values():
            reader.close()
        self._shelf.close()


def _opened(shard: Shard, vault: Path, root_key: Path | None) -> EvidenceReader:
    if not (shard.root / "index" / "records.db").exists():
        raise ConfigurationError(
            "the index of this shard is missing; `magistrate evidence index` makes it anew", str(shard.root)
        )
    return EvidenceReader(shard.root, vault, root_key, shard.storage, number=shard.number)
