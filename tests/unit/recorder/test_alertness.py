"""When the recorder waits awake, and when sealing rests."""

import time
from collections.abc import Sequence

import pytest

from magistrate.adapters.recorder.alertness import CLOSE_S, PROVEN, Alertness
from magistrate.adapters.recorder.breath import REST, SLICE_S, Breath


class Clock:
    """Time that passes only when somebody waits; the poll finds a draft ``gap`` seconds after it was asked first."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.gap = 0.0
        self.due = 0.0
        self.slept = 0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)

    def poll(self, timeout_s: float) -> Sequence[str]:
        if timeout_s == 0:
            self.now += 0.0001
        else:
            self.slept += 1
            self.now += min(timeout_s, max(0.0, self.due - self.now))
        return ["draft"] if self.now >= self.due else []

    def wait(self, alertness: Alertness, gap: float) -> Sequence[str]:
        self.due = self.now + gap
        return alertness.wait(self.poll, 0.25)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_drafts_that_follow_closely_are_waited_for_awake(clock: Clock) -> None:
    """After a proof of it, no wait goes to sleep."""
    alertness = Alertness(processors=2)
    for _ in range(PROVEN):
        assert clock.wait(alertness, CLOSE_S / 2)
    slept = clock.slept
    assert slept == PROVEN
    for _ in range(50):
        assert clock.wait(alertness, CLOSE_S / 2)
    assert clock.slept == slept


def test_one_long_silence_ends_it(clock: Clock) -> None:
    """One short wait awake is all that the end of a burst costs."""
    alertness = Alertness(processors=2)
    for _ in range(PROVEN):
        clock.wait(alertness, 0)
    before = clock.now
    assert clock.wait(alertness, 0.1)
    assert clock.now - before == pytest.approx(0.1, abs=0.001)
    slept = clock.slept
    clock.wait(alertness, 0)
    assert clock.slept == slept + 1


def test_slow_traffic_and_a_lone_processor_always_sleep(clock: Clock) -> None:
    """Nobody else could use a processor that waits awake."""
    for alertness, gap in ((Alertness(processors=2), CLOSE_S * 2), (Alertness(processors=1), 0.0)):
        slept = clock.slept
        for _ in range(3 * PROVEN):
            clock.wait(alertness, gap)
        assert clock.slept == slept + 3 * PROVEN


def test_rests_are_in_proportion_to_the_work_and_end_with_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slice, then a rest several times as long; when the time for rests is over, work goes on without."""
    now: list[float] = [0.0]
    rests: list[float] = []

    monkeypatch.setattr(time, "thread_time", lambda: now[0])
    monkeypatch.setattr(time, "sleep", rests.append)
    breath = Breath()
    breath.begin(SLICE_S * REST * 2.5)
    for _ in range(100):
        now[0] += SLICE_S / 2
        breath.rest()
    assert rests == pytest.approx([SLICE_S * REST, SLICE_S * REST, SLICE_S * REST / 2])
