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
from magistrate.adapters.recorder.shelf import here
from magistrate.evidence.retention import ended

EPOCH = dt.date(1970, 1, 1).toordinal()
SEGMENTS_IN_A_RECORD = 200
_PIECE = 1 << 20


class Doomed(msgspec.Struct, frozen=True, omit_defaults=True):
    """A segment to remove: its name below its shard's directory, what it is, and how many bodies stand in it.

    ``log`` names the shard, if it is a closed one.
    """

    name: str
    sha256: str
    bytes: int
    bodies: int
    log: str = ""


class Plan(msgspec.Struct, frozen=True):
    """What may go now, and what must stay because of which hold."""

    doomed: tuple[Doomed, ...]
    held: dict[str, list[str]]


def plan(root: Path, days: Mapping[str, int], holds: Sequence[Held], now_us: int) -> Plan:
    """Return what may go. Reads every expired segment once, so it takes its time; it changes nothing.

    Raises:
        OSError, sqlite3.Error, ConfigurationError: a segment or an index cannot be read; then nothing may go.
    """
    doomed, held = list[Doomed](), dict[str, list[str]]()
    for shard, log in shelves(root).items():
        index = Records(shard)
        try:
            for path in expired(shard, days, now_us):
                name = str(path.relative_to(shard))
                against = _covering(shard, name, holds, index)
                if against:
                    held[str(path.relative_to(root))] = against
                else:
                    doomed.append(_doomed(shard, name, log))
        finally:
            index.close()
    return Plan(tuple(doomed), held)


def shelves(root: Path) -> dict[Path, str]:
    """Return the directories of the shards that are here, and the name of each closed one."""
    return {root: ""} | {shard.root: shard.origin for shard in here(root)}


def remove(root: Path, doomed: Sequence[Doomed], disk: Disk) -> None:
    """Remove segments and the folders that are empty then. Raises OSError."""
    place = {log: shard for shard, log in shelves(root).items()}
    folders = {(place[one.log] / one.name).parent for one in doomed}
    for one in doomed:
        disk.remove(place[one.log] / one.name)
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


def _doomed(root: Path, name: str, log: str) -> Doomed:
    digest = hashlib.sha256()
    with (root / name).open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    bodies = len({(eid, place.part) for eid, place in locate_in(root, name)})
    return Doomed(name, digest.hexdigest(), (root / name).stat().st_size, bodies, log)
