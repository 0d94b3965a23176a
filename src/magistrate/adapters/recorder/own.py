"""The recorder's own records: what it says of itself and of the log, as drafts that nobody else may write."""

from magistrate.adapters.host import SystemClock, SystemIds
from magistrate.adapters.recorder.traces import CLOSE, OpenTraces
from magistrate.adapters.recorder.writer import Submission, Writer
from magistrate.evidence.beacon import BEACON
from magistrate.evidence.draft import Draft


class OwnRecords:
    """Makes them, one process's after the other."""

    def __init__(self, heartbeat_s: float) -> None:
        self._ids, self._clock = SystemIds(), SystemClock()
        self._wid = f"recorder-{self._ids.record()}"
        self._seq = 0
        self.announced: dict[str, object] = {"heartbeat_ms": int(heartbeat_s * 1000)}
        """What it says at every beginning: how often it will be heard."""
        self.beacon = b""
        """Digest of the newest time-stamp: the next heartbeat names it, so that it cannot have been written before."""

    def make(self, kind: str, facts: dict[str, object]) -> Submission:
        """Return a record that says ``facts``; nobody is told of its acknowledgement unless the caller sees to it."""
        self._seq += 1
        header: dict[str, object] = {
            "v": 1,
            "eid": self._ids.record(),
            "t": kind,
            "phase": "note",
            "ts": self._clock.now_us(),
            "clk": self._clock.standing(),
            "trace": "",
            "parent": "",
            "tenant": "default",
            "app": "magistrate",
            "actor": {"kind": "recorder", "handle": ""},
            "ext": facts,
        }
        return Submission(self._wid, self._seq, Draft(header), lambda _ack: None, own=True)


class Notes:
    """What it says of one shard: of its writer and its traces. For the thread that writes, `stamped` aside."""

    def __init__(self, records: OwnRecords, writer: Writer, traces: OpenTraces) -> None:
        self._records, self._writer, self._traces = records, writer, traces

    def stamped(self, digest: bytes) -> None:
        """Take note of the newest time-stamp."""
        self._records.beacon = digest

    def heartbeat(self) -> Submission:
        """Return the record that tells silence from absence."""
        own, writer = self._records, self._writer
        facts = {"records": writer.next_index, "refused": writer.refused, **own.announced}
        return own.make("heartbeat", facts | ({"beacon": own.beacon.hex()} if own.beacon else {}))

    def closings(self, *, all_of_them: bool = False) -> list[Submission]:
        """Return records that close traces, to be written before anything else; none if no trace has ended."""
        closed = []
        for trace, records in self._traces.ended(all_of_them=all_of_them):
            note = self._records.make(CLOSE, {"records": records})
            note.draft.header["trace"] = trace
            closed.append(note)
        return closed

    def beacon(self, facts: dict[str, object]) -> Submission:
        """Return the record of a beacon's value: whatever is written behind it was written after that was published."""
        return self._records.make(BEACON, facts)

    def farewell(self) -> Submission:
        """Return the record that announces a silence: the recorder stops because it was told to."""
        return self._records.make("recorder.stop", {"records": self._writer.next_index})

    def parted(self, wid: str, handed: int) -> Submission:
        """Return the record that a writer is gone and everything of it was read: nothing of it is still under way."""
        return self._records.make("writer.end", {"writer": wid, "handed": handed})
