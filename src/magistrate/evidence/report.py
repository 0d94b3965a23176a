"""What a verification found: a verdict, problems that led to it, and remarks that did not."""

from collections.abc import Iterable, Mapping
from enum import StrEnum

import msgspec

from magistrate.evidence.stretches import Stretch

MOST_FINDINGS = 1000


class Verdict(StrEnum):
    """Worst first: one problem of a kind decides."""

    TAMPERED = "tampered"
    UNDECIDABLE = "undecidable"
    """Something that is needed cannot be read or is not trusted; what could be read is as it was."""
    STALE = "stale"
    """Everything is as it was, but it ends longer ago than it should."""
    VALID = "valid"


class Problem(msgspec.Struct, frozen=True):
    """What is wrong, and where."""

    verdict: Verdict
    place: str
    what: str


class Remark(msgspec.Struct, frozen=True):
    """What an auditor wants to know and nobody falsified: a silence, a call that never ended, a clock that was off."""

    place: str
    what: str


class Report(msgspec.Struct, frozen=True):
    """``open_calls`` are intents without an outcome, and without a recovery that names them.

    ``stamps`` counts the time-stamps that verified; ``cosigned`` says which witnesses cosigned, and when (seconds).
    """

    verdict: Verdict
    size: int
    bodies: int
    open_calls: int
    findings: tuple[Problem, ...] = ()
    remarks: tuple[Remark, ...] = ()
    stamps: int = 0
    cosigned: Mapping[str, int] = {}
    erased: int = 0
    """Bodies that are not there because a recorded erasure destroyed their key."""
    pruned: int = 0
    """Bodies that are not there because their retention had ended, as a record says."""
    beacons: int = 0
    """Values of beacons that verified."""
    stretches: tuple[Stretch, ...] = ()
    """Between which times records were written, as beacons and time-stamps prove it."""


def worst(problems: Iterable[Problem]) -> Verdict:
    """Return the verdict that ``problems`` add up to."""
    found = {problem.verdict for problem in problems}
    return next((verdict for verdict in Verdict if verdict in found), Verdict.VALID)
