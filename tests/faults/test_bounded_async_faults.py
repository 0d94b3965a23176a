"""Records that went ahead of their durability: what one process's death cannot lose, and how the loss by two is found."""

import asyncio
import os
import select
import signal
import socket
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from magistrate.adapters.copied import LogCopy
from magistrate.adapters.recorder.client import RecorderClient
from magistrate.adapters.recorder.frames import LARGEST_MESSAGE, pack_draft, pack_hello, unpack_acks
from magistrate.adapters.recorder.outstanding import Bound
from magistrate.evidence.draft import Draft
from magistrate.evidence.report import Report
from magistrate.evidence.verify import Verdict, verify_log
from magistrate.exchange.errors import EvidenceUnavailable
from tests.conformance.evidence.go_auditor import Ask

from .custody import IDS, opened
from .custody import draft as custody_draft
from .harness import start, stop
from .test_recorder_faults import draft, records

BOUND = Bound(records=4, bytes=1_000_000, ms=1000)


def client(directory: Path, *, bound: Bound = BOUND, deadline_s: float = 5.0) -> RecorderClient:
    return RecorderClient(directory / "r.sock", wid=IDS.record(), deadline_s=deadline_s, bound=bound)


def judged(directory: Path) -> Report:
    vkey = (directory / "evidence" / "log.vkey").read_text()
    with closing(LogCopy(directory / "evidence")) as copy:
        return verify_log(copy.objects, vkey, ciphertext=copy.ciphertext)


def ahead(number: int, *, wid_bound: Bound = BOUND, durability: str = "bounded-async") -> Draft:
    """A record as a gateway hands it over, with its number."""
    plain = draft()
    bound = {"records": wid_bound.records, "bytes": wid_bound.bytes, "ms": wid_bound.ms}
    return Draft({**plain.header, "durability": durability, "handed": number, "bound": bound}, plain.bodies)


def gone_ahead(directory: Path) -> list[int]:
    """The numbers of the records that went ahead and are in the log, in its order."""
    reader, headers = records(directory)
    reader.close()
    return [int(str(h["handed"])) for h in headers if h.get("durability") == "bounded-async"]


async def eventually(condition: Any, within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


# --- one of the two dies


@pytest.mark.requirement("A1", "A7")
@pytest.mark.fault(39)
@pytest.mark.verifier("ours", "go")
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("operation", "number", "mode"), [("write", 30, "lost"), ("sync", 30, "lost"), ("sync", 30, "kept")]
)
async def test_a_recorder_that_is_killed_loses_nothing_that_went_ahead(
    tmp_path: Path, go_ask: Ask | None, operation: str, number: int, mode: str
) -> None:
    """The gateway still has it, and hands it over to the next one: every record once, no number left out."""
    child = start(tmp_path, operation, number, mode)
    gateway = client(tmp_path)
    await gateway.connect()
    handed = []
    for _ in range(400):
        one = draft()
        try:
            await gateway.hand_over(one, deadline_s=0.3)
        except EvidenceUnavailable:
            break
        handed.append(one.header["eid"])
    assert len(handed) < 400, "it died under way"
    child.kill()
    child.communicate()
    again = start(tmp_path)
    await gateway.hand_over(draft())
    await gateway.close()
    assert stop(again) == 0
    reader, headers = records(tmp_path)
    reader.close()
    ids = [header["eid"] for header in headers]
    assert [ids.count(eid) for eid in handed] == [1] * len(handed)
    numbers = sorted(gone_ahead(tmp_path))
    assert numbers == list(range(1, len(numbers) + 1))
    report = judged(tmp_path)
    assert (report.verdict, [r for r in report.remarks if "went ahead" in r.what]) == (Verdict.VALID, [])
    if go_ask is not None:
        root = tmp_path / "evidence"
        question = {
            "Vkey": (root / "log.vkey").read_text().strip(),
            "Checkpoint": (root / "checkpoint").read_text(),
        }
        assert go_ask(question | {"Audit": str(root)})["Verdict"] == "valid"


@pytest.mark.requirement("A1")
@pytest.mark.fault(39)
def test_a_gateway_that_is_killed_loses_nothing_that_it_handed_over(tmp_path: Path) -> None:
    """Even if it died with acknowledgements unread, which the kernel tells its reader before what it had sent."""
    recorder = start(tmp_path)
    gateway = _connected(tmp_path)
    gateway.send(pack_hello("gateway-1", -1))
    gateway.send(pack_draft(1, ahead(1))[0])
    assert select.select([gateway], [], [], 5)[0], "the first one is acknowledged, and nobody reads it"
    os.kill(recorder.pid, signal.SIGSTOP)
    for number in range(2, 6):
        gateway.send(pack_draft(number, ahead(number))[0])
    gateway.close()
    os.kill(recorder.pid, signal.SIGCONT)
    time.sleep(0.5)
    assert stop(recorder) == 0
    assert gone_ahead(tmp_path) == [1, 2, 3, 4, 5]
    reader, headers = records(tmp_path)
    reader.close()
    (end,) = (header for header in headers if header["t"] == "writer.end")
    assert end["ext"] == {"writer": "gateway-1", "handed": 5}
    assert (judged(tmp_path).verdict, judged(tmp_path).remarks) == (Verdict.VALID, ())


# --- both die


@pytest.mark.requirement("A1", "A2")
@pytest.mark.fault(39, 45)
@pytest.mark.parametrize("arrived", [0, 1, 3])
def test_what_both_deaths_together_lose_is_bounded_and_said(tmp_path: Path, arrived: int) -> None:
    """No number follows the lost ones, but the crash does: who was not heard again, and how many that can be."""
    recorder = start(tmp_path)
    gateway = _connected(tmp_path)
    gateway.send(pack_hello("gateway-1", -1))
    gateway.send(pack_draft(1, ahead(0, durability="before-effect"))[0])
    for number in range(1, arrived + 1):
        gateway.send(pack_draft(1 + number, ahead(number))[0])
    acknowledged = 0
    while acknowledged < arrived + 1:
        acknowledged += len(unpack_acks(gateway.recv(LARGEST_MESSAGE)))
    os.kill(recorder.pid, signal.SIGSTOP)
    for number in range(arrived + 1, arrived + 5):
        gateway.send(pack_draft(1 + number, ahead(number))[0])
    recorder.kill()
    recorder.communicate()
    gateway.close()
    assert stop(start(tmp_path)) == 0
    assert gone_ahead(tmp_path) == list(range(1, arrived + 1))
    report = judged(tmp_path)
    told = [remark.what for remark in report.remarks if "went ahead" in remark.what]
    assert report.verdict is Verdict.VALID
    assert len(told) == 1
    assert "up to 4 of its last, begun within 1000 ms" in told[0]
    assert "gateway-1" in told[0]


@pytest.mark.requirement("A2")
@pytest.mark.fault(48)
def test_a_number_that_never_came_leaves_the_log_undecidable(tmp_path: Path) -> None:
    """Lost or left out, the log cannot tell; that one is missing it can, whoever of the writer speaks next."""
    with opened(tmp_path) as custody:
        custody.write(ahead(1), ahead(3))
        report = custody.verified()
        assert report.verdict is Verdict.UNDECIDABLE
        assert (
            "1 records go ahead that are not here, the first of them its number 2" in report.findings[0].what
        )
        custody.write(ahead(2))  # it was refused, and handed over again
        assert custody.verified().verdict is Verdict.VALID
        custody.write(ahead(5, durability="before-effect"))
        assert "2 records" in custody.verified().findings[0].what
        custody.write(custody_draft())  # another record of the same writer, of a gateway that lets none ahead
        assert custody.verified().verdict is Verdict.UNDECIDABLE


@pytest.mark.requirement("A2")
@pytest.mark.fault(48)
def test_the_last_ones_of_a_writer_are_missed_by_its_end(tmp_path: Path) -> None:
    """The recorder says how far the writer had counted in what it read, refused ones included."""
    with opened(tmp_path) as custody:
        custody.write(ahead(1))
        custody.ledger.write([custody.ledger.notes.parted("gateway-1", 3)])
        report = custody.verified()
        assert report.verdict is Verdict.UNDECIDABLE
        assert "2 records" in report.findings[0].what


# --- the bound


@pytest.mark.requirement("A1")
@pytest.mark.fault(46)
async def test_beyond_the_bound_a_call_waits_and_is_refused_in_the_end(tmp_path: Path) -> None:
    """Four may go ahead of a recorder that stands still; the fifth is refused, and goes when it has caught up."""
    recorder = start(tmp_path)
    gateway = client(tmp_path)
    await gateway.connect()
    await gateway.append(draft())
    os.kill(recorder.pid, signal.SIGSTOP)
    for _ in range(4):
        await gateway.hand_over(draft(), deadline_s=0.2)
    with pytest.raises(EvidenceUnavailable, match="has not caught up"):
        await gateway.hand_over(draft(), deadline_s=0.2)
    waits = asyncio.ensure_future(gateway.hand_over(draft()))
    await asyncio.sleep(0.1)
    assert not waits.done()
    os.kill(recorder.pid, signal.SIGCONT)
    await asyncio.wait_for(waits, 5)
    await gateway.close()
    assert stop(recorder) == 0
    assert gone_ahead(tmp_path) == [1, 2, 3, 4, 5]


@pytest.mark.fault(46)
async def test_one_old_record_closes_the_bound_however_few_there_are(tmp_path: Path) -> None:
    recorder = start(tmp_path)
    gateway = client(tmp_path, bound=Bound(records=64, ms=100))
    await gateway.connect()
    await gateway.append(draft())
    os.kill(recorder.pid, signal.SIGSTOP)
    await gateway.hand_over(draft())
    await asyncio.sleep(0.11)
    with pytest.raises(EvidenceUnavailable):
        await gateway.hand_over(draft(), deadline_s=0.1)
    os.kill(recorder.pid, signal.SIGCONT)
    await gateway.hand_over(draft())
    await gateway.close()
    assert stop(recorder) == 0


@pytest.mark.requirement("A1")
@pytest.mark.fault(42)
async def test_a_full_disk_refuses_what_went_ahead_until_there_is_room(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is handed over again until it is durable; nothing else goes ahead beyond the bound meanwhile."""
    recorder = start(tmp_path, "write", 90, "enospc")
    gateway = client(tmp_path)
    await gateway.connect()
    for _ in range(200):
        await gateway.hand_over(draft())
        await asyncio.sleep(0.003)  # so that nearly each is a write of its own, and the 90th is one of them
    await gateway.close()
    assert stop(recorder) == 0
    assert "it is handed over again" in caplog.text
    assert sorted(gone_ahead(tmp_path)) == list(range(1, 201))
    assert judged(tmp_path).verdict is Verdict.VALID


@pytest.mark.requirement("A1")
async def test_while_the_recorder_is_known_to_be_away_nothing_goes_ahead(tmp_path: Path) -> None:
    recorder = start(tmp_path)
    gateway = client(tmp_path, deadline_s=0.5)
    await gateway.connect()
    await gateway.append(draft())
    recorder.kill()
    recorder.communicate()
    await eventually(lambda: gateway.problem() is not None)
    with pytest.raises(EvidenceUnavailable):
        await gateway.hand_over(draft())
    await gateway.close()


async def test_what_is_too_large_for_the_bound_is_made_durable_first(tmp_path: Path) -> None:
    """And its header says so: the promise in a record is the one that was kept."""
    recorder = start(tmp_path)
    gateway = client(tmp_path, bound=Bound(bytes=65_536))
    await gateway.connect()
    await gateway.hand_over(draft(b"x" * 70_000))
    await gateway.hand_over(draft(b"x" * 60_000))
    await gateway.close()
    assert stop(recorder) == 0
    reader, headers = records(tmp_path)
    reader.close()
    assert [h["durability"] for h in headers if h["t"] == "llm.request"] == ["before-effect", "bounded-async"]


def _connected(directory: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.connect(str(directory / "r.sock"))
    connection.settimeout(10)
    return connection
