"""A store that goes away while a shard is closed: records are taken in the next one, and everything is published when it is back."""

import asyncio
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest

from magistrate.adapters.recorder import process
from magistrate.adapters.recorder.client import RecorderClient
from magistrate.adapters.recorder.disk import Disk
from magistrate.adapters.recorder.frames import Ack
from magistrate.adapters.recorder.ledger import Ledger, Settings
from magistrate.adapters.recorder.opening import Stores
from magistrate.adapters.recorder.ordering import ask
from magistrate.adapters.recorder.orders import Erase, Outcome, Prune, RotateShard
from magistrate.adapters.recorder.process import Recorder
from magistrate.adapters.recorder.rotation import SIGNED_ROOT
from magistrate.adapters.recorder.row import SearchQuery
from magistrate.adapters.recorder.storage import Places, Storage, StoreUnavailable
from magistrate.adapters.recorder.wal import WalBroken
from magistrate.evidence.draft import Draft
from magistrate.evidence.report import Verdict
from magistrate.evidence.retention import BUILT_IN
from magistrate.exchange.errors import ConfigurationError
from tests.faults.custody import ADA, IDS, Custody, draft
from tests.faults.harness import FaultyDisk

from .conftest import Store
from .test_store_faults import CEPH, TOOLS_OF, Died
from .test_store_shards import _below, archive, verified

MOST_REQUESTS = 120
"""More than a rotation ever makes."""

EVERYWHERE = [
    *(pytest.param(name, 1, marks=marks) for name, marks in TOOLS_OF.items()),
    # A write to this object store takes tenths of a second: every twelfth request is what time allows.
    pytest.param("s3", 12, marks=CEPH),
]

ASKED = {"get", "put", "children", "replace", "remove", "remove_below", "read", "swap"}


class Wire:
    """What lies between a recorder and its stores: so many requests more get through, then none until it is mended."""

    def __init__(self) -> None:
        self.left = self.asked = 0
        self.cut = False
        self.error: type[BaseException] = StoreUnavailable
        self.until: list[str] = []

    def cut_after(self, requests: int, error: type[BaseException] = StoreUnavailable) -> None:
        self.left, self.cut, self.error = requests, True, error

    def cut_at(self, *requests: str) -> None:
        """Let nothing through from the last of these on, as they come: calls of a port, or paths of files."""
        self.until = list(requests)

    def mend(self) -> None:
        self.cut, self.until = False, []

    def request(self, *words: object) -> None:
        self.asked += 1
        if self.until and self.until[0] in words:
            self.until.pop(0)
            if not self.until:
                self.cut_after(0)
        self.left -= 1
        if self.cut and self.left < 0:
            raise self.error("nobody answers")


class Remote:
    """A port at the other end of a wire."""

    def __init__(self, port: Any, wire: Wire) -> None:
        self._port, self._wire = port, wire

    def put_all(self, files: dict[str, bytes]) -> None:
        for path, data in files.items():
            self.put(path, data)

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._port, name)
        if name not in ASKED:
            return real

        def asked(*arguments: Any) -> Any:
            self._wire.request(name, *arguments[:1])
            return real(*arguments)

        return asked


class RemoteStores(Stores):
    """Both ports of every shard at the other end of a wire, opening them included."""

    def __init__(self, directory: Path, store: Store, wire: Wire) -> None:
        super().__init__(directory / "evidence", store.places, days=dict(BUILT_IN))
        self._wire = wire

    def written(self, number: int) -> Storage:
        return self._behind(super().written, number)

    def closed(self, number: int) -> Storage:
        return self._behind(super().closed, number)

    def register(self, number: int) -> Any:
        self._wire.request()
        return Remote(super().register(number), self._wire)

    def _behind(self, opened: Callable[[int], Storage], number: int) -> Storage:
        self._wire.request()
        storage = opened(number)
        objects: Any = Remote(storage.objects, self._wire)
        if storage.remote:
            storage.segments._objects = objects
        return Storage(objects, storage.segments, storage.remote)


class Life:
    """One log in one place, what was acknowledged of it, and its wire."""

    def __init__(self, directory: Path, store: Store, number: int, disk: Disk | None = None) -> None:
        self.directory, self.wire = directory / str(number), Wire()
        (self.directory / "evidence").mkdir(parents=True)
        self.store = Store(store.name, _below(store.places, number), store.server)
        self.acknowledged: list[tuple[Draft, Ack]] = []
        self.begin(disk)
        self.first_key = self.custody.ledger.vkey

    @property
    def ledger(self) -> Ledger:
        return self.custody.ledger

    def begin(self, disk: Disk | None = None) -> None:
        stores = RemoteStores(self.directory, self.store, self.wire)
        self.custody = Custody(self.directory, disk=disk, places=self.store.places, stores=stores)

    def write(self, *drafts: Draft) -> None:
        acks = self.custody.write(*drafts)
        assert not any(ack.reason for ack in acks), acks
        self.acknowledged += zip(drafts, acks, strict=True)

    def try_on(self) -> None:
        """What the two threads of a recorder do every second."""
        self.ledger.seal()
        self.ledger.go_on()

    def finish(self) -> None:
        for _ in range(3):
            self.try_on()
        assert not self.ledger.crossing

    def die(self) -> None:
        with suppress(OSError, StoreUnavailable, WalBroken):
            self.ledger.close(clean=False)

    def assert_whole(self, shards: int) -> None:
        """Every acknowledged record stands where that was said, once; both keys verify all of it without a remark."""
        key = self.ledger.vkey
        self.custody.close()
        with archive(self.directory, self.store) as found:
            assert list(found.shards) == list(range(1, shards + 1))
            headers = [
                [orjson.loads(reader.header(index)) for index in range(reader.size)]
                for reader in found.shards.values()
            ]
            ids = [header["eid"] for shard in headers for header in shard]
            assert len(ids) == len(set(ids))
            for one, ack in self.acknowledged:
                assert one.header["eid"] in {
                    shard[ack.index]["eid"] for shard in headers if ack.index < len(shard)
                }
            rows = found.search(SearchQuery(user="grace@hopper.org", limit=500))
            assert {row.eid for row in rows} == {one.header["eid"] for one, _ in self.acknowledged}
        for one in (self.first_key, key):
            report = verified(self.directory, self.store, one)
            assert (report.verdict, report.findings) == (Verdict.VALID, ())


def call() -> tuple[Draft, Draft]:
    trace = IDS.trace()
    intent = draft(trace=trace)
    return intent, draft(trace=trace, phase="outcome", cause=(str(intent.header["eid"]),))


@pytest.mark.requirement("A1", "A2")
@pytest.mark.fault(39)
@pytest.mark.timeout(290)
@pytest.mark.parametrize(("store", "step"), EVERYWHERE, indirect=["store"])
def test_at_whichever_request_of_a_rotation_a_store_goes_away_records_are_taken(
    tmp_path: Path, store: Store, step: int
) -> None:
    """Taken while it is away, in the old shard or the next one; published when it is back. A call over the border is one."""
    half_way = 0
    for number in range(0, MOST_REQUESTS, step):
        life = Life(tmp_path, store, number)
        intent, outcome = call()
        life.write(intent, *(draft() for _ in range(3)))
        life.wire.cut_after(number)
        with suppress(StoreUnavailable):
            life.ledger.rotate_shard()
        through = life.wire.left >= 0
        half_way += life.ledger.crossing
        if not through:
            for _ in range(3):
                life.write(draft())
                with suppress(StoreUnavailable):
                    life.try_on()
            life.write(outcome)
            assert life.ledger.unsealed_records
        life.wire.mend()
        life.finish()
        life.write(draft())
        life.assert_whole(2 if life.first_key != life.ledger.vkey else 1)
        if through:
            break
    assert number < MOST_REQUESTS - step
    assert half_way > number / step / 3, "in a good part of them the shard was closed already"


@pytest.mark.requirement("A1", "A2")
@pytest.mark.parametrize("requests", [1, 2, 3, 7])
@pytest.mark.parametrize(
    "store", ["directory", pytest.param("postgres", marks=pytest.mark.tool("postgres"))], indirect=True
)
def test_a_store_that_answers_a_few_requests_at_a_time_gets_everything_in_the_end(
    tmp_path: Path, store: Store, requests: int
) -> None:
    """It goes away again and again on the way over the border; after each time one request more gets through."""
    life = Life(tmp_path, store, requests)
    life.write(draft())
    life.ledger.seal()
    life.wire.cut_after(20)
    with suppress(StoreUnavailable):
        life.ledger.rotate_shard()
    tries = 0
    while life.ledger.crossing:
        life.write(draft())
        life.wire.cut_after(requests + tries // 4)
        tries += 1
        with suppress(StoreUnavailable):
            life.try_on()
    assert tries > 3
    life.wire.mend()
    life.finish()
    life.assert_whole(2)


@pytest.mark.requirement("A1", "A2")
@pytest.mark.fault(39)
@pytest.mark.timeout(290)
@pytest.mark.parametrize("away", ["still away at the start", "back at the start"])
@pytest.mark.parametrize(
    "store", ["directory", pytest.param("postgres", marks=pytest.mark.tool("postgres"))], indirect=True
)
def test_killed_while_the_store_is_away_in_a_rotation_nothing_acknowledged_is_lost(
    tmp_path: Path, store: Store, away: str
) -> None:
    """After an outage at each request in turn; what was taken in the next shard is read back."""
    for number in range(0, MOST_REQUESTS, 3):
        life = Life(tmp_path, store, number)
        intent, outcome = call()
        life.write(intent)
        life.wire.cut_after(number)
        with suppress(StoreUnavailable):
            life.ledger.rotate_shard()
        through, crossed = life.wire.left >= 0, life.ledger.crossing or life.wire.left >= 0
        life.write(draft(), outcome)
        with suppress(StoreUnavailable):
            life.try_on()
        life.die()
        if away.startswith("still") and not through:
            life.wire.cut_after(0)
            with pytest.raises(ConfigurationError, match="cannot begin without its store"):
                life.begin()
        life.wire.mend()
        life.begin()
        life.write(draft())
        life.assert_whole(2 if crossed else 1)
        if through:
            break
    assert number < MOST_REQUESTS - 3


@pytest.mark.requirement("A1", "A2")
@pytest.mark.fault(39)
@pytest.mark.timeout(290)
@pytest.mark.parametrize("gone_after", [8, 14, 20, 26])
def test_killed_at_any_request_of_what_is_made_up_for_nothing_acknowledged_is_lost(
    tmp_path: Path, gone_after: int
) -> None:
    """The store is back, and the recorder dies while it finishes the rotation."""
    store = Store("directory", Places())
    for number in range(MOST_REQUESTS):
        life = Life(tmp_path, store, number)
        life.write(draft())
        life.wire.cut_after(gone_after)
        with suppress(StoreUnavailable):
            life.ledger.rotate_shard()
        assert life.wire.left < 0
        crossed = life.ledger.crossing
        life.write(draft(), draft())
        life.wire.cut_after(number, Died)
        try:
            life.finish()
            died = False
        except Died:
            died = True
        life.wire.mend()
        life.die()
        life.begin()
        life.write(draft())
        life.assert_whole(2 if crossed else 1)
        if not died:
            break
    assert 3 < number < MOST_REQUESTS - 1


def half_way(directory: Path, disk: Disk | None = None) -> Life:
    """Return a log whose last record is durable, and not sealed because its store is away."""
    life = Life(directory, Store("directory", Places()), 1, disk)
    life.write(draft())
    life.wire.cut_at("swap", "swap")  # of the end of its trace, and of the record that closes the shard
    life.ledger.rotate_shard()
    assert life.ledger.crossing
    return life


@pytest.mark.requirement("A1", "A2")
@pytest.mark.fault(39)
@pytest.mark.parametrize("operation", ["write", "sync", "rename"])
def test_a_disk_that_fails_at_any_step_of_what_is_made_up_for_loses_nothing_acknowledged(
    tmp_path: Path, operation: str
) -> None:
    """Each operation in turn, for good: what a crash there leaves on the disk. The next start has both shards whole."""
    for number in range(1, MOST_REQUESTS):
        disk = FaultyDisk(operation, 0, "eio")
        life = half_way(tmp_path / str(number), disk)
        life.write(draft(), draft())
        life.wire.mend()
        disk._left = number
        failed = False
        try:
            life.finish()
        except (OSError, WalBroken):
            failed = True
        life.die()
        life.begin()
        life.write(draft())
        life.assert_whole(2)
        if not failed:
            break
    assert 3 < number < MOST_REQUESTS - 1


@pytest.mark.requirement("A1", "A2")
def test_orders_that_need_the_store_are_answered_while_it_is_away_and_carried_out_when_it_is_back(
    tmp_path: Path,
) -> None:
    """A second rotation and a pruning change nothing; an erasure destroys the keys at once and is finished later."""
    life = half_way(tmp_path)
    hers = draft("alan@turing.org")
    life.write(hers)
    custody = life.custody
    assert custody.obey(RotateShard()).outcome is Outcome.UNABLE
    assert custody.obey(Prune()).outcome is Outcome.UNABLE
    answer = custody.obey(Erase("alan@turing.org", "", "she asked", ADA))
    assert answer.outcome is Outcome.UNABLE
    assert "nobody answers" in answer.says
    with pytest.raises(StoreUnavailable):
        life.try_on()
    life.wire.mend()
    life.finish()
    custody.custodian.resume()
    (record,) = custody.records("erasure")
    assert record["ext"]["bodies"] == 1
    assert custody.obey(RotateShard()).outcome is Outcome.DONE
    life.acknowledged = [one for one in life.acknowledged if one[0] is not hers]
    life.assert_whole(3)


@pytest.mark.requirement("A1", "A2")
def test_a_rotation_is_not_begun_while_the_store_is_known_to_be_away(tmp_path: Path) -> None:
    """The answer comes at once, without a request to the store; no trace is closed for it."""
    life = Life(tmp_path, Store("directory", Places()), 1)
    life.write(draft())
    life.wire.cut_after(0)
    with pytest.raises(StoreUnavailable):
        life.try_on()
    asked, traces = life.wire.asked, life.ledger.open_traces
    answer = life.custody.obey(RotateShard())
    assert (answer.outcome, "no shard is closed meanwhile" in answer.says) == (Outcome.UNABLE, True)
    assert (life.wire.asked, life.ledger.open_traces) == (asked, traces)
    life.wire.mend()
    life.try_on()
    assert life.custody.obey(RotateShard()).outcome is Outcome.DONE
    life.assert_whole(2)


@pytest.mark.requirement("A1", "A2")
@pytest.mark.fault(40)
@pytest.mark.parametrize("spoil", ["cut", "bit", "removed"])
def test_a_lost_end_of_a_shard_behind_which_another_has_begun_is_damage_and_nothing_is_cut(
    tmp_path: Path, spoil: str
) -> None:
    """Otherwise the old shard would go on, and what was acknowledged in the next one would be in no log."""
    life = half_way(tmp_path)
    life.write(draft())
    life.die()
    evidence = life.directory / "evidence"
    newest = max((evidence / "wal").glob("*.wal"))
    data = newest.read_bytes()
    begins = data.rindex(b"MWG2")
    if spoil == "removed":
        newest.unlink()
    else:
        at = begins + 60
        newest.write_bytes(
            data[:begins] if spoil == "cut" else data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        )
    spoiled = newest.read_bytes() if newest.exists() else None
    life.wire.mend()
    for _ in range(2):
        with pytest.raises(WalBroken, match=r"damaged at its end|the next shard has begun|is missing"):
            life.begin()
        assert (newest.read_bytes() if newest.exists() else None) == spoiled
    newest.write_bytes(data)
    life.begin()
    life.assert_whole(2)


@pytest.mark.requirement("A1", "A2")
@pytest.mark.fault(39)
@pytest.mark.parametrize("apart", [False, True])
def test_a_recorder_whose_store_goes_away_in_a_rotation_goes_on_answering(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, apart: bool
) -> None:
    """With both its threads at work, and with the process that seals: every call is answered until as much waits as may, the
    others when the store is back."""
    monkeypatch.setattr(process, "MOST_UNSEALED_BYTES", 60_000)
    store = Store("directory", Places())
    wire, directory = Wire(), tmp_path / "log"
    (directory / "evidence").mkdir(parents=True)
    settings = Settings(directory / "evidence", directory / "vault", directory / "r.sock", "test.example/log")
    ledger = Ledger(settings, None, RemoteStores(directory, store, wire), apart=apart)
    first_key = ledger.vkey
    recorder = Recorder(settings, ledger)
    ready = threading.Event()
    running = threading.Thread(target=recorder.run, args=(ready.set,))
    running.start()
    assert ready.wait(10)
    written: list[Draft] = []

    async def writing() -> float:
        client = RecorderClient(settings.socket, "gateway-1", deadline_s=20)
        await client.connect()

        async def answered(*drafts: Draft) -> float:
            began = time.monotonic()
            await asyncio.gather(*map(client.append, drafts))
            written.extend(drafts)
            return time.monotonic() - began

        try:
            await answered(draft())
            wire.cut_at(SIGNED_ROOT)
            answer = await asyncio.to_thread(ask, settings, RotateShard(), os.getuid())
            assert answer.outcome is Outcome.DONE
            assert "not published yet" in answer.says
            longest = 0.0
            for _ in range(30):
                longest = max(longest, await answered(draft()))
                await asyncio.sleep(0.02)
            assert ledger.crossing
            await answered(*(draft(content=os.urandom(20_000)) for _ in range(8)))
            waiting = asyncio.create_task(answered(draft()))
            await asyncio.sleep(1)
            assert ledger.crossing
            assert not waiting.done()
            wire.mend()
            await waiting
            assert not ledger.crossing
            return longest
        finally:
            await client.close()

    try:
        assert asyncio.run(writing()) < 2
    finally:
        wire.mend()
        recorder.stop()
        running.join(20)
    with archive(directory, store) as found:
        assert list(found.shards) == [1, 2]
        rows = found.search(SearchQuery(user="grace@hopper.org", limit=100))
        assert {row.eid for row in rows} == {one.header["eid"] for one in written}
    report = verified(directory, store, first_key)
    assert (report.verdict, report.findings, report.remarks) == (Verdict.VALID, (), ())
