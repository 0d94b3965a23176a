"""A hold takes two people to come and two to go."""

import pytest

from magistrate.evidence.hold import REQUEST_US, Hold, HoldRefused, Person, Selector, State, place

ADA, BOB = Person("t-1", "Ada"), Person("t-2", "Bob")
NOW = 1_800_000_000_000_000


def requested() -> Hold:
    return place("h-1", Selector(subject="grace"), "lawsuit", ADA, NOW)


@pytest.mark.requirement("A4")
def test_a_hold_goes_its_way_by_two_people_each_time() -> None:
    """Requested, confirmed, release requested, released: every step names its person."""
    hold = requested().confirmed(BOB, NOW + 1)
    assert hold.state is State.CONFIRMED
    hold = hold.release_requested(BOB, NOW + 2)
    assert hold.protects(NOW + 3)
    hold = hold.confirmed(ADA, NOW + 3)
    assert not hold.protects(NOW + 4)
    assert [(state, token) for state, token, _ in hold.steps] == [
        ("requested", "t-1"),
        ("confirmed", "t-2"),
        ("release requested", "t-2"),
        ("released", "t-1"),
    ]


@pytest.mark.requirement("A4")
@pytest.mark.parametrize(
    "same", [Person("t-1", "Bob"), Person("t-9", "Ada"), Person("t-9", "ADA"), ADA], ids=str
)
def test_one_person_is_not_two_by_another_name_or_token(same: Person) -> None:
    """Neither one token under two names nor one name with two tokens confirms itself."""
    with pytest.raises(HoldRefused, match="same person"):
        requested().confirmed(same, NOW + 1)
    releasing = requested().confirmed(BOB, NOW + 1).release_requested(ADA, NOW + 2)
    with pytest.raises(HoldRefused, match="same person"):
        releasing.confirmed(same, NOW + 3)


def test_a_request_protects_for_a_week_and_then_lapses() -> None:
    """One person can hold what cannot be undone, and cannot hold it for ever."""
    hold = requested()
    assert hold.protects(NOW + REQUEST_US - 1)
    assert not hold.protects(NOW + REQUEST_US)
    with pytest.raises(HoldRefused, match="lapsed"):
        hold.confirmed(BOB, NOW + REQUEST_US)
    assert hold.confirmed(BOB, NOW + REQUEST_US - 1).protects(NOW + 100 * REQUEST_US)


def test_steps_out_of_order_are_refused() -> None:
    """Every transition that the table does not have."""
    hold = requested()
    with pytest.raises(HoldRefused, match="only a confirmed one"):
        hold.release_requested(BOB, NOW)
    confirmed = hold.confirmed(BOB, NOW)
    with pytest.raises(HoldRefused, match="nothing waits"):
        confirmed.confirmed(ADA, NOW)
    released = confirmed.release_requested(ADA, NOW).confirmed(BOB, NOW)
    for step in (released.release_requested, released.confirmed):
        with pytest.raises(HoldRefused):
            step(ADA, NOW)


@pytest.mark.parametrize(
    "selector",
    [Selector(), Selector(since_us=5, until_us=5), Selector(until_us=1 << 60), Selector(trace="x" * 201)],
)
def test_a_hold_on_everything_or_nothing_or_beyond_bounds_is_refused(selector: Selector) -> None:
    """All are mistakes."""
    with pytest.raises(HoldRefused):
        place("h-1", selector, "why", ADA, NOW)
