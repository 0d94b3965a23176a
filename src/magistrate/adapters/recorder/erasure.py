"""Erasure: destroying what is kept of a person, as far as no hold and no binding class forbids it now.

What a hold forbids waits whole. What a binding class keeps waits for the end of its time, key by key; no body is written
under such a key any more, so what it holds, and therefore its end, is settled when it is asked for. What the person does
afterwards is under other keys and no part of that request.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec
import orjson

from magistrate.adapters.recorder.deferred import Deferral, Deferred
from magistrate.adapters.recorder.holds import Holds, against_erasure, spelled_holds
from magistrate.adapters.recorder.ledger import Ledger
from magistrate.adapters.recorder.orders import Answer, Erase, Outcome, by_whom, now_us, reasoned
from magistrate.adapters.recorder.retrieval import Records
from magistrate.adapters.recorder.segments import Emptied, Segments
from magistrate.adapters.recorder.shelf import AllRecords, told_absent
from magistrate.adapters.recorder.vault import Erasing, Subject, SubjectKey
from magistrate.evidence.hold import Person
from magistrate.evidence.retention import DAY_US, LAST_DAY, Bound, span_of
from magistrate.exchange.errors import EvidenceUnavailable

HeadersAt = Callable[[Iterable[int]], Iterator[tuple[int, bytes]]]
KIDS_IN_AN_ORDER = 1000
ASK_AGAIN_US = DAY_US
"""When the end of a key's time cannot be told, because a shard is not here, it is looked for again so much later."""


class Share(msgspec.Struct, frozen=True):
    """A person's keys: those that may go now, and those that a binding class keeps."""

    kids: tuple[str, ...]
    bound: tuple[Bound, ...]

    @property
    def kept(self) -> dict[str, int]:
        """How many keys of which class are kept."""
        classes = [one.retention for one in self.bound]
        return {name: classes.count(name) for name in dict.fromkeys(classes)}


class Erasures:
    """Everything raises what the custodian's `REFUSALS` list."""

    def __init__(self, ledger: Ledger, holds: Holds) -> None:
        self._ledger = ledger
        self._holds = holds
        self._deferred = Deferred(ledger.vault)

    def erase(self, order: Erase, uid: int) -> Answer:
        """Erase a person in the tenants that are meant."""
        self.resume()
        subjects = self._ledger.vault.subjects_named(order.subject, order.tenant)
        if not subjects:
            return Answer(
                Outcome.NO, "nothing is kept under that name: it was never recorded, or erased before"
            )
        answers = [self._erase_subject(subject, order, uid) for subject in subjects]
        outcome = next((a.outcome for a in answers if a.outcome is not Outcome.DONE), Outcome.DONE)
        facts = {"subjects": [answer.facts for answer in answers]}
        return Answer(outcome, "\n".join(answer.says for answer in answers), facts)

    def resume(self) -> None:
        """Finish what a crash or a busy file interrupted."""
        for erasing in self._ledger.vault.unfinished():
            self._finish(erasing)

    def repeat(self) -> list[str]:
        """Carry out what waited and need not wait any more; return what was done, in words."""
        if not self._deferred.due(now_us()):
            return []
        self.resume()
        done = []
        for waiting in self._deferred.due(now_us()):
            if self._ledger.vault.subject_of(waiting.subject.handle) is None:
                self._deferred.drop(waiting.subject.handle)  # erased meanwhile
            elif not self._holds_against(waiting.subject):
                done += self._again(waiting)
        return done

    # --- deciding

    def _erase_subject(self, subject: Subject, order: Erase, uid: int) -> Answer:
        against = self._holds_against(subject)
        if against:
            return self._defer(subject, order, uid, against)
        share = self._shared(subject, self._ledger.vault.keys_of(subject.handle))
        if share.bound and not share.kids:
            return self._bind(subject, order, uid, share)
        return self._destroy(subject, order, uid, share)

    def _again(self, waiting: Deferral) -> list[str]:
        """Carry out a request that waited, as far as it can be now. Nothing is on record of what goes on waiting."""
        order = Erase("", waiting.subject.tenant, by=Person(waiting.token))
        if waiting.whole:
            return [self._erase_subject(waiting.subject, order, waiting.uid).says]
        left = {one.kid for one in waiting.bound}
        share = self._shared(
            waiting.subject,
            [key for key in self._ledger.vault.keys_of(waiting.subject.handle) if key.kid in left],
        )
        if share.kids:
            return [self._destroy(waiting.subject, order, waiting.uid, share).says]
        if share.bound:
            self._deferred.keep(
                msgspec.structs.replace(waiting, bound=share.bound, due_us=self._due(share.bound))
            )
        else:
            self._deferred.drop(waiting.subject.handle)
        return []

    def _shared(self, subject: Subject, keys: list[SubjectKey]) -> Share:
        """Return which of a person's ``keys`` may go now; what stays gets no further body."""
        schedule = self._ledger.schedule
        binding = [key for key in keys if key.retention in schedule.binding]
        earlier = self._deferred.of(subject.handle)
        known = {one.kid: one for one in earlier.bound if one.until_us is not None} if earlier else {}
        unknown = {key.kid: key.retention for key in binding if key.kid not in known}
        if unknown:
            self._ledger.vault.retire(unknown)
            known |= self._read_bound(subject, unknown)
        ends = {key.kid: schedule.end_of(known[key.kid]) for key in binding}
        now = now_us()
        kept = {kid for kid, end in ends.items() if end is None or end > now}
        return Share(
            tuple(key.kid for key in keys if key.kid not in kept),
            tuple(known[key.kid] for key in binding if key.kid in kept),
        )

    def _read_bound(self, subject: Subject, retentions: dict[str, str]) -> dict[str, Bound]:
        """Read from the log how long what stands under some keys is to be kept. Under a key without any record: not at all."""
        spans = dict.fromkeys(retentions, (0, 0))
        classes = set(retentions.values())
        with self._ledger.resting() as sealer:
            places = [(self._ledger.root, sealer.headers_at)]
            places += [(shard.root, shard.headers_at) for shard in self._ledger.shelf.here()]
            for root, headers_at in places:
                for raw in _headers_of(root, headers_at, subject.handle, classes):
                    header = orjson.loads(raw)
                    begun, until = span_of(header)
                    for kid in {meta["kid"] for meta in header["body"]} & spans.keys():
                        spans[kid] = max(begun, spans[kid][0]), max(until, spans[kid][1])
        whole = not self._ledger.shelf.absent()
        return {
            kid: Bound(kid, retentions[kid], until if whole else None, begun)
            for kid, (begun, until) in spans.items()
        }

    def _due(self, bound: Iterable[Bound]) -> int:
        """Return when something of it may go, or may be told to."""
        later = now_us() + ASK_AGAIN_US
        ends = (self._ledger.schedule.end_of(one) for one in bound)
        return min(later if end is None else end for end in ends)

    def _last(self, bound: Iterable[Bound]) -> int | None:
        """Return when the last of it may go, or None: that cannot be told while a shard is not here."""
        ends = [self._ledger.schedule.end_of(one) for one in bound]
        known = [end for end in ends if end is not None]
        return max(known) if len(known) == len(ends) else None

    def _holds_against(self, subject: Subject) -> list[str]:
        holds = self._holds.in_force(now_us())
        if not holds:
            return []
        with self._ledger.resting():  # the index then knows every record there is
            index = AllRecords(self._ledger.root, self._ledger.shelf)
            try:
                return against_erasure(holds, subject, index)
            finally:
                index.close()

    # --- waiting

    def _defer(self, subject: Subject, order: Erase, uid: int, against: list[str]) -> Answer:
        earlier = self._deferred.of(subject.handle)
        waiting = Deferral(subject, uid, order.by.token, bound=earlier.bound if earlier else ())
        record = self._wait(waiting, {"holds": against}, order)
        says = (
            f"deferred: {spelled_holds(against)} forbids erasing `{subject.handle}`; "
            "it is carried out when nothing forbids it any more"
        )
        return Answer(Outcome.NO, says, {**_about(subject), "record": record, "holds": against})

    def _bind(self, subject: Subject, order: Erase, uid: int, share: Share) -> Answer:
        last = self._last(share.bound)
        waiting = self._waiting(subject, uid, order.by.token, share.bound)
        record = self._wait(waiting, self._facts(share), order)
        says = (
            f"nothing of `{subject.handle}` is left that may go now: {_classes(share.kept)} binds the rest "
            f"{self._told(last, 'until')}; it is erased by itself then, record {record}"
        )
        facts = {"record": record, "keys": 0, "bodies": 0, "kept": share.kept, "until_us": last}
        return Answer(Outcome.NO, says, {**_about(subject), **facts})

    def _waiting(self, subject: Subject, uid: int, token: str, bound: tuple[Bound, ...]) -> Deferral:
        return Deferral(subject, uid, token, whole=False, bound=bound, due_us=self._due(bound))

    def _wait(
        self, waiting: Deferral, facts: dict[str, object], order: Erase, cause: tuple[str, ...] = ()
    ) -> str:
        # Kept first: a request that is on record and forgotten would be a promise broken.
        self._deferred.keep(waiting)
        record = self._ledger.record(
            "erasure.deferred",
            {**facts, "by": by_whom(order.by, waiting.uid)},
            tenant=waiting.subject.tenant,
            subj=waiting.subject.handle,
            cause=cause,
            bodies=reasoned(order.reason, order.by),
        )
        self._deferred.keep(msgspec.structs.replace(waiting, record=record))
        return record

    def _facts(self, share: Share) -> dict[str, object]:
        last = self._last(share.bound)
        return {"kept": share.kept} | ({} if last is None else {"until": last})

    def _told(self, last: int | None, word: str) -> str:
        """Return until when something is kept, in words."""
        if last is not None:
            return f"{word} {dt.date(1970, 1, 1) + dt.timedelta(min(last // DAY_US, LAST_DAY))} (UTC)"
        absent = ", ".join(str(one.number) for one in self._ledger.shelf.absent())
        return f"{word} a day that cannot be told while shard {absent} is not here"

    # --- destroying

    def _destroy(self, subject: Subject, order: Erase, uid: int, share: Share) -> Answer:
        self._order(subject, order, uid, share)
        bodies, locked, records = 0, 0, []
        for erasing in self._ledger.vault.unfinished():
            record, emptied = self._finish(erasing)
            records.append(record)
            bodies += emptied.bodies
            locked += emptied.locked
        kids, kept = share.kids, share.kept
        facts = {**_about(subject), "record": records[-1], "keys": len(kids), "bodies": bodies, "kept": kept}
        says = f"erased `{subject.handle}`: {len(kids)} keys destroyed, {bodies} bodies overwritten, record {records[-1]}"
        if locked:
            says += f"; the store keeps the ciphertext of {locked} bodies locked until its retention ends, without any key"
            facts["locked"] = locked
        if kept:
            facts["until_us"] = last = self._last(share.bound)
            says += (
                f"; {len(share.bound)} keys of {_classes(kept)} are kept, because the law binds more than the request; "
                f"they go by themselves, the last {self._told(last, 'on')}"
            )
        if gone := told_absent(self._ledger.shelf.absent()):
            says += "; what lies elsewhere cannot be opened any more, but was not overwritten: "
            says += "; ".join(gone)
        return Answer(Outcome.NO if kept else Outcome.DONE, says, facts)

    def _order(self, subject: Subject, order: Erase, uid: int, share: Share) -> None:
        """Put on record that keys go, some with each record, and begin their erasure."""
        earlier = self._deferred.of(subject.handle)
        cause = [earlier.record] if earlier is not None and earlier.record else []
        kids, kept = share.kids, share.kept
        for at in range(0, max(1, len(kids)), KIDS_IN_AN_ORDER):
            some = kids[at : at + KIDS_IN_AN_ORDER]
            ordered = self._ledger.record(
                "erasure.order",
                {"kids": list(some), "kept": kept, "by": by_whom(order.by, uid)},
                phase="intent",
                tenant=subject.tenant,
                subj=subject.handle,
                cause=cause,
                bodies=reasoned(order.reason, order.by),
            )
            last = at + KIDS_IN_AN_ORDER >= len(kids)
            erasing = Erasing(
                ordered, subject, some, kept, last, share.bound if last else (), uid, order.by.token
            )
            self._ledger.vault.begin_erasure(erasing)

    def _finish(self, erasing: Erasing) -> tuple[str, Emptied]:
        """Clear what the destroyed keys leave behind, record that it is done, and keep what is to be done later."""
        vault = self._ledger.vault
        with self._ledger.resting() as sealer:
            emptied = self._emptied(
                self._ledger.root, self._ledger.storage.segments, erasing, sealer.headers_at
            )
            for shard in self._ledger.shelf.here():
                emptied += self._emptied(shard.root, shard.storage.segments, erasing, shard.headers_at)
            self._ledger.shed()
        if not vault.scrub():
            raise EvidenceUnavailable(
                "the keys are destroyed, but another program reads the vault, so its old pages stay until it ends; "
                "the recorder finishes by itself at its next start or the next erasure"
            )
        absent = [one.number for one in self._ledger.shelf.absent()]
        facts: dict[str, object] = {
            "keys": len(erasing.kids),
            "bodies": emptied.bodies,
            "kept": erasing.kept,
        }
        record = self._ledger.record(
            "erasure",
            facts
            | ({"locked": emptied.locked} if emptied.locked else {})
            | ({"absent": absent} if absent else {}),
            phase="outcome",
            tenant=erasing.subject.tenant,
            subj=erasing.subject.handle,
            cause=[erasing.id],
        )
        if erasing.bound:
            waiting = self._waiting(erasing.subject, erasing.uid, erasing.token, erasing.bound)
            facts = self._facts(Share((), erasing.bound))
            self._wait(waiting, facts, Erase("", by=Person(erasing.token)), cause=(record,))
        elif erasing.last:
            self._deferred.drop(erasing.subject.handle)
        vault.finish_erasure(erasing.id)
        return record, emptied

    def _emptied(self, root: Path, segments: Segments, erasing: Erasing, headers_at: HeadersAt) -> Emptied:
        """Overwrite the bodies of one shard that stand under the destroyed keys; say how many there were.

        Other records may speak of the same person.
        """
        index = Records(root)
        try:
            places = index.bodies_of(erasing.subject.handle)
        finally:
            index.close()
        kids, under = set(erasing.kids), set[tuple[int, str]]()
        for number, raw in headers_at(number for number, _ in places):
            under.update((number, meta["part"]) for meta in orjson.loads(raw)["body"] if meta["kid"] in kids)
        return segments.empty([place for number, place in places if (number, place.part) in under])


def _headers_of(root: Path, headers_at: HeadersAt, handle: str, classes: set[str]) -> Iterator[bytes]:
    """Yield the headers of a person's records in one shard whose bodies stand in folders of these classes."""
    index = Records(root)
    try:
        places = index.bodies_of(handle)
    finally:
        index.close()
    for _, raw in headers_at(number for number, place in places if _class_of(place.segment) in classes):
        yield raw


def _class_of(segment: str) -> str:
    """Return the retention class of ``body/TENANT/CLASS/DAY/N.seg``."""
    return segment.split("/")[2]


def _about(subject: Subject) -> dict[str, object]:
    return {"subject": subject.handle, "tenant": subject.tenant}


def _classes(kept: dict[str, int]) -> str:
    return ", ".join(sorted(kept))
