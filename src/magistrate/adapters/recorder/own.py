"""The recorder's own records: what it says of itself and of the log, as drafts that nobody else may write."""

import time

from magistrate.adapters.host import SystemIds
from magistrate.adapters.recorder.writer import Submission
from magistrate.evidence.draft import Draft


class OwnRecords:
    """Makes them, one process's after the other."""

    def __init__(self, heartbeat_s: float) -> None:
        self._ids = SystemIds()
        self._wid = f"recorder-{self._ids.record()}"
        self._seq = 0
        self.announced: dict[str, object] = {"heartbeat_ms": int(heartbeat_s * 1000)}
        """What it says at every beginning: how often it will be heard."""

    def make(self, kind: str, facts: dict[str, object]) -> Submission:
        """Return a record that says ``facts``; nobody is told of its acknowledgement unless the caller sees to it."""
        self._seq += 1
        header: dict[str, object] = {
            "v": 1,
            "eid": self._ids.record(),
            "t": kind,
            "phase": "note",
            "ts": time.time_ns() // 1000,
            "clk": {"src": "system"},
            "trace": "",
            "parent": "",
            "tenant": "default",
            "app": "magistrate",
            "actor": {"kind": "recorder", "handle": ""},
            "ext": facts,
        }
        return Submission(self._wid, self._seq, Draft(header), lambda _ack: None, own=True)
