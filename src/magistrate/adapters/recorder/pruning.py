"""Pruning: which segments' retention has ended, and their removal as whole files."""

import datetime as dt
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from magistrate.adapters.recorder.holds import Held
from magistrate.adapters.recorder.retrieval import Records
from magistrate.adapters.recorder.segments import Segments
from magistrate.evidence.retention import ended

EPOCH = dt.date(1970, 1, 1).toordinal()
SEGMENTS_IN_A_RECORD = 200


class Doomed(msgspec.Struct, frozen=True, omit_defaults=True):
    """A segment to remove: its name below its shard's directory, what it is, and how many bodies stand in it.

    ``log`` names the shard, if it is a closed one.
    """

    name: str
    sha256: str
    bytes: int
    bodies: int
    log: str = ""


class Shelved(msgspec.Struct, frozen=True):
    """A shard whose segments may go: where its index and its bodies are, and its name, if it is a closed one."""

    root: Path
    segments: Segments
    log: str = ""


class Plan(msgspec.Struct, frozen=True):
    """What may go now, and what must stay because of which hold."""

    doomed: tuple[Doomed, ...]
    held: dict[str, list[str]]


def plan(among: Sequence[Shelved], days: Mapping[str, int], holds: Sequence[Held], now_us: int) -> Plan:
    """Return what of these shards may go. Reads every expired segment once, so it takes its time; it changes nothing.

    Raises:
        OSError, sqlite3.Error, ConfigurationError: a segment or an index cannot be read; then nothing may go.
    """
    doomed, held = list[Doomed](), dict[str, list[str]]()
    for shelved in among:
        index = Records(shelved.root)
        try:
            for name in expired(shelved.segments, days, now_us):
                against = _covering(shelved.segments, name, holds, index)
                if against:
                    held[f"{shelved.log} {name}".lstrip()] = against
                else:
                    doomed.append(_doomed(shelved, name))
        finally:
            index.close()
    return Plan(tuple(doomed), held)


def remove(among: Sequence[Shelved], doomed: Sequence[Doomed]) -> None:
    """Remove segments of any shard. Raises OSError."""
    for shelved in among:
        if names := [one.name for one in doomed if one.log == shelved.log]:
            shelved.segments.remove(names)


def expired(segments: Segments, days: Mapping[str, int], now_us: int) -> Iterator[str]:
    """Yield the segments of whole days whose retention has ended; one of an unknown class never has."""
    for folder in segments.folders():
        _, retention, date = folder.split("/")
        kept_days = days.get(retention)
        try:
            day = dt.date.fromisoformat(date).toordinal() - EPOCH
        except ValueError:
            continue
        if kept_days is not None and ended(day, kept_days, now_us):
            yield from segments.names(folder)


def _covering(segments: Segments, name: str, holds: Sequence[Held], index: Records) -> list[str]:
    tenant = name.split("/")[1]
    asked = [held for held in holds if held.may_cover_tenant(tenant)]
    if not asked:
        return []
    found: dict[str, None] = {}
    for eid, _ in segments.locate(name):
        row = index.exact(eid)
        # What the index does not know cannot be shown to be free of a hold.
        found.update((held.id, None) for held in asked if row is None or held.covers(row))
        if len(found) == len(asked):
            break
    return list(found)


def _doomed(shelved: Shelved, name: str) -> Doomed:
    digest, size = hashlib.sha256(), 0
    for piece in shelved.segments.pieces(name):
        digest.update(piece)
        size += len(piece)
    bodies = len({(eid, place.part) for eid, place in shelved.segments.locate(name)})
    return Doomed(name, digest.hexdigest(), size, bodies, shelved.log)
