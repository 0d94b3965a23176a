"""The cold index beside the log: it may be lost, damaged, half moved or unreadable, and no record is lost with it."""

import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from importlib import util
from pathlib import Path
from typing import Any

import orjson
import pytest

from magistrate.adapters.recorder import cold, compaction
from magistrate.adapters.recorder.compaction import Compacted, Compaction
from magistrate.adapters.recorder.disk import Disk
from magistrate.adapters.recorder.index import Index
from magistrate.adapters.recorder.orders import ConfirmHold, Outcome, PlaceHold
from magistrate.adapters.recorder.pruning import plan
from magistrate.adapters.recorder.row import Row, SearchQuery
from magistrate.app.cli import run
from magistrate.evidence.hold import Selector
from magistrate.evidence.retention import Schedule
from magistrate.evidence.verify import Verdict
from magistrate.exchange.errors import ConfigurationError

from .custody import ADA, BOB, Custody, draft, opened

CALLS = 300
EVERYTHING = SearchQuery(heartbeats=True, limit=10_000)


class Died(BaseException):
    """The process ends here."""


class Deadly(Disk):
    """Dies before or after the given rename or sync."""

    def __init__(self, operation: str, number: int, *, after: bool) -> None:
        self._operation, self._left, self._after = operation, number, after

    def rename(self, old: Path, new: Path) -> None:
        self._around("rename", lambda: super(Deadly, self).rename(old, new))

    def sync(self, descriptor: int) -> None:
        self._around("sync", lambda: super(Deadly, self).sync(descriptor))

    def sync_directory(self, path: Path) -> None:
        self._around("directory", lambda: super(Deadly, self).sync_directory(path))

    def _around(self, operation: str, work: Any) -> None:
        counts = operation == self._operation
        self._left -= counts
        if counts and self._left == 0 and not self._after:
            raise Died
        work()
        if counts and self._left == 0 and self._after:
            raise Died


@pytest.fixture
def custody(tmp_path: Path) -> Iterator[Custody]:
    """A log of some hundred records about two persons."""
    with opened(tmp_path) as made:
        for number in range(CALLS):
            subject = "grace@hopper.org" if number % 3 else "alan@turing.org"
            made.write(draft(subject, f"body {number}".encode(), trace=f"{number // 2:032x}"))
        made.ledger.seal()
        yield made


def compact(custody: Custody, disk: Disk | None = None, *, rebuild: bool = False) -> Compacted:
    run = Compaction(custody.ledger.root, custody.ledger.size, disk)
    return run.run(2**62, records=256, rebuild=rebuild)


def answers(custody: Custody) -> list[object]:
    """Everything that a reader can be asked, with every body."""
    with custody.reader() as reader:
        rows = reader.search(EVERYTHING)
        assert [row.index for row in rows] == list(range(custody.ledger.size))[::-1]
        bodies = [reader.bodies(orjson.loads(reader.header(row.index))) for row in rows[:5] + rows[-5:]]
        traces = [reader.trace(row.trace) for row in rows[::50] if row.trace]
        return [rows, bodies, traces, [reader.find(row.eid) for row in rows[::50]]]


def hot(custody: Custody) -> list[int]:
    with sqlite3.connect(custody.ledger.root / "index" / "records.db") as database:
        return [number for (number,) in database.execute("SELECT idx FROM records ORDER BY idx")]


@pytest.mark.requirement("A5", "A6")
def test_what_moved_is_found_shown_and_verified_as_before(custody: Custody) -> None:
    """While the recorder goes on: what it seals afterwards is found too."""
    before = answers(custody)
    done = compact(custody)
    assert (done.moved, done.cold, done.ranges) == (256, 256, 1)
    assert hot(custody) == list(range(256, custody.ledger.size))
    assert answers(custody) == before
    custody.write(draft(trace=f"{1:032x}"))
    custody.ledger.seal()
    with custody.reader() as reader:
        assert len(reader.trace(f"{1:032x}")) == 3
        assert reader.search(SearchQuery(limit=1))[0].index == custody.ledger.size - 1
    assert custody.verified().verdict is Verdict.VALID
    assert compact(custody).moved == 0


def test_only_whole_ranges_of_old_records_move(custody: Custody) -> None:
    """A range with one record of today stays."""
    run = Compaction(custody.ledger.root, custody.ledger.size)
    assert run.run(int((time.time() - 3600) * 1e6), records=256).moved == 0
    assert run.run(2**62, records=512).moved == 0
    with pytest.raises(ConfigurationError, match="multiple of 256"):
        run.run(2**62, records=300)


@pytest.mark.requirement("A10")
def test_an_erasure_reaches_bodies_whose_records_are_cold(custody: Custody) -> None:
    """Keys are destroyed and ciphertexts overwritten as if all were hot, and the record says how many."""
    compact(custody)
    answer = custody.erase("alan@turing.org")
    assert answer.outcome is Outcome.DONE
    (facts,) = answer.facts["subjects"]
    assert facts["bodies"] == CALLS // 3
    with custody.reader() as reader:
        rows = reader.search(EVERYTHING)
        mine = [orjson.loads(reader.header(row.index)) for row in rows if row.type == "llm.request"]
        gone = [header for header in mine if not reader.bodies(header)]
        assert len(gone) == CALLS // 3
        assert all(reader.erasure(header) for header in gone)
    assert custody.verified().verdict is Verdict.VALID


@pytest.mark.requirement("A10")
def test_a_hold_protects_what_is_cold(tmp_path: Path) -> None:
    """From erasure, and from pruning when retention ends."""
    with opened(tmp_path, Schedule({"standard": 0, "short": 0})) as custody:
        old = f"{77:032x}"
        for number in range(CALLS):
            custody.write(draft(trace=old if number == 3 else "", content=b"x" * 10))
        custody.ledger.seal()
        compact(custody)
        holds = []
        for trace in (old, f"{78:032x}"):  # the second is of no record here
            placed = custody.obey(PlaceHold(Selector(trace=trace), "a case", ADA))
            holds.append(placed.facts["hold"])
            assert custody.obey(ConfirmHold(holds[-1], BOB)).outcome is Outcome.DONE
        custody.ledger.seal()
        compact(custody)
        answer = custody.erase()
        assert answer.outcome is Outcome.NO
        assert answer.facts["subjects"][0]["holds"] == holds[:1]
        in_a_week = time.time_ns() // 1000 + 7 * 86_400_000_000
        planned = plan(custody.ledger.shelved(), {"standard": 1}, custody.custodian.in_force(), in_a_week)
        assert list(planned.held.values()) == [holds[:1]]


def test_without_duckdb_everything_stays_hot_and_is_found(
    custody: Custody, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small installation needs no cold index and loads nothing for it."""
    before = answers(custody)
    monkeypatch.setattr(cold, "find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match=r"magistrate\[cold\]"):
        compact(custody)
    assert answers(custody) == before
    assert hot(custody) == list(range(custody.ledger.size))
    assert os.listdir(custody.ledger.root / "index" / "cold") == ["lock"]


def test_without_duckdb_what_is_hot_is_found_and_what_is_cold_says_what_is_missing(
    custody: Custody, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An erasure that cannot look at everything is not carried out."""
    compact(custody)
    real = util.find_spec
    monkeypatch.setattr(cold, "find_spec", lambda name: None if name == "duckdb" else real(name))
    with custody.reader() as reader:
        newest = reader.search(SearchQuery(limit=5))
        assert len(newest) == 5
        with pytest.raises(ConfigurationError, match=r"magistrate\[cold\]"):
            reader.search(EVERYTHING)
    answer = custody.erase("alan@turing.org")
    assert answer.outcome is Outcome.UNABLE
    assert "magistrate[cold]" in answer.says
    monkeypatch.undo()
    assert custody.erase("grace@hopper.org").outcome is Outcome.DONE  # which finishes the other first
    assert custody.ledger.vault.unfinished() == []


@pytest.mark.requirement("A5")
@pytest.mark.parametrize("damage", ["missing", "cut", "changed", "traces", "of another range"])
def test_a_damaged_file_is_written_again_from_the_log(custody: Custody, damage: str) -> None:
    """It gives wrong answers for at most a day: the next run compares sums, and the log has everything."""
    before = answers(custody)
    compact(custody)
    folder = custody.ledger.root / "index" / "cold"
    (records,), (traces,) = folder.glob("*.parquet"), folder.glob("*.traces")
    if damage == "missing":
        records.unlink()
    elif damage == "traces":
        traces.unlink()
    elif damage == "of another range":
        shutil.copy(traces, records)
    else:
        data = bytearray(records.read_bytes())
        data[len(data) // 2] ^= 1
        records.write_bytes(data[: len(data) // 2] if damage == "cut" else data)
    if damage in {"missing", "cut", "of another range"}:
        with custody.reader() as reader, pytest.raises(ConfigurationError, match="evidence index"):
            reader.search(EVERYTHING)
    assert compact(custody).rewritten == 1
    assert answers(custody) == before
    assert compact(custody).rewritten == 0
    assert compact(custody, rebuild=True).rewritten == 1
    assert answers(custody) == before


@pytest.mark.requirement("A5", "A6")
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("operation", "number"),
    [("sync", 1), ("sync", 2), ("rename", 1), ("rename", 2), ("directory", 1), ("directory", 2)],
)
def test_a_crash_at_any_write_loses_no_record_and_shows_none_twice(
    custody: Custody, operation: str, number: int, after: bool
) -> None:
    """Searched right after it, and after the run that finishes."""
    before = answers(custody)
    with pytest.raises(Died):
        compact(custody, Deadly(operation, number, after=after))
    assert answers(custody) == before
    assert compact(custody).moved == 256
    assert answers(custody) == before


def test_a_crash_while_rows_are_dropped_is_finished_by_the_next_run(
    custody: Custody, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In between a record stands in both, and is found once."""
    before = answers(custody)

    def dying(index: Index, at_most: int) -> bool:
        dropped(index, 10)
        raise Died

    dropped = Index.drop_moved
    with monkeypatch.context() as patched:
        patched.setattr(Index, "drop_moved", _once_then(dropped, dying))
        with pytest.raises(Died):
            compact(custody)
    assert hot(custody)[0] == 10
    assert answers(custody) == before
    assert compact(custody).moved == 0
    assert hot(custody)[0] == 256
    assert answers(custody) == before


def _once_then(first: Any, then: Any) -> Any:
    calls: list[Any] = [first]
    return lambda index, at_most: (calls.pop() if calls else then)(index, at_most)


def test_a_range_that_moves_while_somebody_searches_is_found(
    custody: Custody, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the question to the hot index and the one to the cold."""
    with custody.reader() as reader:
        before = reader.search(EVERYTHING)
        asked = Index.search

        def searched(index: Index, query: SearchQuery) -> list[Row]:
            found = asked(index, query)
            compact(custody)
            return found

        monkeypatch.setattr(Index, "search", searched)
        assert reader.search(EVERYTHING) == before
        assert hot(custody)[0] == 256
        monkeypatch.undo()
        assert reader.search(EVERYTHING) == before


def test_a_lost_hot_index_is_made_again_from_the_log_and_moves_again(tmp_path: Path) -> None:
    """The next start has all of it; files that nothing names are removed."""
    with opened(tmp_path) as custody:
        custody.write(*(draft() for _ in range(CALLS)))
        custody.ledger.seal()
        compact(custody)
        before = answers(custody)
    for path in (tmp_path / "evidence" / "index").glob("records.db*"):
        path.unlink()
    with opened(tmp_path) as custody:
        assert hot(custody)[0] == 0
        assert answers(custody)[0][-CALLS:] == before[0][-CALLS:]
        run = Compaction(custody.ledger.root, custody.ledger.size)
        assert run.run(0, records=256).ranges == 0
        assert list((tmp_path / "evidence" / "index" / "cold").glob("0*")) == []
        assert compact(custody).moved == 256
        assert answers(custody)[0][-CALLS:] == before[0][-CALLS:]


def test_an_index_with_a_hole_is_made_again(tmp_path: Path) -> None:
    """Rows that vanished between the cold ranges and the hot ones would be records that no search finds."""
    with opened(tmp_path) as custody:
        custody.write(*(draft() for _ in range(CALLS)))
        custody.ledger.seal()
        compact(custody)
    with sqlite3.connect(tmp_path / "evidence" / "index" / "records.db") as database:
        database.execute("DELETE FROM records WHERE idx < 270")
    with opened(tmp_path) as custody:
        assert hot(custody)[0] == 0
        answers(custody)


def test_a_recorder_goes_on_indexing_while_old_rows_are_dropped(
    custody: Custody, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both write one file, by turns: the one that adds a little is not kept waiting by the one that drops much."""
    monkeypatch.setattr(compaction, "DROPPED_AT_ONCE", 2)
    waits: list[float] = []
    running = threading.Thread(target=compact, args=(custody,))
    running.start()
    while running.is_alive():
        custody.write(draft())
        began = time.monotonic()
        custody.ledger.seal()
        waits.append(time.monotonic() - began)
    running.join()
    assert len(waits) > 3
    assert max(waits) < 4  # after 5 s SQLite gives up, and the index would lag behind
    with sqlite3.connect(custody.ledger.root / "index" / "records.db") as database:
        (newest,) = database.execute("SELECT MAX(idx) FROM records").fetchone()
    assert newest == custody.ledger.size - 1
    answers(custody)


def test_two_runs_at_once_are_one_too_many(custody: Custody) -> None:
    """The second says so and does nothing."""
    with pytest.raises(ConfigurationError, match="another `evidence index`"):
        Compaction(custody.ledger.root, custody.ledger.size).run(
            2**62, records=256, told=lambda _: print(compact(custody))
        )


def test_cold_files_are_as_private_as_the_hot_one(custody: Custody) -> None:
    """They say who called what."""
    compact(custody)
    folder = custody.ledger.root / "index" / "cold"
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.requirement("A5")
def test_the_command_moves_and_the_other_commands_find(
    custody: Custody, capfd: pytest.CaptureFixture[str]
) -> None:
    """`evidence index`, then `search`, `show` and `trace` of a record that left the hot index."""
    data = ("--data", str(custody.directory), "--json")

    def asked(*arguments: str) -> Any:
        assert run(["evidence", *arguments, *data]) == 0
        return orjson.loads(capfd.readouterr().out)

    oldest = asked("search", "--limit", "1000", "--app", "ward")[-1]
    done = asked("index", "--older-than", "0", "--range-size", "256")
    assert (done["moved"], done["cold"], done["ranges"]) == (256, 256, 1)
    assert asked("search", "--limit", "1000", "--app", "ward")[-1] == oldest
    assert asked("search", "--trace", oldest["trace"], "--user", "alan@turing.org")[-1] == oldest
    assert asked("show", oldest["eid"])[0]["header"]["eid"] == oldest["eid"]
    assert [header["eid"] for header in asked("trace", oldest["trace"])][0] == oldest["eid"]
    assert run(["evidence", "index", "--range-size", "300", "--data", str(custody.directory)]) == 2
    assert "multiple of 256" in capfd.readouterr().err
    assert os.listdir(custody.ledger.root / "index" / "cold") != []
