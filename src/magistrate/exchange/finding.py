"""Finding: what a detector saw."""

from enum import StrEnum

import msgspec

INCOMPLETE = "inspection.incomplete"
"""The label of what could not be inspected to its end."""


class FindingStatus(StrEnum):
    FOUND = "found"
    INDETERMINATE = "indeterminate"
    """The detector raised, ran out of time, or could not read the part. The fail-mode table decides."""


class Finding(msgspec.Struct, frozen=True, gc=False):
    """A label on a span of a part. Never carries the value itself.

    ``part`` is the index into the exchange's (or answer's) parts, -1 for the whole; ``start`` and ``end``
    are characters of the part's original text. ``score_milli`` is 0..1000 because evidence holds no floats.
    """

    label: str
    detector: str
    version: str
    part: int = -1
    start: int = 0
    end: int = 0
    score_milli: int = 1000
    status: FindingStatus = FindingStatus.FOUND
    view: str = "raw"
    """Which spelling it was found in: ``raw``, ``normal`` (confusables folded), ``base64``…"""
    detail: str = ""
    """Rule id or failure reason; never content."""
    also: tuple[str, ...] = ()
    """What else overlapped here, under labels of their own: one place is marked once, and no label is lost."""

    @property
    def labels(self) -> tuple[str, ...]:
        return (self.label, *self.also)


def incomplete(detector: str, version: str, reason: str) -> Finding:
    """Return the finding that says that ``detector`` has no verdict. ``reason`` never holds content."""
    return Finding(INCOMPLETE, detector, version, status=FindingStatus.INDETERMINATE, detail=reason)
