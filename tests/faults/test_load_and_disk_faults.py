"""Bursts, slow and short disks, damaged registers, two who would sign: what is acknowledged stands, and is counted exactly."""

import asyncio
import os
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from magistrate.adapters.copied import LogCopy
from magistrate.adapters.recorder.client import RecorderClient
from magistrate.adapters.recorder.store import SqliteRegister
from magistrate.adapters.recorder.wal import WalBroken
from magistrate.evidence.draft import Receipt
from magistrate.evidence.verify import Verdict, verify_log
from magistrate.exchange.errors import ConfigurationError, EvidenceUnavailable
from tests.conformance.evidence.go_auditor import Ask

from .custody import IDS, Custody, opened
from .custody import draft as custody_draft
from .harness import SLOW_S, start, stop
from .test_recorder_faults import assert_nothing_lost, draft


class Died(BaseException):
    """What a SIGKILL is inside one process."""


# --- the register: who signs what


@pytest.mark.fault(14)
def test_of_two_who_swap_one_wins(tmp_path: Path) -> None:
    """The row is compared and swapped in one step, by whatever process."""
    one, two = SqliteRegister(tmp_path / "lock.db"), SqliteRegister(tmp_path / "lock.db")
    assert one.read() == two.read() == b""
    assert [one.swap(b"", b"one"), two.swap(b"", b"two")] == [True, False]
    assert two.read() == b"one"
    one.close()
    two.close()


@pytest.mark.requirement("A2")
@pytest.mark.fault(14)
@pytest.mark.verifier("ours", "go")
@pytest.mark.timeout(300)
def test_a_recorder_that_finds_another_signature_stops_for_ever(tmp_path: Path, go_ask: Ask | None) -> None:
    """It lost the race: nothing of its own tree is published, and nothing is tried again."""
    custody = Custody(tmp_path)
    custody.write(custody_draft())
    custody.ledger.seal()
    published = (tmp_path / "evidence" / "checkpoint").read_bytes()
    with sqlite3.connect(tmp_path / "evidence" / "lock.db") as other:
        other.execute("UPDATE checkpoint SET note = ?", (published + b"another recorder's",))
    other.close()
    custody.write(custody_draft())
    with pytest.raises(WalBroken, match="another recorder signed"):
        custody.ledger.seal()
    assert (tmp_path / "evidence" / "checkpoint").read_bytes() == published
    custody.ledger.close(clean=False)
    vkey = (tmp_path / "evidence" / "log.vkey").read_text()
    with closing(LogCopy(tmp_path / "evidence")) as copy:
        assert verify_log(copy.objects, vkey, ciphertext=copy.ciphertext).verdict is Verdict.VALID
    if go_ask is not None:
        question = {
            "Vkey": vkey.strip(),
            "Checkpoint": published.decode(),
            "Audit": str(tmp_path / "evidence"),
        }
        assert go_ask(question)["Verdict"] == "valid"


@pytest.mark.requirement("A1", "A7")
@pytest.mark.fault(39)
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_around_the_swap_the_next_start_finishes_or_forgets_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """Before it the records are sealed again, after it what was signed is published; the same tree either way."""
    custody = Custody(tmp_path)
    acks = custody.write(*(custody_draft() for _ in range(5)))
    real: Callable[[SqliteRegister, bytes, bytes], bool] = SqliteRegister.swap

    def dies(register: SqliteRegister, old: bytes, new: bytes) -> bool:
        if when == "after":
            real(register, old, new)
        raise Died

    monkeypatch.setattr(SqliteRegister, "swap", dies)
    with pytest.raises(Died):
        custody.ledger.seal()
    monkeypatch.undo()
    custody.ledger.close(clean=False)
    with opened(tmp_path) as again:
        ids = [header["eid"] for header in again.records()]
        assert len(ids) == len(set(ids))
        assert [again.records()[ack.index]["t"] for ack in acks] == ["llm.request"] * 5
        assert again.verified().verdict is Verdict.VALID


@pytest.mark.fault(44)
@pytest.mark.parametrize("damage", ["overwritten", "removed"])
def test_a_damaged_register_is_no_reason_to_begin_anew(tmp_path: Path, damage: str) -> None:
    """Without knowing what was signed last, going on could fork the log: it does not start, and says what to restore."""
    with opened(tmp_path) as custody:
        custody.write(custody_draft())
    register = tmp_path / "evidence" / "lock.db"
    if damage == "removed":
        register.unlink()
    else:
        register.write_bytes(b"no database" * 100)
    before = (tmp_path / "evidence" / "checkpoint").read_bytes()
    with pytest.raises((WalBroken, ConfigurationError), match=r"restore|Restore"):
        Custody(tmp_path)
    assert (tmp_path / "evidence" / "checkpoint").read_bytes() == before


# --- the disk


@pytest.mark.fault(43)
def test_a_disk_that_takes_a_piece_at_a_time_gets_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """write(2) may write less than it was given; the rest goes after it."""
    real, short = os.write, 0

    def writes_some(descriptor: int, data: bytes) -> int:
        nonlocal short
        short += len(data) > 1
        return real(descriptor, data[: max(1, len(data) // 3)])

    with opened(tmp_path) as custody:
        monkeypatch.setattr("magistrate.adapters.recorder.disk.os.write", writes_some)
        custody.write(*(custody_draft(content=b"x" * 3000) for _ in range(20)))
        custody.ledger.seal()
        monkeypatch.undo()
        report = custody.verified()
    assert short > 20
    assert (report.verdict, report.bodies) == (Verdict.VALID, 20)


@pytest.mark.requirement("A3")
@pytest.mark.fault(65)
@pytest.mark.parametrize(("deadline_s", "in_time"), [(2.0, True), (SLOW_S / 2, False)])
@pytest.mark.verifier("ours", "go")
@pytest.mark.timeout(300)
async def test_on_a_slow_disk_the_deadline_decides(
    tmp_path: Path, go_ask: Ask | None, deadline_s: float, in_time: bool
) -> None:
    """Each fdatasync takes 50 ms more. Who can wait gets what is durable, nobody gets it sooner; who cannot is told so."""
    child = start(tmp_path, "sync", 0, "slow")
    client = RecorderClient(tmp_path / "r.sock", wid=IDS.record(), deadline_s=deadline_s)
    await client.connect()
    began, receipts = time.monotonic(), {}
    for item in [draft() for _ in range(8)]:
        if in_time:
            receipt = await client.append(item)
            receipts[receipt.eid] = receipt
        else:
            with pytest.raises(EvidenceUnavailable, match="in time"):
                await client.append(item)
    took = time.monotonic() - began
    assert took > 8 * (SLOW_S if in_time else deadline_s)
    assert took < 6
    await client.close()
    assert stop(child) == 0
    assert_nothing_lost(tmp_path, receipts, go_ask)


# --- load


@pytest.mark.fault(46)
@pytest.mark.verifier("ours", "go")
@pytest.mark.timeout(300)
async def test_what_does_not_fit_the_queue_is_refused_and_counted(tmp_path: Path, go_ask: Ask | None) -> None:
    """The recorder stands still: ten wait, forty are refused at once; when it goes on, the ten are there and no other."""
    child = start(tmp_path)
    client = RecorderClient(tmp_path / "r.sock", wid=IDS.record(), deadline_s=20, most_waiting=10)
    await client.connect()
    os.kill(child.pid, signal.SIGSTOP)
    waiting = [asyncio.ensure_future(client.append(draft())) for _ in range(50)]
    await asyncio.sleep(0.1)
    assert sum(one.done() for one in waiting) == client.refused == 40
    os.kill(child.pid, signal.SIGCONT)
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    receipts = {one.eid: one for one in answers if not isinstance(one, BaseException)}
    await client.close()
    assert stop(child) == 0
    assert len(receipts) == 10
    headers = assert_nothing_lost(tmp_path, receipts, go_ask)
    assert sum(header["t"] == "llm.request" for header in headers) == 10


NORMAL_PER_S, TIMES, BURST_S = 100, 10, 60
"""A hundred records a second are fifty calls, over four million a day."""


async def offered(client: RecorderClient, per_s: int, seconds: float) -> list[Receipt]:
    """Hand records over at a steady pace, however long answers take; return every answer."""
    began, handed = time.monotonic(), list[asyncio.Task[Receipt]]()
    while (now := time.monotonic() - began) < seconds or len(handed) < per_s * seconds:
        due = int(min(now, seconds) * per_s)
        handed += [asyncio.create_task(client.append(draft())) for _ in range(due - len(handed))]
        await asyncio.sleep(0.005)
    assert time.monotonic() - began < seconds + 1, "the pace was not kept: this was no such burst"
    return await asyncio.gather(*handed)


@pytest.mark.requirement("A3")
@pytest.mark.fault(64)
@pytest.mark.verifier("ours", "go")
@pytest.mark.timeout(300)  # because a cold Go cache builds the standard library
async def test_a_burst_of_ten_times_the_load_for_a_minute_loses_nothing(
    tmp_path: Path, go_ask: Ask | None
) -> None:
    """The load, ten times the load for sixty seconds, the load: every record is acknowledged, in time, and stands."""
    child = start(tmp_path)
    client = RecorderClient(tmp_path / "r.sock", wid=IDS.record(), deadline_s=2)
    await client.connect()
    receipts = []
    for per_s, seconds in ((NORMAL_PER_S, 3), (TIMES * NORMAL_PER_S, BURST_S), (NORMAL_PER_S, 3)):
        receipts += await offered(client, per_s, seconds)
    await client.close()
    assert client.refused == 0
    assert stop(child) == 0
    expected = NORMAL_PER_S * (6 + TIMES * BURST_S)
    headers = assert_nothing_lost(tmp_path, {one.eid: one for one in receipts}, go_ask)
    assert sum(header["t"] == "llm.request" for header in headers) == len(receipts) == expected


@pytest.mark.fault(64)
@pytest.mark.verifier("ours", "go")
@pytest.mark.timeout(300)
async def test_four_thousand_at_once_are_all_there(tmp_path: Path, go_ask: Ask | None) -> None:
    """A trickle, then four thousand at once, then a trickle."""
    child = start(tmp_path)
    client = RecorderClient(tmp_path / "r.sock", wid=IDS.record(), deadline_s=30)
    await client.connect()
    receipts = []
    for count in (20, 4000, 20):
        receipts += await asyncio.gather(*(client.append(draft()) for _ in range(count)))
    await client.close()
    assert client.refused == 0
    assert stop(child) == 0
    headers = assert_nothing_lost(tmp_path, {one.eid: one for one in receipts}, go_ask)
    assert sum(header["t"] == "llm.request" for header in headers) == 4040
