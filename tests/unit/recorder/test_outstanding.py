"""How much may go ahead of its durability: records, bytes, milliseconds; and who waits in line for room."""

import asyncio
import time

import pytest

from magistrate.adapters.recorder.outstanding import MOST_BYTES, MOST_MS, MOST_RECORDS, Bound, Outstanding
from magistrate.evidence.draft import Body, Draft

HEADER = {
    "eid": "00000000-0000-7000-8000-000000000001", "t": "llm.request", "phase": "intent", "ts": 1, "trace": "",
    "tenant": "default",
}  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [
        {"records": 0},
        {"records": MOST_RECORDS + 1},
        {"bytes": MOST_BYTES + 1},
        {"ms": MOST_MS + 1},
        {"ms": 0},
    ],
)
def test_no_bound_can_be_set_above_the_ceilings_or_to_nothing(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="bound"):
        Bound(**wrong)


def test_each_of_the_three_measures_closes_by_itself() -> None:
    """Records by their number, bytes by their sum, time by the oldest."""
    out = Outstanding(Bound(records=2, bytes=100, ms=50))
    assert out.has_room(1000, 0.0)  # alone: what is too large by itself was never admitted
    out.add(1, 60, 0.0)
    assert out.has_room(40, 0.049)
    assert not out.has_room(41, 0.0)
    assert not out.has_room(1, 0.050)
    out.add(2, 10, 0.01)
    assert not out.has_room(1, 0.01)
    out.remove(1)
    assert out.has_room(90, 0.059)
    assert not out.has_room(91, 0.059)


def test_what_the_recorder_could_refuse_for_its_form_is_not_let_ahead() -> None:
    """A wrong id, a header that may become too long, content beyond the bound."""
    bound = Bound(bytes=1000)
    fits = Draft(dict(HEADER), (Body("request", "text/plain", b"x" * 900),))
    assert bound.admits(fits, 100)
    assert not bound.admits(fits, 101)
    assert not Bound().admits(fits, 33_000)
    assert not bound.admits(Draft({**HEADER, "eid": "none"}), 0)
    assert not bound.admits(Draft({**HEADER, "t": "writer.end"}), 0)


async def test_whoever_waits_is_woken_when_there_is_room_and_told_when_there_is_none_in_time() -> None:
    out = Outstanding(Bound(records=1))
    out.add(1, 1, time.monotonic())
    first = asyncio.ensure_future(out.turn(time.monotonic() + 5))
    second = asyncio.ensure_future(out.turn(time.monotonic() + 0.05))
    await asyncio.sleep(0)
    out.remove(1)
    assert await first
    assert not await second


async def test_a_turn_that_is_given_up_goes_to_the_next_in_line() -> None:
    """A client that goes away just when it is its turn must not leave the others waiting."""
    out = Outstanding(Bound(records=1))
    first, second = (asyncio.ensure_future(out.turn(time.monotonic() + 5)) for _ in range(2))
    await asyncio.sleep(0)
    out.wake()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert await asyncio.wait_for(second, 1)
