"""Traces under way: how many records each has, and which have come to an end.

A trace has no end of its own: whoever began it may go on. One that had nothing to say for a while and has no open call is
closed by a record that says how many there were, so that a trace shown without its last records is found out. What comes
later begins to be counted anew and is closed again. A trace of a single call that no client named is closed by that call's
outcome itself (``closes``): gateways see millions of them, and a record more for each would be a third of the log.
"""

import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

CLOSE = "trace.close"

MOST_TRACES = 32_768
"""So many are counted at once, some 10 MB; the one silent longest is closed to make room, even if a call is open in it."""

LONGEST_CALL_S = 3600.0
"""A trace whose call is open longer than this is closed all the same: that call will not end."""

FEW, MANY = 16, 512
"""So many are closed with one group of records: while others wait for theirs, and at the end."""


class Link(msgspec.Struct, frozen=True, gc=False):
    """Where a record stands in its trace: ``follows`` says that another one went before it, ``closes`` that it is the end."""

    trace: str
    kind: str
    phase: str
    follows: bool
    closes: bool

    @classmethod
    def of(cls, header: Mapping[str, Any]) -> "Link":
        kind = header["t"]
        closes = kind == CLOSE or "closes" in header
        return cls(header["trace"], kind, header["phase"], bool(header["prev"]), closes)


class _Trace:
    __slots__ = ("heard", "open", "records")

    def __init__(self, records: int | None) -> None:
        self.records = records
        """Since the trace began or was last closed; None: it began before what the recorder remembers."""
        self.open = 0
        self.heard = 0.0


class OpenTraces:
    """Takes every durable record in the log's order. One thread."""

    def __init__(self, idle_s: float, *, most: int = MOST_TRACES) -> None:
        self._idle_s = idle_s
        self._most = most
        self._traces: OrderedDict[str, _Trace] = OrderedDict()
        self._closed: set[str] | None = set()
        """Traces that were closed in what is read again at the start; None once that is over."""

    def __len__(self) -> int:
        return len(self._traces)

    def is_one_open_call(self, name: str) -> bool:
        """Return whether all there is of a trace, since it began or was last closed, is one intent."""
        trace = self._traces.get(name)
        return trace is not None and trace.records == 1 and trace.open == 1

    def begin(self) -> None:
        """All that was there before this process has been taken."""
        self._closed = None

    def add(self, link: Link) -> None:
        """Take a durable record."""
        name = link.trace
        if not name:
            return
        if link.closes:
            self._traces.pop(name, None)
            if self._closed is not None:
                self._closed.add(name)
            return
        trace = self._traces.get(name)
        if trace is None or not link.follows:
            # Before `begin` a record may continue what was not read again; after it, only what was closed.
            known = not link.follows or self._closed is None or name in self._closed
            trace = self._traces[name] = _Trace(0 if known else None)
        if trace.records is not None:
            trace.records += 1
        if link.phase == "intent":
            trace.open += 1
        elif link.phase == "outcome":
            trace.open = max(0, trace.open - 1)
        trace.heard = time.monotonic()
        self._traces.move_to_end(name)

    def ended(self, *, all_of_them: bool = False) -> Iterator[tuple[str, int]]:
        """Yield the traces that are to be closed now, and how many records each has; at most `FEW`, or `MANY` of all.

        They stay until a record that closes them is taken. Those that cannot be counted are let go without one.
        """
        now, found, uncounted = time.monotonic(), 0, []
        surplus = len(self._traces) - self._most
        for position, (name, trace) in enumerate(self._traces.items()):
            silent = now - trace.heard
            if silent < self._idle_s and position >= surplus and not all_of_them:
                break
            if trace.open and silent < LONGEST_CALL_S and position >= surplus and not all_of_them:
                continue
            if trace.records is None:
                uncounted.append(name)
                continue
            yield name, trace.records
            found += 1
            if found == (MANY if all_of_them else FEW):
                break
        for name in uncounted:
            del self._traces[name]
