"""Rotation beside the recorder's loop: a shard is closed when somebody asks, and when it is full or old enough."""

import logging
import time

from magistrate.adapters.recorder.connection import Connection
from magistrate.adapters.recorder.custodian import Custodian
from magistrate.adapters.recorder.ledger import Ledger
from magistrate.adapters.recorder.orders import Answer, Outcome, RotateShard, Why
from magistrate.adapters.recorder.rotation import Limits
from magistrate.adapters.recorder.vouching import Vouching

LOOK_EVERY_S = 1.0
RETRY_S = 300.0
"""After a rotation by itself that was not possible."""

log = logging.getLogger("magistrate.recorder")


class Rotating:
    """One rotation at a time, in the thread that writes; who vouches for the log moves with it."""

    def __init__(self, ledger: Ledger, custodian: Custodian, vouching: Vouching, limits: Limits) -> None:
        self._ledger, self._custodian, self._vouching, self._limits = ledger, custodian, vouching, limits
        self._waiting: list[tuple[Connection, RotateShard]] = []
        self._look_at = 0.0
        self._began: tuple[str, int] = "", 0

    def ask(self, connection: Connection, order: RotateShard) -> None:
        """Rotate when nothing stands against it, and answer ``connection`` then."""
        self._waiting.append((connection, order))

    def tick(self, now: float, *, busy: bool) -> list[Connection]:
        """Carry out what is due, unless a pruning is being planned; return the connections that were answered."""
        if busy:
            return []
        answered = []
        for connection, order in self._waiting:
            connection.answer(self._rotated(order, connection.uid))
            answered.append(connection)
        self._waiting.clear()
        if now >= self._look_at:
            self._look_at = now + LOOK_EVERY_S
            why = self._due()
            if why is not None and self._rotated(RotateShard(why), 0).outcome is not Outcome.DONE:
                self._look_at = now + RETRY_S
        return answered

    def _rotated(self, order: RotateShard, uid: int) -> Answer:
        self._vouching.retire()
        answer = self._custodian.obey(order, uid)
        self._vouching.begin()
        level = logging.INFO if answer.outcome is Outcome.DONE else logging.ERROR
        log.log(level, "rotation (%s): %s", order.why, answer.says)
        return answer

    def _due(self) -> Why | None:
        if self._limits.records and self._ledger.size >= self._limits.records:
            return Why.RECORDS
        if not self._limits.age_s:
            return None
        if self._began[0] != self._ledger.vkey or not self._began[1]:
            try:
                self._began = self._ledger.vkey, self._ledger.began_us
            except OSError as error:
                log.error("how old the shard is cannot be told: %s", error.strerror or error)
                return None
        began = self._began[1]
        return Why.AGE if began and time.time_ns() // 1000 - began >= self._limits.age_s * 1e6 else None
