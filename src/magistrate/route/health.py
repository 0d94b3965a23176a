"""Health as a value: consecutive failures eject an endpoint for a while; then the next failure ejects it for longer."""

import msgspec

EJECT_AFTER = 5
"""Consecutive failures. Envoy's outlier detection uses the same number."""

FIRST_EJECTION_US = 5_000_000
LONGEST_EJECTION_US = 300_000_000

MOST_MARKS = 1024
"""Clients choose model names where a provider takes any, so marks are bounded: the oldest is forgotten first."""


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

    A success clears the mark. After an ejection has passed, a single failure ejects again, for twice as long. While it
    lasts, failures say nothing new: they are calls that were under way when the endpoint was ejected.
    """
    mark = health.marks.get(endpoint_id)
    if success:
        if mark is None:
            return health
        return Health({name: other for name, other in health.marks.items() if name != endpoint_id})
    mark = mark or Mark()
    if mark.until_us > now_us:
        return health
    failures = mark.failures + 1
    if failures < EJECT_AFTER and not mark.ejections:
        return _marked(health, endpoint_id, Mark(failures))
    length = min(FIRST_EJECTION_US << min(mark.ejections, 10), LONGEST_EJECTION_US)
    return _marked(health, endpoint_id, Mark(failures, mark.ejections + 1, now_us + length))


def _marked(health: Health, endpoint_id: str, mark: Mark) -> Health:
    marks = {**health.marks, endpoint_id: mark}
    if len(marks) > MOST_MARKS:
        del marks[next(iter(marks))]
    return Health(marks)
