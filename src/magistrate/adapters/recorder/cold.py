"""The cold index: old records in sorted Parquet files, one pair for each range, read with DuckDB (the extra ``cold``).

``FIRST.parquet`` holds what search asks for, in the order of the log. Times and record ids rise with it, so the
statistics of its row groups find them. Trace ids come from clients and are random: ``FIRST.traces`` holds 32 bits of
each, sorted, and between which records of the range the trace lies. Like the hot index it is derived from the log,
rebuildable from it and never trusted by a proof.
"""

import uuid
from collections.abc import Iterator, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from magistrate.adapters.recorder.index import FOUND_AT_MOST, HANDLE_BYTES, TRACED_AT_MOST
from magistrate.adapters.recorder.row import (
    Located,
    Range,
    Row,
    SearchQuery,
    packed,
    packed_handle,
    span,
    spelled_id,
)
from magistrate.exchange.errors import ConfigurationError

if TYPE_CHECKING:
    import duckdb

INSTALL = "the cold index, where old records are, needs DuckDB: install it with `make cold`, or as `magistrate[cold]`"
DAMAGED = "the cold index cannot be read; `magistrate evidence index` writes it anew from the log"
MEMORY = "512MB"
THREADS = 2
_COLUMNS = "idx, eid, trace, ts, type, phase, subject, app, model, endpoint, verdict, ending, rules, labels, bundle, call"


def installed() -> bool:
    """Return whether DuckDB is there, without loading it."""
    return find_spec("duckdb") is not None


def connect(memory: str = MEMORY) -> "duckdb.DuckDBPyConnection":
    """Return an engine of its own in memory. It fetches no extensions.

    Raises:
        ConfigurationError: DuckDB is not installed.
    """
    if not installed():
        raise ConfigurationError(INSTALL)
    engine = import_module("duckdb")
    limits = {
        "threads": THREADS,
        "memory_limit": memory,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    connection: duckdb.DuckDBPyConnection = engine.connect(":memory:", config=limits)
    return connection


def records_file(directory: Path, first: int) -> Path:
    return directory / f"{first:012d}.parquet"


def traces_file(directory: Path, first: int) -> Path:
    return directory / f"{first:012d}.traces"


class ColdIndex:
    """Answers as the hot index does, for the ranges it is asked to look at.

    Every method raises ConfigurationError if DuckDB is missing or a file cannot be read.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._connection: duckdb.DuckDBPyConnection | None = None

    def find(self, ranges: Sequence[Range], prefix: str) -> list[Row]:
        """Return the records of the calls whose id begins with ``prefix``, in order."""
        ids = span(prefix)
        if ids is None:
            return []
        among = [one for one in ranges if one.lowest <= ids[1] and one.highest >= ids[0]]
        spelled = [_uuid(one) for one in ids]
        return self._rows(
            among, "eid BETWEEN ? AND ? OR call BETWEEN ? AND ?", [*spelled, *spelled], FOUND_AT_MOST
        )

    def exact(self, ranges: Sequence[Range], eid: str) -> Row | None:
        """Return one record by its whole id."""
        rows = self._rows(_holding(ranges, eid), "eid = ?", [eid], 1)
        return rows[0] if rows else None

    def trace(self, ranges: Sequence[Range], trace: str) -> list[Row]:
        """Return the records of a trace, in order."""
        spans = self._traced(ranges, trace)
        if not spans:
            return []
        among = [one for one, _, _ in spans]
        where = "idx BETWEEN ? AND ? AND trace = ?"
        bounds = [min(low for _, low, _ in spans), max(high for _, _, high in spans)]
        return self._rows(among, where, [*bounds, trace], TRACED_AT_MOST)

    def search(self, ranges: Sequence[Range], query: SearchQuery) -> list[Row]:
        """Return matching records, newest first."""
        conditions, values = _conditions(query)
        among = [
            one
            for one in ranges
            if (query.since_us is None or one.newest_us >= query.since_us)
            and (query.until_us is None or one.oldest_us < query.until_us)
        ]
        if query.trace:
            spans = self._traced(among, query.trace)
            if not spans:
                return []
            among = [one for one, _, _ in spans]
            conditions.append("idx BETWEEN ? AND ?")
            values += [min(low for _, low, _ in spans), max(high for _, _, high in spans)]
        found: list[Row] = []
        for some in _newest_first(among):
            found += self._rows(
                some, " AND ".join(conditions) or "true", values, query.limit - len(found), newest_first=True
            )
            if len(found) >= query.limit:
                break
        return found

    def place(self, ranges: Sequence[Range], eid: str, part: str) -> Located | None:
        """Return where a body of record ``eid`` stands."""
        for (bodies,) in self._ask(_holding(ranges, eid), "bodies", "eid = ?", [eid]):
            for body in bodies or ():
                if body["part"] == part:
                    return Located(part, body["segment"], body["at"])
        return None

    def bodies_of(self, ranges: Sequence[Range], subject: str) -> list[tuple[int, Located]]:
        """Return the records of a handle, in order, and where each of their bodies stands."""
        handle = _handle(subject)
        if handle is None:
            return []
        found = self._ask(ranges, "idx, bodies", "subject = ? AND len(bodies) > 0 ORDER BY idx", [handle])
        return [
            (int(index), Located(body["part"], body["segment"], body["at"]))
            for index, bodies in found
            for body in bodies
        ]

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _traced(self, ranges: Sequence[Range], trace: str) -> list[tuple[Range, int, int]]:
        """Return the ranges that may hold a trace, oldest first, and the first and the last record it can be."""
        digits = packed(trace)
        if not ranges or isinstance(digits, str):
            return []
        by_file = {str(traces_file(self._directory, one.first)): one for one in ranges}
        asked = "SELECT filename, low, high FROM read_parquet(?) WHERE head = ?"
        found = self._fetched(asked, [list(by_file), int.from_bytes(digits[:4], "big")])
        spans = [(by_file[name], int(low), int(high)) for name, low, high in found]
        return sorted(spans, key=lambda one: one[0].first)

    def _rows(
        self,
        ranges: Sequence[Range],
        where: str,
        values: list[object],
        limit: int,
        *,
        newest_first: bool = False,
    ) -> list[Row]:
        order = f"({where}) ORDER BY idx {'DESC' if newest_first else 'ASC'} LIMIT {int(limit)}"
        return [_row(columns) for columns in self._ask(ranges, _COLUMNS, order, values)]

    def _ask(
        self, ranges: Sequence[Range], columns: str, where: str, values: list[object]
    ) -> list[tuple[Any, ...]]:
        if not ranges:
            return []
        files = [str(records_file(self._directory, one.first)) for one in ranges]
        # The names of columns and conditions are constants of this file; values are always parameters.
        return self._fetched(f"SELECT {columns} FROM read_parquet(?) WHERE {where}", [files, *values])  # noqa: S608  because of the line above

    def _fetched(self, statement: str, values: list[object]) -> list[tuple[Any, ...]]:
        if self._connection is None:
            self._connection = connect()
        try:
            return self._connection.execute(statement, values).fetchall()
        except import_module("duckdb").Error as error:
            reason = str(error).splitlines()[0]
            raise ConfigurationError(f"{DAMAGED} ({reason})", str(self._directory)) from None


def _newest_first(ranges: Sequence[Range]) -> Iterator[Sequence[Range]]:
    """Yield one range, then two, then four…: a search that finds enough in the newest reads no others."""
    end, many = len(ranges), 1
    while end > 0:
        yield ranges[max(0, end - many) : end]
        end, many = end - many, many * 2


def _holding(ranges: Sequence[Range], eid: str) -> list[Range]:
    digits = packed(eid)
    return [] if isinstance(digits, str) else [one for one in ranges if one.lowest <= digits <= one.highest]


def _conditions(query: SearchQuery) -> tuple[list[str], list[object]]:
    conditions: list[str] = []
    values: list[object] = []

    def must(condition: str, *wanted: object) -> None:
        conditions.append(condition)
        values.extend(wanted)

    if not query.heartbeats:
        must("type NOT IN ('heartbeat', 'trace.close')")
    if query.trace:
        must("trace = ?", query.trace)
    if query.subject:
        must("subject = ?", _handle(query.subject))
    for column in ("app", "model", "endpoint", "verdict"):
        if wanted := getattr(query, column):
            must(f"{column} = ?", wanted)
    if query.policy:
        must("starts_with(lower(bundle), lower(?))", query.policy)
    for column, wanted in (("rules", query.rule), ("labels", query.label)):
        if wanted:
            # The first question is asked once for each distinct list, the second only of what is left.
            must(f"contains({column}, ?)", orjson.dumps(wanted).decode())
            must(f"list_contains(CAST({column} AS JSON)::VARCHAR[], ?)", wanted)
    for operator, moment in ((">=", query.since_us), ("<", query.until_us)):
        if moment is not None:
            must(f"ts {operator} ?", moment)
    return conditions, values


def _row(columns: tuple[Any, ...]) -> Row:
    index, eid, trace, ts, kind, phase, subject, *names, rules, labels, bundle, call = columns
    app, model, endpoint, verdict, ending = names
    return Row(
        index,
        str(eid),
        trace.hex if trace else "",
        ts,
        kind,
        phase,
        f"s-{subject.hex[-2 * HANDLE_BYTES :]}" if subject else "",
        app,
        model,
        endpoint,
        verdict,
        ending,
        tuple(orjson.loads(rules)),
        tuple(orjson.loads(labels)),
        bundle,
        str(call or eid),
    )


def _uuid(digits: bytes) -> str:
    return str(spelled_id(digits))


def _handle(subject: str) -> str | None:
    """Return a handle as the files keep it: as wide as an id, which is what is compared fastest."""
    digits = packed_handle(subject)
    return None if len(digits) != HANDLE_BYTES else str(uuid.UUID(bytes=digits.rjust(16, b"\0")))
