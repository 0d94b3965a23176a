"""The custodian: carries out orders on a ledger. Each is on record before it has an effect, and again when it is done.

Runs in the thread that writes, so that nothing is written while it decides.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import msgspec
import orjson

from magistrate.adapters.recorder.deferred import Deferral, Deferred
from magistrate.adapters.recorder.holds import Held, Holds, against_erasure
from magistrate.adapters.recorder.ledger import Ledger
from magistrate.adapters.recorder.orders import (
    LONGEST_REASON,
    RECORDS_IN_A_READING,
    Answer,
    ConfirmHold,
    Erase,
    ListHolds,
    Order,
    Outcome,
    PlaceHold,
    Prune,
    ReadContent,
    ReleaseHold,
    RotateRoot,
    RotateShard,
    SignRoot,
)
from magistrate.adapters.recorder.pruning import SEGMENTS_IN_A_RECORD, Plan, plan
from magistrate.adapters.recorder.retrieval import Records
from magistrate.adapters.recorder.segments import Emptied, Segments
from magistrate.adapters.recorder.shelf import AllRecords, told_absent
from magistrate.adapters.recorder.vault import Erasing, Subject
from magistrate.evidence.draft import Body
from magistrate.evidence.hold import Hold, HoldRefused, Person, State, place
from magistrate.evidence.shards import shard_path
from magistrate.exchange.errors import ConfigurationError, EvidenceUnavailable

HeadersAt = Callable[[Iterable[int]], Iterator[tuple[int, bytes]]]
KIDS_IN_AN_ORDER = 1000
REFUSALS = (OSError, sqlite3.Error, EvidenceUnavailable, ConfigurationError)
"""What the world may answer instead of doing it. `WalBroken` is none of them: it ends the process."""


class Custodian:
    """Answers orders. ``uid`` is whose process asked, as the kernel says."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._holds = Holds(ledger.vault)
        self._deferred = Deferred(ledger.vault)

    def obey(self, order: Order, uid: int) -> Answer:
        """Carry ``order`` out and say how it went."""
        try:
            return self._carried_out(order, uid)
        except HoldRefused as refused:
            return Answer(Outcome.NO, str(refused))
        except REFUSALS as error:
            return Answer(Outcome.UNABLE, f"not carried out: {error}")

    def resume(self) -> None:
        """Finish erasures that a crash or a busy file interrupted. Raises what `REFUSALS` lists."""
        for erasing in self._ledger.vault.unfinished():
            self._finish(erasing)

    def repeat(self) -> list[str]:
        """Carry out the erasures that nothing forbids any more; return what was done, in words.

        Raises what `REFUSALS` lists; what was not reached is tried again the next time.
        """
        done = []
        for waiting in self._deferred.all():
            handle = waiting.subject.handle
            if self._ledger.vault.subject_of(handle) is None:
                self._deferred.drop(handle)  # erased meanwhile
            elif not self._holds_against(waiting.subject):
                order = Erase("", waiting.subject.tenant, by=Person(waiting.token))
                done.append(self._erase_subject(waiting.subject, order, waiting.uid).says)
        return done

    def in_force(self) -> list[Held]:
        """Return the holds that protect now."""
        return self._holds.in_force(_now_us())

    def prune(self, planned: Plan, holds: Sequence[Held]) -> Answer:
        """Record what goes, then remove it; nothing if the holds are others than those it was planned with."""
        try:
            if self.in_force() != list(holds):
                return Answer(Outcome.UNABLE, "a hold was placed or released meanwhile; ask again")
            for at in range(0, len(planned.doomed), SEGMENTS_IN_A_RECORD):
                doomed = planned.doomed[at : at + SEGMENTS_IN_A_RECORD]
                self._ledger.record("retention.prune", {"segments": msgspec.to_builtins(doomed)})
                with self._ledger.resting() as sealer:
                    for one in doomed:
                        if not one.log:
                            sealer.forget_segments(one.name.removeprefix("body/").rpartition("/")[0])
                    self._ledger.remove_segments(doomed)
        except REFUSALS as error:
            return Answer(Outcome.UNABLE, f"not carried out: {error}")
        bodies = sum(one.bodies for one in planned.doomed)
        says = f"{len(planned.doomed)} segments with {bodies} bodies removed"
        if planned.held:
            says += f"; {len(planned.held)} kept by {_spelled({h for each in planned.held.values() for h in each})}"
        facts = {"segments": len(planned.doomed), "bodies": bodies, "held": planned.held}
        return Answer(Outcome.NO if planned.held else Outcome.DONE, says, facts)

    def _carried_out(self, order: Order, uid: int) -> Answer:
        match order:
            case Erase():
                return self._erase(order, uid)
            case Prune():
                holds = self.in_force()
                planned = plan(self._ledger.shelved(), self._ledger.schedule.days, holds, _now_us())
                return self.prune(planned, holds)
            case PlaceHold():
                return self._place(order, uid)
            case ConfirmHold():
                hold = self._holds.get(order.hold).confirmed(order.by, _now_us())
                kind = "hold.place" if hold.state is State.CONFIRMED else "hold.release"
                return self._and_what_waited(self._step(hold, kind, order.by, uid))
            case ReleaseHold():
                hold = self._holds.get(order.hold).release_requested(order.by, _now_us())
                return self._step(hold, "hold.release", order.by, uid, order.reason)
            case ListHolds():
                return Answer(Outcome.DONE, "", {"holds": [_shown(hold) for hold in self._holds.all()]})
            case ReadContent():
                return self._read(order, uid)
            case RotateRoot():
                return self._rotate(order, uid)
            case RotateShard():
                return self._rotate_shard(order, uid)
            case SignRoot():
                with self._ledger.resting() as sealer:
                    return Answer(Outcome.DONE, "", {"root": msgspec.to_builtins(sealer.signed_root())})

    # --- erasure

    def _erase(self, order: Erase, uid: int) -> Answer:
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

    def _erase_subject(self, subject: Subject, order: Erase, uid: int) -> Answer:
        facts: dict[str, object] = {"subject": subject.handle, "tenant": subject.tenant}
        against = self._holds_against(subject)
        if against:
            return self._defer(subject, order, uid, against, facts)
        kids, kept = self._keys_that_may_go(subject)
        if kept and not kids:
            says = (
                f"nothing of `{subject.handle}` is left that may go: {', '.join(sorted(kept))} binds the rest"
            )
            self._deferred.drop(subject.handle)
            return Answer(Outcome.NO, says, {**facts, "keys": 0, "bodies": 0, "kept": kept})
        self._order(subject, order, uid, kids, kept)
        bodies, locked, records = 0, 0, []
        for erasing in self._ledger.vault.unfinished():
            record, emptied = self._finish(erasing)
            records.append(record)
            bodies += emptied.bodies
            locked += emptied.locked
        self._deferred.drop(subject.handle)
        gone = told_absent(self._ledger.shelf.absent())
        says = f"erased `{subject.handle}`: {len(kids)} keys destroyed, {bodies} bodies overwritten, record {records[-1]}"
        if locked:
            says += f"; the store keeps the ciphertext of {locked} bodies locked until its retention ends, without any key"
            facts["locked"] = locked
        if kept:
            says += f"; {sum(kept.values())} keys of {', '.join(sorted(kept))} are kept, because the law binds more than the request"
        if gone:
            says += "; what lies elsewhere cannot be opened any more, but was not overwritten: " + "; ".join(
                gone
            )
        facts |= {"record": records[-1], "keys": len(kids), "bodies": bodies, "kept": kept}
        return Answer(Outcome.NO if kept else Outcome.DONE, says, facts)

    def _defer(
        self, subject: Subject, order: Erase, uid: int, against: list[str], facts: dict[str, object]
    ) -> Answer:
        # Kept first: a request that is on record and forgotten would be a promise broken.
        waiting = Deferral(subject, uid, order.by.token)
        self._deferred.keep(waiting)
        record = self._ledger.record(
            "erasure.deferred",
            {"holds": against, "by": _by(order.by, uid)},
            tenant=subject.tenant,
            subj=subject.handle,
            bodies=_reasoned(order.reason, order.by),
        )
        self._deferred.keep(msgspec.structs.replace(waiting, record=record))
        says = (
            f"deferred: {_spelled(against)} forbids erasing `{subject.handle}`; "
            "it is carried out when nothing forbids it any more"
        )
        return Answer(Outcome.NO, says, {**facts, "record": record, "holds": against})

    def _keys_that_may_go(self, subject: Subject) -> tuple[list[str], dict[str, int]]:
        """Return the keys of a person to destroy, and how many of which class the law keeps."""
        kids, kept = [], dict[str, int]()
        for key in self._ledger.vault.keys_of(subject.handle):
            if key.retention in self._ledger.schedule.binding:
                kept[key.retention] = kept.get(key.retention, 0) + 1
            else:
                kids.append(key.kid)
        return kids, kept

    def _order(self, subject: Subject, order: Erase, uid: int, kids: list[str], kept: dict[str, int]) -> None:
        """Put on record that keys go, some with each record, and begin their erasure."""
        earlier = self._deferred.of(subject.handle)
        cause = [earlier.record] if earlier is not None and earlier.record else []
        for at in range(0, max(1, len(kids)), KIDS_IN_AN_ORDER):
            some = kids[at : at + KIDS_IN_AN_ORDER]
            ordered = self._ledger.record(
                "erasure.order",
                {"kids": some, "kept": kept, "by": _by(order.by, uid)},
                phase="intent",
                tenant=subject.tenant,
                subj=subject.handle,
                cause=cause,
                bodies=_reasoned(order.reason, order.by),
            )
            last = at + KIDS_IN_AN_ORDER >= len(kids)
            self._ledger.vault.begin_erasure(Erasing(ordered, subject, tuple(some), kept, last))

    def _holds_against(self, subject: Subject) -> list[str]:
        holds = self.in_force()
        if not holds:
            return []
        with self._ledger.resting():  # the index then knows every record there is
            index = AllRecords(self._ledger.root, self._ledger.shelf)
            try:
                return against_erasure(holds, subject, index)
            finally:
                index.close()

    def _finish(self, erasing: Erasing) -> tuple[str, Emptied]:
        """Clear what the destroyed keys leave behind, and record that it is done."""
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
        facts = {"keys": len(erasing.kids), "bodies": emptied.bodies, "kept": erasing.kept}
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

    # --- holds

    def _place(self, order: PlaceHold, uid: int) -> Answer:
        vault, wanted = self._ledger.vault, order.selector
        if wanted.subject and not vault.subjects_named(wanted.subject, wanted.tenant):
            raise HoldRefused("nothing is kept under that name; a hold on it would hold nothing")
        hold = place(f"h-{os.urandom(4).hex()}", wanted, order.reason[:LONGEST_REASON], order.by, _now_us())
        return self._step(hold, "hold.place", order.by, uid, order.reason)

    def _step(self, hold: Hold, kind: str, by: Person, uid: int, reason: str = "") -> Answer:
        wanted = hold.selector
        handles = [s.handle for s in self._ledger.vault.subjects_named(wanted.subject, wanted.tenant)]
        facts = {
            "hold": hold.id,
            "state": hold.state.value,
            "by": _by(by, uid),
            "subjects": handles if wanted.subject else [],
            **{
                name: value
                for name, value in msgspec.to_builtins(wanted).items()
                if name != "subject" and value is not None
            },
        }
        if hold.state is State.RELEASED or kind == "hold.release":
            record = self._ledger.record(kind, facts, bodies=_reasoned(reason, by))
            self._holds.keep(hold)
        else:
            # A hold protects first and is recorded then: a crash between the two must leave it in force.
            self._holds.keep(hold)
            record = self._ledger.record(kind, facts, bodies=_reasoned(reason, by))
        says = f"hold {hold.id} is {hold.state}"
        if hold.state in {State.REQUESTED, State.RELEASE_REQUESTED}:
            says += f"; a second person confirms it with: magistrate evidence hold confirm {hold.id}"
        return Answer(Outcome.DONE, says, {"hold": hold.id, "state": hold.state.value, "record": record})

    def _and_what_waited(self, answer: Answer) -> Answer:
        """Carry out what a hold's end sets free, and say so with the answer."""
        if answer.facts.get("state") != State.RELEASED.value:
            return answer
        try:
            done = self.repeat()
        except REFUSALS as error:
            done = [f"an erasure that waited for it is tried again later: {error}"]
        return msgspec.structs.replace(answer, says="\n".join((answer.says, *done)))

    # --- reading, and the root key

    def _read(self, order: ReadContent, uid: int) -> Answer:
        told = (
            *_reasoned(order.reason, order.by),
            Body("selector", "text/plain", order.selector[:LONGEST_REASON].encode()),
        )
        facts = {
            "records": list(order.records[:RECORDS_IN_A_READING]),
            "count": max(order.count, len(order.records)),
            "by": _by(order.by, uid),
        }
        record = self._ledger.record("access.read", facts, bodies=told)
        return Answer(Outcome.DONE, f"the reading is on record as {record}", {"record": record})

    def _rotate_shard(self, order: RotateShard, uid: int) -> Answer:
        self.resume()  # an erasure is ordered and finished in one shard
        closed = self._ledger.rotate_shard({"by": _by(order.by, uid), "why": order.why.value})
        end, vkey = closed.checkpoint, self._ledger.vkey
        where = "where it was" if self._ledger.storage.remote else f"in `{shard_path(closed.number)}`"
        says = (
            f"shard {closed.number} is closed with {end.size} records and stands {where}; "
            f"it goes on under the key\n{vkey}\ntell your witnesses (`--log`); auditors who trust the old key need nothing"
        )
        facts = {"shard": closed.number, "origin": end.origin, "records": end.size, "root": end.root.hex()}
        return Answer(Outcome.DONE, says, {**facts, "vkey": vkey})

    def _rotate(self, order: RotateRoot, uid: int) -> Answer:
        self._ledger.record("key.event", {"event": "root.rotate", "by": _by(order.by, uid)})
        epoch = self._ledger.vault.rotate_root(self._ledger.disk)
        self._ledger.record("key.event", {"event": "root.rotated", "epoch": epoch})
        says = (
            f"the vault is in epoch {epoch} under a new root key. Copies of the vault from before open only with the old "
            "root key: destroy every copy of that one, and back the new one up now"
        )
        return Answer(Outcome.DONE, says, {"epoch": epoch})


def _now_us() -> int:
    return time.time_ns() // 1000


def _by(person: Person, uid: int) -> dict[str, object]:
    return {"uid": uid, "token": person.token}


def _reasoned(reason: str, by: Person) -> tuple[Body, ...]:
    """Return reason and name as an encrypted body: both may name people, and a header can never be deleted."""
    document = {"reason": reason[:LONGEST_REASON], "by": by.name}
    return (Body("reason", "application/json", orjson.dumps(document)),) if reason or by.name else ()


def _spelled(holds: Sequence[str] | set[str]) -> str:
    return f"hold{'s' if len(holds) > 1 else ''} {', '.join(sorted(holds))}"


def _shown(hold: Hold) -> dict[str, object]:
    shown = {
        **msgspec.to_builtins(hold),
        "state": hold.state.value,
        "in_force": hold.protects(_now_us()),
    }
    return {name: value for name, value in shown.items() if name != "asked"}
