"""Retrieval: the hot index and the cold one, answering as one.

The hot index is asked first, and only then which ranges are cold: a range that moves in between is found in both or in
the cold one alone, never in none.
"""

from collections.abc import Iterable
from pathlib import Path

from magistrate.adapters.recorder.cold import ColdIndex
from magistrate.adapters.recorder.index import FOUND_AT_MOST, TRACED_AT_MOST, Index
from magistrate.adapters.recorder.row import Located, Row, SearchQuery


class Records:
    """Both indexes of the log in ``root``, to read. DuckDB is loaded once an answer needs the cold one.

    Raises, besides what SQLite raises:
        ConfigurationError: an answer needs the cold index, and DuckDB is missing or a file cannot be read.
    """

    def __init__(self, root: Path) -> None:
        self._hot = Index(root / "index" / "records.db", writable=False)
        self._cold = ColdIndex(root / "index" / "cold")

    def find(self, prefix: str) -> list[Row]:
        """Return the records of the calls whose id begins with ``prefix``, in order."""
        hot = self._hot.find(prefix)
        return _once([*self._cold.find(self._hot.ranges(), prefix), *hot])[:FOUND_AT_MOST]

    def trace(self, trace: str) -> list[Row]:
        """Return the records of a trace, in order."""
        hot = self._hot.trace(trace)
        return _once([*self._cold.trace(self._hot.ranges(), trace), *hot])[:TRACED_AT_MOST]

    def search(self, query: SearchQuery) -> list[Row]:
        """Return matching records, newest first."""
        hot = self._hot.search(query)
        if len(hot) >= query.limit:  # what is cold is older
            return hot
        rows = _once([*self._cold.search(self._hot.ranges(), query), *hot])
        return rows[::-1][: query.limit]

    def exact(self, eid: str) -> Row | None:
        """Return one record by its whole id."""
        return self._hot.exact(eid) or self._cold.exact(self._hot.ranges(), eid)

    def place(self, eid: str, part: str) -> Located | None:
        """Return where a body of record ``eid`` stands."""
        return self._hot.place(eid, part) or self._cold.place(self._hot.ranges(), eid, part)

    def bodies_of(self, subject: str) -> list[tuple[int, Located]]:
        """Return the records of a handle, in order, and where each of their bodies stands."""
        hot = self._hot.bodies_of(subject)
        cold = self._cold.bodies_of(self._hot.ranges(), subject)
        return sorted(
            {(index, place.part): (index, place) for index, place in [*cold, *hot]}.values(), key=_index
        )

    def close(self) -> None:
        self._hot.close()
        self._cold.close()


def _once(rows: Iterable[Row]) -> list[Row]:
    return sorted({row.index: row for row in rows}.values(), key=lambda row: row.index)


def _index(found: tuple[int, Located]) -> int:
    return found[0]
