"""A log goes on in a new shard wherever it is kept: in the evidence directory, in a bucket, in a database."""

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from magistrate.adapters.recorder.archive import Archive
from magistrate.adapters.recorder.opening import Stores
from magistrate.adapters.recorder.orders import Outcome, RotateShard
from magistrate.adapters.recorder.pruning import plan
from magistrate.adapters.recorder.row import SearchQuery
from magistrate.adapters.recorder.shelf import Shelf, mend_indexes
from magistrate.adapters.recorder.storage import (
    Place,
    Places,
    PostgresPlace,
    S3Place,
    StoreUnavailable,
    of_shard,
)
from magistrate.adapters.recorder.wal import WalBroken
from magistrate.evidence.chain import Copy, verify_shards
from magistrate.evidence.reading import read_bundles
from magistrate.evidence.report import Report, Verdict
from magistrate.exchange.errors import ConfigurationError, EvidenceUnavailable
from tests.faults.custody import ADA, IDS, draft, opened

from .conftest import Store
from .test_store_faults import CEPH, TOOLS_OF, Died, Fault, faulty

MOST_WRITES = 60
"""More than a rotation ever makes."""

FAILURES = [
    *(
        pytest.param(name, error, when, 1, marks=marks)
        for name, marks in TOOLS_OF.items()
        for error in (StoreUnavailable, Died)
        for when in ("before", "after")
    ),
    # One way each, and every ninth write: a log of its own for each takes seconds there.
    pytest.param("s3", StoreUnavailable, "after", 9, marks=CEPH),
    pytest.param("s3", Died, "before", 9, marks=CEPH),
]


@contextmanager
def archive(directory: Path, store: Store) -> Iterator[Archive]:
    with closing(Archive(directory, directory / "vault", place=store.places.objects)) as found:
        yield found


def verified(directory: Path, store: Store, key: str) -> Report:
    with archive(directory, store) as found:
        copies = [
            Copy(
                number,
                reader.objects,
                reader.vkey,
                bundles=read_bundles(reader.objects, reader.ciphertext),
            )
            for number, reader in found.shards.items()
        ]
        return verify_shards(copies, key)


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        (S3Place("b"), "shards/3/"),
        (S3Place("b", "audit/"), "audit/shards/3/"),
        (PostgresPlace("u", "audit"), "audit/shards/3/"),
    ],
)
def test_each_shard_after_the_first_has_a_place_of_its_own(place: Place, expected: str) -> None:
    assert of_shard(place, 1) == place
    third = of_shard(place, 3)
    assert third is not None
    assert third.prefix == expected
    assert of_shard(None, 3) is None


@pytest.mark.requirement("A1", "A2", "A7")
@pytest.mark.timeout(170)
def test_a_log_is_rotated_wherever_it_is_kept(tmp_path: Path, store: Store) -> None:
    """A call over the border is found, opened and proved by the first key; erasing and pruning reach both shards."""
    trace = IDS.trace()
    intent = draft(trace=trace, content=b"the question")
    with opened(tmp_path, places=store.places) as custody:
        first = custody.ledger.vkey
        custody.write(draft("alan@turing.org"), intent)
        answer = custody.obey(RotateShard(by=ADA))
        assert answer.outcome is Outcome.DONE, answer.says
        outcome = draft(
            trace=trace, phase="outcome", cause=(str(intent.header["eid"]),), content=b"the answer"
        )
        custody.write(outcome)
        custody.ledger.seal()
        with archive(tmp_path, store) as found:
            rows = found.trace(trace)
            assert [(row.shard, row.type) for row in rows] == [
                (1, "llm.request"),
                (1, "trace.close"),
                (2, "llm.response"),
            ]
            bodies = [found.of(row).bodies(orjson.loads(found.header(row))) for row in (rows[0], rows[2])]
            assert bodies == [{"request": b"the question"}, {"request": b"the answer"}]
        for key in (first, custody.ledger.vkey):
            report = verified(tmp_path, store, key)
            assert (report.verdict, report.findings, report.bodies) == (Verdict.VALID, (), 3)
        answer = custody.erase()
        assert answer.outcome is Outcome.DONE
        assert "2 bodies overwritten" in answer.says, "one in each shard"
        custody.ledger.seal()
        assert verified(tmp_path, store, first).verdict is Verdict.VALID
        days = custody.ledger.schedule.days
        later = plan(custody.ledger.shelved(), days, [], 4_000_000_000_000_000)
        assert {one.log for one in later.doomed} == {"", "test.example/log"}
        assert custody.custodian.prune(later, []).outcome is Outcome.DONE


@pytest.mark.requirement("A1", "A7")
@pytest.mark.timeout(170)
def test_a_rotated_log_outlives_the_machine_that_kept_it(tmp_path: Path, remote: Store) -> None:
    """With the vault and the store, another machine finds the newest shard, goes on in it, and has the others too."""
    with opened(tmp_path, places=remote.places) as custody:
        first = custody.ledger.vkey
        for _ in range(2):
            custody.write(draft())
            assert custody.obey(RotateShard()).outcome is Outcome.DONE
        custody.write(draft())
        third = custody.ledger.vkey
    shutil.rmtree(tmp_path / "evidence")
    with opened(tmp_path, places=remote.places) as again:
        assert again.ledger.vkey == third
        again.write(draft())
        again.ledger.seal()
        with closing(Shelf(tmp_path / "evidence", Stores(tmp_path / "evidence", remote.places))) as shelf:
            mend_indexes(shelf)
        with archive(tmp_path, remote) as found:
            assert list(found.shards) == [1, 2, 3]
            found_rows = found.search(SearchQuery(user="grace@hopper.org", limit=50))
            assert [row.shard for row in found_rows] == [3, 3, 2, 1]
        report = verified(tmp_path, remote, first)
        assert (report.verdict, report.findings) == (Verdict.VALID, ())


@pytest.mark.requirement("A1", "A2")
@pytest.mark.fault(39)
@pytest.mark.timeout(170)
@pytest.mark.parametrize(("store", "error", "when", "step"), FAILURES, indirect=["store"])
def test_whichever_write_of_a_rotation_fails_the_next_start_goes_on(
    tmp_path: Path, store: Store, error: type[BaseException], when: str, step: int
) -> None:
    """Each write to the store, and each swap, in turn, each of a log of its own: nothing is lost, nothing stands twice."""
    closed = tried = 0
    for number in range(1, MOST_WRITES, step):
        tried += 1
        directory, fault = tmp_path / str(number), Fault(number, when, error)
        (directory / "evidence").mkdir(parents=True)
        own = Store(store.name, _below(store.places, number), store.server)
        custody = faulty(directory, own, fault)
        key, before = custody.ledger.vkey, draft()
        custody.write(before)
        fault.armed = True
        with suppress(WalBroken, Died, StoreUnavailable, EvidenceUnavailable, ConfigurationError):
            custody.ledger.rotate_shard()
        fault.armed = False
        with suppress(OSError):
            custody.ledger.close(clean=False)
        after = draft()
        with opened(directory, places=own.places) as again:
            again.write(after)
        with archive(directory, own) as found:
            rows = found.search(SearchQuery(user="grace@hopper.org"))
            assert [row.eid for row in rows] == [after.header["eid"], before.header["eid"]]
            closed += len(found.shards) - 1
        report = verified(directory, own, key)
        assert (report.verdict, report.findings) == (Verdict.VALID, ()), number
        if not fault.struck:
            break
    assert number < MOST_WRITES - step
    assert tried > closed > tried / 3, "some failed before the shard was closed, most after it"


def _below(places: Places, number: int) -> Places:
    """Return places of which no other log of a test knows."""
    if places.objects is None or places.register is None:
        return places
    return Places(
        replace(places.objects, prefix=f"{places.objects.prefix}-{number}"),
        replace(places.register, prefix=f"{places.register.prefix}-{number}"),
    )
