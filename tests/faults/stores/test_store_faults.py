"""Requests that are lost, or done and reported lost, processes and servers that die: at every store, at every step."""

import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from magistrate.adapters.copied import LogCopy
from magistrate.adapters.recorder.ledger import Ledger
from magistrate.adapters.recorder.opening import Stores, open_storage
from magistrate.adapters.recorder.orders import Outcome
from magistrate.adapters.recorder.pruning import plan
from magistrate.adapters.recorder.row import SearchQuery
from magistrate.adapters.recorder.storage import Storage, StoreUnavailable
from magistrate.adapters.recorder.wal import WalBroken
from magistrate.evidence.retention import BUILT_IN
from magistrate.evidence.verify import Verdict, verify_log
from magistrate.exchange.errors import ConfigurationError
from tests.conformance.evidence.go_auditor import Ask
from tests.faults.custody import Custody, draft, opened

from .conftest import LOCKED, REMOTE, Store


class Died(BaseException):
    """What a SIGKILL is inside one process."""


MOST_WRITES = 40
"""More than a seal ever makes; the test below ends when a life makes fewer."""

TOOLS_OF = {"directory": (), "postgres": (pytest.mark.tool("postgres"),)}
CEPH = pytest.mark.tool("ceph")
FAILURES = [
    *(
        pytest.param(name, error, when, marks=marks)
        for name, marks in TOOLS_OF.items()
        for error in (StoreUnavailable, Died)
        for when in ("before", "after")
    ),
    # A write to this object store takes tenths of a second: one way each, and every fourth write, is what time allows.
    pytest.param("s3", Died, "before", marks=CEPH),
    pytest.param("locked-s3", StoreUnavailable, "after", marks=CEPH),
]


class Faulty:
    """A port whose writes are counted together with the other port's, and of which one fails."""

    def __init__(self, port: Any, fault: "Fault") -> None:
        self._port, self._fault = port, fault

    def put_all(self, files: Mapping[str, bytes]) -> None:
        for path, data in files.items():
            self.put(path, data)

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._port, name)
        return self._fault.around(real) if name in {"put", "swap", "remove_below"} else real


class Fault:
    """The ``number``-th write is lost (``before``) or kept (``after``), and then ``error`` is what comes back."""

    def __init__(self, number: int, when: str, error: type[BaseException]) -> None:
        self._left, self._when, self._error = number, when, error
        self.armed = False

    def around(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def write(*arguments: Any) -> Any:
            if not self.armed:
                return real(*arguments)
            self._left -= 1
            if self._left:
                return real(*arguments)
            if self._when == "after":
                real(*arguments)
            raise self._error("the answer never came")

        return write

    @property
    def struck(self) -> bool:
        return self._left <= 0


class FaultyStores(Stores):
    """Both ports of every shard that is written fail by one fault."""

    def __init__(self, directory: Path, store: Store, fault: Fault) -> None:
        super().__init__(directory / "evidence", store.places, days=dict(BUILT_IN))
        self._fault = fault

    def written(self, number: int) -> Storage:
        storage = super().written(number)
        wrapped = Faulty(storage.objects, self._fault)
        if storage.remote:
            storage.segments._objects = wrapped
        return Storage(wrapped, storage.segments, storage.remote)

    def register(self, number: int) -> Any:
        return Faulty(super().register(number), self._fault)


def faulty(directory: Path, store: Store, fault: Fault) -> Custody:
    """A custody over a store that fails once, when the fault is armed."""
    return Custody(directory, places=store.places, stores=FaultyStores(directory, store, fault))


def assert_whole(custody: Custody, written: list[Any], acks: list[Any]) -> None:
    """Every acknowledged record stands at its index, once, its body opens, and the log verifies."""
    headers = custody.records()
    ids = [header["eid"] for header in headers]
    assert len(ids) == len(set(ids))
    for one, ack in zip(written, acks, strict=True):
        assert ids[ack.index] == one.header["eid"]
    report = custody.verified()
    assert report.verdict is Verdict.VALID, report.findings
    with custody.reader() as reader:
        for ack in acks:
            assert reader.bodies(headers[ack.index]) == {"request": b"yes"}


@pytest.mark.requirement("A1", "A7")
@pytest.mark.fault(39)
@pytest.mark.timeout(170)
@pytest.mark.parametrize(("store", "error", "when"), FAILURES, indirect=["store"])
def test_whichever_write_fails_nothing_acknowledged_is_lost(
    tmp_path: Path, store: Store, when: str, error: type[BaseException]
) -> None:
    """Each write of a seal in turn, of one log in many lives. An error is sealed over, a death is recovered from."""
    written: list[Any] = []
    acks: list[Any] = []
    directory = tmp_path / "evidence"
    directory.mkdir()
    for number in range(1, MOST_WRITES, 4 if "s3" in store.name else 1):
        fault = Fault(number, when, error)
        custody = faulty(tmp_path, store, fault)
        custody.ledger.seal()
        some = [draft() for _ in range(90)]
        acks += custody.write(*some)
        written += some
        fault.armed = True
        with suppress(StoreUnavailable, Died):
            custody.ledger.seal()
        fault.armed = False
        if error is StoreUnavailable:
            more = draft()
            acks += custody.write(more)
            written.append(more)
            custody.ledger.seal()
            assert custody.ledger.unsealed_records == 0
            custody.ledger.close(clean=True)
        else:
            custody.ledger.close(clean=False)
        if not fault.struck:
            break
    assert number > 4, "a seal has more writes than that"
    with opened(tmp_path, places=store.places) as again:
        assert_whole(again, written, acks)


@pytest.mark.requirement("A1")
@pytest.mark.fault(14)
def test_a_recorder_elsewhere_with_the_same_keys_is_stopped_by_the_register(
    tmp_path: Path, remote: Store
) -> None:
    """Two machines, one log: who swaps second stops for good, and what is published is whole."""
    first = Custody(tmp_path / "one", places=remote.places)
    first.write(draft())
    first.ledger.seal()
    shutil.copytree(tmp_path / "one" / "vault", tmp_path / "two" / "vault")
    second = Custody(tmp_path / "two", places=remote.places)
    assert second.ledger.size >= 2
    second.write(draft())
    second.ledger.seal()
    first.write(draft())
    with pytest.raises(WalBroken, match="another recorder signed"):
        first.ledger.seal()
    first.ledger.close(clean=False)
    assert second.verified().verdict is Verdict.VALID
    second.close()


@pytest.mark.requirement("A1", "A7")
def test_a_log_outlives_the_machine_that_kept_it(tmp_path: Path, remote: Store) -> None:
    """With the vault and the stores, another machine goes on: nothing that was sealed is missing, the index is made anew."""
    with opened(tmp_path, places=remote.places) as custody:
        some = [draft() for _ in range(300)]
        acks = custody.write(*some)
        size = custody.ledger.size
    shutil.rmtree(tmp_path / "evidence")
    with opened(tmp_path, places=remote.places) as again:
        assert again.ledger.size > size
        more = draft()
        acks += again.write(more)
        assert_whole(again, [*some, more], acks)
        with again.reader() as reader:
            assert len(reader.search(SearchQuery(user="grace@hopper.org", limit=500))) == 301


@pytest.mark.requirement("A7")
@pytest.mark.fault(2, 3)
@pytest.mark.verifier("ours", "go")
@pytest.mark.timeout(300)  # because a cold Go cache builds the standard library
@pytest.mark.parametrize("changed", ["nothing", "tile/entries/000", "tile/0/000", "body"])
def test_a_plain_copy_of_the_store_is_what_a_stranger_verifies(
    tmp_path: Path, remote: Store, changed: str, go_ask: Ask | None
) -> None:
    """Downloaded file by file, without the SDK; what somebody changed there is found by both judges."""
    with opened(tmp_path, places=remote.places) as custody:
        custody.write(*(draft() for _ in range(300)))
        custody.ledger.seal()
        vkey = custody.ledger.vkey
    copy = tmp_path / "copy"
    objects = open_storage(tmp_path / "evidence", remote.places.objects).objects
    _download(objects, "", copy)
    objects.close()
    if changed != "nothing":
        path = next((copy / "body").rglob("*.seg")) if changed == "body" else copy / changed
        content = bytearray(path.read_bytes())
        content[-1 if changed == "body" else len(content) // 2] ^= 1
        path.write_bytes(content)
    log = LogCopy(copy)
    verdict = verify_log(log.objects, vkey, ciphertext=log.ciphertext).verdict
    log.close()
    assert verdict is (Verdict.VALID if changed == "nothing" else Verdict.TAMPERED)
    assert (copy / "log.vkey").read_text().strip() == vkey
    if go_ask is not None:
        note = (copy / "checkpoint").read_text()
        answer = go_ask({"Vkey": vkey, "Checkpoint": note, "Audit": str(copy)})
        assert (answer["Verdict"] == "valid") is (changed == "nothing"), answer["Why"]


def _download(objects: Any, folder: str, copy: Path) -> None:
    for name in objects.children(folder) if folder else ("tile", "body", "checkpoint", "log.vkey"):
        path = f"{folder}/{name}" if folder else name
        data = objects.get(path)
        if data is None:
            _download(objects, path, copy)
        else:
            (copy / path).parent.mkdir(parents=True, exist_ok=True)
            (copy / path).write_bytes(data)


# --- servers that die


@pytest.mark.requirement("A1")
@pytest.mark.timeout(170)
def test_a_server_that_dies_stops_no_acknowledgement(tmp_path: Path, remote: Store) -> None:
    """Killed and begun again, twice: records are acknowledged all the while, and sealed when it is back."""
    assert remote.server is not None
    custody = Custody(tmp_path, places=remote.places)
    written = [draft() for _ in range(50)]
    acks = custody.write(*written)
    for _ in range(2):
        remote.server.kill()
        more = [draft() for _ in range(50)]
        started = time.monotonic()
        acks += custody.write(*more)
        assert time.monotonic() - started < 1
        written += more
        with pytest.raises(StoreUnavailable):
            custody.ledger.seal()
        assert custody.ledger.unsealed_records >= 50
        remote.server.start()
        _sealed(custody.ledger)
    assert_whole(custody, written, acks)
    custody.close()


@pytest.mark.requirement("A1")
@pytest.mark.timeout(170)
def test_a_recorder_that_ends_while_its_store_is_away_loses_nothing(tmp_path: Path, remote: Store) -> None:
    """It does not begin without the store, and says so; then it seals what the write-ahead log kept."""
    assert remote.server is not None
    custody = Custody(tmp_path, places=remote.places)
    custody.ledger.seal()
    remote.server.kill()
    try:
        written = [draft() for _ in range(20)]
        acks = custody.write(*written)
        with pytest.raises(StoreUnavailable):
            custody.ledger.seal()
        custody.ledger.close(clean=False)
        with pytest.raises(ConfigurationError, match="cannot begin without its store"):
            Custody(tmp_path, places=remote.places)
    finally:
        remote.server.start()
    with opened(tmp_path, places=remote.places) as again:
        assert_whole(again, written, acks)


def _sealed(ledger: Ledger) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            ledger.seal()
        except StoreUnavailable:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        else:
            return


# --- erasing and pruning


@pytest.mark.requirement("A10")
@pytest.mark.fault(52)
@pytest.mark.parametrize("store", ["directory", *REMOTE, LOCKED], indirect=True)
def test_an_erasure_destroys_keys_at_once_and_bytes_where_the_store_lets_go(
    tmp_path: Path, store: Store
) -> None:
    """A locked ciphertext stays until its date, without any key; the answer and the record say how many."""
    with opened(tmp_path, places=store.places) as custody:
        hers, his = draft(), draft("alan@turing.org")
        custody.write(hers, his)
        answer = custody.erase()
        assert answer.outcome is Outcome.DONE
        locked = store.name == "locked-s3"
        assert ("locked until its retention ends" in answer.says) is locked
        (record,) = custody.records("erasure")
        assert (record["ext"]["bodies"], record["ext"].get("locked", 0)) == ((0, 1) if locked else (1, 0))
        assert custody.bodies(hers.header["eid"]) == {}
        assert custody.bodies(his.header["eid"]) == {"request": b"yes"}
        assert custody.verified().verdict is Verdict.VALID


@pytest.mark.requirement("A9")
@pytest.mark.parametrize("remote", [*REMOTE, LOCKED], indirect=True)
def test_a_store_that_does_not_let_go_keeps_what_a_pruning_names(tmp_path: Path, remote: Store) -> None:
    """Pruned before its lock ends (a clock ran ahead), a segment stays, and the answer says why. Others go as a whole."""
    with opened(tmp_path, places=remote.places) as custody:
        one = draft()
        custody.write(one)
        custody.ledger.seal()
        in_years = time.time_ns() // 1000 + 3 * 366 * 86_400 * 10**6
        segments = custody.ledger.storage.segments
        planned = plan(custody.ledger.shelved(), custody.ledger.schedule.days, [], in_years)
        assert [doomed.bodies for doomed in planned.doomed] == [1]
        answer = custody.custodian.prune(planned, [])
        if remote.name == "locked-s3":
            assert answer.outcome is Outcome.UNABLE
            assert "locked" in answer.says
            assert custody.bodies(one.header["eid"]) == {"request": b"yes"}
        else:
            assert answer.outcome is Outcome.DONE
            assert list(segments.folders()) == []
