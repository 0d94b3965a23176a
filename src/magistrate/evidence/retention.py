"""Retention: how long a class of records is kept, and which class a record gets.

A record's class and ``until`` are fixed when it is written. A class may be lengthened afterwards, never shortened.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from magistrate.evidence.canonical import LARGEST_INTEGER

DAY_US = 86_400_000_000
LAST_DAY = 2_932_896
"""9999-12-31: the last that has a date of four digits."""

FLOORS: Mapping[str, int] = {"hipaa": 2192, "sec-17a-4": 2192, "pci": 366, "eu-ai-act": 184}
"""Least days of each class named after a rule: six years (45 CFR 164.316(b)(2)(i), 17 CFR 240.17a-4(a)), twelve months
(PCI DSS v4.0.1 10.5.1), six months (EU AI Act Art. 19 and 26(6)); leap days are counted in."""

STANDARD = "standard"
BUILT_IN: Mapping[str, int] = {**FLOORS, STANDARD: 366}
BINDING = ("sec-17a-4",)
LABELS: Mapping[str, str] = {"phi": "hipaa", "pci": "pci"}


class Schedule(msgspec.Struct, frozen=True):
    """Days of each class, the class of each label, and the classes that even an erasure must leave alone for their time."""

    days: dict[str, int] = msgspec.field(default_factory=lambda: dict(BUILT_IN))
    labels: dict[str, str] = msgspec.field(default_factory=lambda: dict(LABELS))
    default: str = STANDARD
    binding: tuple[str, ...] = BINDING

    def class_of(self, labels: Sequence[str]) -> str:
        """Return the longest class that a label asks for. ``phi`` speaks for ``phi.mrn`` too."""
        if not labels:
            return self.default
        families = {
            label[:end]
            for label in labels
            for end in (*(at for at, sign in enumerate(label) if sign == "."), len(label))
        }
        wanted = {self.labels[family] for family in families if family in self.labels} | {self.default}
        return max(wanted, key=lambda name: (self.days.get(name, 0), name != self.default, name))

    def stamp(self, name: str, now_us: int) -> dict[str, object]:
        """Return the ``ret`` of a record written now.

        Raises:
            ValueError: there is no such class.
        """
        if name not in self.days:
            raise ValueError(f"the retention class `{name}` is not configured")
        days = self.days[name]
        return {"class": name, "days": days, "until": now_us + days * DAY_US}

    def end_of(self, bound: "Bound") -> int | None:
        """Return when a key may go, in microseconds: as its records say, or later where its class was lengthened since."""
        if bound.until_us is None:
            return None
        lengthened = bound.begun_us + self.days.get(bound.retention, 0) * DAY_US
        return min(max(bound.until_us, lengthened), LARGEST_INTEGER)

    def strengthened_by(self, kept: "Promised") -> tuple["Schedule", list[dict[str, object]]]:
        """Return the schedule in force where ``kept`` was in force before, and what that changes or refuses to change.

        The longer of two always stands; a class that is configured no more stays as it was; what binds goes on binding.
        """
        changes: list[dict[str, object]] = [
            {
                "class": name,
                "from": kept.days.get(name, 0),
                "to": days,
                "refused": days < kept.days.get(name, 0),
            }
            for name, days in sorted(self.days.items())
            if days != kept.days.get(name)
        ]
        changes += [
            {"class": name, "binding": name in self.binding, "refused": name not in self.binding}
            for name in sorted({*self.binding} ^ {*kept.binding})
        ]
        days = {
            name: max(self.days.get(name, 0), kept.days.get(name, 0)) for name in {*self.days, *kept.days}
        }
        binding = tuple(sorted({*self.binding, *kept.binding}))
        return msgspec.structs.replace(self, days=days, binding=binding), changes

    def kept(self) -> "Promised":
        """Return what the next start has to stand by."""
        return Promised(self.days, self.binding)


class Bound(msgspec.Struct, frozen=True):
    """A key that a binding class keeps, and until when: by the newest ``until`` of the records under it.

    ``begun_us`` is when the retention of the newest began. No ``until_us``: not all of its records can be read now.
    """

    kid: str
    retention: str
    until_us: int | None = None
    begun_us: int = 0


class Promised(msgspec.Struct, frozen=True):
    """What of a schedule can only grow."""

    days: dict[str, int] = {}
    binding: tuple[str, ...] = ()


def span_of(header: Mapping[str, Any]) -> tuple[int, int]:
    """Return when a record's retention began and until when it lasts, in microseconds, as the recorder stamped it."""
    ret = header["ret"]
    return ret["until"] - ret["days"] * DAY_US, ret["until"]


def day_of(header: Mapping[str, object]) -> int:
    """Return the day (days since the epoch) on which a record's retention began, by the recorder's clock."""
    ret, ts = header.get("ret"), header.get("ts")
    until, days = (ret.get("until"), ret.get("days")) if isinstance(ret, dict) else (None, None)
    begun = until - days * DAY_US if type(until) is int and type(days) is int else ts
    day = begun // DAY_US if type(begun) is int else 0
    return day if 0 <= day <= LAST_DAY else 0


def ended(day: int, days: int, now_us: int) -> bool:
    """Return whether everything of ``day`` has been kept for ``days``."""
    return now_us >= (day + 1 + days) * DAY_US
