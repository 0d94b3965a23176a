"""When a trace has ended, how its records are counted, and what is honest to say when they cannot be."""

import time
from pathlib import Path

import pytest
from tests.faults.custody import IDS, Custody, draft, opened

from magistrate.adapters.recorder.traces import CLOSE, LONGEST_CALL_S, Link, OpenTraces
from magistrate.evidence.draft import Draft
from magistrate.evidence.verify import Verdict


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def link(trace: str, phase: str = "note", *, prev: str = "", kind: str = "x", closes: bool = False) -> Link:
    return Link(trace, kind, phase, bool(prev), closes or kind == CLOSE)


def begun(idle_s: float = 60.0, **options: int) -> OpenTraces:
    traces = OpenTraces(idle_s, **options)
    traces.begin()
    return traces


@pytest.mark.requirement("A2")
def test_a_trace_ends_when_it_is_silent_and_no_call_is_open(clock: list[float]) -> None:
    """An open call keeps it; one that is open beyond any endpoint's patience does not."""
    traces = begun()
    traces.add(link("a", "intent"))
    traces.add(link("b", "intent"))
    traces.add(link("b", "outcome", prev="0"))
    clock[0] += 59.9
    assert not list(traces.ended())
    clock[0] += 0.1
    assert list(traces.ended()) == [("b", 2)]
    assert list(traces.ended()) == [("b", 2)], "it stays until a record closes it"
    traces.add(link("b", prev="1", kind=CLOSE))
    assert not list(traces.ended())
    clock[0] += LONGEST_CALL_S
    assert list(traces.ended()) == [("a", 1)]


@pytest.mark.requirement("A2")
def test_what_comes_after_the_end_is_counted_anew(clock: list[float]) -> None:
    traces = begun()
    for record in (
        link("a"),
        link("a", prev="1"),
        link("a", prev="2", kind=CLOSE),
        link("a", prev="3"),
    ):
        traces.add(record)
    clock[0] += 60
    assert list(traces.ended()) == [("a", 1)]


@pytest.mark.requirement("A2")
def test_an_outcome_may_be_the_end_of_its_trace(clock: list[float]) -> None:
    """Nothing is left to be closed later; what comes after it all the same is counted anew."""
    traces = begun()
    traces.add(link("a", "intent"))
    assert traces.is_one_open_call("a")
    traces.add(link("a", "outcome", prev="1", closes=True))
    assert (len(traces), traces.is_one_open_call("a")) == (0, False)
    traces.add(link("a", prev="2"))
    clock[0] += 60
    assert list(traces.ended()) == [("a", 1)]


def test_memory_is_bounded_by_closing_what_is_silent_longest(clock: list[float]) -> None:
    """Even an open call gives way."""
    traces = begun(most=3)
    for name in "abcde":
        traces.add(link(name, "intent"))
        clock[0] += 1
    assert list(traces.ended()) == [("a", 1), ("b", 1)]


def test_a_trace_from_before_what_is_remembered_is_let_go_without_a_count(clock: list[float]) -> None:
    """Its beginning was not read again, so any number would be a guess; one that was closed since is known."""
    traces = OpenTraces(60)
    for record in (
        link("a", prev="9"),
        link("b", prev="9", kind=CLOSE),
        link("b", prev="8"),
        link("c"),
    ):
        traces.add(record)
    traces.begin()
    clock[0] += 60
    assert list(traces.ended()) == [("b", 1), ("c", 1)]
    assert len(traces) == 2


def closed(custody: Custody) -> list[tuple[str, int]]:
    return [(one["trace"], one["ext"]["records"]) for one in custody.records(CLOSE)]


@pytest.mark.requirement("A2", "A7")
@pytest.mark.parametrize("clean", [True, False])
def test_counts_go_on_over_a_restart(tmp_path: Path, *, clean: bool) -> None:
    """What was open is closed by the next recorder with the whole count, after a crash too; the log verifies."""
    trace = IDS.trace()
    custody = Custody(tmp_path)
    intent = draft(trace=trace)
    custody.write(intent, draft(trace=trace, phase="outcome", cause=(str(intent.header["eid"]),)))
    assert custody.ledger.write(custody.ledger.notes.closings(all_of_them=True))
    custody.write(draft(trace=trace))
    custody.close(clean=clean)
    with opened(tmp_path) as again:
        again.write(draft(trace=trace))
        assert again.ledger.write(again.ledger.notes.closings(all_of_them=True))
        assert not again.ledger.notes.closings(all_of_them=True)
        assert closed(again) == [(trace, 2), (trace, 2)]
        assert again.verified().verdict is Verdict.VALID


def call(trace: str, *, claims: object = 2) -> tuple[Draft, Draft]:
    intent = draft(trace=trace)
    outcome = draft(trace=trace, phase="outcome", cause=(str(intent.header["eid"]),))
    outcome.header["closes"] = claims
    return intent, outcome


@pytest.mark.requirement("A2")
@pytest.mark.parametrize("together", [True, False])
def test_the_outcome_of_a_call_that_is_its_whole_trace_closes_it(tmp_path: Path, *, together: bool) -> None:
    """A refused call's two records are one group, an answered call's are two."""
    custody = Custody(tmp_path)
    intent, outcome = call(IDS.trace())
    for group in [(intent, outcome)] if together else [(intent,), (outcome,)]:
        custody.write(*group)
    assert not custody.ledger.notes.closings(all_of_them=True)
    assert [one["closes"] for one in custody.records("llm.response")] == [2]
    report = custody.verified()
    assert (report.verdict, report.findings) == (Verdict.VALID, ())
    custody.close()


@pytest.mark.requirement("A2")
@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("claims", [1, 3, "2", True, None])
def test_a_claim_that_the_recorder_does_not_count_itself_is_not_kept(
    tmp_path: Path, *, together: bool, claims: object
) -> None:
    """The gateway's word alone closes nothing."""
    custody = Custody(tmp_path)
    intent, outcome = call(IDS.trace(), claims=claims)
    for group in [(intent, outcome)] if together else [(intent,), (outcome,)]:
        custody.write(*group)
    assert "closes" not in custody.records("llm.response")[0]
    assert len(custody.ledger.notes.closings(all_of_them=True)) == 1
    assert custody.verified().verdict is Verdict.VALID
    custody.close()


@pytest.mark.requirement("A2")
@pytest.mark.parametrize("together", [True, False])
def test_a_trace_of_several_calls_is_closed_by_no_outcome(tmp_path: Path, *, together: bool) -> None:
    """Whoever says so is mistaken: another call of the trace is under way."""
    custody, trace = Custody(tmp_path), IDS.trace()
    first, second = call(trace), call(trace)
    drafts = [first[0], second[0], first[1], second[1]]
    for group in [drafts] if together else [[one] for one in drafts]:
        custody.write(*group)
    assert not any("closes" in one for one in custody.records("llm.response"))
    assert custody.ledger.write(custody.ledger.notes.closings(all_of_them=True))
    assert closed(custody) == [(trace, 4)]
    assert custody.verified().verdict is Verdict.VALID
    custody.close()
