"""The index: what makes search fast. Derived from the log, rebuildable from it, never trusted by a proof.

Ids are kept as 16 bytes and repeated texts as numbers, because at 180 million records a year every byte of a row is
180 MB of disk and as much of cache.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import orjson

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

_SCHEMA = """
CREATE TABLE IF NOT EXISTS texts (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS records (
    idx INTEGER PRIMARY KEY, eid BLOB NOT NULL, trace BLOB NOT NULL, ts INTEGER NOT NULL, type INTEGER NOT NULL,
    phase INTEGER NOT NULL, subject BLOB NOT NULL, app INTEGER NOT NULL, model INTEGER NOT NULL,
    endpoint INTEGER NOT NULL, verdict INTEGER NOT NULL, ending INTEGER NOT NULL, rules INTEGER NOT NULL,
    labels INTEGER NOT NULL, bundle INTEGER NOT NULL, call BLOB);
CREATE INDEX IF NOT EXISTS records_eid ON records (eid);
CREATE INDEX IF NOT EXISTS records_trace ON records (trace);
CREATE INDEX IF NOT EXISTS records_call ON records (call) WHERE call IS NOT NULL;
CREATE INDEX IF NOT EXISTS records_ts ON records (ts);
CREATE INDEX IF NOT EXISTS records_subject ON records (subject) WHERE subject != x'';
CREATE TABLE IF NOT EXISTS bodies (
    idx INTEGER NOT NULL, part INTEGER NOT NULL, segment INTEGER NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (idx, part)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ranges (
    first INTEGER PRIMARY KEY, records INTEGER NOT NULL, sha256 BLOB NOT NULL, oldest_us INTEGER NOT NULL,
    newest_us INTEGER NOT NULL, lowest BLOB NOT NULL, highest BLOB NOT NULL);
"""
_INTERNED = ("type", "phase", "app", "model", "endpoint", "verdict", "ending", "rules", "labels", "bundle")
_SPELLED = "(SELECT text FROM texts WHERE id = {})"
_SELECTED = (
    "subject" if name == "subject" else _SPELLED.format(name)
    for name in (*_INTERNED[:2], "subject", *_INTERNED[2:])
)
_SELECT = f"SELECT idx, eid, trace, ts, {', '.join(_SELECTED)}, call FROM records"  # noqa: S608  because it joins constants; values are always parameters
_INSERT = f"INSERT OR REPLACE INTO records VALUES ({', '.join('?' * 16)})"  # noqa: S608  because it joins question marks
_LISTS_WITH = (
    "SELECT id FROM texts WHERE text LIKE '[%' AND json_valid(text)"
    " AND EXISTS (SELECT 1 FROM json_each(text) WHERE value = ?)"
)
FORMAT = 3
FOUND_AT_MOST = 200
TRACED_AT_MOST = 10_000
HANDLE_BYTES = 12
REMEMBERED_TEXTS = 20_000


class Index:
    """The hot index in one SQLite file.

    The recorder adds to it and `compaction` moves old ranges out of it, each in transactions of its own; any process
    may read. What is left of a range that moved is dropped from its oldest record on, so what is there is never a part
    with a gap.
    """

    def __init__(self, path: Path, *, writable: bool) -> None:
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._texts: dict[str, int] = {}
        if not writable:
            self._database.execute("PRAGMA query_only = ON")
            return
        path.chmod(0o600)
        self._database.execute("PRAGMA journal_mode = WAL")
        # Derived data: a lost tail is written again from the log, so it need not wait for the device.
        self._database.execute("PRAGMA synchronous = OFF")
        # What one statement of many could undo would else go through a file, page by page.
        self._database.execute("PRAGMA temp_store = MEMORY")
        self._database.executescript(f"{_SCHEMA} PRAGMA user_version = {FORMAT};")

    @property
    def size(self) -> int:
        """How many records of the log are in the index, hot or cold."""
        row = self._database.execute("SELECT COALESCE(MAX(idx) + 1, 0) FROM records").fetchone()
        return max(int(row[0]), self.boundary)

    @property
    def oldest_us(self) -> int:
        """When the first record was made; 0 in an empty index."""
        ranges = self.ranges()
        if ranges:
            return ranges[0].oldest_us
        row = self._database.execute("SELECT ts FROM records ORDER BY idx LIMIT 1").fetchone()
        return int(row[0]) if row else 0

    @property
    def boundary(self) -> int:
        """The first record that is not in the cold index."""
        row = self._database.execute("SELECT COALESCE(MAX(first + records), 0) FROM ranges").fetchone()
        return int(row[0])

    @property
    def whole(self) -> bool:
        """Whether no record is missing between the cold ranges, or between them and the first hot one."""
        ranges = self.ranges()
        ends = [0, *(one.end for one in ranges)]
        lowest = self._database.execute("SELECT MIN(idx) FROM records").fetchone()[0]
        in_a_row = all(one.first == end for one, end in zip(ranges, ends, strict=False))
        return in_a_row and (lowest is None or lowest <= ends[-1])

    def ranges(self) -> list[Range]:
        """Return the ranges of the cold index, oldest first."""
        return [Range(*row) for row in self._database.execute("SELECT * FROM ranges ORDER BY first")]

    def add(
        self,
        records: Iterable[tuple[int, dict[str, Any], tuple[Located, ...]]],
        rest: Callable[[], None] = lambda: None,
    ) -> None:
        """Add records in one transaction, with ``rest`` called after each. Raises sqlite3.Error; then none was added."""
        places: list[tuple[int, int, int, int]] = []

        def rows() -> Iterator[tuple[object, ...]]:
            for index, header, located in records:
                yield self._columns(index, header)
                places.extend((index, self._intern(b.part), self._intern(b.segment), b.at) for b in located)
                rest()

        with self._transaction():
            self._database.executemany(_INSERT, rows())
            self._database.executemany("INSERT OR REPLACE INTO bodies VALUES (?, ?, ?, ?)", places)

    def fill(
        self,
        first: int,
        records: Iterable[tuple[int, dict[str, Any]]],
        bodies: Iterable[tuple[str, Located]],
    ) -> None:
        """Add the records from ``first`` on, then the places of their bodies, in one transaction of little memory."""
        with self._transaction():
            self._database.executemany(_INSERT, (self._columns(index, header) for index, header in records))
            self._database.executemany(
                "INSERT OR REPLACE INTO bodies SELECT idx, ?, ?, ? FROM records WHERE eid = ? AND idx >= ?",
                (
                    (self._intern(spot.part), self._intern(spot.segment), spot.at, packed(eid), first)
                    for eid, spot in bodies
                ),
            )

    def find(self, prefix: str) -> list[Row]:
        """Return the records of the calls whose id begins with ``prefix``, in order."""
        ids = span(prefix)
        if ids is None:
            return []
        return self._rows("eid BETWEEN ? AND ? OR call BETWEEN ? AND ?", [*ids, *ids], FOUND_AT_MOST)

    def search(self, query: SearchQuery) -> list[Row]:
        """Return matching records, newest first."""
        conditions, values = _conditions(query)
        return self._rows(" AND ".join(conditions) or "1", values, query.limit, newest_first=True)

    def trace(self, trace: str) -> list[Row]:
        return self._rows("trace = ?", [packed(trace)], TRACED_AT_MOST)

    def place(self, eid: str, part: str) -> Located | None:
        """Return where a body of record ``eid`` stands."""
        row = self._database.execute(
            "SELECT (SELECT text FROM texts WHERE id = segment), at FROM bodies"
            " WHERE idx = (SELECT idx FROM records WHERE eid = ?) AND part = (SELECT id FROM texts WHERE text = ?)",
            (packed(eid), part),
        ).fetchone()
        return Located(part, *row) if row else None

    def bodies_of(self, subject: str) -> list[tuple[int, Located]]:
        """Return the records of a handle, in order, and where each of their bodies stands."""
        found = self._database.execute(
            "SELECT idx, (SELECT text FROM texts WHERE id = part), (SELECT text FROM texts WHERE id = segment), at"
            " FROM bodies WHERE idx IN (SELECT idx FROM records WHERE subject = ? AND subject != x'') ORDER BY idx",
            (packed_handle(subject),),
        )
        return [(int(index), Located(*place)) for index, *place in found]

    def exact(self, eid: str) -> Row | None:
        """Return one record by its whole id."""
        rows = self._rows("eid = ?", [packed(eid)], 1)
        return rows[0] if rows else None

    # --- what moves to the cold index

    def spread(self, first: int, end: int) -> tuple[int, int, bytes, bytes] | None:
        """Return between which times and ids the records from ``first`` up to ``end`` lie; None if one is not here."""
        count, *spread = self._database.execute(
            "SELECT COUNT(*), MIN(ts), MAX(ts), MIN(MIN(eid, COALESCE(call, eid))), MAX(MAX(eid, COALESCE(call, eid)))"
            " FROM records WHERE idx >= ? AND idx < ?",
            (first, end),
        ).fetchone()
        return (spread[0], spread[1], spread[2], spread[3]) if count == end - first else None

    def unfit(self, first: int, end: int) -> int | None:
        """Return a record whose trace or person is not spelled as this product spells them, or None."""
        row = self._database.execute(
            "SELECT idx FROM records WHERE idx >= ? AND idx < ? AND (typeof(eid) != 'blob' OR typeof(call) = 'text'"
            " OR (typeof(trace) = 'text' AND trace != '') OR length(subject) NOT IN (0, ?)) LIMIT 1",
            (first, end, HANDLE_BYTES),
        ).fetchone()
        return None if row is None else int(row[0])

    def lines(self, first: int, end: int) -> tuple[Iterator[str], Iterator[str], Iterator[str]]:
        """Return records, bodies and texts as lines of numbers and hex digits: SQLite writes them fastest itself."""
        numbers = "||','||".join(("idx", "ts", *_INTERNED))
        blobs = "||','||".join(f"hex(COALESCE({name}, x''))" for name in ("eid", "trace", "call", "subject"))
        between = "WHERE idx >= ? AND idx < ? ORDER BY idx"
        asked = (
            (f"SELECT {numbers}||','||{blobs} FROM records {between}", (first, end)),  # noqa: S608  because it joins constants
            (f"SELECT idx||','||part||','||segment||','||at FROM bodies {between}", (first, end)),  # noqa: S608  because it joins constants
            ("SELECT id||','||hex(text) FROM texts", ()),
        )
        records, bodies, texts = (self._lines(*one) for one in asked)
        return records, bodies, texts

    def move(self, moved: Range) -> None:
        """Say that the cold index has a range now; `drop_moved` then makes room."""
        with self._transaction():
            self._database.execute(
                "INSERT OR REPLACE INTO ranges VALUES (?, ?, ?, ?, ?, ?, ?)", msgspec.structs.astuple(moved)
            )

    def drop_moved(self, at_most: int) -> bool:
        """Drop some records that the cold index has, the oldest first; False if there is none any more."""
        lowest = self._database.execute("SELECT MIN(idx) FROM records").fetchone()[0]
        boundary = self.boundary
        if lowest is None or lowest >= boundary:
            return False
        end = min(lowest + at_most, boundary)
        with self._transaction():
            self._database.execute("DELETE FROM bodies WHERE idx < ?", (end,))
            self._database.execute("DELETE FROM records WHERE idx < ?", (end,))
        return True

    def clear(self) -> None:
        """Forget everything: it is about another log, or of another format."""
        self._texts.clear()
        self._database.executescript(
            "DELETE FROM records; DELETE FROM bodies; DELETE FROM texts; DELETE FROM ranges;"
        )

    def close(self) -> None:
        self._database.close()

    def _lines(self, statement: str, values: tuple[int, ...]) -> Iterator[str]:
        for row in self._database.execute(statement, values):
            yield f"{row[0]}\n"

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        # At once, because two processes write: to begin as a reader and then want more is refused without waiting.
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            self._texts.clear()
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise

    def _rows(self, where: str, values: list[object], limit: int, *, newest_first: bool = False) -> list[Row]:
        order = "DESC" if newest_first else "ASC"
        found = self._database.execute(
            f"{_SELECT} WHERE {where} ORDER BY idx {order} LIMIT ?",
            [*values, limit],
        )
        return [_row(columns) for columns in found]

    def _columns(self, index: int, header: dict[str, Any]) -> tuple[object, ...]:
        verdict, model, outcome, policy = (
            _tree(header, name) for name in ("verdict", "model", "outcome", "policy")
        )
        rules = dict.fromkeys([*_texts(verdict, "rules"), *_texts(outcome, "rules")])
        cause = _texts(header, "cause")
        intern = self._intern
        return (
            index,
            packed(header["eid"]),
            packed(header["trace"]),
            header["ts"],
            intern(header["t"]),
            intern(header["phase"]),
            packed_handle(header["subj"]),
            intern(_text(header, "app")),
            intern(_text(model, "name")),
            intern(_text(model, "endpoint")),
            intern(_text(verdict, "effect")),
            intern(_text(outcome, "ending")),
            intern(orjson.dumps(list(rules)).decode()),
            intern(orjson.dumps(_texts(header, "labels")).decode()),
            intern(_text(policy, "bundle")),
            packed(cause[0]) if cause else None,
        )

    def _intern(self, text: str) -> int:
        known = self._texts.get(text)
        if known is None:
            self._database.execute("INSERT OR IGNORE INTO texts (text) VALUES (?)", (text,))
            known = int(self._database.execute("SELECT id FROM texts WHERE text = ?", (text,)).fetchone()[0])
            if len(self._texts) >= REMEMBERED_TEXTS:
                self._texts.clear()
            self._texts[text] = known
        return known


def open_index(path: Path) -> Index:
    """Return the index to write to; a new one where there is none, or one that is damaged or of another format."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists() and not _sound(path):
        for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
            path.with_name(name).unlink(missing_ok=True)
    return Index(path, writable=True)


def formatted(path: Path) -> bool:
    """Return whether a file is an index of this version's format."""
    database = sqlite3.connect(path)
    try:
        return bool(database.execute("PRAGMA user_version").fetchone()[0] == FORMAT)
    except sqlite3.DatabaseError:
        return False
    finally:
        database.close()


def _sound(path: Path) -> bool:
    if not formatted(path):
        return False
    database = sqlite3.connect(path)
    try:
        if database.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            return False
    except sqlite3.DatabaseError:
        return False
    finally:
        database.close()
    index = Index(path, writable=False)
    try:
        return index.whole
    finally:
        index.close()


def _conditions(query: SearchQuery) -> tuple[list[str], list[object]]:
    conditions: list[str] = []
    values: list[object] = []
    if not query.heartbeats:
        conditions.append("type NOT IN (SELECT id FROM texts WHERE text IN ('heartbeat', 'trace.close'))")
    if query.trace:
        conditions.append("trace = ?")
        values.append(packed(query.trace))
    if query.subject:
        # The second half says nothing new, but without it SQLite cannot know that its partial index will do.
        conditions.append("subject = ? AND subject != x''")
        values.append(packed_handle(query.subject))
    for column in ("app", "model", "endpoint", "verdict"):
        wanted = getattr(query, column)
        if wanted:
            conditions.append(f"{column} = (SELECT id FROM texts WHERE text = ?)")  # noqa: S608  because the column is one of four constants
            values.append(wanted)
    if query.policy:
        conditions.append("bundle IN (SELECT id FROM texts WHERE text LIKE ? ESCAPE '\\')")
        values.append(query.policy.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%")
    for column, wanted in (("rules", query.rule), ("labels", query.label)):
        if wanted:
            # The inner question runs over the distinct lists, which are few, not over the records.
            conditions.append(f"{column} IN ({_LISTS_WITH})")
            values.append(wanted)
    for operator, moment in ((">=", query.since_us), ("<", query.until_us)):
        if moment is not None:
            conditions.append(f"ts {operator} ?")
            values.append(moment)
    return conditions, values


def _row(columns: tuple[Any, ...]) -> Row:
    index, eid, trace, ts, kind, phase, subject, *names, call = columns
    app, model, endpoint, verdict, ending, rules, labels, bundle = names
    eid = spelled_id(eid)
    return Row(
        index,
        eid,
        trace.hex() if isinstance(trace, bytes) else trace,
        ts,
        kind,
        phase,
        f"s-{subject.hex()}" if subject else "",
        app,
        model,
        endpoint,
        verdict,
        ending,
        tuple(orjson.loads(rules)),
        tuple(orjson.loads(labels)),
        bundle,
        eid if call is None else spelled_id(call),
    )


def _tree(header: dict[str, Any], name: str) -> dict[str, Any]:
    value = header.get(name)
    return value if isinstance(value, dict) else {}


def _text(tree: dict[str, Any], name: str) -> str:
    value = tree.get(name)
    return value if isinstance(value, str) else ""


def _texts(tree: dict[str, Any], name: str) -> list[str]:
    value = tree.get(name)
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
