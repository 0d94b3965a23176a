"""Rests in long work: in proportion to it, and not without end."""

import time

import pytest

from magistrate.adapters.recorder.breath import REST, SLICE_S, Breath


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
