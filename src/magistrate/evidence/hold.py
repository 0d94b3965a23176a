"""Legal hold: what must not be destroyed, whatever retention or a person's request says.

*Selector*: which records; every condition that is set must hold.
*Hold*: placed by one person and confirmed by another; released by one and confirmed by another.

=================  ==================  ========================
state              it protects         next
=================  ==================  ========================
requested          for `REQUEST_US`    confirmed
confirmed          yes                 release requested
release requested  yes                 released
released           no
=================  ==================  ========================

A request protects at once, because destruction cannot be taken back; it lapses, because one person must not be able to
stop erasures for ever.
"""

from enum import StrEnum

import msgspec

from magistrate.evidence.canonical import LARGEST_INTEGER
from magistrate.evidence.retention import DAY_US

LONGEST = 200
REQUEST_US = 7 * DAY_US


class HoldRefused(ValueError):  # noqa: N818  because it is an answer
    """What was asked for does not follow from the hold's state, or the same person asked twice."""


class Person(msgspec.Struct, frozen=True):
    """Somebody whom a control-plane token stands for. ``name`` never goes into a header."""

    token: str = ""
    name: str = ""


class Selector(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which records. ``subject`` is a person's name; times in microseconds, ``until_us`` excluded."""

    subject: str = ""
    tenant: str = ""
    app: str = ""
    trace: str = ""
    since_us: int | None = None
    until_us: int | None = None


class State(StrEnum):
    REQUESTED = "requested"
    CONFIRMED = "confirmed"
    RELEASE_REQUESTED = "release requested"
    RELEASED = "released"


class Hold(msgspec.Struct, frozen=True):
    """One hold. ``asked`` is who took the last step that waits for a second person."""

    id: str
    selector: Selector
    reason: str
    state: State
    since_us: int
    asked: Person
    steps: tuple[tuple[str, str, int], ...]
    """State, token id and time of every step so far."""

    def protects(self, now_us: int) -> bool:
        if self.state is State.REQUESTED:
            return now_us < self.since_us + REQUEST_US
        return self.state is not State.RELEASED

    def confirmed(self, by: Person, now_us: int) -> "Hold":
        """Return the hold after the second person's word. Raises HoldRefused."""
        following = {State.REQUESTED: State.CONFIRMED, State.RELEASE_REQUESTED: State.RELEASED}.get(
            self.state
        )
        if following is None:
            raise HoldRefused(f"hold `{self.id}` is {self.state}: nothing waits for a second person")
        if self.state is State.REQUESTED and not self.protects(now_us):
            raise HoldRefused(f"the request for hold `{self.id}` has lapsed; place it anew")
        if by.token == self.asked.token or by.name.casefold() == self.asked.name.casefold():
            raise HoldRefused(f"hold `{self.id}` was asked for by the same person; another one must confirm")
        return self._stepped(following, by, now_us)

    def release_requested(self, by: Person, now_us: int) -> "Hold":
        """Return the hold after the first person's word for its release. Raises HoldRefused."""
        if self.state is not State.CONFIRMED:
            raise HoldRefused(f"hold `{self.id}` is {self.state}: only a confirmed one can be released")
        return self._stepped(State.RELEASE_REQUESTED, by, now_us)

    def _stepped(self, state: State, by: Person, now_us: int) -> "Hold":
        return msgspec.structs.replace(
            self, state=state, asked=by, steps=(*self.steps, (state.value, by.token, now_us))
        )


def place(hold_id: str, wanted: Selector, reason: str, by: Person, now_us: int) -> Hold:
    """Return a requested hold. Raises HoldRefused: it would select everything, or nothing."""
    if wanted == Selector():
        raise HoldRefused("a hold on everything is none; name a subject, trace, application, tenant or time")
    if None not in (wanted.since_us, wanted.until_us) and not wanted.since_us < wanted.until_us:  # type: ignore[operator]  # because None was just excluded
        raise HoldRefused("the time range is empty")
    texts = (wanted.subject, wanted.tenant, wanted.app, wanted.trace)
    if any(len(text) > LONGEST for text in texts):
        raise HoldRefused(f"a condition has more than {LONGEST} characters")
    if not all(0 <= moment <= LARGEST_INTEGER for moment in (wanted.since_us or 0, wanted.until_us or 0)):
        raise HoldRefused("a time lies outside of what a record can hold")
    step = (State.REQUESTED.value, by.token, now_us)
    return Hold(hold_id, wanted, reason, State.REQUESTED, now_us, by, (step,))
