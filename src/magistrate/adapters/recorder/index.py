"""The index: what makes search fast. Derived from the log, rebuildable from it, never trusted by a proof."""

import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    idx INTEGER PRIMARY KEY, eid TEXT NOT NULL, trace TEXT NOT NULL, ts INTEGER NOT NULL, type TEXT NOT NULL,
    phase TEXT NOT NULL, subject TEXT NOT NULL, app TEXT NOT NULL, model TEXT NOT NULL, endpoint TEXT NOT NULL,
    verdict TEXT NOT NULL, ending TEXT NOT NULL, rules TEXT NOT NULL, labels TEXT NOT NULL, bundle TEXT NOT NULL,
    call TEXT NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS records_eid ON records (eid);
CREATE INDEX IF NOT EXISTS records_trace ON records (trace);
CREATE INDEX IF NOT EXISTS records_call ON records (call);
CREATE INDEX IF NOT EXISTS records_ts ON records (ts);
CREATE INDEX IF NOT EXISTS records_subject ON records (subject, ts);
CREATE TABLE IF NOT EXISTS bodies (
    idx INTEGER NOT NULL, part TEXT NOT NULL, segment TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (idx, part))
    WITHOUT ROWID;
"""


class Row(msgspec.Struct, frozen=True):
    """One record as the index knows it. ``subject`` is a handle; `EvidenceReader` turns it into a name."""

    index: int
    eid: str
    trace: str
    ts_us: int
    type: str
    phase: str
    subject: str
    app: str
    model: str
    endpoint: str
    verdict: str
    ending: str
    rules: tuple[str, ...]
    labels: tuple[str, ...]
    policy: str
    call: str
    """The intent's id: what clients quote. Shared by intent and outcome."""


class Located(msgspec.Struct, frozen=True):
    """Where a body's frame stands."""

    part: str
    segment: str
    at: int


class SearchQuery(msgspec.Struct, frozen=True):
    """Every condition that is set must hold. ``subject`` is a handle. Times in microseconds."""

    trace: str = ""
    user: str = ""
    subject: str = ""
    app: str = ""
    model: str = ""
    endpoint: str = ""
    verdict: str = ""
    rule: str = ""
    label: str = ""
    policy: str = ""
    since_us: int | None = None
    until_us: int | None = None
    limit: int = 100


class Index:
    """The index in one SQLite file; one process writes it, any may read."""

    def __init__(self, path: Path, *, writable: bool) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        if writable:
            path.chmod(0o600)
            self._database.execute("PRAGMA journal_mode = WAL")
            # Derived data: a lost tail is written again from the log, so it need not wait for the device.
            self._database.execute("PRAGMA synchronous = OFF")
            self._database.executescript(_SCHEMA)

    @property
    def size(self) -> int:
        """How many records of the log are in the index."""
        row = self._database.execute("SELECT COALESCE(MAX(idx) + 1, 0) FROM records").fetchone()
        return int(row[0])

    def add(self, records: Iterable[tuple[int, dict[str, Any], tuple[Located, ...]]]) -> None:
        """Add records in one transaction."""
        rows, places = [], []
        for index, header, located in records:
            rows.append(_columns(index, header))
            places += [(index, body.part, body.segment, body.at) for body in located]
        self._database.execute("BEGIN")
        try:
            self._database.executemany(f"INSERT OR REPLACE INTO records VALUES ({', '.join('?' * 16)})", rows)  # noqa: S608  because only the number of marks varies
            self._database.executemany("INSERT OR REPLACE INTO bodies VALUES (?, ?, ?, ?)", places)
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    def find(self, prefix: str) -> list[Row]:
        """Return the records of the calls whose id begins with ``prefix``, in order."""
        return self._rows("eid >= ? AND eid < ? OR call >= ? AND call < ?", [prefix, prefix + "~"] * 2, 200)

    def search(self, query: SearchQuery) -> list[Row]:
        """Return matching records, newest first."""
        conditions, values = _conditions(query)
        return self._rows(" AND ".join(conditions) or "1", values, query.limit, newest_first=True)

    def recent(self, count: int) -> list[Row]:
        """Return the last ``count`` records, oldest first."""
        return self._rows("1", [], count, newest_first=True)[::-1]

    def trace(self, trace: str) -> list[Row]:
        return self._rows("trace = ?", [trace], 10_000)

    def place(self, eid: str, part: str) -> Located | None:
        """Return where a body of record ``eid`` stands."""
        row = self._database.execute(
            "SELECT part, segment, at FROM records JOIN bodies USING (idx) WHERE eid = ? AND part = ?",
            (eid, part),
        ).fetchone()
        return Located(*row) if row else None

    def close(self) -> None:
        self._database.close()

    def _rows(self, where: str, values: list[object], limit: int, *, newest_first: bool = False) -> list[Row]:
        order = "DESC" if newest_first else "ASC"
        found = self._database.execute(
            f"SELECT * FROM records WHERE {where} ORDER BY idx {order} LIMIT ?",  # noqa: S608  because conditions are ours and values are bound
            [*values, limit],
        )
        return [_row(columns) for columns in found]


def _conditions(query: SearchQuery) -> tuple[list[str], list[object]]:
    conditions: list[str] = []
    values: list[object] = []
    for column in ("trace", "subject", "app", "model", "endpoint", "verdict"):
        wanted = getattr(query, column)
        if wanted:
            conditions.append(f"{column} = ?")
            values.append(wanted)
    if query.policy:
        conditions.append("bundle LIKE ? ESCAPE '\\'")
        values.append(query.policy.replace("%", "\\%").replace("_", "\\_") + "%")
    for column, wanted in (("rules", query.rule), ("labels", query.label)):
        if wanted:
            conditions.append(f"EXISTS (SELECT 1 FROM json_each({column}) WHERE value = ?)")  # noqa: S608  because the column is one of two constants
            values.append(wanted)
    for operator, moment in ((">=", query.since_us), ("<", query.until_us)):
        if moment is not None:
            conditions.append(f"ts {operator} ?")
            values.append(moment)
    return conditions, values


def _columns(index: int, header: dict[str, Any]) -> tuple[object, ...]:
    verdict, model, outcome = header.get("verdict", {}), header.get("model", {}), header.get("outcome", {})
    rules = dict.fromkeys([*verdict.get("rules", []), *outcome.get("rules", [])])
    cause = header.get("cause") or [header["eid"]]
    return (
        index,
        header["eid"],
        header.get("trace", ""),
        header["ts"],
        header["t"],
        header["phase"],
        header.get("subj", ""),
        header.get("app", ""),
        model.get("name", ""),
        model.get("endpoint", ""),
        verdict.get("effect", ""),
        outcome.get("ending", ""),
        json.dumps(list(rules)),
        json.dumps(header.get("labels", [])),
        header.get("policy", {}).get("bundle", ""),
        cause[0],
    )


def _row(columns: tuple[Any, ...]) -> Row:
    values = list(columns)
    values[12], values[13] = tuple(json.loads(columns[12])), tuple(json.loads(columns[13]))
    return Row(*values)
