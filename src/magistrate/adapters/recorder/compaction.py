"""Compaction: whole ranges of old records leave the hot index for the cold one.

1 export the range from the hot index   2 write both Parquet files, sync them, put them in place
3 say in the hot index that the range has moved   4 drop its rows there, a few at a time

A crash before 3 leaves files that the next run writes again; one after 3 leaves rows that the next run drops. Nobody
who searches meanwhile misses a record or sees one twice. A file that is missing or damaged is written again from the
log itself.
"""

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from magistrate.adapters.recorder.cold import connect, records_file, traces_file
from magistrate.adapters.recorder.disk import Disk
from magistrate.adapters.recorder.index import Index, formatted
from magistrate.adapters.recorder.opening import open_storage
from magistrate.adapters.recorder.row import Range
from magistrate.adapters.recorder.sealer import fill_index
from magistrate.adapters.recorder.storage import Storage
from magistrate.evidence.tiles import WIDTH, Missing
from magistrate.exchange.errors import ConfigurationError

RECORDS_IN_A_RANGE = 1 << 20
"""Large enough that a year of 180 million records is 172 ranges, small enough to sort in a quarter of a gigabyte."""

DROPPED_AT_ONCE = 2_000
"""Rows in one transaction: the recorder, which adds to the same file, waits for no more."""

PAUSE_S = 0.01
"""Between two of them: who waits for SQLite's lock only looks now and then, and would else never find it free."""

MEMORY = "1GB"
_PIECE = 1 << 20
_TEXTS = ("type", "phase", "app", "model", "endpoint", "verdict", "ending", "rules", "labels", "bundle")


class Compacted(msgspec.Struct, frozen=True):
    """What a run did, and how both indexes stand now."""

    moved: int
    """Records that left the hot index."""
    rewritten: int
    """Ranges whose files were written again from the log."""
    hot: int
    cold: int
    ranges: int
    cold_bytes: int


class Compaction:
    """One run over the index of the log in ``root``, beside a recorder or without one."""

    def __init__(
        self, root: Path, size: int, disk: Disk | None = None, storage: Storage | None = None
    ) -> None:
        self._root = root
        self._storage = storage or open_storage(root, None)
        self._size = size
        self._disk = disk or Disk()
        self._directory = root / "index" / "cold"

    def run(
        self,
        before_us: int,
        *,
        records: int = RECORDS_IN_A_RANGE,
        rebuild: bool = False,
        told: Callable[[str], None] = lambda _: None,
    ) -> Compacted:
        """Move the ranges of ``records`` records that are wholly older than ``before_us``; repair those that moved.

        Raises:
            ConfigurationError: another run is at work, DuckDB is missing, or a record is not as this product writes it.
            OSError, sqlite3.Error: the disk refuses; both indexes together are as whole as before.
        """
        if records < WIDTH or records % WIDTH:
            raise ConfigurationError(f"a range holds a multiple of {WIDTH} records, not {records}")
        self._disk.make_directories(self._directory)
        with _alone(self._directory / "lock"), _writing(self._root / "index" / "records.db") as index:
            _drop(index)  # what a crash left
            rewritten = self._repaired(index, everything=rebuild, told=told)
            moved = 0
            while (one := self._next(index, before_us, records)) is not None:
                index.move(one)
                _drop(index)
                moved += one.records
                told(f"records {one.first} to {one.end - 1} are in the cold index")
            ranges, boundary = index.ranges(), index.boundary
            self._remove_others(ranges)
            size = sum(path.stat().st_size for one in ranges for path in self._files(one.first))
            return Compacted(moved, rewritten, index.size - boundary, boundary, len(ranges), size)

    def _next(self, index: Index, before_us: int, records: int) -> Range | None:
        first = index.boundary
        spread = index.spread(first, first + records)
        if spread is None or spread[1] >= before_us:
            return None
        return self._written(index, first, records, spread)

    def _repaired(self, index: Index, *, everything: bool, told: Callable[[str], None]) -> int:
        rewritten = 0
        for one in index.ranges():
            if not everything and self._sum(one.first) == one.sha256:
                continue
            told(f"records {one.first} to {one.end - 1} are indexed again from the log")
            index.move(self._from_log(one.first, one.records))
            rewritten += 1
        return rewritten

    def _from_log(self, first: int, records: int) -> Range:
        place = self._directory / "rebuilt.db"
        _remove_database(place)
        rebuilt = Index(place, writable=True)
        try:
            if first:
                rebuilt.move(Range(0, first, b"", 0, 0, b"", b""))  # they are elsewhere
            fill_index(rebuilt, self._storage, first + records)
            spread = rebuilt.spread(first, first + records)
            assert spread is not None
            return self._written(rebuilt, first, records, spread)
        except Missing as missing:
            raise ConfigurationError(f"the log cannot be read: {missing}", str(self._root)) from None
        finally:
            rebuilt.close()
            _remove_database(place)

    def _written(
        self, index: Index, first: int, records: int, spread: tuple[int, int, bytes, bytes]
    ) -> Range:
        strange = index.unfit(first, first + records)
        if strange is not None:
            raise ConfigurationError(
                f"record {strange} has ids that the cold index cannot keep; it stays in the hot one",
                str(self._root),
            )
        exported = self._directory / "exported"
        shutil.rmtree(exported, ignore_errors=True)
        exported.mkdir(mode=0o700)
        try:
            for name, lines in zip(
                ("records", "bodies", "texts"), index.lines(first, first + records), strict=True
            ):
                with (exported / name).open("w", encoding="ascii") as file:
                    file.writelines(lines)
            write_range(exported, first)
            for path in self._files(first):
                self._put(exported / path.name, path)
            self._disk.sync_directory(self._directory)
        finally:
            shutil.rmtree(exported, ignore_errors=True)
        return Range(first, records, self._sum(first), *spread)

    def _put(self, written: Path, path: Path) -> None:
        written.chmod(0o600)
        descriptor = os.open(written, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._disk.sync(descriptor)
        finally:
            os.close(descriptor)
        self._disk.rename(written, path)

    def _files(self, first: int) -> tuple[Path, Path]:
        return records_file(self._directory, first), traces_file(self._directory, first)

    def _sum(self, first: int) -> bytes:
        """Return the sum of a range's files; empty if one is missing."""
        digest = hashlib.sha256()
        try:
            for path in self._files(first):
                with path.open("rb") as file:
                    while piece := file.read(_PIECE):
                        digest.update(piece)
        except FileNotFoundError:
            return b""
        return digest.digest()

    def _remove_others(self, ranges: Iterable[Range]) -> None:
        """Remove files of ranges that there are no more: the hot index was begun anew and has these records itself."""
        wanted = {path for one in ranges for path in self._files(one.first)}
        for path in [*self._directory.glob("*.parquet"), *self._directory.glob("*.traces")]:
            if path not in wanted:
                self._disk.remove(path)


def write_range(exported: Path, first: int) -> None:
    """Write both Parquet files beside the exported lines of a range; see `Index.lines`."""
    engine = connect(MEMORY)
    try:
        engine.execute("SET temp_directory = ?", [str(exported)])
        for name, columns in _EXPORTED.items():
            read = "read_csv(?, header = false, auto_detect = false, delim = ',', quote = '', escape = '', columns = ?)"
            engine.execute(f"CREATE TABLE {name} AS FROM {read}", [str(exported / name), columns])
        engine.execute("UPDATE texts SET text = COALESCE(decode(unhex(text)), '')")
        engine.execute(_PLACED)
        copied = f"({_RECORDS}) TO '{{}}' (FORMAT parquet, PARQUET_VERSION v2, COMPRESSION zstd)"
        engine.execute("COPY " + copied.format(_quoted(records_file(exported, first))))
        copied = f"({_TRACES}) TO '{{}}' (FORMAT parquet, PARQUET_VERSION v2, COMPRESSION zstd, ROW_GROUP_SIZE {_TRACES_IN_A_GROUP})"
        engine.execute("COPY " + copied.format(_quoted(traces_file(exported, first))))
    finally:
        engine.close()


_EXPORTED: dict[str, dict[str, str]] = {
    "records": {
        "idx": "BIGINT",
        "ts": "BIGINT",
        **dict.fromkeys(_TEXTS, "BIGINT"),
        **dict.fromkeys(("eid", "trace", "call", "subject"), "VARCHAR"),
    },
    "bodies": dict.fromkeys(("idx", "part", "segment", "at"), "BIGINT"),
    "texts": {"id": "BIGINT", "text": "VARCHAR"},
}
_PLACED = """
CREATE TABLE placed AS
SELECT idx, list({'part': p.text, 'segment': s.text, 'at': "at"} ORDER BY "at") AS bodies
FROM bodies b JOIN texts p ON p.id = b.part JOIN texts s ON s.id = b.segment GROUP BY idx
"""
_SPELLED = ", ".join(f"{name}_.text AS {name}" for name in _TEXTS)
_JOINED = " ".join(f"JOIN texts {name}_ ON {name}_.id = r.{name}" for name in _TEXTS)
_RECORDS = f"""
SELECT r.idx, ts, CAST(eid AS UUID) AS eid, CAST(nullif(trace, '') AS UUID) AS trace,
    CAST(nullif(call, '') AS UUID) AS call, CAST(lpad(nullif(subject, ''), 32, '0') AS UUID) AS subject,
    {_SPELLED}, bodies
FROM records r {_JOINED} LEFT JOIN placed ON placed.idx = r.idx ORDER BY r.idx
"""  # noqa: S608  because it joins constants
_TRACES = """
SELECT CAST('0x' || trace[1:8] AS UINTEGER) AS head, min(idx) AS low, max(idx) AS high
FROM records WHERE trace != '' GROUP BY trace ORDER BY head, low
"""
_TRACES_IN_A_GROUP = 20_480


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def days_ago_us(days: int) -> int:
    return int((time.time() - days * 86_400) * 1e6)


def _drop(index: Index) -> None:
    while index.drop_moved(DROPPED_AT_ONCE):
        time.sleep(PAUSE_S)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise ConfigurationError("another `evidence index` is at work here", str(path.parent)) from None
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _writing(path: Path) -> Iterator[Index]:
    if not formatted(path):
        raise ConfigurationError(
            "this index is of another version; the recorder writes it anew when it starts", str(path)
        )
    index = Index(path, writable=True)
    try:
        yield index
    finally:
        index.close()


def _remove_database(path: Path) -> None:
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        path.with_name(name).unlink(missing_ok=True)
