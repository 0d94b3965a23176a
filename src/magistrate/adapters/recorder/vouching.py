"""Who vouches for which shard: an `Attester` for the one that is written, and a last round for one that was closed.

A closed shard's last checkpoint is asked about once more where the shard stands then; after a crash, at the next start.
"""

from magistrate.adapters.recorder.attesting import LATEST, Attester
from magistrate.adapters.recorder.keys import VKEY
from magistrate.adapters.recorder.ledger import Ledger, Settings
from magistrate.adapters.recorder.shelf import Shard, here
from magistrate.adapters.recorder.store import PosixObjects
from magistrate.evidence.checkpoint import parse
from magistrate.evidence.note import NoteError, open_note


class Vouching:
    """The attesters of one recorder."""

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        self._settings, self._ledger = settings, ledger
        self._current: Attester | None = None
        self._last_rounds: list[Attester] = []

    def begin(self) -> None:
        """Let the shard that is written be vouched for, and finish with the one before it."""
        if self._settings.plan.empty:
            return
        closed = here(self._settings.evidence)
        if closed and not self._is_vouched_for(closed[-1]):
            vkey = (closed[-1].root / VKEY).read_text(encoding="ascii").strip()
            last = Attester(closed[-1].root, vkey, self._settings.plan, stamped=self._stamped)
            last.start()
            last.finish()
            self._last_rounds.append(last)
        self._current = Attester(
            self._settings.evidence, self._ledger.vkey, self._settings.plan, stamped=self._stamped
        )
        self._current.start()

    def retire(self) -> None:
        """Write nothing more for the shard that is written: it is about to move. Waits for nobody."""
        if self._current is not None:
            self._current.retire()
            self._current = None

    def stop(self) -> None:
        """Ask everybody once more, and end."""
        for attester in [*self._last_rounds, *([self._current] if self._current else [])]:
            attester.stop()

    def _stamped(self, digest: bytes) -> None:
        self._ledger.beacon = digest

    def _is_vouched_for(self, shard: Shard) -> bool:
        """Return whether witnesses and authorities, as far as they are asked, have seen a shard's end."""
        plan, note = self._settings.plan, PosixObjects(shard.root).get(LATEST)
        try:
            seen = parse(open_note(note)[0]).size if note else 0
        except NoteError:
            seen = 0
        cosigned = not plan.witnesses or seen == shard.size
        return cosigned and (not plan.authorities or (shard.root / f"receipts/{shard.size}.tsr").exists())
