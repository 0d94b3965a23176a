"""Erasures that a hold forbade: kept until nothing forbids them, then carried out without being asked for again."""

import msgspec

from magistrate.adapters.recorder.vault import Subject, Vault


class Deferral(msgspec.Struct, frozen=True):
    """Whose erasure waits, on which record that stands (empty: the recorder died before it was made), and who asked."""

    subject: Subject
    uid: int
    token: str = ""
    record: str = ""


_deferrals = msgspec.json.Decoder(list[Deferral])


class Deferred:
    """What the vault keeps of it: handles, never names. A person's newest request replaces an older one."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def all(self) -> list[Deferral]:
        kept = self._vault.standing("deferred")
        return _deferrals.decode(kept) if kept else []

    def of(self, handle: str) -> Deferral | None:
        return next((one for one in self.all() if one.subject.handle == handle), None)

    def keep(self, deferral: Deferral) -> None:
        """Keep a request durably. Raises sqlite3.Error."""
        self._replace(deferral.subject.handle, [deferral])

    def drop(self, handle: str) -> None:
        """Forget a request: it was carried out, or nobody is left to erase. Raises sqlite3.Error."""
        if self.of(handle) is not None:
            self._replace(handle, [])

    def _replace(self, handle: str, new: list[Deferral]) -> None:
        others = [one for one in self.all() if one.subject.handle != handle]
        self._vault.keep_standing("deferred", msgspec.json.encode([*others, *new]))
