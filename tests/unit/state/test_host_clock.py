"""How the machine's clock stands, as records say it."""

import time

import pytest

from magistrate.adapters import host
from magistrate.adapters.host import STANDS_NS, Synchronisation, SystemClock, synchronisation
from magistrate.evidence.canonical import encode


@pytest.mark.requirement("A2")
@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (Synchronisation(holds=True, error_us=1234), {"src": "system", "sync": True, "err_us": 1234}),
        (Synchronisation(holds=False, error_us=16_000_000), {"src": "system", "sync": False}),
        (None, {"src": "system"}),
    ],
)
def test_a_clock_says_what_the_kernel_says_of_it_and_no_more(
    told: Synchronisation | None, expected: dict[str, object]
) -> None:
    """An error that the kernel does not bound any more is not given as one; what cannot be asked is left out."""
    standing = SystemClock(lambda: told).standing()
    assert standing == expected
    assert encode({"clk": dict(standing)})


def test_the_kernel_is_asked_once_a_second_and_not_for_each_record(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [Synchronisation(holds=True, error_us=1), Synchronisation(holds=True, error_us=2)]
    now = 5
    monkeypatch.setattr(time, "monotonic_ns", lambda: now)
    clock = SystemClock(lambda: answers.pop(0))
    assert [clock.standing()["err_us"] for _ in range(3)] == [1, 1, 1]
    now += STANDS_NS
    assert clock.standing()["err_us"] == 2
    assert answers == []


def test_this_kernel_can_be_asked_and_a_library_without_the_call_is_no_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = synchronisation()
    assert told is not None
    assert told.error_us >= 0
    monkeypatch.setattr(host.ctypes, "CDLL", lambda *_, **__: object())
    assert synchronisation() is None
