"""Pruning beside the recorder's loop: planned in a thread of its own, carried out in the loop."""

import logging
import sqlite3
import threading
import time

from magistrate.adapters.recorder.connection import Connection
from magistrate.adapters.recorder.custodian import REFUSALS, Custodian
from magistrate.adapters.recorder.holds import Held
from magistrate.adapters.recorder.ledger import Ledger
from magistrate.adapters.recorder.orders import Answer, Outcome
from magistrate.adapters.recorder.pruning import Plan, plan
from magistrate.exchange.errors import ConfigurationError

EVERY_S = 86_400.0
FIRST_AFTER_S = 60.0
"""Not at the very start, when gateways wait for the recorder."""

log = logging.getLogger("magistrate.recorder")


class DailyPrune:
    """One pruning at a time: once a day, and when somebody asks."""

    def __init__(self, ledger: Ledger, custodian: Custodian) -> None:
        self._ledger = ledger
        self._custodian = custodian
        self._due = time.monotonic() + FIRST_AFTER_S
        self._planning: threading.Thread | None = None
        self._holds: list[Held] = []
        self._planned: Plan | None = None
        self._failed = ""
        self._waiting: list[Connection] = []

    @property
    def planning(self) -> bool:
        """Whether segments are being looked at: they must stay where they are until it has ended."""
        return self._planning is not None

    def ask(self, connection: Connection) -> None:
        """Prune now, and answer ``connection`` when it is done."""
        self._waiting.append(connection)
        self._due = 0.0

    def tick(self, now: float) -> list[Connection]:
        """Go on with what is due; return the connections that were answered."""
        if self._planning is None:
            if now >= self._due:
                self._begin(now)
            return []
        if self._planning.is_alive():
            return []
        self._planning = None
        answer = self._carried_out()
        if answer.facts.get("segments") or answer.outcome is not Outcome.DONE:
            log.info("retention: %s", answer.says)
        answered, self._waiting = self._waiting, []
        for connection in answered:
            connection.answer(answer)
        return answered

    def join(self) -> None:
        """Wait for a plan under way; it changes nothing."""
        if self._planning is not None:
            self._planning.join()

    def _begin(self, now: float) -> None:
        self._due = now + EVERY_S
        self._planned, self._failed = None, ""
        try:
            self._custodian.resume()
            self._holds = self._custodian.in_force()
        except REFUSALS as error:
            self._failed = f"not carried out: {error}"
        self._planning = threading.Thread(target=self._plan, name="retention")
        self._planning.start()

    def _plan(self) -> None:
        if self._failed:
            return
        try:
            self._planned = plan(
                self._ledger.shelved(), self._ledger.schedule.days, self._holds, time.time_ns() // 1000
            )
        except (OSError, sqlite3.Error, ConfigurationError) as error:
            self._failed = f"not carried out: {error}"

    def _carried_out(self) -> Answer:
        if self._planned is None:
            return Answer(Outcome.UNABLE, self._failed or "not carried out: the plan failed")
        return self._custodian.prune(self._planned, self._holds)
