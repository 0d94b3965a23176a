"""Pruning: which segments' retention has ended, and their removal as whole files."""

import datetime as dt
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from magistrate.adapters.recorder.disk import Disk
from magistrate.adapters.recorder.holds import Held
from magistrate.adapters.recorder.retrieval import Records
from magistrate.adapters.recorder.segments import locate_in
from magistrate.evidence.retention import ended

EPOCH = dt.date(1970, 1, 1).toordinal()
SEGMENTS_IN_A_RECORD = 200
_PIECE = 1 << 20


class Doomed(msgspec.Struct, frozen=True):
    """A segment to remove: its name below the evidence directory, what it is, and how many bodies stand in it."""

    name: str
    sha256: str
    bytes: int
    bodies: int


class Plan(msgspec.Struct, frozen=True):
    """What may go now, and what must stay because of which hold."""

    doomed: tuple[Doomed, ...]
    held: dict[str, list[str]]


def plan(root: Path, days: Mapping[str, int], holds: Sequence[Held], now_us: int) -> Plan:
    """Return what may go. Reads every expired segment once, so it takes its time; it changes nothing.

    Raises:
        OSError, sqlite3.Error, ConfigurationError: a segment or an index cannot be read; then nothing may go.
    """
    doomed, held = [], {}
    index = Records(root)
    try:
        for path in expired(root, days, now_us):
            name = str(path.relative_to(root))
            against = _covering(root, name, holds, index)
            if against:
                held[name] = against
            else:
                doomed.append(_doomed(root, name))
    finally:
        index.close()
    return Plan(tuple(doomed), held)


def remove(root: Path, doomed: Sequence[Doomed], disk: Disk) -> None:
    """Remove segments and the folders that are empty then. Raises OSError."""
    folders = {(root / one.name).parent for one in doomed}
    for one in doomed:
        disk.remove(root / one.name)
    for folder in folders:
        if any(folder.iterdir()):
            disk.sync_directory(folder)
        else:
            folder.rmdir()
            disk.sync_directory(folder.parent)


def expired(root: Path, days: Mapping[str, int], now_us: int) -> Iterator[Path]:
    """Yield the segments of whole days whose retention has ended; one of an unknown class never has."""
    for folder in sorted(root.glob("body/*/*/*")):
        kept_days = days.get(folder.parent.name)
        try:
            day = dt.date.fromisoformat(folder.name).toordinal() - EPOCH
        except ValueError:
            continue
        if kept_days is not None and ended(day, kept_days, now_us):
            yield from sorted(folder.glob("*.seg"), key=lambda path: int(path.stem))


def _covering(root: Path, name: str, holds: Sequence[Held], index: Records) -> list[str]:
    tenant = name.split("/")[1]
    asked = [held for held in holds if held.may_cover_tenant(tenant)]
    if not asked:
        return []
    found: dict[str, None] = {}
    for eid, _ in locate_in(root, name):
        row = index.exact(eid)
        # What the index does not know cannot be shown to be free of a hold.
        found.update((held.id, None) for held in asked if row is None or held.covers(row))
        if len(found) == len(asked):
            break
    return list(found)


def _doomed(root: Path, name: str) -> Doomed:
    digest = hashlib.sha256()
    with (root / name).open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    bodies = len({(eid, place.part) for eid, place in locate_in(root, name)})
    return Doomed(name, digest.hexdigest(), (root / name).stat().st_size, bodies)
