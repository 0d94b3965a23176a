"""Erasures that wait: for the end of a hold, or of what a binding class keeps. Kept until done, without being asked for again."""

import msgspec

from magistrate.adapters.recorder.vault import Subject, Vault
from magistrate.evidence.retention import Bound


class Deferral(msgspec.Struct, frozen=True):
    """Whose erasure waits, on which record that stands (empty: the recorder died before it was made), and who asked."""

    subject: Subject
    uid: int
    token: str = ""
    record: str = ""
    whole: bool = True
    """Whether all of the person's keys are to go, since a hold forbade the whole; otherwise those in ``bound``."""
    bound: tuple[Bound, ...] = ()
    """Keys that a binding class keeps."""
    due_us: int = 0
    """Before it nothing can be done."""


_deferrals = msgspec.json.Decoder(list[Deferral])


class Deferred:
    """What the vault keeps of it: handles, never names. A person's newest request replaces an older one.

    Remembered, because it is asked for every minute; only the recorder that holds the vault's ledger changes it.
    """

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._known: dict[str, Deferral] | None = None

    def due(self, now_us: int) -> list[Deferral]:
        """Return the requests that may have something to be done now."""
        return [one for one in self._all().values() if one.due_us <= now_us]

    def of(self, handle: str) -> Deferral | None:
        return self._all().get(handle)

    def keep(self, deferral: Deferral) -> None:
        """Keep a request durably. Raises sqlite3.Error."""
        self._replace({**self._all(), deferral.subject.handle: deferral})

    def drop(self, handle: str) -> None:
        """Forget a request: it was carried out, or nobody is left to erase. Raises sqlite3.Error."""
        if self.of(handle) is not None:
            self._replace({other: one for other, one in self._all().items() if other != handle})

    def _all(self) -> dict[str, Deferral]:
        if self._known is None:
            kept = self._vault.standing("deferred")
            self._known = {one.subject.handle: one for one in _deferrals.decode(kept)} if kept else {}
        return self._known

    def _replace(self, deferrals: dict[str, Deferral]) -> None:
        self._vault.keep_standing("deferred", msgspec.json.encode(list(deferrals.values())))
        self._known = deferrals
