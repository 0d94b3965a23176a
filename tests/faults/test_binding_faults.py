"""What a binding class keeps of an erased person goes by itself when its time is over: no sooner, no later, and once."""

import datetime as dt
import itertools
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from magistrate.adapters.recorder.ledger import Ledger
from magistrate.adapters.recorder.orders import Outcome, Prune, RotateShard
from magistrate.adapters.recorder.process import Recorder
from magistrate.adapters.recorder.segments import FileSegments
from magistrate.adapters.recorder.vault import Vault
from magistrate.evidence.draft import Draft
from magistrate.evidence.retention import BUILT_IN, DAY_US, Schedule
from magistrate.evidence.verify import Verdict

from .custody import ADA, Custody, draft, opened
from .test_custody_faults import GRACE, held, released

Later = Callable[[float], None]


def days(trade: int = 10, order: int = 30) -> Schedule:
    return Schedule(days={**BUILT_IN, "trade": trade, "order": order}, binding=("trade", "order"))


def written(custody: Custody, retention: str, content: bytes = b"buy") -> Draft:
    one = draft(content=content, retention=retention)
    (ack,) = custody.write(one)
    assert ack.index >= 0, ack.reason
    return one


def there(custody: Custody, *drafts: Draft) -> list[bool]:
    return [custody.bodies(one.header["eid"]) != {} for one in drafts]


def known(custody: Custody) -> bool:
    return custody.ledger.vault.find_handle("default", GRACE) is not None


@pytest.mark.fault(53)
@pytest.mark.requirement("A4", "A10")
def test_what_a_binding_class_keeps_goes_by_itself_class_by_class(tmp_path: Path, later: Later) -> None:
    """Each on its day, over restarts; the name with the last; the answer, the log and the vault agree on when."""
    with opened(tmp_path, days()) as custody:
        trade, order, chat = (written(custody, name) for name in ("trade", "order", "standard"))
        last = custody.records("llm.request")[1]["ret"]["until"]
        answer = custody.erase()
        assert answer.outcome is Outcome.NO
        assert str(dt.datetime.fromtimestamp(last / 1e6, dt.UTC).date()) in answer.says
        (facts,) = answer.facts["subjects"]
        assert (facts["kept"], facts["until_us"]) == ({"trade": 1, "order": 1}, last)
        (deferred,) = custody.records("erasure.deferred")
        assert deferred["ext"]["kept"] == {"trade": 1, "order": 1}
        assert deferred["ext"]["until"] == last
        assert deferred["cause"] == [custody.records("erasure")[0]["eid"]]
        later(9.9)
        assert custody.custodian.repeat() == []
        assert there(custody, trade, order, chat) == [True, True, False]
    later(0.2)
    with opened(tmp_path, days()) as custody:
        assert len(custody.custodian.repeat()) == 1
        assert there(custody, trade, order) == [False, True]
        assert known(custody)
        later(19)
        assert custody.custodian.repeat() == []
    later(1)
    with opened(tmp_path, days()) as custody:
        assert len(custody.custodian.repeat()) == 1
        assert there(custody, order) == [False]
        assert not known(custody)
        orders = custody.records("erasure.order")
        assert [one["ext"]["kept"] for one in orders] == [{"trade": 1, "order": 1}, {"order": 1}, {}]
        waits = [one["eid"] for one in custody.records("erasure.deferred")]
        assert [one.get("cause", []) for one in orders] == [[], waits[:1], waits[1:]]
        assert [one["ext"]["by"]["token"] for one in orders] == [ADA.token] * 3
        assert custody.custodian.repeat() == []
        report = custody.verified()
        assert (report.verdict, report.erased) == (Verdict.VALID, 3)
        assert b"hopper" not in custody.everything()


@pytest.mark.requirement("A4", "A10")
def test_a_running_recorder_does_it_without_being_asked(tmp_path: Path, later: Later) -> None:
    """Within a minute of its loop, or right after a start that comes too late."""
    with opened(tmp_path, days()) as custody:
        trade = written(custody, "trade")
        assert custody.erase().outcome is Outcome.NO
    later(11)
    recorder = Recorder(custody.settings, Ledger(custody.settings))  # in this process, whose clock is ahead
    ready = threading.Event()
    loop = threading.Thread(target=recorder.run, args=(ready.set,))
    loop.start()
    assert ready.wait(10)
    time.sleep(1)
    recorder.stop()
    loop.join()
    with opened(tmp_path, days()) as custody:
        assert there(custody, trade) == [False]
        assert not known(custody)
        assert len(custody.records("erasure")) == 1
        assert custody.verified().verdict is Verdict.VALID


@pytest.mark.requirement("A4")
def test_nothing_is_read_or_written_while_it_waits(
    tmp_path: Path, later: Later, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not every minute, and not once its time is over and a hold forbids it."""
    with opened(tmp_path, days()) as custody:
        trade = written(custody, "trade")
        custody.erase()
        count = len(custody.records())
        with monkeypatch.context() as patched:
            for name in ("resting", "record", "vault"):
                patched.setattr(Ledger, name, property(_never))
            patched.setattr(Vault, "standing", _never)
            for _ in range(100):
                assert custody.custodian.repeat() == []
        later(9)
        hold = held(custody, subject=GRACE)
        held_since = len(custody.records())
        assert held_since == count + 2
        later(2)
        with monkeypatch.context() as patched:
            patched.setattr(Vault, "keep_standing", _never)
            for _ in range(3):
                assert custody.custodian.repeat() == []
        assert len(custody.records()) == held_since
        assert there(custody, trade) == [True]
        released(custody, hold)
        assert there(custody, trade) == [False]
        assert custody.verified().verdict is Verdict.VALID


def _never(*_: object, **__: object) -> None:
    raise AssertionError


@pytest.mark.fault(53)
@pytest.mark.requirement("A4")
def test_an_erasure_that_a_hold_and_a_binding_class_forbid_waits_for_both(
    tmp_path: Path, later: Later
) -> None:
    """First for the hold, whole; then for the class, and that is on record once."""
    with opened(tmp_path, days()) as custody:
        trade, chat = written(custody, "trade"), written(custody, "standard")
        hold = held(custody, subject=GRACE)
        assert custody.erase().outcome is Outcome.NO
        assert there(custody, trade, chat) == [True, True]
        released(custody, hold)
        assert there(custody, trade, chat) == [True, False]
        later(10)
        assert len(custody.custodian.repeat()) == 1
        assert there(custody, trade) == [False]
        kept = [
            one["ext"].get("kept", one["ext"].get("holds")) for one in custody.records("erasure.deferred")
        ]
        assert kept == [[hold], {"trade": 1}]


@pytest.mark.requirement("A4")
def test_a_request_for_nothing_but_bound_content_is_on_record_and_waits(tmp_path: Path, later: Later) -> None:
    """With its reason; asked for twice, it is done once; a hold's end that frees nothing writes no order."""
    with opened(tmp_path, days()) as custody:
        trade = written(custody, "trade")
        assert custody.erase().outcome is Outcome.NO
        (first,) = custody.records("erasure.deferred")
        assert b"she asked us to" in custody.bodies(first["eid"])["reason"]
        hold = held(custody, subject=GRACE)
        custody.erase()
        released(custody, hold)
        assert [len(custody.records(kind)) for kind in ("erasure.deferred", "erasure.order")] == [3, 0]
        later(10)
        assert len(custody.custodian.repeat()) == 1
        assert there(custody, trade) == [False]
        assert custody.erase().outcome is Outcome.NO, "nobody of that name is left"
        assert len(custody.records("erasure.order")) == 1


@pytest.mark.requirement("A4")
def test_a_class_that_was_lengthened_meanwhile_keeps_for_longer(tmp_path: Path, later: Later) -> None:
    """Also what was there before; nothing is on record of an end that came and was none."""
    with opened(tmp_path, days()) as custody:
        trade = written(custody, "trade")
        custody.erase()
    with opened(tmp_path, days(trade=20)) as custody:
        later(11)
        count = len(custody.records())
        assert custody.custodian.repeat() == []
        assert len(custody.records()) == count
        assert there(custody, trade) == [True]
        later(8)
        assert custody.custodian.repeat() == []
        later(1)
        assert len(custody.custodian.repeat()) == 1
        assert there(custody, trade) == [False]


@pytest.mark.requirement("A4")
@pytest.mark.parametrize("ahead_days", [-400, 40])
def test_a_gateway_s_clock_neither_shortens_nor_hides_what_binds(
    tmp_path: Path, later: Later, ahead_days: int
) -> None:
    """The end is read from the records, not from the quarter whose key they lie under."""
    with opened(tmp_path, days()) as custody:
        trade = draft(retention="trade")
        trade.header["ts"] = time.time_ns() // 1000 + ahead_days * DAY_US
        custody.write(trade)
        assert custody.erase().outcome is Outcome.NO
        later(9.9 + max(0, ahead_days))
        custody.custodian.repeat()
        assert there(custody, trade) == [True]
        later(0.2)
        custody.custodian.repeat()
        assert there(custody, trade) == [False]


@pytest.mark.requirement("A4", "A10")
def test_what_a_person_does_after_the_request_is_no_part_of_it(tmp_path: Path, later: Later) -> None:
    """Neither content that anybody may erase nor what binds; the name stays for it, until it is asked for."""
    with opened(tmp_path, days()) as custody:
        trade = written(custody, "trade")
        custody.erase()
        later(5)
        new, newer = written(custody, "trade"), written(custody, "standard")
        later(5)
        custody.custodian.repeat()
        assert there(custody, trade, new, newer) == [False, True, True]
        assert known(custody)
        later(10)
        assert custody.custodian.repeat() == []
        assert there(custody, new, newer) == [True, True]
        assert custody.erase().outcome is Outcome.DONE, "what bound it is over: it goes with the request"
        assert there(custody, new, newer) == [False, False]
        assert not known(custody)
        assert custody.verified().verdict is Verdict.VALID


@pytest.mark.requirement("A4")
@pytest.mark.parametrize("pruned_first", [False, True])
def test_a_pruning_and_an_erasure_of_the_same_content_do_not_disturb_each_other(
    tmp_path: Path, later: Later, pruned_first: bool
) -> None:
    """Whichever comes first after a long stop."""
    with opened(tmp_path, days()) as custody:
        trade = written(custody, "trade")
        custody.erase()
        later(12)
        if pruned_first:
            assert custody.obey(Prune()).facts["segments"] == 1
        assert len(custody.custodian.repeat()) == 1
        if not pruned_first:
            assert custody.obey(Prune()).facts["segments"] == 1
        assert there(custody, trade) == [False]
        assert not known(custody)
        assert custody.verified().verdict is Verdict.VALID


@pytest.mark.requirement("A4")
def test_closed_shards_count_and_one_that_is_away_keeps_what_it_may_bind(
    tmp_path: Path, later: Later
) -> None:
    """Known before it went, the end stands; not known, nothing goes until the shard is back, which is looked for once a day."""
    away, root = tmp_path / "archive", tmp_path / "evidence" / "shards" / "1"
    with opened(tmp_path, days()) as custody:
        written(custody, "trade")
        later(3)
        assert custody.obey(RotateShard(by=ADA)).outcome is Outcome.DONE
        new = written(custody, "trade")
        root.rename(away)
        answer = custody.erase()
        assert "cannot be told while shard 1 is not here" in answer.says
        assert "until" not in custody.records("erasure.deferred")[0]["ext"]
        later(20)
        assert custody.custodian.repeat() == []
        away.rename(root)
        assert custody.custodian.repeat() == [], "asked again a day later"
        later(1)
        assert len(custody.custodian.repeat()) == 1
        assert there(custody, new) == [False]
        assert len(custody.records("erasure")) == 1
        assert not known(custody)
        written(custody, "trade")
        assert custody.obey(RotateShard(by=ADA)).outcome is Outcome.DONE
        assert custody.erase().outcome is Outcome.NO
        (tmp_path / "evidence" / "shards" / "2").rename(away)
        later(11)
        (done,) = custody.custodian.repeat()
        assert "shard 2" in done
        away.rename(tmp_path / "evidence" / "shards" / "2")
        assert not known(custody)
        assert custody.verified().verdict is Verdict.VALID


STEPS = [
    *((Ledger, name) for name in ("record", "shed")),
    *((Vault, name) for name in ("retire", "begin_erasure", "scrub", "keep_standing", "finish_erasure")),
    (FileSegments, "empty"),
]


class Died(Exception):
    """What a SIGKILL is inside one process."""


@pytest.mark.fault(53)
@pytest.mark.requirement("A4", "A10")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("after", [False, True])
def test_wherever_it_dies_the_next_start_ends_where_it_would_have(
    tmp_path: Path, later: Later, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    """At every step of the request and of what follows by itself, before it and after it."""
    real = time.time_ns
    for died_at in itertools.count(1):
        monkeypatch.setattr(time, "time_ns", real)
        place = tmp_path / str(died_at)
        place.mkdir()
        custody, left = Custody(place, days()), [died_at]
        trade, order, chat = (written(custody, name) for name in ("trade", "order", "standard"))

        def step(of: type, name: str, left: list[int] = left) -> Callable[..., Any]:
            done = getattr(of, name)

            def stepped(*arguments: Any, **named: Any) -> Any:
                left[0] -= 1
                if left[0] == 0 and not after:
                    raise Died
                result = done(*arguments, **named)
                if left[0] == 0:
                    raise Died
                return result

            return stepped

        def life(custody: Custody, ahead: float) -> None:
            monkeypatch.setattr(time, "time_ns", lambda: real() + int(ahead * DAY_US * 1000))
            custody.custodian.repeat()

        asked = False
        with monkeypatch.context() as patched:
            for of, name in STEPS:
                patched.setattr(of, name, step(of, name))
            try:
                custody.erase()
                asked = True
                life(custody, 11)
                life(custody, 31)
            except Died:
                pass
        died = left[0] <= 0
        custody.close(clean=False)
        custody = Custody(place, days())
        custody.custodian.resume()
        if not asked and there(custody, chat) == [True]:
            monkeypatch.setattr(time, "time_ns", real)
            custody.erase()  # whoever asked got no answer, and asks again
        assert there(custody, chat) == [False]
        if died and not asked:
            assert there(custody, trade, order) == [True, True]
        life(custody, 11)
        assert there(custody, trade) == [False]
        life(custody, 31)
        assert there(custody, order) == [False]
        assert not known(custody)
        assert custody.ledger.vault.unfinished() == []
        assert custody.custodian.repeat() == []
        report = custody.verified()
        assert (report.verdict, report.erased) == (Verdict.VALID, 3)
        custody.close()
        if not died:
            break
    assert died_at > 20
