"""When processors are kept ready, when the recorder waits awake itself, and when sealing rests."""

import os
import struct
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from magistrate.adapters.recorder.alertness import (
    CLOSE_S,
    CROWDED_S,
    LINGER_S,
    PROVEN,
    Alertness,
    Processors,
)


class Clock:
    """Time that passes only when somebody waits; the poll finds a draft ``gap`` seconds after it was asked first."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.gap = 0.0
        self.due = 0.0
        self.slept = 0
        self.step = CROWDED_S / 2
        """How long a look takes that waits for nothing."""
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)

    def poll(self, timeout_s: float) -> Sequence[str]:
        if timeout_s == 0:
            self.now += self.step
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


@pytest.fixture
def device(tmp_path: Path) -> Path:
    path = tmp_path / "cpu_dma_latency"
    path.touch()
    return path


def wishes(device: Path) -> list[int]:
    return [value for (value,) in struct.iter_unpack("i", device.read_bytes())]


def alone(tmp_path: Path, count: int = 2) -> Alertness:
    """One that may ask the kernel for nothing."""
    processors = Processors(tmp_path / "no such device")
    assert not processors.allowed
    return Alertness(processors, count)


def test_processors_are_kept_ready_while_drafts_follow_closely(clock: Clock, device: Path) -> None:
    """The wish is told once, stands over pauses shorter than `LINGER_S`, and is taken back after a longer one."""
    alertness = Alertness(Processors(device))
    for _ in range(PROVEN):
        assert clock.wait(alertness, CLOSE_S / 2)
    assert wishes(device) == [2_000_000_000]
    for gap in (0, CLOSE_S / 2, LINGER_S * 0.9, 0):
        assert clock.wait(alertness, gap)
    assert wishes(device) == [2_000_000_000, 0]
    before = clock.now
    assert clock.wait(alertness, 0.2)
    assert clock.now - before == pytest.approx(0.2, abs=0.001)
    assert wishes(device) == [2_000_000_000, 0, 2_000_000_000]
    for _ in range(PROVEN):
        clock.wait(alertness, 0)
    assert len(wishes(device)) == 3, "the proof begins anew"
    clock.wait(alertness, 0)
    assert wishes(device)[3:] == [0]


def test_no_wait_is_longer_than_asked_for(clock: Clock, device: Path, tmp_path: Path) -> None:
    for alertness in (Alertness(Processors(device)), alone(tmp_path)):
        for _ in range(PROVEN):
            clock.wait(alertness, 0)
        before = clock.now
        assert not clock.wait(alertness, 1.0)
        assert clock.now - before == pytest.approx(0.25, abs=0.001)


def test_slow_traffic_wishes_nothing(clock: Clock, device: Path) -> None:
    alertness = Alertness(Processors(device))
    for _ in range(3 * PROVEN):
        assert clock.wait(alertness, CLOSE_S * 2)
    assert wishes(device) == [2_000_000_000]


def test_a_device_that_refuses_is_given_up(device: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    processors = Processors(device)

    def refuse(_descriptor: int, _data: bytes) -> int:
        raise PermissionError

    monkeypatch.setattr(os, "write", refuse)
    processors.hold(ready=True)
    assert not processors.allowed
    processors.hold(ready=False)


def test_who_may_wish_nothing_waits_awake_itself(clock: Clock, tmp_path: Path) -> None:
    """After a proof of it, no wait goes to sleep."""
    alertness = alone(tmp_path)
    for _ in range(PROVEN):
        assert clock.wait(alertness, CLOSE_S / 2)
    slept = clock.slept
    assert slept == PROVEN
    for _ in range(50):
        assert clock.wait(alertness, CLOSE_S / 2)
    assert clock.slept == slept


def test_nobody_waits_awake_in_anothers_way(clock: Clock, tmp_path: Path) -> None:
    """A processor that comes back late was wanted by somebody else."""
    alertness = alone(tmp_path)
    for _ in range(PROVEN):
        clock.wait(alertness, 0)
    clock.step = CROWDED_S * 2
    slept = clock.slept
    assert clock.wait(alertness, CLOSE_S)
    assert clock.slept == slept + 1


def test_one_long_silence_ends_it(clock: Clock, tmp_path: Path) -> None:
    """One short wait awake is all that the end of a burst costs."""
    alertness = alone(tmp_path)
    for _ in range(PROVEN):
        clock.wait(alertness, 0)
    before = clock.now
    assert clock.wait(alertness, 0.1)
    assert clock.now - before == pytest.approx(0.1, abs=0.001)
    slept = clock.slept
    clock.wait(alertness, 0)
    assert clock.slept == slept + 1


def test_slow_traffic_and_a_lone_processor_always_sleep(clock: Clock, tmp_path: Path) -> None:
    """Nobody else could use a processor that waits awake."""
    for alertness, gap in ((alone(tmp_path), CLOSE_S * 2), (alone(tmp_path, count=1), 0.0)):
        slept = clock.slept
        for _ in range(3 * PROVEN):
            clock.wait(alertness, gap)
        assert clock.slept == slept + 3 * PROVEN
