"""The custodian: carries out orders on a ledger. Each is on record before it has an effect, and again when it is done.

Runs in the thread that writes, so that nothing is written while it decides.
"""

import os
import sqlite3
from collections.abc import Sequence

import msgspec

from magistrate.adapters.recorder.erasure import Erasures
from magistrate.adapters.recorder.holds import Held, Holds, spelled_holds
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
    by_whom,
    now_us,
    reasoned,
)
from magistrate.adapters.recorder.pruning import SEGMENTS_IN_A_RECORD, Plan, plan, remove
from magistrate.evidence.draft import Body
from magistrate.evidence.hold import Hold, HoldRefused, Person, State, place
from magistrate.evidence.shards import shard_path
from magistrate.exchange.errors import ConfigurationError, EvidenceUnavailable

REFUSALS = (OSError, sqlite3.Error, EvidenceUnavailable, ConfigurationError)
"""What the world may answer instead of doing it. `WalBroken` is none of them: it ends the process."""


class Custodian:
    """Answers orders. ``uid`` is whose process asked, as the kernel says."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._holds = Holds(ledger.vault)
        self._erasures = Erasures(ledger, self._holds)

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
        self._erasures.resume()

    def repeat(self) -> list[str]:
        """Carry out the erasures that waited and need not wait any more; return what was done, in words.

        Raises what `REFUSALS` lists; what was not reached is tried again the next time.
        """
        return self._erasures.repeat()

    def in_force(self) -> list[Held]:
        """Return the holds that protect now."""
        return self._holds.in_force(now_us())

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
                    remove(self._ledger.shelved(), doomed)
        except REFUSALS as error:
            return Answer(Outcome.UNABLE, f"not carried out: {error}")
        bodies = sum(one.bodies for one in planned.doomed)
        says = f"{len(planned.doomed)} segments with {bodies} bodies removed"
        if planned.held:
            says += f"; {len(planned.held)} kept by {spelled_holds({h for each in planned.held.values() for h in each})}"
        facts = {"segments": len(planned.doomed), "bodies": bodies, "held": planned.held}
        return Answer(Outcome.NO if planned.held else Outcome.DONE, says, facts)

    def _carried_out(self, order: Order, uid: int) -> Answer:
        match order:
            case Erase():
                return self._erasures.erase(order, uid)
            case Prune():
                holds = self.in_force()
                planned = plan(self._ledger.shelved(), self._ledger.schedule.days, holds, now_us())
                return self.prune(planned, holds)
            case PlaceHold():
                return self._place(order, uid)
            case ConfirmHold():
                hold = self._holds.get(order.hold).confirmed(order.by, now_us())
                kind = "hold.place" if hold.state is State.CONFIRMED else "hold.release"
                return self._and_what_waited(self._step(hold, kind, order.by, uid))
            case ReleaseHold():
                hold = self._holds.get(order.hold).release_requested(order.by, now_us())
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

    # --- holds

    def _place(self, order: PlaceHold, uid: int) -> Answer:
        vault, wanted = self._ledger.vault, order.selector
        if wanted.subject and not vault.subjects_named(wanted.subject, wanted.tenant):
            raise HoldRefused("nothing is kept under that name; a hold on it would hold nothing")
        hold = place(f"h-{os.urandom(4).hex()}", wanted, order.reason[:LONGEST_REASON], order.by, now_us())
        return self._step(hold, "hold.place", order.by, uid, order.reason)

    def _step(self, hold: Hold, kind: str, by: Person, uid: int, reason: str = "") -> Answer:
        wanted = hold.selector
        handles = [s.handle for s in self._ledger.vault.subjects_named(wanted.subject, wanted.tenant)]
        facts = {
            "hold": hold.id,
            "state": hold.state.value,
            "by": by_whom(by, uid),
            "subjects": handles if wanted.subject else [],
            **{
                name: value
                for name, value in msgspec.to_builtins(wanted).items()
                if name != "subject" and value is not None
            },
        }
        if hold.state is State.RELEASED or kind == "hold.release":
            record = self._ledger.record(kind, facts, bodies=reasoned(reason, by))
            self._holds.keep(hold)
        else:
            # A hold protects first and is recorded then: a crash between the two must leave it in force.
            self._holds.keep(hold)
            record = self._ledger.record(kind, facts, bodies=reasoned(reason, by))
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
            *reasoned(order.reason, order.by),
            Body("selector", "text/plain", order.selector[:LONGEST_REASON].encode()),
        )
        facts = {
            "records": list(order.records[:RECORDS_IN_A_READING]),
            "count": max(order.count, len(order.records)),
            "by": by_whom(order.by, uid),
        }
        record = self._ledger.record("access.read", facts, bodies=told)
        return Answer(Outcome.DONE, f"the reading is on record as {record}", {"record": record})

    def _rotate_shard(self, order: RotateShard, uid: int) -> Answer:
        self._ledger.check_store()
        self._erasures.resume()  # an erasure is ordered and finished in one shard
        closed = self._ledger.rotate_shard({"by": by_whom(order.by, uid), "why": order.why.value})
        end, vkey = closed.checkpoint, closed.following[0]
        where = "where it was" if self._ledger.storage.remote else f"in `{shard_path(closed.number)}`"
        says = (
            f"shard {closed.number} is closed with {end.size} records and stands {where}; "
            f"it goes on under the key\n{vkey}\ntell your witnesses (`--log`); auditors who trust the old key need nothing"
        )
        if self._ledger.crossing:
            says += "\nits end is not published yet, because the store does not answer; that is done when it does, and calls go on"
        facts = {"shard": closed.number, "origin": end.origin, "records": end.size, "root": end.root.hex()}
        return Answer(Outcome.DONE, says, {**facts, "vkey": vkey})

    def _rotate(self, order: RotateRoot, uid: int) -> Answer:
        self._ledger.record("key.event", {"event": "root.rotate", "by": by_whom(order.by, uid)})
        epoch = self._ledger.vault.rotate_root(self._ledger.disk)
        self._ledger.record("key.event", {"event": "root.rotated", "epoch": epoch})
        says = (
            f"the vault is in epoch {epoch} under a new root key. Copies of the vault from before open only with the old "
            "root key: destroy every copy of that one, and back the new one up now"
        )
        return Answer(Outcome.DONE, says, {"epoch": epoch})


def _shown(hold: Hold) -> dict[str, object]:
    shown = {
        **msgspec.to_builtins(hold),
        "state": hold.state.value,
        "in_force": hold.protects(now_us()),
    }
    return {name: value for name, value in shown.items() if name != "asked"}
