"""From a draft to a durable record: what the recorder adds, and the order it keeps."""

import hashlib
import os
import re
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from magistrate.adapters.recorder.frames import Ack
from magistrate.adapters.recorder.open_calls import OpenCalls
from magistrate.adapters.recorder.traces import Link, OpenTraces
from magistrate.adapters.recorder.vault import Vault, quarter
from magistrate.adapters.recorder.wal import Entry, WriteAheadLog
from magistrate.evidence.canonical import LARGEST_INTEGER, encode
from magistrate.evidence.draft import Draft
from magistrate.evidence.merkle import leaf_hash
from magistrate.evidence.record import ONE_CALL
from magistrate.evidence.retention import Schedule
from magistrate.evidence.seal import LARGEST_BODY, NONCE_BYTES, SALT_BYTES, Sealed, seal

REMEMBERED_IDS = 65_536
"""Drafts handed over twice are recognised within this window: several times what a gateway may have waiting."""

REMEMBERED_TRACES = 65_536
REMEMBERED_WRITERS = 4096
MOST_BODIES = 32
OWN_TYPES = frozenset(
    {
        *("shard.open", "shard.carry", "shard.close", "recorder.start", "recorder.stop"),
        *("heartbeat", "recovery", "writer.end", "trace.close", "beacon"),
        *("access.read", "key.event", "erasure.order", "erasure", "erasure.deferred"),
        *("hold.place", "hold.release", "retention.change", "retention.prune"),
    }
)
"""What only the recorder itself can say."""

_CHANCE_BYTES = SALT_BYTES + NONCE_BYTES
"""Random bytes of one body."""

_EID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_PART = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)

Value = TypeVar("Value")


class Bounded(OrderedDict[str, Value], Generic[Value]):
    """A mapping that forgets what was put in longest ago."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def remember(self, key: str, value: Value) -> None:
        if key in self:
            self.move_to_end(key)
        self[key] = value
        if len(self) > self._limit:
            self.popitem(last=False)


class Submission:
    """A draft on its way in: from whom, and where to acknowledge it. ``own`` marks the recorder's own notes."""

    __slots__ = ("ack", "draft", "own", "seq", "wid")

    def __init__(
        self, wid: str, seq: int, draft: Draft, ack: Callable[[Ack], None], *, own: bool = False
    ) -> None:
        self.wid = wid
        self.seq = seq
        self.draft = draft
        self.ack = ack
        self.own = own


class Kept(msgspec.Struct, frozen=True, gc=False):
    """A durable record, and where it stands in its trace."""

    entry: Entry
    link: Link


class _Group:
    """What a group would change; nothing of it counts before the group is durable."""

    __slots__ = ("begun", "headers", "kept", "places", "previous", "sequence")

    def __init__(self) -> None:
        self.kept: list[Kept] = []
        self.headers: list[dict[str, Any]] = []
        self.places: dict[str, tuple[int, bytes]] = {}
        self.begun: set[str] = set()
        """Traces that begin in this group and have one intent so far."""
        self.previous: dict[str, bytes] = {}
        self.sequence: dict[str, int] = {}


class Writer:
    """Makes groups of drafts durable. One thread."""

    def __init__(
        self,
        log: str,
        vault: Vault,
        wal: WriteAheadLog,
        next_index: int,
        schedule: Schedule,
        traces: OpenTraces,
    ) -> None:
        self._log = log
        self._vault = vault
        self._schedule = schedule
        self._wal = wal
        self._traces = traces
        """What is durable; read here, added to by the ledger."""
        self.places: Bounded[tuple[int, bytes]] = Bounded(REMEMBERED_IDS)
        """Index and leaf hash by id: whoever hands a record over again is told where it stands."""
        self._previous: Bounded[bytes] = Bounded(REMEMBERED_TRACES)
        self._sequence: Bounded[int] = Bounded(REMEMBERED_WRITERS)
        self.not_kept: Bounded[None] = Bounded(REMEMBERED_IDS)
        """Ids of drafts that were refused: what names one as its cause is refused, too."""
        self.calls = OpenCalls()
        """Of durable records."""
        self.next_index = next_index
        self.refused = 0

    def remember(self, index: int, header: dict[str, Any], raw: bytes) -> None:
        """Take note of a record that was written before this process began."""
        self.places.remember(str(header["eid"]), (index, leaf_hash(raw)))
        if header["trace"]:
            self._previous.remember(str(header["trace"]), hashlib.sha256(raw).digest())
        self._sequence.remember(str(header["wid"]), int(header["wseq"]))
        self.calls.follow(header)

    def remember_elsewhere(self, index: int, header: dict[str, Any], raw: bytes) -> None:
        """Take note of a record in the shard before this one: whoever hands it over again is told where it stands."""
        self.places.remember(str(header["eid"]), (index, leaf_hash(raw)))

    def take_over(self, before: "Writer") -> None:
        """Go on from the writer of the shard before, in the same process: what stands there stands, what was refused stays refused."""
        self.places = before.places
        self.not_kept, self.refused = before.not_kept, before.refused

    def knows_writer(self, wid: str) -> bool:
        return wid in self._sequence

    def resume_writer(self, wid: str, wseq: int) -> None:
        """Go on counting the records of ``wid`` after ``wseq``."""
        self._sequence.remember(wid, wseq)

    def write(self, submissions: Sequence[Submission]) -> list[Kept]:
        """Make the group durable with one write and one sync, acknowledge it, and return the new records.

        A draft that is no record is refused by itself. When the disk or the vault has no room, the whole group is
        refused and nothing has changed.

        Raises:
            WalBroken: nothing is known about the device any more; nothing was acknowledged.
        """
        group = _Group()
        promised: list[tuple[Submission, tuple[int, bytes]]] = []
        for submission in submissions:
            eid = submission.draft.header.get("eid")
            place = self.places.get(eid) or group.places.get(eid) if isinstance(eid, str) else None
            if place is None:
                try:
                    place = self._take(group, submission)
                except (ValueError, sqlite3.Error) as error:
                    self._refuse(submission, f"not a record: {error}")
                    continue
            promised.append((submission, place))
        if group.kept:
            try:
                self._vault.settle()  # keys before what they encrypt
                self._wal.append([kept.entry for kept in group.kept])
            except (OSError, sqlite3.Error) as error:
                reason = f"the evidence disk refuses: {getattr(error, 'strerror', None) or error}"
                self._give_up(promised, group, reason)
                return []
            self._commit(group)
        for submission, (index, leaf) in promised:
            submission.ack(Ack(submission.seq, index, leaf))
        return group.kept

    def _take(self, group: _Group, submission: Submission) -> tuple[int, bytes]:
        draft, wid = submission.draft, submission.wid
        check(draft, own=submission.own)
        header: dict[str, Any] = dict(draft.header)
        eid, trace = header["eid"], header["trace"]
        lost = next((cause for cause in header.get("cause", ()) if cause in self.not_kept), None)
        if lost is not None:
            raise ValueError(f"its cause `{lost}` was refused")
        # By the later of two clocks: a gateway whose clock is behind must not shorten what it writes.
        ret = self._schedule.stamp(draft.retention, max(header["ts"], time.time_ns() // 1000))
        if submission.own:
            handle = header.get("subj", "")
        else:
            handle = self._vault.handle(draft.tenant, draft.subject) if draft.subject else ""
        # What the recorder says of a person is not lost with that person's keys.
        keyed = "" if submission.own else handle
        sealed = self._seal(draft, keyed) if draft.bodies else []
        wseq = (group.sequence.get(wid) or self._sequence.get(wid) or 0) + 1
        previous = (group.previous.get(trace) or self._previous.get(trace, b"")) if trace else b""
        header |= {
            "log": self._log,
            "wid": wid,
            "wseq": wseq,
            "prev": previous.hex(),
            "subj": handle,
            "ret": ret,
            "body": [one.meta for one in sealed],
        }
        if "closes" in header and not self._is_whole(group, header):
            del header["closes"]
        raw = encode(header)
        # Only now, when nothing of this draft can be refused any more, does it count for the drafts behind it.
        bodies = tuple((body.part, one.ciphertext) for body, one in zip(draft.bodies, sealed, strict=True))
        place = (self.next_index + len(group.kept), leaf_hash(raw))
        group.kept.append(Kept(Entry(place[0], raw, bodies), Link.of(header)))
        group.headers.append(header)
        group.places[eid] = place
        group.sequence[wid] = wseq
        if trace:
            group.previous[trace] = hashlib.sha256(raw).digest()
            if header["phase"] == "intent" and not previous:
                group.begun.add(trace)
            else:
                group.begun.discard(trace)
        return place

    def _seal(self, draft: Draft, handle: str) -> list[Sealed]:
        header: Mapping[str, Any] = draft.header
        kid, key = self._vault.key_for(draft.tenant, handle, draft.retention, quarter(header["ts"]))
        chance = os.urandom(_CHANCE_BYTES * len(draft.bodies))
        return [
            seal(
                body.content,
                key=key,
                log=self._log,
                eid=header["eid"],
                part=body.part,
                media=body.media,
                kid=kid,
                salt=chance[at : at + SALT_BYTES],
                nonce=chance[at + SALT_BYTES : at + _CHANCE_BYTES],
            )
            for body, at in zip(draft.bodies, range(0, len(chance), _CHANCE_BYTES), strict=True)
        ]

    def _is_whole(self, group: _Group, header: Mapping[str, Any]) -> bool:
        """Return whether an outcome and its intent are all there is of a trace, as whoever handed it over claims."""
        trace = header["trace"]
        if header["closes"] != ONE_CALL or header["phase"] != "outcome":
            return False
        return trace in group.begun if trace in group.previous else self._traces.is_one_open_call(trace)

    def _commit(self, group: _Group) -> None:
        self.next_index += len(group.kept)
        for header in group.headers:
            self.calls.follow(header)
        for eid, place in group.places.items():
            self.places.remember(eid, place)
            self.not_kept.pop(eid, None)
        for trace, previous in group.previous.items():
            self._previous.remember(trace, previous)
        for wid, wseq in group.sequence.items():
            self._sequence.remember(wid, wseq)

    def _give_up(
        self, promised: list[tuple[Submission, tuple[int, bytes]]], group: _Group, reason: str
    ) -> None:
        self._vault.forget_unsettled()
        for submission, (index, leaf) in promised:
            if submission.draft.header["eid"] in group.places:
                self._refuse(submission, reason)
            else:
                submission.ack(Ack(submission.seq, index, leaf))  # it has been durable before

    def _refuse(self, submission: Submission, reason: str) -> None:
        self.refused += 1
        eid = submission.draft.header.get("eid")
        if isinstance(eid, str) and len(eid) <= 64:
            self.not_kept.remember(eid, None)
        submission.ack(Ack(submission.seq, reason=reason[:500]))


def check(draft: Draft, *, own: bool) -> None:
    """Refuse what could not be kept, found or named in a path. Content is nobody's business here.

    Raises:
        ValueError: the draft is no record; the message says why and quotes no content.
    """
    header = draft.header
    get = header.get
    eid, trace, ts, kind = get("eid"), get("trace"), get("ts"), get("t")
    if not isinstance(eid, str) or not _EID.fullmatch(eid):
        raise ValueError("`eid` is no UUID in lower case")
    if not isinstance(trace, str) or len(trace) > 64:
        raise ValueError("`trace` is no text of at most 64 characters")
    if type(ts) is not int or not 0 <= ts <= LARGEST_INTEGER:
        raise ValueError("`ts` is no time in microseconds")
    if not isinstance(kind, str) or not isinstance(header.get("phase"), str):
        raise ValueError("`t` and `phase` are no texts")  # noqa: TRY004  because a draft is refused for its value, whatever is wrong with it
    if kind in OWN_TYPES and not own:
        raise ValueError(f"`t` is `{kind}`, which only the recorder says")
    cause = header.get("cause", [])
    if not isinstance(cause, list) or not all(isinstance(one, str) for one in cause):
        raise ValueError("`cause` is no list of ids")
    if header.get("tenant") != draft.tenant:
        raise ValueError("`tenant` is not the one whose keys are to be used")
    parts = {body.part for body in draft.bodies}
    if len(draft.bodies) > MOST_BODIES or len(parts) != len(draft.bodies):
        raise ValueError(f"more than {MOST_BODIES} bodies, or two of one name")
    if not all(map(_PART.fullmatch, parts)):
        raise ValueError("a body's part is no name")
    if any(len(body.content) > LARGEST_BODY for body in draft.bodies):
        raise ValueError(f"a body has more than {LARGEST_BODY} bytes")
