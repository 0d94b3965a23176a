"""Calls under way: intents that neither an outcome nor a recovery has ended, as the records tell it in their order."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from magistrate.evidence.links import LONGEST_CALL_US
from magistrate.evidence.said import CARRYING, carried

MOST_CALLS = 65_536
"""So many are remembered; the one that was opened longest ago is forgotten to make room."""


class OpenCalls:
    """Takes every durable record's header, in the log's order."""

    def __init__(self) -> None:
        self._calls: OrderedDict[str, tuple[str, int]] = OrderedDict()
        self._latest_us = 0

    def follow(self, header: Mapping[str, Any]) -> None:
        """Take one record."""
        kind, ts = header["t"], header["ts"]
        self._latest_us = max(self._latest_us, ts)
        if kind in CARRYING:
            for call, trace in carried(kind, header.get("ext", {})).items():
                self._opens(call, trace, ts)
        if header["phase"] == "intent":
            self._opens(header["eid"], header["trace"], ts)
        for cause in header.get("cause", ()):
            self._calls.pop(cause, None)
        if kind == "recovery":
            for call in header["ext"]["calls"]:
                self._calls.pop(call, None)  # told

    def all(self) -> list[str]:
        """Return the ids of all of them."""
        return list(self._calls)

    def recent(self) -> dict[str, str]:
        """Return id and trace of those that may still end: by the log's time opened within the longest that a call takes."""
        since_us = self._latest_us - LONGEST_CALL_US
        return {call: trace for call, (trace, ts) in self._calls.items() if ts >= since_us}

    def _opens(self, call: str, trace: str, ts: int) -> None:
        self._calls[call] = trace, ts
        if len(self._calls) > MOST_CALLS:
            self._calls.popitem(last=False)
