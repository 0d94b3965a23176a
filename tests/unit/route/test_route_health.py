"""Outlier ejection: repeated failures, a growing bounded time, one success heals."""

import pytest

from magistrate.route import health as room
from magistrate.route.health import (
    EJECT_AFTER,
    FIRST_EJECTION_US,
    LONGEST_EJECTION_US,
    MOST_MARKS,
    Health,
    advance,
)

pytestmark = pytest.mark.requirement("R6")


def _failing(health: Health, times: int, now_us: int = 0) -> Health:
    for _ in range(times):
        health = advance(health, "a", success=False, now_us=now_us)
    return health


def test_an_endpoint_is_ejected_after_consecutive_failures_only() -> None:
    """A success in between starts the count again."""
    almost = _failing(Health(), EJECT_AFTER - 1)
    assert almost.ejected_until("a", 0) == 0
    assert _failing(almost, 1).ejected_until("a", 0) == FIRST_EJECTION_US
    healed = advance(almost, "a", success=True, now_us=0)
    assert healed == Health()
    assert _failing(healed, EJECT_AFTER - 1).ejected_until("a", 0) == 0


def test_others_are_not_touched() -> None:
    """Health is kept per endpoint."""
    assert _failing(Health(), EJECT_AFTER).ejected_until("b", 0) == 0


def test_each_further_failure_ejects_for_twice_as_long_up_to_a_bound() -> None:
    """One failed try after an ejection is enough; the time never exceeds five minutes."""
    health, now, lengths = _failing(Health(), EJECT_AFTER), 0, []
    for _ in range(12):
        until = health.ejected_until("a", now)
        lengths.append(until - now)
        now = until
        assert health.ejected_until("a", now) == 0
        health = advance(health, "a", success=False, now_us=now)
    assert lengths[:4] == [FIRST_EJECTION_US * factor for factor in (1, 2, 4, 8)]
    assert lengths[-1] == max(lengths) == LONGEST_EJECTION_US


def test_calls_under_way_at_ejection_do_not_lengthen_it() -> None:
    """A hundred calls that fail together are one failure of the endpoint."""
    assert _failing(Health(), 100) == _failing(Health(), EJECT_AFTER)


def test_a_success_heals_entirely() -> None:
    """The next ejection is as short as the first."""
    ejected = _failing(Health(), EJECT_AFTER)
    healed = advance(ejected, "a", success=True, now_us=FIRST_EJECTION_US)
    assert _failing(healed, EJECT_AFTER).ejected_until("a", 0) == FIRST_EJECTION_US


def test_health_is_a_value() -> None:
    """Advancing returns another one and leaves the first as it was."""
    before = _failing(Health(), 1)
    assert advance(before, "a", success=False, now_us=0) != before
    assert before == _failing(Health(), 1)
    assert advance(before, "b", success=True, now_us=0) is before


def test_marks_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients name models, so they could otherwise fill the memory with failures."""
    assert MOST_MARKS <= 10_000
    monkeypatch.setattr(room, "MOST_MARKS", 3)
    health = Health()
    for name in "abcd":
        health = advance(health, name, success=False, now_us=0)
    assert list(health.marks) == ["b", "c", "d"]
