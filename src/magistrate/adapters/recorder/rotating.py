"""Rotation beside the recorder's loop: a shard is closed when somebody asks, and when it is full or old enough."""

import logging
import time

from magistrate.adapters.recorder.connection import Connection
from magistrate.adapters.recorder.custodian import Custodian
from magistrate.adapters.recorder.ledger import Ledger
from magistrate.adapters.recorder.orders import Answer, Outcome, RotateShard, Why
from magistrate.adapters.recorder.rotation import Limits
from magistrate.adapters.recorder.vouching import Vouching
from magistrate.evidence.tiles import Missing

LOOK_EVERY_S = 1.0
RETRY_S = 300.0
"""After a rotation by itself that was not possible."""

CLOSED_MEANWHILE = 1024
"""So many open traces may be left to be closed while nothing else is written: a tenth of a second."""

MOST_ROUNDS = 200
"""After so many rounds of closing traces between calls the rest is closed at once, however many call for it."""

log = logging.getLogger("magistrate.recorder")


class Rotating:
    """One rotation at a time, in the thread that writes; who vouches for the log moves with it."""

    def __init__(self, ledger: Ledger, custodian: Custodian, vouching: Vouching, limits: Limits) -> None:
        self._ledger, self._custodian, self._vouching, self._limits = ledger, custodian, vouching, limits
        self._waiting: list[tuple[Connection, RotateShard]] = []
        self._by_itself: RotateShard | None = None
        self._rounds = 0
        self._look_at = 0.0
        self._began: tuple[str, int] = "", 0
        self._retired = False
        """Whether nobody vouches just now, because a shard ended."""

    def ask(self, connection: Connection, order: RotateShard) -> None:
        """Rotate when nothing stands against it, and answer ``connection`` then."""
        self._waiting.append((connection, order))

    def tick(self, now: float, *, busy: bool) -> list[Connection]:
        """Go on with what is due, unless a pruning is being planned; return the connections that were answered."""
        if busy:
            return []
        self._ledger.go_on()
        self._vouch_again()
        if self._by_itself is None and now >= self._look_at:
            self._look_at = now + LOOK_EVERY_S
            why = self._due()
            self._by_itself = RotateShard(why) if why is not None else None
        if not (self._waiting or self._by_itself) or self._closes_traces_first():
            return []
        self._rounds = 0
        answered = []
        for connection, order in self._waiting:
            connection.answer(self._rotated(order, connection.uid))
            answered.append(connection)
        if not answered and self._by_itself is not None:
            done = self._rotated(self._by_itself, 0).outcome is Outcome.DONE
            self._look_at = self._look_at if done else now + RETRY_S
        self._waiting.clear()
        self._by_itself = None
        return answered

    def _closes_traces_first(self) -> bool:
        """Close some of many open traces, between calls, so that calls need not wait for all of them at once."""
        if self._ledger.waits_for_store:
            return False
        if self._ledger.open_traces <= CLOSED_MEANWHILE or self._rounds >= MOST_ROUNDS:
            return False
        self._rounds += 1
        return self._ledger.write(self._ledger.notes.closings(all_of_them=True))

    def _rotated(self, order: RotateShard, uid: int) -> Answer:
        if self._ledger.waits_for_store:
            answer = self._custodian.obey(order, uid)  # which says why not, and asks no store
        else:
            self._vouching.retire()
            self._retired = True
            answer = self._custodian.obey(order, uid)
            self._vouch_again()
        level = logging.INFO if answer.outcome is Outcome.DONE else logging.ERROR
        log.log(level, "rotation (%s): %s", order.why, answer.says)
        return answer

    def _vouch_again(self) -> None:
        """Let the shard that is written be vouched for once its stores are open."""
        if self._retired and not self._ledger.crossing:
            self._retired = False
            self._vouching.begin()

    def _due(self) -> Why | None:
        if self._ledger.waits_for_store:
            return None
        if self._limits.records and self._ledger.size >= self._limits.records:
            return Why.RECORDS
        if not self._limits.age_s:
            return None
        if self._began[0] != self._ledger.vkey or not self._began[1]:
            try:
                self._began = self._ledger.vkey, self._ledger.began_us
            except (OSError, Missing) as error:
                log.error("how old the shard is cannot be told: %s", error)
                return None
        began = self._began[1]
        return Why.AGE if began and time.time_ns() // 1000 - began >= self._limits.age_s * 1e6 else None
