"""What records say of each other, so that an omission is found and not only an alteration.

*Sequence*: each writer counts its records; a number left out is a record left out. *Custody*: each trace is a chain
(``prev``), its end counts it, outcomes name their intents and effects their causes. *Pulse*: the recorder announces how often it will be
heard; a longer silence is shown, and who announced its end is told apart from who fell silent.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from magistrate.evidence.costs import Costs
from magistrate.evidence.handed import Handed
from magistrate.evidence.noted import Noted
from magistrate.evidence.said import Said, carried, continues

LONGEST_CALL_US = 3_600_000_000
"""A call that is open longer than this, by the log's own time, is remarked on: no endpoint may be silent so long."""

TRACE_CLOSE = "trace.close"
"""Says how many records a trace has since it began or was last closed (``ext.records``)."""
PATIENCE = 3
"""So many announced intervals may pass before a silence is one: a busy disk delays a heartbeat, and so does a full one."""


class Sequences:
    """Each writer's own count."""

    def __init__(self, noted: Noted) -> None:
        self._noted = noted
        self._last: dict[str, int] = {}

    def add(self, place: str, record: Said) -> None:
        writer, number = record.wid, record.wseq
        before = self._last.get(writer, 0)
        if number <= before:
            self._noted.tampered(place, f"writer `{writer}` counted {number} after {before}")
        elif number > before + 1:
            missing = "a record is" if number == before + 2 else f"{number - before - 1} records are"
            self._noted.tampered(
                place, f"writer `{writer}` went from {before} to {number}: {missing} missing"
            )
        self._last[writer] = number


class Custody:
    """The chains of traces, and what names what as its cause. Records are added in the log's order.

    ``before`` is that of the shard before this one, if it was read too; ``follows`` says that there is one.
    """

    def __init__(self, noted: Noted, before: "Custody | None" = None, *, follows: bool = False) -> None:
        self._noted = noted
        self._before = before
        self._follows = follows
        self._carried: set[str] = set()
        """Open calls that were taken over from the shard before."""
        self._last: dict[str, str] = {}
        self._since: dict[str, int] = {}
        """How many records each trace has since it began or was last closed."""
        self._ids: set[str] = set()
        self.still_open: dict[str, tuple[str, str, int]] = {}
        """Open calls: place, trace and time."""
        self._unknown: dict[str, list[str]] = {}
        """Causes that are not recorded so far, and the places that name them."""

    @property
    def open_calls(self) -> int:
        return len(self.still_open)

    def add(self, place: str, record: Said) -> None:
        eid, trace = record.eid, record.trace
        if self.knows(eid):
            self._noted.tampered(place, f"`{eid}` was recorded before")
        self._chain(place, record)
        self._follows = self._follows or continues(record)
        for call, of in carried(record.t, record.ext).items():
            # Opened in the shard before this one, and known from there if that one was read too.
            self.still_open.setdefault(call, (place, of, record.ts))
            self._carried.add(call)
        for cause in record.cause:
            if not self.knows(cause):
                self._unknown.setdefault(cause, []).append(place)
            elif record.phase == "outcome":
                self._close(place, cause, trace)
        if record.t == "recovery":
            for call in _named(record):
                self.still_open.pop(call, None)
        if record.phase == "intent":
            self.still_open[eid] = (place, trace, record.ts)
        self._ids.add(eid)
        if eid in self._unknown:
            for earlier in self._unknown.pop(eid):
                self._noted.tampered(
                    earlier, f"names `{eid}` as its cause, which is recorded after it ({place})"
                )
        if trace:
            self._last[trace] = record.digest
            self._count(place, record)

    def next_shard(self) -> None:
        """Take what follows as records of the shard after this one, in which each trace's chain begins anew."""
        self._last.clear()
        self._since.clear()

    def knows(self, eid: str) -> bool:
        """Return whether a record was added here, or in a shard before, or is an open call taken over from there."""
        return (
            eid in self._ids or eid in self._carried or (self._before is not None and self._before.knows(eid))
        )

    def finish(self) -> None:
        """Tell of causes that never came, and of calls that were taken over and never open."""
        for cause, places in self._unknown.items():
            for place in places:
                if self.follows_unread():
                    self._noted.undecidable(
                        place, f"names `{cause}` as its cause, which would stand in a shard before this one"
                    )
                else:
                    self._noted.tampered(place, f"names `{cause}` as its cause, which is not recorded here")
        if self._before is not None:
            for call in sorted(self._carried.difference(self._before.still_open)):
                self._noted.tampered("record 0", f"takes over the call `{call}`, which was not open")

    def follows_unread(self) -> bool:
        """Return whether a shard before was not read."""
        return self._follows if self._before is None else self._before.follows_unread()

    def open(self) -> Iterator[tuple[str, str, int]]:
        """Yield place, id and time of the calls that nothing closed."""
        return ((place, eid, ts) for eid, (place, _, ts) in self.still_open.items())

    def _chain(self, place: str, record: Said) -> None:
        before = self._last.get(record.trace, "")
        if record.prev and record.prev != before:
            self._noted.tampered(
                place, "does not follow the record before it in its trace: one is missing, or another one"
            )
        elif before and not record.prev:
            self._noted.remark(place, f"begins the trace `{record.trace}` anew")

    def _count(self, place: str, record: Said) -> None:
        trace = record.trace
        before = self._since.get(trace, 0) if record.prev else 0
        if record.t == TRACE_CLOSE:
            said = record.ext.get("records")
        else:
            before, said = before + 1, record.closes
            if said is None:
                self._since[trace] = before
                return
        if said != before:
            self._noted.tampered(place, f"closes its trace with {said} records, {before} are here")
        self._since.pop(trace, None)

    def _close(self, place: str, intent: str, trace: str) -> None:
        known = self.still_open.get(intent)
        if known is not None and known[1] != trace:
            self._noted.tampered(place, f"ends the call `{intent}` of another trace")
        self.still_open.pop(intent, None)


class Pulse:
    """The recorder's own records: what it announced, and when it was heard."""

    def __init__(self, noted: Noted) -> None:
        self._noted = noted
        self._every_us = 0
        self._heard: tuple[str, int] | None = None
        self._stopped = False

    def add(self, place: str, record: Said) -> None:
        if not record.own:
            return
        ts = record.ts
        if self._heard is not None and self._every_us and not self._stopped:
            silence = ts - self._heard[1]
            if silence > PATIENCE * self._every_us:
                self._noted.remark(
                    place,
                    f"nothing was heard of the recorder for {silence / 1e6:.0f} s before this (since {self._heard[0]}); "
                    f"it announced a heartbeat every {self._every_us / 1e6:g} s"
                    + (", and this record recovers from a crash" if record.t == "recovery" else ""),
                )
            elif silence < 0:
                self._noted.remark(place, f"the recorder's clock went back by {-silence / 1e6:.3f} s")
        every = record.ext.get("heartbeat_ms", 0)
        self._every_us = every * 1000 if type(every) is int and 0 < every <= 86_400_000 else self._every_us
        # The log's keys are changed while the recorder stands still: that record is the last one, like a stop.
        changed = record.t == "key.event" and "next" in record.ext
        self._heard = place, ts
        self._stopped = changed or record.t in {"recorder.stop", "shard.close"}


class Links:
    """Sequence, custody, pulse, hand-overs and costs of one shard; ``before``: those of the shard before it, if it was read too."""

    def __init__(self, noted: Noted, before: "Links | None" = None) -> None:
        self._noted = noted
        self._sequences = Sequences(noted)
        self.custody: Custody = Custody(noted, before.custody if before else None)
        self._pulse = Pulse(noted)
        self.handed: Handed = Handed(noted, before.handed if before else None)
        self.costs: Costs = Costs(noted, before.costs if before else None)
        self._latest = 0

    @property
    def open_calls(self) -> int:
        return self.custody.open_calls

    def add(self, place: str, record: Said) -> None:
        """Take one record, in the log's order."""
        self._sequences.add(place, record)
        self.custody.add(place, record)
        if record.own:
            self._pulse.add(place, record)
        self.handed.add(place, record)
        self.costs.add(place, record)
        self._latest = max(self._latest, record.ts)

    def finish(self) -> None:
        """Tell what only the end shows. Of a closed shard: once the one after it has been read, if it is here."""
        self.custody.finish()
        self.handed.finish()
        for place, eid, ts in self.custody.open():
            if self._latest - ts > LONGEST_CALL_US:
                self._noted.remark(
                    place, f"the call `{eid}` has neither an outcome nor a recovery that names it"
                )


def _named(recovery: Said) -> list[str]:
    calls = recovery.ext.get("calls", [])
    return [call for call in calls if type(call) is str] if type(calls) is list else []


def is_end(header: Mapping[str, Any]) -> bool:
    """Return whether a record says that its trace ends with it."""
    return header["t"] == TRACE_CLOSE or "closes" in header
