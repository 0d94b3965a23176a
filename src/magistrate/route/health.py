"""Health as a value: consecutive failures eject an endpoint for a while, then it gets one call to prove itself."""

import msgspec

EJECT_AFTER = 5
"""Consecutive failures. Envoy's outlier detection uses the same number."""

FIRST_EJECTION_US = 5_000_000
LONGEST_EJECTION_US = 300_000_000


class Mark(msgspec.Struct, frozen=True):
    """What is known of one endpoint. ``until_us`` 0 means that it is not ejected."""

    failures: int = 0
    ejections: int = 0
    until_us: int = 0


class Health(msgspec.Struct, frozen=True):
    """Marks by endpoint id; an endpoint without a mark is well."""

    marks: dict[str, Mark] = {}

    def ejected_until(self, endpoint_id: str, now_us: int) -> int:
        """Return when the endpoint may be tried again, or 0 if it may be tried now."""
        mark = self.marks.get(endpoint_id)
        return mark.until_us if mark and mark.until_us > now_us else 0


def advance(health: Health, endpoint_id: str, *, success: bool, now_us: int) -> Health:
    """Return the health after one attempt.

    After an ejection has passed, a single failure ejects again, for twice as long; a success clears the mark.
    """
    mark = health.marks.get(endpoint_id, Mark())
    if success:
        if mark == Mark():
            return health
        marks = {name: other for name, other in health.marks.items() if name != endpoint_id}
        return Health(marks)
    failures = mark.failures + 1
    half_open = mark.ejections > 0
    if failures < EJECT_AFTER and not half_open:
        changed = Mark(failures, mark.ejections, mark.until_us)
    else:
        length = min(FIRST_EJECTION_US << min(mark.ejections, 10), LONGEST_EJECTION_US)
        changed = Mark(failures, mark.ejections + 1, now_us + length)
    return Health({**health.marks, endpoint_id: changed})
