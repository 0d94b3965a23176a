"""From a draft to a durable record: what the recorder adds, and the order it keeps."""

import hashlib
import os
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from magistrate.adapters.recorder.frames import Ack
from magistrate.adapters.recorder.vault import Vault, quarter
from magistrate.adapters.recorder.wal import Entry, WriteAheadLog, frame
from magistrate.evidence.canonical import encode
from magistrate.evidence.draft import Draft
from magistrate.evidence.merkle import leaf_hash
from magistrate.evidence.seal import seal

REMEMBERED_IDS = 200_000
"""Drafts handed over twice are recognised within this window; gateways hand over again within seconds."""

REMEMBERED_TRACES = 200_000


class Bounded(OrderedDict[str, Any]):
    """A mapping that forgets what was put in longest ago."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def remember(self, key: str, value: object) -> None:
        self[key] = value
        if len(self) > self._limit:
            self.popitem(last=False)


class Submission:
    """A draft on its way in: from whom, and where to acknowledge it."""

    __slots__ = ("ack", "draft", "seq", "wid")

    def __init__(self, wid: str, seq: int, draft: Draft, ack: Callable[[Ack], None]) -> None:
        self.wid = wid
        self.seq = seq
        self.draft = draft
        self.ack = ack


class Writer:
    """Makes groups of drafts durable. One thread."""

    def __init__(self, log: str, vault: Vault, wal: WriteAheadLog, next_index: int) -> None:
        self._log = log
        self._vault = vault
        self._wal = wal
        self._seen = Bounded(REMEMBERED_IDS)
        self._previous = Bounded(REMEMBERED_TRACES)
        self._sequence = Bounded(1000)
        self.next_index = next_index

    def remember(self, index: int, header: dict[str, Any], raw: bytes) -> None:
        """Take note of a record that was written before this process began."""
        self._seen.remember(str(header["eid"]), Ack(0, index, leaf_hash(raw)))
        self._previous.remember(str(header.get("trace", "")), hashlib.sha256(raw).hexdigest())
        self._sequence.remember(str(header["wid"]), int(header["wseq"]))

    def write(self, group: list[Submission]) -> list[Entry]:
        """Make ``group`` durable with one write and one sync, acknowledge it, and return the new records.

        Raises:
            WalBroken: nothing is known about the device any more.
        """
        entries: list[Entry] = []
        promised: list[tuple[Submission, Ack]] = []
        before = self.next_index
        for submission in group:
            eid = str(submission.draft.header.get("eid", ""))
            known = self._seen.get(eid)
            if known is not None:
                promised.append((submission, Ack(submission.seq, known.index, known.leaf)))
                continue
            try:
                entry = self._entry(submission)
            except (ValueError, KeyError, TypeError) as error:
                submission.ack(Ack(submission.seq, reason=f"not a record: {error}"))
                continue
            entries.append(entry)
            ack = Ack(submission.seq, entry.index, leaf_hash(entry.header))
            self._seen.remember(eid, ack)
            promised.append((submission, ack))
        if entries:
            try:
                self._wal.append(b"".join(map(frame, entries)))
            except OSError as error:
                # Nothing was added, so nothing of it may be remembered or referred to.
                self._forget(group, entries, before)
                for submission in group:
                    submission.ack(Ack(submission.seq, reason=f"the evidence disk refuses: {error.strerror}"))
                return []
        for submission, ack in promised:
            submission.ack(ack)
        return entries

    def _entry(self, submission: Submission) -> Entry:
        draft = submission.draft
        header: dict[str, Any] = dict(draft.header)
        eid, trace = str(header["eid"]), str(header["trace"])
        retention = draft.retention
        handle = self._vault.handle(draft.tenant, draft.subject) if draft.subject else ""
        kid, key = self._vault.key_for(draft.tenant, handle, retention, quarter(int(header["ts"])))
        metas: list[dict[str, object]] = []
        bodies: list[tuple[str, bytes]] = []
        for body in draft.bodies:
            sealed = seal(
                body.content,
                key=key,
                log=self._log,
                eid=eid,
                part=body.part,
                media=body.media,
                kid=kid,
                salt=os.urandom(32),
                nonce=os.urandom(12),
            )
            metas.append(sealed.meta)
            bodies.append((body.part, sealed.ciphertext))
        wseq = self._sequence.get(submission.wid, 0) + 1
        header |= {
            "log": self._log,
            "wid": submission.wid,
            "wseq": wseq,
            "prev": self._previous.get(trace, ""),
            "subj": handle,
            "ret": {"class": retention},
            "body": metas,
        }
        raw = encode(header)
        # Only now, when nothing can fail any more, do the counters move.
        self._sequence.remember(submission.wid, wseq)
        self._previous.remember(trace, hashlib.sha256(raw).hexdigest())
        entry = Entry(self.next_index, raw, tuple(bodies))
        self.next_index += 1
        return entry

    def _forget(self, group: list[Submission], entries: list[Entry], before: int) -> None:
        for submission in group:
            known = self._seen.get(str(submission.draft.header.get("eid", "")))
            if known is not None and known.index >= before:
                del self._seen[str(submission.draft.header["eid"])]
            self._previous.pop(str(submission.draft.header.get("trace", "")), None)
            taken = self._sequence.get(submission.wid)
            if taken is not None:
                self._sequence[submission.wid] = taken - 1
        del entries
        self.next_index = before
