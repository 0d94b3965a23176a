"""Stretches of a log: for each run of records, when they were written at the earliest and at the latest, as others prove it.

A beacon says that what stands behind it is not older, a time-stamp that what it covers is not younger. The times that the
records themselves claim play no part.
"""

from collections import deque
from collections.abc import Sequence
from itertools import pairwise

import msgspec

MOST_STRETCHES = 1000
"""So many are listed; further ones are joined to those at the end."""


class Stretch(msgspec.Struct, frozen=True):
    """Records ``first`` to ``last``: not before and not after, in microseconds, and by whom; 0 and empty where nobody says."""

    place: str
    first: int
    last: int
    not_before_us: int = 0
    not_after_us: int = 0
    begins_by: str = ""
    ends_by: str = ""


class Bound(msgspec.Struct, frozen=True):
    """What somebody proves: records from ``at`` on are not older than ``time_us``, or those below ``at`` not younger."""

    at: int
    time_us: int
    by: str


NOBODY = Bound(0, 0, "")


def stretches(
    size: int, earliest: Sequence[Bound], latest: Sequence[Bound], place: str = ""
) -> list[Stretch]:
    """Return the stretches of a log of ``size`` between the bounds, those with neither left out."""
    cuts = sorted({0, size, *(bound.at for bound in (*earliest, *latest) if 0 < bound.at < size)})
    if len(cuts) > MOST_STRETCHES + 1:
        cuts = [*cuts[:MOST_STRETCHES], size]
    after = _ends(cuts[1:], latest)
    lower = deque(sorted(earliest, key=_at))
    found: list[Stretch] = []
    begins = NOBODY
    for start, end in pairwise(cuts):
        while lower and lower[0].at <= start:
            begins = max(begins, lower.popleft(), key=_time)
        ends = after.get(end, NOBODY)
        if begins.by or ends.by:
            found.append(Stretch(place, start, end - 1, begins.time_us, ends.time_us, begins.by, ends.by))
    return found


def _ends(cuts: Sequence[int], latest: Sequence[Bound]) -> dict[int, Bound]:
    """Return the earliest time that anybody proves for what lies below each of ``cuts``."""
    upper, best = deque(sorted(latest, key=_at, reverse=True)), NOBODY
    after: dict[int, Bound] = {}
    for cut in reversed(cuts):
        while upper and upper[0].at >= cut:
            bound = upper.popleft()
            best = min(best, bound, key=_time) if best.by else bound
        if best.by:
            after[cut] = best
    return after


def _at(bound: Bound) -> int:
    return bound.at


def _time(bound: Bound) -> int:
    return bound.time_us
