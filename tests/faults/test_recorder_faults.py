"""Every write is lost, and every write is kept but the process dies: nothing acknowledged may vanish."""

import asyncio
import os
import shutil
import signal
import time
from pathlib import Path

import orjson
import pytest

from magistrate.adapters.host import SystemIds
from magistrate.adapters.recorder.client import RecorderClient
from magistrate.adapters.recorder.reader import EvidenceReader, open_evidence
from magistrate.adapters.recorder.sealer import read_headers
from magistrate.evidence.checkpoint import parse
from magistrate.evidence.draft import Body, Draft, Receipt
from magistrate.evidence.note import Verifier
from magistrate.evidence.tiles import root_of
from magistrate.evidence.verify import Verdict, verify_log
from magistrate.exchange.errors import EvidenceUnavailable
from tests.conformance.evidence.go_auditor import Ask

from .harness import start, stop

IDS = SystemIds()


def draft(content: bytes = b"hello", *, eid: str = "", trace: str = "") -> Draft:
    """A record as a gateway hands it over."""
    header: dict[str, object] = {
        "v": 1,
        "eid": eid or IDS.record(),
        "t": "llm.request",
        "phase": "intent",
        "ts": time.time_ns() // 1000,
        "trace": trace or IDS.trace(),
        "tenant": "default",
        "verdict": {"effect": "allow", "rules": ["r"]},
    }
    return Draft(header, (Body("request", "text/plain", content),), subject="ada@lovelace.org")


async def hand_over(directory: Path, drafts: list[Draft], *, deadline_s: float = 2.0) -> dict[str, Receipt]:
    """Hand drafts over, eight at a time; return what was acknowledged before the recorder went away."""
    client = RecorderClient(directory / "r.sock", wid=IDS.record(), deadline_s=deadline_s)
    acknowledged: dict[str, Receipt] = {}
    try:
        await client.connect()
    except EvidenceUnavailable:
        return acknowledged

    async def one(item: Draft) -> None:
        try:
            receipt = await client.append(item)
        except EvidenceUnavailable:
            return
        acknowledged[receipt.eid] = receipt

    for at in range(0, len(drafts), 8):
        await asyncio.gather(*(one(item) for item in drafts[at : at + 8]))
        await asyncio.sleep(0)
    await client.close()
    return acknowledged


def records(directory: Path) -> tuple[EvidenceReader, list[dict[str, object]]]:
    """The sealed log, re-derived: its root is the signed one."""
    reader = open_evidence(directory, directory / "vault")
    checkpoint = parse(Verifier(reader.vkey).verify(reader.checkpoint()))
    assert root_of(reader.objects.get, checkpoint.size) == checkpoint.root
    return reader, [orjson.loads(raw) for _, raw in read_headers(reader.objects, 0, checkpoint.size)]


def assert_nothing_lost(
    directory: Path, acknowledged: dict[str, Receipt], go_ask: Ask | None = None
) -> list[dict[str, object]]:
    """Every acknowledged record stands at its index, once, and its body opens; the other judge agrees, if he is asked."""
    reader, headers = records(directory)
    report = verify_log(reader.objects, reader.vkey, ciphertext=reader.ciphertext)
    assert report.verdict is Verdict.VALID, report.findings
    ids = [str(header["eid"]) for header in headers]
    assert len(ids) == len(set(ids)), "a record stands in the log twice"
    for eid, receipt in acknowledged.items():
        assert ids[receipt.index] == eid
        assert reader.bodies(headers[receipt.index])["request"] == b"hello"
    reader.close()
    if go_ask is not None:
        root = directory / "evidence"
        note = (root / "checkpoint").read_text()
        answer = go_ask(
            {"Vkey": (root / "log.vkey").read_text().strip(), "Checkpoint": note, "Audit": str(root)}
        )
        assert (answer["Verdict"], answer["Size"]) == ("valid", len(headers)), answer["Why"]
    return headers


FAULTS = [
    (operation, number, mode)
    for operation, numbers in (("write", (2, 4, 7)), ("sync", (2, 3, 6)), ("rename", (2, 3, 5)))
    for number in numbers
    for mode in (("lost", "kept", "torn") if operation == "write" else ("lost", "kept"))
]


@pytest.mark.requirement("A1", "A7")
@pytest.mark.fault(39, 40, 43)
@pytest.mark.verifier("ours", "go")
@pytest.mark.timeout(300)  # because a cold Go cache builds the standard library
@pytest.mark.parametrize(("operation", "number", "mode"), FAULTS)
async def test_killed_at_any_write_nothing_acknowledged_is_lost(
    tmp_path: Path, go_ask: Ask | None, operation: str, number: int, mode: str
) -> None:
    """The process dies at one disk operation, under load; the next start recovers and goes on."""
    child = start(tmp_path, operation, number, mode)
    acknowledged = await hand_over(tmp_path, [draft() for _ in range(64)], deadline_s=1.5)
    deadline = time.monotonic() + 1.3
    while child.poll() is None and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    child.kill()
    child.communicate()
    again = start(tmp_path)
    acknowledged |= await hand_over(tmp_path, [draft() for _ in range(16)])
    assert stop(again) == 0
    headers = assert_nothing_lost(tmp_path, acknowledged, go_ask)
    assert len(acknowledged) >= 16
    assert any(header["t"] in {"recovery", "shard.open"} for header in headers)


@pytest.mark.requirement("A1")
@pytest.mark.fault(39)
async def test_killed_at_random_moments_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    """Six lives of one log, each ended by SIGKILL under load."""
    acknowledged: dict[str, Receipt] = {}
    for life in range(6):
        child = start(tmp_path)
        load = asyncio.ensure_future(hand_over(tmp_path, [draft() for _ in range(2000)], deadline_s=0.5))
        await asyncio.sleep(0.15 + 0.25 * life)
        os.kill(child.pid, signal.SIGKILL)
        acknowledged |= await load
        child.communicate()
    child = start(tmp_path)
    assert stop(child) == 0
    headers = assert_nothing_lost(tmp_path, acknowledged)
    assert len(acknowledged) > 100
    assert sum(header["t"] == "recovery" for header in headers) >= 5


@pytest.mark.fault(41)
@pytest.mark.verifier("ours", "go")
@pytest.mark.timeout(300)
async def test_a_failed_sync_is_fatal_and_the_next_start_recovers(tmp_path: Path, go_ask: Ask | None) -> None:
    """After a failed fdatasync a second one would lie, so the process stops with EX_IOERR."""
    child = start(tmp_path, "sync", 6, "eio")
    acknowledged = await hand_over(tmp_path, [draft() for _ in range(64)], deadline_s=1)
    _, errors = child.communicate(timeout=10)
    assert child.returncode == 74
    assert b"fdatasync failed" in errors or b"disk fails" in errors
    again = start(tmp_path)
    acknowledged |= await hand_over(tmp_path, [draft()])
    assert stop(again) == 0
    assert_nothing_lost(tmp_path, acknowledged, go_ask)


@pytest.mark.fault(42)
@pytest.mark.verifier("ours", "go")
@pytest.mark.timeout(300)
async def test_a_full_disk_refuses_and_goes_on_when_there_is_room(tmp_path: Path, go_ask: Ask | None) -> None:
    """The refused records are told so at once; those before and after stand."""
    child = start(tmp_path, "write", 5, "enospc")
    acknowledged: dict[str, Receipt] = {}
    for _ in range(12):
        acknowledged |= await hand_over(tmp_path, [draft() for _ in range(4)])
    assert stop(child) == 0
    assert 36 <= len(acknowledged) <= 48
    # The process that seals had no room either, so the next start finds the rest.
    assert stop(start(tmp_path)) == 0
    assert_nothing_lost(tmp_path, acknowledged, go_ask)


@pytest.mark.fault(47)
async def test_a_record_handed_over_twice_stands_once(tmp_path: Path) -> None:
    """The id is the key: a gateway that is not sure may hand over again."""
    child = start(tmp_path)
    twice = draft()
    first = await hand_over(tmp_path, [twice])
    second = await hand_over(tmp_path, [twice])
    assert stop(child) == 0
    assert first == second
    assert_nothing_lost(tmp_path, first)


async def test_a_recorder_that_comes_back_gets_what_waited(tmp_path: Path) -> None:
    """Drafts without an acknowledgement are handed over again, and recorded once."""
    child = start(tmp_path)
    client = RecorderClient(tmp_path / "r.sock", wid=IDS.record(), deadline_s=20)
    await client.connect()
    await client.append(draft())
    os.kill(child.pid, signal.SIGSTOP)
    waiting = [asyncio.ensure_future(client.append(draft())) for _ in range(20)]
    await asyncio.sleep(0.1)
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    again = start(tmp_path)
    receipts = await asyncio.wait_for(asyncio.gather(*waiting), 10)
    await client.close()
    assert stop(again) == 0
    assert_nothing_lost(tmp_path, {receipt.eid: receipt for receipt in receipts})


async def test_a_recorder_that_does_not_answer_is_told_so_in_time(tmp_path: Path) -> None:
    """The deadline is the caller's protection."""
    child = start(tmp_path)
    client = RecorderClient(tmp_path / "r.sock", wid=IDS.record(), deadline_s=0.3)
    await client.connect()
    os.kill(child.pid, signal.SIGSTOP)
    started = time.monotonic()
    with pytest.raises(EvidenceUnavailable, match="in time"):
        await client.append(draft())
    assert time.monotonic() - started < 1
    os.kill(child.pid, signal.SIGCONT)
    await client.close()
    assert stop(child) == 0


@pytest.mark.fault(14)
async def test_two_recorders_never_share_a_log(tmp_path: Path) -> None:
    """The second one does not start."""
    first = start(tmp_path)
    second = start(tmp_path)
    _, errors = second.communicate(timeout=10)
    assert second.returncode == 1
    assert b"another recorder" in errors
    assert stop(first) == 0


@pytest.mark.fault(13)
async def test_a_log_restored_from_an_old_copy_is_refused(tmp_path: Path) -> None:
    """The register knows a larger tree than the disk: going on would fork the log."""
    child = start(tmp_path)
    await hand_over(tmp_path, [draft() for _ in range(10)])
    assert stop(child) == 0
    old = tmp_path / "old"
    shutil.copytree(tmp_path / "evidence", old)
    child = start(tmp_path)
    await hand_over(tmp_path, [draft() for _ in range(10)])
    assert stop(child) == 0
    for name in ("tile", "checkpoint", "wal"):
        target = tmp_path / "evidence" / name
        shutil.rmtree(target) if target.is_dir() else target.unlink()
        source = old / name
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    child = start(tmp_path)
    _, errors = child.communicate(timeout=10)
    assert child.returncode == 74
    assert b"rolled back" in errors or b"cannot be read" in errors


@pytest.mark.fault(44)
async def test_a_removed_index_is_rebuilt_the_same(tmp_path: Path) -> None:
    """The index is derived: nothing depends on its survival."""
    child = start(tmp_path)
    trace = IDS.trace()
    await hand_over(tmp_path, [draft(trace=trace) for _ in range(5)])
    assert stop(child) == 0
    reader = open_evidence(tmp_path, tmp_path / "vault")
    before = reader.trace(trace)
    reader.close()
    shutil.rmtree(tmp_path / "evidence" / "index")
    child = start(tmp_path)
    assert stop(child) == 0
    reader = open_evidence(tmp_path, tmp_path / "vault")
    assert reader.trace(trace) == before
    assert [row.type for row in before] == ["llm.request"] * 5 + ["trace.close"]
    assert reader.bodies(orjson.loads(reader.header(before[0].index)))["request"] == b"hello"
    reader.close()


@pytest.mark.requirement("A6")
@pytest.mark.fault(58)
async def test_no_name_stands_in_clear_in_log_index_or_vault(tmp_path: Path) -> None:
    """Headers can never be deleted, so nobody's name may stand in them."""
    child = start(tmp_path)
    await hand_over(tmp_path, [draft(b"my content") for _ in range(3)])
    assert stop(child) == 0
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"lovelace" not in kept
    assert b"my content" not in kept
    assert len(kept) > 1000


async def test_a_signed_checkpoint_covers_a_record_within_a_second_and_a_half(tmp_path: Path) -> None:
    """Durable at once, covered soon."""
    child = start(tmp_path)
    await asyncio.sleep(0.4)
    receipts = await hand_over(tmp_path, [draft()])
    acknowledged = time.monotonic()
    index = next(iter(receipts.values())).index
    while True:
        reader = open_evidence(tmp_path, tmp_path / "vault")
        size = reader.size
        reader.close()
        if size > index:
            break
        assert time.monotonic() - acknowledged < 1.5
        await asyncio.sleep(0.02)
    assert stop(child) == 0


async def test_a_log_that_grows_in_trickles_over_full_tiles_stays_whole(tmp_path: Path) -> None:
    """Partial tiles are replaced only by wider ones of the same tile, over many checkpoints and a restart."""
    child = start(tmp_path)
    acknowledged = await hand_over(tmp_path, [draft() for _ in range(700)])
    for _ in range(3):
        acknowledged |= await hand_over(tmp_path, [draft()])
        await asyncio.sleep(1.1)
    assert stop(child) == 0
    child = start(tmp_path)
    acknowledged |= await hand_over(tmp_path, [draft() for _ in range(300)])
    assert stop(child) == 0
    assert len(acknowledged) == 1003
    assert_nothing_lost(tmp_path, acknowledged)
