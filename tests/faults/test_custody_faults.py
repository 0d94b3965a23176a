"""Holds, retention, readings and orders: what may destroy evidence, and what the log says about it."""

import asyncio
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest

from magistrate.adapters.recorder.client import RecorderClient
from magistrate.adapters.recorder.connection import Connection
from magistrate.adapters.recorder.daily import EVERY_S, FIRST_AFTER_S, DailyPrune
from magistrate.adapters.recorder.frames import pack_draft, pack_hello
from magistrate.adapters.recorder.ledger import Ledger
from magistrate.adapters.recorder.ordering import ask
from magistrate.adapters.recorder.orders import (
    Answer,
    ConfirmHold,
    Erase,
    ListHolds,
    Outcome,
    PlaceHold,
    Prune,
    ReadContent,
    ReleaseHold,
    pack_answer,
    pack_order,
    unpack_answer,
)
from magistrate.adapters.recorder.process import Recorder
from magistrate.adapters.recorder.pruning import plan
from magistrate.adapters.state.keys import KeyStore
from magistrate.app.cli import run
from magistrate.app.config import load
from magistrate.app.custody import open_content
from magistrate.evidence.hold import Person, Selector
from magistrate.evidence.retention import BUILT_IN, DAY_US, Schedule
from magistrate.evidence.verify import Verdict
from magistrate.exchange.errors import ConfigurationError
from tests.conformance.evidence.go_auditor import Ask

from .custody import ADA, BOB, IDS, Custody, draft, opened
from .harness import settings, start, stop

GRACE = "grace@hopper.org"


def held(custody: Custody, **conditions: Any) -> str:
    answer = custody.obey(PlaceHold(Selector(**conditions), "lawsuit 7", ADA))
    assert answer.outcome is Outcome.DONE, answer.says
    hold = str(answer.facts["hold"])
    assert custody.obey(ConfirmHold(hold, BOB)).outcome is Outcome.DONE
    return hold


def released(custody: Custody, hold: str) -> None:
    assert custody.obey(ReleaseHold(hold, "settled", BOB)).outcome is Outcome.DONE
    assert custody.obey(ConfirmHold(hold, ADA)).outcome is Outcome.DONE


# --- holds


@pytest.mark.fault(53)
@pytest.mark.requirement("A4")
def test_an_erasure_under_hold_is_deferred_on_record_and_done_after_the_release(tmp_path: Path) -> None:
    """The person's keys stand as long as the hold does, also over a restart."""
    with opened(tmp_path) as custody:
        one = draft()
        custody.write(one)
        hold = held(custody, subject=GRACE)
        answer = custody.erase()
        assert answer.outcome is Outcome.NO
        assert hold in answer.says
        (deferred,) = custody.records("erasure.deferred")
        assert deferred["ext"]["holds"] == [hold]
        assert deferred["subj"] == custody.records("llm.request")[0]["subj"]
        assert custody.records("erasure.order") == []
    with opened(tmp_path) as custody:
        assert custody.erase().outcome is Outcome.NO
        assert custody.bodies(one.header["eid"]) == {"request": b"yes"}
        assert custody.custodian.repeat() == []
        released(custody, hold)
        assert custody.bodies(one.header["eid"]) == {}
        (order,) = custody.records("erasure.order")
        assert order["cause"] == [custody.records("erasure.deferred")[-1]["eid"]]
        assert order["ext"]["by"] == {"uid": os.getuid(), "token": ADA.token}
        assert custody.custodian.repeat() == []
        assert custody.erase().outcome is Outcome.NO, "nobody of that name is left"
        assert custody.verified().verdict is Verdict.VALID
        states = [h["ext"]["state"] for h in custody.records() if h["t"].startswith("hold.")]
        assert states == ["requested", "confirmed", "release requested", "released"]


@pytest.mark.requirement("A4")
@pytest.mark.fault(53)
def test_a_deferred_erasure_is_carried_out_when_its_hold_lapses(
    tmp_path: Path, later: Callable[[float], None]
) -> None:
    """Nobody confirms the hold and nobody asks again: the recorder does it, over a restart, within a minute of its loop."""
    with opened(tmp_path) as custody:
        one = draft()
        custody.write(one)
        assert custody.obey(PlaceHold(Selector(subject=GRACE), "why", ADA)).outcome is Outcome.DONE
        assert custody.erase().outcome is Outcome.NO
        later(6.9)
        assert custody.custodian.repeat() == []
    later(0.2)
    recorder = Recorder(custody.settings, Ledger(custody.settings))  # in this process, whose clock is ahead
    ready = threading.Event()
    loop = threading.Thread(target=recorder.run, args=(ready.set,))
    loop.start()
    assert ready.wait(10)
    time.sleep(1)
    recorder.stop()
    loop.join()
    with opened(tmp_path) as custody:
        assert custody.bodies(one.header["eid"]) == {}
        assert custody.verified().verdict is Verdict.VALID


@pytest.mark.requirement("A4")
def test_of_two_holds_the_last_one_decides(tmp_path: Path) -> None:
    """And an erasure that met none in between is not carried out twice."""
    with opened(tmp_path) as custody:
        one = draft()
        custody.write(one)
        first, second = held(custody, subject=GRACE), held(custody, app="ward")
        assert custody.erase().outcome is Outcome.NO
        released(custody, first)
        assert custody.bodies(one.header["eid"]) == {"request": b"yes"}
        released(custody, second)
        assert custody.bodies(one.header["eid"]) == {}
        assert len(custody.records("erasure.order")) == 1


@pytest.mark.fault(53)
def test_a_request_whose_record_was_never_made_is_carried_out_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recorder died between keeping the request and its record; no cause is named that is not on record."""
    with opened(tmp_path) as custody:
        one = draft()
        custody.write(one)
        hold = held(custody, subject=GRACE)
        with monkeypatch.context() as patched:
            patched.setattr(custody.ledger, "record", _dies)
            with pytest.raises(Died):
                custody.erase()
    with opened(tmp_path) as custody:
        released(custody, hold)
        assert custody.bodies(one.header["eid"]) == {}
        assert custody.records("erasure.order")[0].get("cause", []) == []
        assert custody.verified().verdict is Verdict.VALID


class Died(BaseException):
    """What a SIGKILL is inside one process."""


def _dies(*_: Any, **__: Any) -> str:
    raise Died


@pytest.mark.requirement("A4")
def test_a_hold_is_not_one_person_s_to_place_or_to_lift(tmp_path: Path) -> None:
    """The second word of the first person counts for nothing, and changes nothing."""
    with opened(tmp_path) as custody:
        custody.write(draft())
        answer = custody.obey(PlaceHold(Selector(subject=GRACE), "why", ADA))
        hold = str(answer.facts["hold"])
        assert custody.obey(ConfirmHold(hold, ADA)).outcome is Outcome.NO
        assert custody.obey(ConfirmHold(hold, Person("another token", "Ada"))).outcome is Outcome.NO
        assert custody.obey(ConfirmHold(hold, BOB)).outcome is Outcome.DONE
        assert custody.obey(ReleaseHold(hold, "", ADA)).outcome is Outcome.DONE
        assert custody.obey(ConfirmHold(hold, ADA)).outcome is Outcome.NO
        assert custody.erase().outcome is Outcome.NO
        assert custody.obey(ConfirmHold("h-none", BOB)).outcome is Outcome.NO
        (shown,) = custody.obey(ListHolds()).facts["holds"]
        assert (shown["state"], shown["in_force"], shown["reason"]) == ("release requested", True, "why")


def test_a_request_that_nobody_confirmed_lapses(tmp_path: Path, later: Callable[[float], None]) -> None:
    """It protected meanwhile."""
    with opened(tmp_path) as custody:
        custody.write(draft())
        custody.obey(PlaceHold(Selector(subject=GRACE), "why", ADA))
        assert custody.erase().outcome is Outcome.NO
        later(8)
        assert custody.erase().outcome is Outcome.DONE


TRACE = "0123456789abcdef" * 2
SELECTORS = [
    ({"subject": GRACE}, True),
    ({"subject": GRACE, "tenant": "default"}, True),
    ({"tenant": "default"}, True),
    ({"app": "ward"}, True),
    ({"trace": TRACE}, True),
    ({"since_us": 1}, True),
    ({"subject": GRACE, "app": "ward", "trace": TRACE, "since_us": 1, "until_us": 1 << 52}, True),
    ({"subject": "alan@turing.org"}, False),
    ({"tenant": "other"}, False),
    ({"app": "billing"}, False),
    ({"trace": "f" * 32}, False),
    ({"until_us": 5}, False),
    ({"subject": GRACE, "app": "billing"}, False),
]


@pytest.mark.requirement("A4")
@pytest.mark.parametrize(("conditions", "protects"), SELECTORS, ids=str)
def test_a_hold_beats_erasure_and_pruning_of_what_it_selects_and_of_nothing_else(
    tmp_path: Path, later: Callable[[float], None], conditions: dict[str, Any], protects: bool
) -> None:
    """By person, trace, application, tenant and time, alone and together."""
    with opened(tmp_path) as custody:
        custody.write(draft(trace=TRACE), draft("alan@turing.org", app="lab", tenant="elsewhere"))
        hold = held(custody, **conditions)
        expected = Outcome.NO if protects else Outcome.DONE
        assert custody.erase().outcome is expected
        later(400)
        answer = custody.obey(Prune())
        kept = answer.facts["held"]
        assert ({name for name in kept if name.startswith("body/default/")} != set()) is protects
        assert all(against == [hold] for against in kept.values())
        assert custody.verified().verdict is Verdict.VALID
        if protects:
            released(custody, hold)
            assert custody.obey(Prune()).outcome is Outcome.DONE
            assert not [name for name in kept if (tmp_path / "evidence" / name).exists()]


def test_a_hold_placed_while_a_pruning_was_planned_stops_it(
    tmp_path: Path, later: Callable[[float], None]
) -> None:
    """What was planned without the hold is not carried out."""
    with opened(tmp_path) as custody:
        custody.write(draft())
        custody.ledger.seal()
        later(400)
        holds = custody.custodian.in_force()
        planned = plan(custody.ledger.shelved(), dict(BUILT_IN), holds, time.time_ns() // 1000)
        assert len(planned.doomed) == 1
        held(custody, subject=GRACE)
        assert custody.custodian.prune(planned, holds).outcome is Outcome.UNABLE
        assert (tmp_path / "evidence" / planned.doomed[0].name).exists()


# --- retention


@pytest.mark.requirement("A4")
def test_whole_segments_go_after_their_time_and_verification_knows_why(
    tmp_path: Path, later: Callable[[float], None]
) -> None:
    """Each class by its own time; the log says which segments went, with their digests."""
    with opened(tmp_path) as custody:
        chat, card, chart = draft(), draft(retention="pci"), draft(retention="hipaa", content=b"chart")
        custody.write(chat, card, chart)
        headers = custody.records("llm.request")
        assert [header["ret"]["class"] for header in headers] == ["standard", "pci", "hipaa"]
        assert custody.obey(Prune()).facts["segments"] == 0
        later(366)
        assert custody.obey(Prune()).facts["segments"] == 0  # the day is not over for its last record
        later(1)
        answer = custody.obey(Prune())
        assert (answer.outcome, answer.facts["segments"], answer.facts["bodies"]) == (Outcome.DONE, 2, 2)
        (prune,) = custody.records("retention.prune")
        assert len(prune["ext"]["segments"]) == 2
        assert all(len(segment["sha256"]) == 64 for segment in prune["ext"]["segments"])
        assert custody.bodies(chat.header["eid"]) == {}
        assert custody.bodies(chart.header["eid"]) == {"request": b"chart"}
        report = custody.verified()
        assert (report.verdict, report.pruned) == (Verdict.VALID, 2)
        custody.write(draft(content=b"new"))  # the segment that was being written is another one now
        report = custody.verified()
        assert (report.verdict, report.pruned) == (Verdict.VALID, 2)
        for path in (tmp_path / "evidence" / "body" / "default" / "hipaa").rglob("*.seg"):
            path.unlink()
        report = custody.verified()
        assert (report.verdict, report.pruned) == (Verdict.UNDECIDABLE, 2)


@pytest.mark.requirement("A4")
def test_the_recorder_prunes_once_a_day_and_when_asked(
    tmp_path: Path, later: Callable[[float], None]
) -> None:
    """Planned beside the loop, carried out in it, and not again before its time."""
    with opened(tmp_path) as custody:
        daily = DailyPrune(custody.ledger, custody.custodian)

        def turn(now: float) -> int:
            """Let the loop turn until what was begun at ``now`` is done; return how many segments are left."""
            daily.tick(now)
            daily.join()
            daily.tick(now)
            return len(list((tmp_path / "evidence" / "body").rglob("*.seg")))

        start = time.monotonic() + FIRST_AFTER_S + 1
        custody.write(draft())
        custody.ledger.seal()
        assert turn(start - FIRST_AFTER_S) == 1
        assert custody.records("retention.prune") == []
        later(367)
        assert turn(start) == 0
        custody.write(draft())
        custody.ledger.seal()
        later(367)
        assert turn(start + EVERY_S / 2) == 1
        connection, theirs = _connection(may_order=True)
        daily.ask(connection)
        assert turn(start + EVERY_S / 2) == 0
        connection.flush()
        assert unpack_answer(theirs.recv(1 << 16)).facts["segments"] == 1
        connection.socket.close()
        theirs.close()
        assert custody.verified().verdict is Verdict.VALID


@pytest.mark.requirement("A2", "A4")
def test_a_pruning_before_its_time_is_tampering(tmp_path: Path) -> None:
    """Whoever owns the recorder can delete early; the log then says so, to everybody."""
    with opened(tmp_path) as custody:
        custody.write(draft())
        custody.ledger.seal()
        early = plan(custody.ledger.shelved(), {"standard": 0}, [], time.time_ns() // 1000 + 2 * DAY_US)
        assert custody.custodian.prune(early, []).outcome is Outcome.DONE
        another = draft(content=b"the same day")  # its segment was the one that went: a new one is begun
        custody.write(another)
        assert custody.bodies(another.header["eid"]) == {"request": b"the same day"}
        report = custody.verified()
    assert report.verdict is Verdict.TAMPERED
    assert "before its retention had ended" in report.findings[0].what


@pytest.mark.fault(54)
@pytest.mark.requirement("A4")
def test_a_shortened_retention_is_refused_and_on_record(tmp_path: Path) -> None:
    """The longer one stays in force, start after start; a longer one still is taken."""
    with opened(tmp_path, Schedule(days={**BUILT_IN, "notes": 900})) as custody:
        (change,) = custody.records("retention.change")
        assert not any(each["refused"] for each in change["ext"]["changes"])
    with opened(tmp_path, Schedule(days={**BUILT_IN, "notes": 30})) as custody:
        change = custody.records("retention.change")[-1]
        assert change["ext"]["changes"] == [{"class": "notes", "from": 900, "to": 30, "refused": True}]
        custody.write(draft(retention="notes"))
        assert custody.records("llm.request")[0]["ret"]["days"] == 900
    with opened(tmp_path, Schedule(days={**BUILT_IN, "notes": 1000})) as custody:
        assert custody.records("retention.change")[-1]["ext"]["changes"][0]["refused"] is False
        custody.write(draft(retention="notes"))
        assert custody.records("llm.request")[1]["ret"]["days"] == 1000
    count = 0
    with opened(tmp_path, Schedule(days={**BUILT_IN, "notes": 1000})) as custody:
        count = len(custody.records("retention.change"))
    assert count == 3


def test_a_gateway_s_clock_cannot_shorten_what_it_writes(tmp_path: Path) -> None:
    """Retention runs from the later of two clocks."""
    with opened(tmp_path) as custody:
        old, coming = draft(), draft()
        old.header["ts"] = 1
        coming.header["ts"] = (time.time_ns() // 1000) + 90 * DAY_US
        custody.write(old, coming)
        now = time.time_ns() // 1000
        first, second = (header["ret"]["until"] for header in custody.records("llm.request"))
        assert first >= now + 365 * DAY_US
        assert second == coming.header["ts"] + 366 * DAY_US


def test_a_class_that_nobody_configured_is_refused_with_its_draft(tmp_path: Path) -> None:
    """Rather than kept for a time that nobody chose."""
    with opened(tmp_path) as custody:
        (ack,) = custody.write(draft(retention="forever"))
        assert "`forever` is not configured" in ack.reason


# --- the log under attack (the verifier judges)


@pytest.mark.fault(4)
@pytest.mark.requirement("A2")
def test_two_bodies_of_equal_length_cannot_change_places(tmp_path: Path) -> None:
    """Each record names the hash of its own ciphertext."""
    with opened(tmp_path) as custody:
        custody.write(draft(content=b"yes"), draft(content=b"not"))
        custody.ledger.seal()
        headers = custody.records("llm.request")
        with custody.reader() as reader:
            first, second = (reader.ciphertext(header, "request") for header in headers)
        assert first
        assert second
        assert len(first) == len(second)
        (segment,) = (tmp_path / "evidence" / "body").rglob("*.seg")
        data = segment.read_bytes()
        swapped = (
            data.replace(first, b"\0" * len(first)).replace(second, first).replace(b"\0" * len(first), second)
        )
        assert swapped != data
        segment.write_bytes(swapped)
        report = custody.verified()
    assert report.verdict is Verdict.TAMPERED
    assert sum("not the recorded one" in problem.what for problem in report.findings) == 2


@pytest.mark.fault(47)
@pytest.mark.requirement("A1")
def test_a_replayed_event_stands_once_whoever_replays_it(tmp_path: Path) -> None:
    """The second gateway is told the first one's place."""
    with opened(tmp_path) as custody:
        one = draft()
        first, second = custody.write(one), custody.write(one, wid="gateway-2")
        assert first[0].index == second[0].index
        assert sum(header["eid"] == one.header["eid"] for header in custody.records()) == 1
        assert custody.verified().verdict is Verdict.VALID


@pytest.mark.fault(48)
@pytest.mark.requirement("A2")
def test_a_gap_in_a_writer_s_sequence_is_tampering(tmp_path: Path) -> None:
    """Even when the recorder itself signs it: a record that is missing is missing."""
    with opened(tmp_path) as custody:
        custody.write(draft())
        custody.ledger._writer.resume_writer("gateway-1", 5)
        custody.write(draft())
        report = custody.verified()
    assert report.verdict is Verdict.TAMPERED
    assert "from 1 to 6" in report.findings[0].what


@pytest.mark.fault(45)
@pytest.mark.requirement("A1")
async def test_a_call_that_the_recorder_died_on_is_named_by_the_recovery(tmp_path: Path) -> None:
    """SIGKILL between intent and outcome: the next start says which calls never ended."""
    child = start(tmp_path)
    client = RecorderClient(tmp_path / "r.sock", wid=IDS.record(), deadline_s=2)
    await client.connect()
    ended, hanging = draft(), draft()
    await client.append(ended)
    eid, trace = str(ended.header["eid"]), str(ended.header["trace"])
    await client.append(draft(phase="outcome", trace=trace, cause=(eid,)))
    await client.append(hanging)
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    await client.close()
    with opened(tmp_path) as custody:
        (recovery,) = custody.records("recovery")
        assert recovery["ext"]["calls"] == [hanging.header["eid"]]
        report = custody.verified()
        assert (report.verdict, report.open_calls) == (Verdict.VALID, 0)


@pytest.mark.fault(45)
def test_every_open_call_is_named_however_many_there_are(tmp_path: Path) -> None:
    """In as many records as it takes, once."""
    custody = Custody(tmp_path)
    drafts = [draft() for _ in range(1100)]
    custody.write(*drafts)
    custody.close(clean=False)
    custody = Custody(tmp_path)
    custody.close(clean=False)
    with opened(tmp_path) as custody:
        named = [call for header in custody.records("recovery") for call in header["ext"]["calls"]]
    assert named == [one.header["eid"] for one in drafts]


def test_a_clean_stop_needs_no_recovery(tmp_path: Path) -> None:
    """Not even the first one of a new log."""
    for _ in range(3):
        child = start(tmp_path)
        assert stop(child) == 0
    with opened(tmp_path) as custody:
        assert custody.records("recovery") == []


@pytest.mark.requirement("A6")
@pytest.mark.parametrize(
    "kind", ["erasure.order", "erasure", "retention.prune", "access.read", "hold.release", "recovery"]
)
def test_a_gateway_cannot_say_what_only_the_recorder_says(tmp_path: Path, kind: str) -> None:
    """A forged order would excuse what a thief deleted."""
    with opened(tmp_path) as custody:
        forged = draft()
        forged.header["t"] = kind
        assert "only the recorder says" in custody.write(forged)[0].reason
        another = draft()
        another.header["tenant"] = "somebody else's"
        assert "`tenant`" in custody.write(another)[0].reason


# --- orders over the socket


@pytest.mark.requirement("A6")
async def test_a_running_recorder_carries_out_orders_while_it_takes_records(tmp_path: Path) -> None:
    """Erase, hold, prune and read over its socket; the ledger is its alone meanwhile."""
    child = start(tmp_path)
    client = RecorderClient(tmp_path / "r.sock", wid=IDS.record(), deadline_s=5)
    await client.connect()
    await client.append(draft())
    loop = asyncio.get_running_loop()

    async def order(one: Any) -> Answer:
        return await loop.run_in_executor(None, ask, settings(tmp_path), one, os.getuid())

    load = asyncio.ensure_future(asyncio.gather(*(client.append(draft(f"user-{n}")) for n in range(200))))
    assert (await order(Erase(GRACE))).outcome is Outcome.DONE
    assert (await order(Erase(GRACE))).outcome is Outcome.NO
    assert (await order(ReadContent(("a",), by=ADA))).outcome is Outcome.DONE
    assert (await order(Prune())).outcome is Outcome.DONE
    assert (await order(ListHolds())).facts == {"holds": []}
    assert len(await load) == 200
    await client.close()
    assert stop(child) == 0
    with opened(tmp_path) as custody:
        report = custody.verified()
        assert (report.verdict, report.erased) == (Verdict.VALID, 1)
        assert custody.records("erasure.order")[0]["ext"]["by"] == {"uid": os.getuid(), "token": ""}


def _connection(*, may_order: bool) -> tuple[Connection, socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.setblocking(False)
    ours.setblocking(False)
    return Connection(ours, lambda _wid, _index: None, 1000, may_order=may_order), theirs


@pytest.mark.requirement("A6")
def test_an_order_is_taken_from_whom_it_may_come_and_never_from_a_writer() -> None:
    """The data plane appends; a connection that does not keep to its kind is closed."""
    order, hello = pack_order(Erase("ada")), pack_hello("gateway-1", -1)
    piece = pack_draft(1, draft())[0]
    for may_order, messages, stays, orders in [
        (True, [order], True, 1),
        (False, [order], False, 0),
        (True, [hello, order], False, 0),
        (False, [hello, piece], True, 0),
        (True, [order, piece], False, 1),
        (True, [b"C\xff\xff"], False, 0),
        (True, [b"C"], False, 0),
    ]:
        connection, theirs = _connection(may_order=may_order)
        for message in messages:
            theirs.send(message)
        assert connection.receive([]) is stays
        assert len(connection.orders) == orders
        connection.answer(Answer(Outcome.DONE, "done"))
        connection.flush()
        assert unpack_answer(theirs.recv(1 << 16)).says == "done"
        connection.socket.close()
        theirs.close()


@pytest.mark.fault(49)
@pytest.mark.verifier("ours", "go")
@pytest.mark.requirement("A6")
@pytest.mark.timeout(300)  # because a cold Go cache builds the standard library
@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
async def test_another_user_may_write_when_named_and_may_never_order(
    tmp_path: Path, go_ask: Ask | None
) -> None:
    """The kernel says who connects: a gateway of its own user hands over records and nothing else; Go finds its record alone."""
    for place in (tmp_path, *list(tmp_path.parents)[:3]):
        if place != Path("/tmp"):
            place.chmod(0o755)
    (tmp_path / "magistrate.yaml").write_text(
        "data_dir: d\nproviders: [{name: s, api: simulator, models: ['*']}]\n"
        "evidence: {writers: ['65534'], socket: s/r.sock}\n"
    )
    (tmp_path / "s").mkdir()
    command = [sys.executable, "-m", "magistrate.app.processes", "recorder"]
    command += ["--config", str(tmp_path / "magistrate.yaml")]
    child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert child.stdout is not None
    assert await child.stdout.readline() == b"ready\n"
    reply = {}
    for uid in (65534, 65533):
        for name, message in (("order", pack_order(ListHolds())), ("hello", pack_hello(f"w-{uid}", -1))):
            reply[uid, name] = await asyncio.get_running_loop().run_in_executor(
                None,
                _as_user,
                uid,
                tmp_path / "s" / "r.sock",
                [message] + ([pack_draft(1, draft())[0]] if name == "hello" else []),
            )
    child.terminate()
    assert await child.wait() == 0
    assert reply[65534, "hello"].startswith(b"A")
    assert reply[65534, "order"] == b""
    assert reply[65533, "hello"] == b""
    assert reply[65533, "order"] == b""
    if go_ask is not None:
        root = tmp_path / "d" / "evidence"
        vkey, note = (root / "log.vkey").read_text().strip(), (root / "checkpoint").read_text()
        answer = go_ask({"Vkey": vkey, "Checkpoint": note, "Audit": str(root)})
        assert answer["Verdict"] == "valid", answer["Why"]
        writers = answer["Told"]["Writers"]
        assert (writers.get("w-65534"), writers.get("w-65533")) == (1, None)


def _as_user(uid: int, path: Path, messages: list[bytes]) -> bytes:
    """Send messages from a process of user ``uid`` and return what came back."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setuid(uid)
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            connection.settimeout(5)
            connection.connect(str(path))
            try:
                for message in messages:
                    connection.send(message)
                os.write(write, connection.recv(1 << 16))
            except OSError:
                pass
        finally:
            os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    data = os.read(read, 1 << 16)
    os.close(read)
    return data


# --- the command line


@pytest.fixture
def recorded(tmp_path: Path) -> str:
    """A data directory with one call in it, and tokens of two people and of none."""
    with opened(tmp_path) as custody:
        one = draft(content=b"the words themselves")
        custody.write(one)
    store = KeyStore(tmp_path / "state.db")
    for name, person in (("ada", "Ada"), ("ada-2", "ada"), ("bob", "Bob"), ("nobody", "")):
        (tmp_path / f"{name}.token").write_text(store.create_token(person=person)[0] + "\n")
    store.close()
    return str(one.header["eid"])


@pytest.mark.requirement("A6")
def test_content_is_shown_only_once_its_reading_is_on_record(
    tmp_path: Path, recorded: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who, why and what; headers and proofs need no such record."""
    data = ["--data", str(tmp_path)]
    assert run(["evidence", "show", recorded, *data]) == 0
    assert "the words themselves" not in capsys.readouterr().out
    with opened(tmp_path) as custody:
        assert custody.records("access.read") == []
    why = ["--reason", "case 12", "--by", f"file:{tmp_path / 'ada.token'}"]
    for arguments in (
        ["show", recorded, "--content", *why],
        ["trace", recorded, "--content", *why],
        ["export", recorded, "-o", str(tmp_path / "b.zip"), *why],
    ):
        assert run(["evidence", *arguments, *data]) == 0
        shown = capsys.readouterr().out
        assert ("the words themselves" in shown) is (arguments[0] != "export")
    with opened(tmp_path) as custody:
        readings = custody.records("access.read")
        assert len(readings) == 3
        for reading in readings:
            assert reading["ext"]["records"] == [recorded]
            assert reading["ext"]["by"]["uid"] == os.getuid()
            assert reading["ext"]["by"]["token"]
            told = custody.bodies(reading["eid"])
            assert orjson.loads(told["reason"]) == {"reason": "case 12", "by": "Ada"}
            assert recorded.encode() in told["selector"]
        assert custody.verified().verdict is Verdict.VALID


@pytest.mark.requirement("A6")
def test_content_is_not_shown_when_its_reading_cannot_be_recorded(
    tmp_path: Path, recorded: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody else holds the ledger, and nobody listens: fail closed."""
    with opened(tmp_path):
        for command in (["show", recorded, "--content"], ["export", recorded, "-o", str(tmp_path / "b.zip")]):
            assert run(["evidence", *command, "--data", str(tmp_path)]) == 2
            out, err = capsys.readouterr()
            assert "the words themselves" not in out
            assert "cannot be recorded" in err
        assert not (tmp_path / "b.zip").exists()
        assert run(["evidence", "show", recorded, "--data", str(tmp_path)]) == 0


@pytest.mark.requirement("A6")
@pytest.mark.parametrize("reply", [b"", b"R nonsense", pack_answer(Answer(Outcome.UNABLE, "no room"))])
def test_content_is_not_shown_when_the_recorder_does_not_say_that_it_recorded(
    tmp_path: Path, recorded: str, reply: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    """It hangs up, it speaks nonsense, it says no: nothing is shown."""
    (tmp_path / "run").mkdir()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(str(tmp_path / "run" / "recorder.sock"))
    listener.listen()

    def answer() -> None:
        peer, _ = listener.accept()
        peer.recv(1 << 16)
        if reply:
            peer.send(reply)
        peer.close()

    recorder = threading.Thread(target=answer)
    recorder.start()
    assert run(["evidence", "show", recorded, "--content", "--data", str(tmp_path)]) == 2
    recorder.join()
    listener.close()
    out, err = capsys.readouterr()
    assert "the words themselves" not in out
    assert "cannot be recorded" in err


@pytest.mark.requirement("A6")
def test_a_reading_of_many_records_names_the_first_and_counts_all(tmp_path: Path) -> None:
    """A replay reads a hundred thousand; its record still fits a leaf."""
    with opened(tmp_path):
        pass
    config = load(None, {})
    config = msgspec.structs.replace(config, data_dir=str(tmp_path))
    open_content(config, tuple(IDS.record() for _ in range(100_000)), reason="", selector="all")
    with opened(tmp_path) as custody:
        (reading,) = custody.records("access.read")
    assert reading["ext"]["count"] == 100_000
    assert len(reading["ext"]["records"]) == 1000


@pytest.mark.requirement("A4", "A10")
def test_the_commands_erase_hold_and_say_so(
    tmp_path: Path, recorded: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 0, 1 and 2, and what an erased record shows."""

    def magistrate(*arguments: str) -> tuple[int, str]:
        status = run(["evidence", *arguments, "--data", str(tmp_path)])
        out, err = capsys.readouterr()
        return status, out + err

    def by(name: str) -> list[str]:
        return ["--by", f"file:{tmp_path / name}.token"]

    select = ["--selector", f"subject={GRACE}", "--reason", "lawsuit"]
    assert magistrate("hold", "place", *select, *by("nobody"))[0] == 2
    assert magistrate("hold", "place", *select, "--by", "Ada")[0] == 2
    assert magistrate("hold", "place", "--selector", "colour=red", "--reason", "x", *by("ada"))[0] == 2
    assert magistrate("hold", "place", "--selector", "subject=stranger", "--reason", "x", *by("ada"))[0] == 1
    status, said = magistrate("hold", "place", *select, *by("ada"), "--json")
    hold = orjson.loads(said)["facts"]["hold"]
    assert status == 0
    assert magistrate("hold", "confirm", hold, *by("ada-2"))[0] == 1
    assert magistrate("hold", "confirm", hold, *by("bob"))[0] == 0
    status, said = magistrate("hold", "list")
    assert (status, hold in said, "confirmed" in said) == (0, True, True)
    status, said = magistrate("erase", "--subject", GRACE)
    assert (status, hold in said) == (1, True)
    assert magistrate("hold", "release", hold, *by("bob"))[0] == 0
    status, said = magistrate("hold", "confirm", hold, *by("ada"))
    assert (status, "erased" in said) == (0, True), "what waited for the release is done with it"
    assert magistrate("erase", "--subject", GRACE)[0] == 1
    status, said = magistrate("show", recorded, "--json")
    (shown,) = orjson.loads(said)
    with opened(tmp_path) as custody:
        (order,) = custody.records("erasure.order")
    assert (shown["gone"]["how"], shown["gone"]["record"]) == ("erased", order["eid"])
    assert "its content was erased on" in magistrate("show", recorded, "--content")[1]
    status, said = magistrate("verify")
    assert (status, "1 bodies erased by order" in said) == (0, True)
    assert magistrate("prune")[0] == 0
    assert magistrate("rotate-root")[0] == 0


def test_an_order_to_a_ledger_of_another_user_is_refused(tmp_path: Path, recorded: str) -> None:
    """Files of the wrong owner would stop the recorder at its next start."""
    with pytest.raises(ConfigurationError, match="belongs to user"):
        ask(settings(tmp_path), ListHolds(), os.getuid() + 1)
