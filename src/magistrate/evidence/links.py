"""What records say of each other, so that an omission is found and not only an alteration.

*Sequence*: each writer counts its records; a number left out is a record left out. *Custody*: each trace is a chain
(``prev``), outcomes name their intents and effects their causes. *Pulse*: the recorder announces how often it will be
heard; a longer silence is shown, and who announced its end is told apart from who fell silent.
"""

import hashlib
from collections.abc import Iterator
from typing import Any

from magistrate.evidence.report import MOST_FINDINGS, Problem, Remark, Verdict

LONGEST_CALL_US = 3_600_000_000
"""A call that is open longer than this, by the log's own time, is remarked on: no endpoint may be silent so long."""

PATIENCE = 3
"""So many announced intervals may pass before a silence is one: a busy disk delays a heartbeat, and so does a full one."""


class Noted:
    """Problems and remarks under way; bounded, so that a wholly wrong log does not fill the memory."""

    def __init__(self, prefix: str = "", into: "Noted | None" = None) -> None:
        self._prefix = prefix
        self.problems: list[Problem] = into.problems if into else []
        self.remarks: list[Remark] = into.remarks if into else []

    def within(self, prefix: str) -> "Noted":
        """Return one whose places begin with ``prefix``, and that adds to this one."""
        return Noted(self._prefix + prefix, self)

    def tampered(self, place: str, what: str) -> None:
        self._problem(Problem(Verdict.TAMPERED, self._prefix + place, what))

    def undecidable(self, place: str, what: str) -> None:
        self._problem(Problem(Verdict.UNDECIDABLE, self._prefix + place, what))

    def stale(self, place: str, what: str) -> None:
        self._problem(Problem(Verdict.STALE, self._prefix + place, what))

    def remark(self, place: str, what: str) -> None:
        if len(self.remarks) < MOST_FINDINGS:
            self.remarks.append(Remark(self._prefix + place, what))

    def _problem(self, problem: Problem) -> None:
        # The first of each verdict is always kept: it decides.
        if len(self.problems) < MOST_FINDINGS or all(p.verdict is not problem.verdict for p in self.problems):
            self.problems.append(problem)


class Sequences:
    """Each writer's own count."""

    def __init__(self, noted: Noted) -> None:
        self._noted = noted
        self._last: dict[str, int] = {}

    def add(self, place: str, header: dict[str, Any]) -> None:
        writer, number = header["wid"], header["wseq"]
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
    """The chains of traces, and what names what as its cause. Records are added in the log's order."""

    def __init__(self, noted: Noted, before: "Custody | None" = None) -> None:
        self._noted = noted
        self._before = before
        self._continues = False
        """Whether the records are those of a shard that follows another one."""
        self.carried: set[str] = set()
        self._last: dict[str, tuple[str, str]] = {}
        """The newest record of each trace: of which log, and its hash. A trace begins anew in another shard."""
        self._ids: set[str] = set()
        self._intents: dict[str, tuple[str, str, int]] = {}
        """Open calls: place, trace and time."""
        self._unknown: dict[str, list[str]] = {}
        """Causes that are not recorded so far, and the places that name them."""

    @property
    def open_calls(self) -> int:
        return len(self._intents)

    def add(self, place: str, header: dict[str, Any], raw: bytes) -> None:
        eid, trace = header["eid"], header["trace"]
        if self.knows(eid):
            self._noted.tampered(place, f"`{eid}` was recorded before")
        self._chain(place, header)
        self._continues = self._continues or (header["t"] == "shard.open" and "previous" in facts(header))
        for call, of in carried(header).items():
            # Opened in the shard before this one, and known from there if that one was read too.
            self._intents.setdefault(call, (place, of, header["ts"]))
            self.carried.add(call)
        for cause in header.get("cause", []):
            if not self.knows(cause):
                self._unknown.setdefault(cause, []).append(place)
            elif header["phase"] == "outcome":
                self._close(place, cause, trace)
        if header["t"] == "recovery":
            for call in _named(header):
                self._intents.pop(call, None)
        if header["phase"] == "intent":
            self._intents[eid] = (place, trace, header["ts"])
        self._ids.add(eid)
        if eid in self._unknown:
            for earlier in self._unknown.pop(eid):
                self._noted.tampered(
                    earlier, f"names `{eid}` as its cause, which is recorded after it ({place})"
                )
        if trace:
            self._last[trace] = header["log"], hashlib.sha256(raw).hexdigest()

    def knows(self, eid: str) -> bool:
        """Return whether a record was added here, or in a shard before, or is an open call taken over from there."""
        return (
            eid in self._ids or eid in self.carried or (self._before is not None and self._before.knows(eid))
        )

    def finish(self) -> None:
        """Tell of causes that never came, and of calls that were taken over and never open."""
        for cause, places in self._unknown.items():
            for place in places:
                if self._continues and self._before is None:
                    self._noted.undecidable(
                        place, f"names `{cause}` as its cause, which would stand in a shard before this one"
                    )
                else:
                    self._noted.tampered(place, f"names `{cause}` as its cause, which is not recorded here")
        if self._before is not None:
            for call in self.carried - self._before.still_open():
                self._noted.tampered("record 0", f"takes over the call `{call}`, which was not open")

    def still_open(self) -> set[str]:
        """Return the ids of the calls that nothing closed."""
        return set(self._intents)

    def open(self) -> Iterator[tuple[str, str, int]]:
        """Yield place, id and time of the calls that nothing closed."""
        return ((place, eid, ts) for eid, (place, _, ts) in self._intents.items())

    def _chain(self, place: str, header: dict[str, Any]) -> None:
        log, before = self._last.get(header["trace"], ("", ""))
        before = before if log == header["log"] else ""
        if header["prev"] and header["prev"] != before:
            self._noted.tampered(
                place, "does not follow the record before it in its trace: one is missing, or another one"
            )
        elif before and not header["prev"]:
            self._noted.remark(place, f"begins the trace `{header['trace']}` anew")

    def _close(self, place: str, intent: str, trace: str) -> None:
        known = self._intents.get(intent)
        if known is not None and known[1] != trace:
            self._noted.tampered(place, f"ends the call `{intent}` of another trace")
        self._intents.pop(intent, None)


class Pulse:
    """The recorder's own records: what it announced, and when it was heard."""

    def __init__(self, noted: Noted) -> None:
        self._noted = noted
        self._every_us = 0
        self._heard: tuple[str, int] | None = None
        self._stopped = False

    def add(self, place: str, header: dict[str, Any]) -> None:
        if header.get("actor", {}) != {"kind": "recorder", "handle": ""}:
            return
        ts = header["ts"]
        if self._heard is not None and self._every_us and not self._stopped:
            silence = ts - self._heard[1]
            if silence > PATIENCE * self._every_us:
                self._noted.remark(
                    place,
                    f"nothing was heard of the recorder for {silence / 1e6:.0f} s before this (since {self._heard[0]}); "
                    f"it announced a heartbeat every {self._every_us / 1e6:g} s"
                    + (", and this record recovers from a crash" if header["t"] == "recovery" else ""),
                )
            elif silence < 0:
                self._noted.remark(place, f"the recorder's clock went back by {-silence / 1e6:.3f} s")
        every = facts(header).get("heartbeat_ms", 0)
        self._every_us = every * 1000 if type(every) is int and 0 < every <= 86_400_000 else self._every_us
        # The log's keys are changed while the recorder stands still: that record is the last one, like a stop.
        changed = header["t"] == "key.event" and "next" in facts(header)
        self._heard = place, ts
        self._stopped = changed or header["t"] in {"recorder.stop", "shard.close"}


class Links:
    """Sequence, custody and pulse of a whole log; ``before`` are those of the shard before it, if that was read too."""

    def __init__(self, noted: Noted, before: "Links | None" = None) -> None:
        self._noted = noted
        self._sequences = Sequences(noted)
        self.custody: Custody = Custody(noted, before.custody if before else None)
        self._pulse = Pulse(noted)
        self._latest = 0

    @property
    def open_calls(self) -> int:
        return self.custody.open_calls

    def add(self, place: str, header: dict[str, Any], raw: bytes) -> None:
        """Take one record, in the log's order."""
        self._sequences.add(place, header)
        self.custody.add(place, header, raw)
        self._pulse.add(place, header)
        self._latest = max(self._latest, header["ts"])

    def finish(self) -> None:
        """Tell what only the end shows."""
        self.custody.finish()
        for place, eid, ts in self.custody.open():
            if self._latest - ts > LONGEST_CALL_US:
                self._noted.remark(
                    place, f"the call `{eid}` has neither an outcome nor a recovery that names it"
                )


def facts(header: dict[str, Any]) -> dict[str, Any]:
    """Return what a note of the recorder says (``ext``); nothing, if that is no object."""
    ext = header.get("ext")
    return ext if type(ext) is dict else {}


def carried(header: dict[str, Any]) -> dict[str, str]:
    """Return the calls, id and trace, that the first records of a shard take over from the one before it."""
    calls = facts(header).get("calls") if header.get("t") in {"shard.open", "shard.carry"} else None
    if type(calls) is not dict:
        return {}
    return {call: trace for call, trace in calls.items() if type(trace) is str}


def _named(recovery: dict[str, Any]) -> list[str]:
    calls = facts(recovery).get("calls", [])
    return [call for call in calls if type(call) is str] if type(calls) is list else []
