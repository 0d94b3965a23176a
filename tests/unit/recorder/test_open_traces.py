"""When a trace has ended, how its records are counted, and what is honest to say when they cannot be."""

import time
from pathlib import Path

import pytest
from tests.faults.custody import IDS, Custody, draft, opened

from magistrate.adapters.recorder.traces import CLOSE, LONGEST_CALL_S, Link, OpenTraces
from magistrate.evidence.verify import Verdict


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def link(trace: str, phase: str = "note", *, prev: str = "", kind: str = "x") -> Link:
    return Link(trace, kind, phase, bool(prev))


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
    assert custody.ledger.write(custody.ledger.closings(all_of_them=True))
    custody.write(draft(trace=trace))
    custody.close(clean=clean)
    with opened(tmp_path) as again:
        again.write(draft(trace=trace))
        assert again.ledger.write(again.ledger.closings(all_of_them=True))
        assert not again.ledger.closings(all_of_them=True)
        assert closed(again) == [(trace, 2), (trace, 2)]
        assert again.verified().verdict is Verdict.VALID
