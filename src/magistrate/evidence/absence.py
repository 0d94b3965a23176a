"""Absence: why a body that the log commits to is not there, as the log itself tells it.

A body may go by order only: its key was erased, or its segment's retention had ended. Whatever else is gone is missing.
Bodies are counted by place and key, not remembered one by one, because years of them may have gone.
"""

from typing import Any

import msgspec

from magistrate.evidence.noted import Noted

Folder = tuple[str, str]
"""A shard's name, and a folder in it. An order in one shard may speak of bodies in another."""


class _Gone(msgspec.Struct):
    """Bodies of one place and key that are not there."""

    count: int
    first: str
    until: int


class _Pruned(msgspec.Struct):
    """What was pruned of one folder: bodies by segment, and when the last of it went."""

    bodies: dict[tuple[str, str], int]
    when: int = 0


class Absences:
    """Takes every header in the log's order and every body that is not there; then tells which were to go."""

    def __init__(self) -> None:
        self._erased: set[str] = set()
        self._pruned: dict[Folder, _Pruned] = {}
        self._gone: dict[tuple[Folder, str], _Gone] = {}
        self.erased = 0
        self.pruned = 0

    def saw(self, log: str, kind: str, ts: int, facts: dict[str, Any]) -> None:
        """Take note of a record of ``log`` that orders bodies to go: its type, its time, and what it says."""
        if kind == "erasure.order":
            self._erased.update(kid for kid in _listed(facts, "kids") if isinstance(kid, str))
        elif kind == "retention.prune":
            for segment in _listed(facts, "segments"):
                if isinstance(segment, dict) and isinstance(segment.get("name"), str):
                    self._doom(str(segment.get("log", log)), segment, ts)

    def _doom(self, log: str, segment: dict[str, Any], when: int) -> None:
        name, count = segment["name"], segment.get("bodies")
        pruned = self._pruned.setdefault((log, name.rpartition("/")[0]), _Pruned({}))
        # Named again after a crash, a segment is still one: it excuses what stood in it, once.
        pruned.bodies[name, str(segment.get("sha256"))] = count if type(count) is int and count > 0 else 0
        pruned.when = max(pruned.when, when)

    def missing(self, place: str, folder: Folder, kid: str, until: int | None) -> None:
        """Take note of a body that is not there, where its segment would be, its key, and until when it was to be kept.

        One whose record does not say until when was to be kept for ever.
        """
        gone = self._gone.setdefault((folder, kid), _Gone(0, place, 0))
        gone.count += 1
        gone.until = max(gone.until, 1 << 62 if until is None else until)

    def tell(self, noted: Noted) -> None:
        """Note all that is gone without a good order, and count the rest."""
        for place, what, too_early in self.unexplained():
            (noted.tampered if too_early else noted.undecidable)(place, what)

    def unexplained(self) -> list[tuple[str, str, bool]]:
        """Return place, words and whether it was a breach of retention, for all that is gone without a good order.

        Counts `erased` and `pruned` for the rest.
        """
        found: list[tuple[str, str, bool]] = []
        left = {folder: sum(pruned.bodies.values()) for folder, pruned in self._pruned.items()}
        for (folder, kid), gone in self._gone.items():
            others = f" (and {gone.count - 1} more like it)" if gone.count > 1 else ""
            if kid in self._erased:
                self.erased += gone.count
            elif left.get(folder, 0) < gone.count:
                found.append((gone.first, f"the body is not kept here any more{others}", False))
            elif self._pruned[folder].when < gone.until:
                found.append(
                    (gone.first, f"the body was pruned before its retention had ended{others}", True)
                )
            else:
                left[folder] -= gone.count
                self.pruned += gone.count
        return found


def _listed(facts: dict[str, Any], name: str) -> list[Any]:
    value = facts.get(name)
    return value if isinstance(value, list) else []
