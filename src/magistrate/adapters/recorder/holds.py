"""The holds in force, as the vault keeps them, and what they cover."""

from collections.abc import Iterable

import msgspec

from magistrate.adapters.recorder.row import Row, SearchQuery
from magistrate.adapters.recorder.shelf import AllRecords
from magistrate.adapters.recorder.vault import Subject, Vault
from magistrate.evidence.hold import Hold, HoldRefused, Selector

_holds = msgspec.json.Decoder(list[Hold])


class Held(msgspec.Struct, frozen=True):
    """A hold with its person exchanged for handles, so that nobody needs the vault to apply it."""

    id: str
    selector: Selector
    handles: frozenset[str]

    def may_cover_tenant(self, folder: str) -> bool:
        """Return whether records of a segment's tenant can be meant. The folder's name is the tenant's, made plain."""
        return not self.selector.tenant or folder == plain(self.selector.tenant)

    def covers(self, row: Row) -> bool:
        """Return whether a record is meant; its tenant was looked at before."""
        wanted = self.selector
        return (
            (not wanted.subject or row.subject in self.handles)
            and wanted.app in {"", row.app}
            and wanted.trace in {"", row.trace}
            and (wanted.since_us is None or row.ts_us >= wanted.since_us)
            and (wanted.until_us is None or row.ts_us < wanted.until_us)
        )


class Holds:
    """Read from the vault for every question, because a hold that was forgotten in a cache is evidence destroyed."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def all(self) -> list[Hold]:
        kept = self._vault.standing("holds")
        return _holds.decode(kept) if kept else []

    def get(self, hold_id: str) -> Hold:
        """Return a hold. Raises HoldRefused: there is none of that id."""
        for hold in self.all():
            if hold.id == hold_id:
                return hold
        raise HoldRefused(f"there is no hold `{hold_id}`; `magistrate evidence hold list` shows them")

    def keep(self, hold: Hold) -> None:
        """Keep a new or changed hold durably. Raises sqlite3.Error."""
        others = [other for other in self.all() if other.id != hold.id]
        self._vault.keep_standing("holds", msgspec.json.encode([*others, hold]))

    def in_force(self, now_us: int) -> list[Held]:
        """Return the holds that protect now."""
        return [self._held(hold) for hold in self.all() if hold.protects(now_us)]

    def _held(self, hold: Hold) -> Held:
        wanted = hold.selector
        subjects = self._vault.subjects_named(wanted.subject, wanted.tenant) if wanted.subject else []
        return Held(hold.id, wanted, frozenset(subject.handle for subject in subjects))


def against_erasure(holds: Iterable[Held], subject: Subject, index: AllRecords) -> list[str]:
    """Return the holds that cover records of ``subject``. Raises sqlite3.Error, ConfigurationError.

    Where a shard is not here nobody can show that a hold covers none of its records: it counts as covering some.
    """
    found = []
    for held in holds:
        wanted = held.selector
        if wanted.tenant not in {"", subject.tenant}:
            continue
        if wanted.subject and subject.handle not in held.handles:
            continue
        query = SearchQuery(
            subject=subject.handle,
            app=wanted.app,
            trace=wanted.trace,
            since_us=wanted.since_us,
            until_us=wanted.until_us,
            limit=1,
        )
        # On a person as such no record is needed: what is still to come is meant too.
        whole = wanted == Selector(subject=wanted.subject, tenant=wanted.tenant)
        if whole or not index.whole or index.search(query):
            found.append(held.id)
    return found


def spelled_holds(holds: Iterable[str]) -> str:
    """Return holds by their ids, for people."""
    ids = sorted(holds)
    return f"hold{'s' if len(ids) > 1 else ''} {', '.join(ids)}"


def plain(tenant: str) -> str:
    """Return a tenant as a segment's folder spells it."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in tenant[:64]) or "default"
