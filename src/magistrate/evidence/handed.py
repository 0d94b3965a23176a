"""Records that went ahead of their durability, and whether each of them arrived.

A writer numbers what it hands over under `bounded-async` (``handed``), and every record of its says how far it has
counted. A number that never came is a record that was lost, or left out: the log alone cannot tell which. When the
recorder crashes and a writer is not heard again, the last ones may be missing without any number after them; that is
said too, with how many they can be. `writer.end` says that everything of a writer was read.

A writer goes on counting when a shard is closed. In a shard that follows another one its numbers begin where that one left
them; if that one was not read, with the first that is named.
"""

from typing import Any

from magistrate.evidence.noted import Noted
from magistrate.evidence.said import Said, continues

MOST_MISSING = 10_000
"""Numbers of one writer that are remembered as missing; far more than any bound lets go ahead."""


class _Writer:
    """One writer's count."""

    __slots__ = ("bound", "crashed", "earlier", "ended", "highest", "missing", "place", "uncounted")

    def __init__(self, highest: int = 0, earlier: "_Writer | None" = None) -> None:
        self.highest = highest
        self.earlier = earlier
        """The same writer in the shard where it was heard before."""
        self.missing: dict[int, str] = {}
        """Numbers that did not come, and the place that counts beyond each."""
        self.uncounted = 0
        self.bound: dict[str, Any] = {}
        self.place = ""
        self.ended = False
        self.crashed = ""
        """The recovery since which nothing was heard of it."""

    def count(self, number: int, place: str, *, itself: bool) -> None:
        """Take note of number ``number``; ``itself``: the record that says so is that one."""
        if number > self.highest:
            gap = range(self.highest + 1, number if itself else number + 1)
            room = max(0, MOST_MISSING - len(self.missing))
            self.missing.update((each, place) for each in gap[:room])
            self.uncounted += len(gap[room:])
            self.highest = number
        elif itself and self.missing.pop(number, None) is None and self.earlier is not None:
            self.earlier.count(number, place, itself=True)  # handed over again, and kept in this shard


class Handed:
    """Takes what every record says, in the log's order; `finish` tells what did not arrive.

    ``before``: that of the shard before this one, if it was read too.
    """

    def __init__(self, noted: Noted, before: "Handed | None" = None) -> None:
        self._noted = noted
        self._before = before
        self._follows = False
        """Whether the records are those of a shard that follows another one."""
        self._writers: dict[str, _Writer] = {}

    def add(self, place: str, record: Said) -> None:
        self._follows = self._follows or continues(record)
        if record.t == "recovery":
            for writer in self._writers.values():
                if not writer.ended:
                    writer.crashed = writer.crashed or place
        elif record.t == "writer.end" and type(record.ext.get("writer")) is str:
            self._count(record.ext["writer"], record.ext.get("handed"), place, itself=False, ended=True)
        elif record.hand is not None:
            number, ahead, bound = (record.hand[name] for name in ("handed", "ahead", "bound"))
            counted = self._count(record.wid, number, place, itself=ahead, ended=False)
            if counted is not None and type(bound) is dict:
                counted.bound = bound

    def finish(self) -> None:
        """Tell of what went ahead and is not on record."""
        for name, writer in self._writers.items():
            missing = len(writer.missing) + writer.uncounted
            if missing:
                first = next(iter(writer.missing.items()), (0, writer.place))
                self._noted.undecidable(
                    first[1],
                    f"writer `{name}` let {missing} records go ahead that are not here, the first of them its number"
                    f" {first[0]}: lost before they were durable, or left out",
                )
            if writer.crashed:
                records, ms = (writer.bound.get(each, "?") for each in ("records", "ms"))
                self._noted.remark(
                    writer.crashed,
                    f"nothing more was heard of writer `{name}` after this crash (last at {writer.place}), whose calls"
                    f" went ahead before they were durable: up to {records} of its last, begun within {ms} ms,"
                    " may have left no record",
                )

    def _first_heard(self, name: str, least: int) -> _Writer:
        """Return a writer as it comes into this shard; ``least``: how far it had counted before, at the least."""
        earlier = self._before.heard(name) if self._before is not None else None
        if earlier is not None:
            earlier.crashed = ""
            self._writers[name] = _Writer(earlier.highest, earlier)
        else:
            self._writers[name] = _Writer(least if self.follows_unread() else 0)
        return self._writers[name]

    def heard(self, name: str) -> _Writer | None:
        """Return what is known of a writer, here or in the shards before."""
        return self._writers.get(name) or (self._before.heard(name) if self._before is not None else None)

    def follows_unread(self) -> bool:
        """Return whether a shard before was not read."""
        return self._follows if self._before is None else self._before.follows_unread()

    def _count(self, name: str, number: object, place: str, *, itself: bool, ended: bool) -> _Writer | None:
        if type(number) is not int or number < 0:
            self._noted.tampered(place, "`handed` is no number")
            return None
        writer = self._writers.get(name) or self._first_heard(name, number - 1 if itself else number)
        writer.count(number, place, itself=itself)
        writer.place, writer.ended, writer.crashed = place, ended, ""
        return writer
