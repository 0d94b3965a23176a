"""Who vouches for which shard: an `Attester` for the one that is written, and a last round for one that was closed.

A closed shard's last checkpoint is asked about once more where the shard stands then; after a crash, at the next start.
"""

import logging
from collections import deque
from dataclasses import replace

from magistrate.adapters.recorder.attesting import LATEST, Attester, tokens
from magistrate.adapters.recorder.keys import VKEY
from magistrate.adapters.recorder.ledger import Ledger, Settings
from magistrate.adapters.recorder.shelf import Shard
from magistrate.adapters.recorder.writer import Submission
from magistrate.evidence.beacon import Drawn
from magistrate.evidence.checkpoint import parse
from magistrate.evidence.note import NoteError, open_note

log = logging.getLogger("magistrate.recorder")


class Vouching:
    """The attesters of one recorder."""

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        self._plan, self._root, self._ledger = settings.plan, settings.evidence, ledger
        self._current: Attester | None = None
        self._last_rounds: list[Attester] = []
        self._drawn: deque[Drawn] = deque()

    def begin(self) -> None:
        """Let the shard that is written be vouched for, and finish with the one before it."""
        if self._plan.empty:
            return
        try:
            self._finish_the_one_before()
        except OSError as error:
            log.error("the last closed shard is not vouched for: %s", error.strerror or error)
        self._current = Attester(
            self._root,
            self._ledger.vkey,
            self._plan,
            stamped=self._stamped,
            heard=self._drawn.append,
            storage=self._ledger.storage,
        )
        self._current.start()

    def drawn(self) -> list[Submission]:
        """Return records of the beacons' values that came in, for the thread that writes."""
        found = []
        while self._drawn:
            found.append(self._ledger.notes.beacon(self._drawn.popleft().facts))
        return found

    def retire(self) -> None:
        """Write nothing more for the shard that is written: it is about to be closed. Waits for nobody."""
        if self._current is not None:
            self._current.retire()
            self._current = None

    def stop(self) -> None:
        """Ask everybody once more, and end."""
        for attester in [*self._last_rounds, *([self._current] if self._current else [])]:
            attester.stop()

    def _finish_the_one_before(self) -> None:
        closed = self._ledger.shelf.here()
        if not closed or self._is_vouched_for(closed[-1]):
            return
        shard = closed[-1]
        vkey = (shard.storage.objects.get(VKEY) or b"").decode("ascii").strip()
        plan = replace(self._plan, beacons=())  # they bound what is written behind them, and here nothing is
        last = Attester(shard.root, vkey, plan, stamped=self._stamped, storage=shard.storage)
        last.start()
        last.finish()
        self._last_rounds = [last]

    def _stamped(self, digest: bytes) -> None:
        self._ledger.notes.stamped(digest)

    def _is_vouched_for(self, shard: Shard) -> bool:
        """Return whether witnesses and authorities, as far as they are asked, have seen a shard's end."""
        note = shard.storage.objects.get(LATEST)
        try:
            seen = parse(open_note(note)[0]).size if note else 0
        except NoteError:
            seen = 0
        cosigned = not self._plan.witnesses or seen == shard.size
        stamped = {size for _, size, _ in tokens(shard.storage.objects)} if self._plan.authorities else set()
        return cosigned and (not self._plan.authorities or shard.size in stamped)
