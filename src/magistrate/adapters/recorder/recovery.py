"""The beginning of a recorder: what the disk holds is read, what is durable taken up again, and that put on record.

1 finish what the sealer staged   2 read the write-ahead log   3 remember newest records: their ids, traces, open calls
4 open a write-ahead file   5 say how this beginning came about: a new shard, a start after a stop, a recovery

A shard that follows another one in the same process is begun by `crossing`.
"""

import gc
import logging
import os
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import orjson

from magistrate.adapters.recorder.disk import Disk
from magistrate.adapters.recorder.frames import Ack
from magistrate.adapters.recorder.own import OwnRecords
from magistrate.adapters.recorder.rotation import (
    NEXT_WAL,
    WAL,
    ShardClosed,
    keys_to_follow,
    open_calls,
    shards_before,
    tail,
)
from magistrate.adapters.recorder.sealing import seal_durable
from magistrate.adapters.recorder.shelf import Shelf
from magistrate.adapters.recorder.storage import Altered, StoreUnavailable
from magistrate.adapters.recorder.traces import Link, OpenTraces
from magistrate.adapters.recorder.vault import Vault
from magistrate.adapters.recorder.wal import Durable, WalBroken, WriteAheadLog
from magistrate.adapters.recorder.writer import Kept, Submission, Writer
from magistrate.adapters.recorder.written import WrittenShard
from magistrate.evidence.retention import Schedule
from magistrate.evidence.said import SHARD_CARRY, SHARD_OPEN
from magistrate.evidence.shards import Closed, opening_facts
from magistrate.evidence.succession import SHARD_CLOSE
from magistrate.exchange.errors import ConfigurationError

RECENT = 32_768
"""So many records are read again at the start, for their ids, traces and open calls. More than gateways may have waiting."""

RESERVE_BYTES = 16 * 1024 * 1024
"""Kept free for the start after a full disk: sealing what was recovered, and the record that says so."""

MOST_NAMED = 500
"""Open calls in one record of recovery; there are as many records as it takes."""

CLEAN_STOP = "stopped-cleanly"

log = logging.getLogger("magistrate.recorder")


class Owned(msgspec.Struct, frozen=True):
    """What of one recorder outlives its shards."""

    root: Path
    keys_dir: Path
    disk: Disk
    vault: Vault
    shelf: Shelf
    records: OwnRecords
    schedule: Schedule
    trace_idle_s: float


class Begun(msgspec.Struct, frozen=True):
    """A shard that can be written to. ``waiting`` is what is durable and waits for the sealer, see `Waiting`."""

    writer: Writer
    traces: OpenTraces
    waiting: list[tuple[int, int]]


class _Replayed:
    """What is read from the write-ahead log on its way to those who remember it."""

    def __init__(self, writer: Writer, traces: OpenTraces) -> None:
        self._writer, self._traces = writer, traces
        self.waiting: list[tuple[int, int]] = []
        self.last_kind = ""

    def take(self, group: Sequence[Durable]) -> None:
        """Take a group that follows the last one."""
        weight = 0
        for entry in group:
            header = orjson.loads(entry.header)
            self._traces.add(Link.of(header))
            self._writer.remember(entry.index, header, entry.header)
            weight += entry.weight
        self.last_kind = header["t"]
        self._writer.next_index = entry.index + 1
        self.waiting.append((self._writer.next_index, weight))


class Recovery:
    """One beginning."""

    def __init__(
        self,
        owned: Owned,
        shard: WrittenShard,
        wal: WriteAheadLog,
        *,
        changes: list[dict[str, Any]] | None = None,
    ) -> None:
        self._owned = owned
        self._origin = shard.name
        self._sealer = shard.sealer
        self._tail = shard.tail
        self._wal = wal
        self._changes = changes or []
        """What of the retention schedule is another than before."""
        self._reserve = owned.root / "reserve"

    def run(self) -> Begun:
        """Begin.

        Raises:
            ShardClosed: the log has its last record, and all of it is sealed.
            ConfigurationError: there is no room to recover.
            StoreUnavailable: what is published cannot be read.
            WalBroken: the disk does not hold what was signed or acknowledged.
        """
        disk, root = self._owned.disk, self._owned.root
        clean = (root / CLEAN_STOP).exists()
        disk.remove(root / CLEAN_STOP)
        disk.sync_directory(root)
        try:
            return self._begun(clean=clean)
        except StoreUnavailable:
            raise  # room on the disk would not bring it back
        except Altered as altered:
            raise WalBroken(str(altered)) from altered
        except (OSError, sqlite3.Error) as error:
            if not self._reserve.exists():
                raise ConfigurationError(
                    f"the disk refuses to recover the log ({error})", str(root)
                ) from error
            log.warning("no room to recover: the reserve is given up")
            disk.remove(self._reserve)
        try:
            return self._begun(clean=clean)
        except (OSError, sqlite3.Error) as error:
            raise ConfigurationError(
                f"no room to recover the log ({error}); free some and start again", str(root)
            ) from error

    def _begun(self, *, clean: bool) -> Begun:
        owned = self._owned
        self._sealer.recover()
        traces = OpenTraces(owned.trace_idle_s)
        writer = Writer(self._origin, owned.vault, self._wal, self._sealer.size, owned.schedule, traces)
        replayed = _Replayed(writer, traces)
        gc.disable()  # many small objects and no garbage: each collection would walk them all in vain
        try:
            self._remember(writer, traces)
            ends_whole = (owned.root / NEXT_WAL).exists()
            recovered, torn = self._wal.replay(self._sealer.size, replayed.take, ends_whole=ends_whole)
        finally:
            gc.enable()
        self._end_if_closed(replayed)
        dangling = writer.calls.all()
        # Not sealed here: what was read back is durable, like everything that waits for the sealer.
        self._wal.open(writer.next_index)
        notes = self._notes(writer, dangling, recovered, torn, clean=clean)
        traces.begin()
        written = write_all(writer, notes)
        self._keep_reserve()
        replayed.waiting.append((writer.next_index, sum(kept.entry.weight for kept in written)))
        return Begun(writer, traces, replayed.waiting)

    def _end_if_closed(self, replayed: "_Replayed") -> None:
        """Raise `ShardClosed` if the newest record closes the shard, once it is sealed under the keys that follow, too."""
        if replayed.last_kind == SHARD_CLOSE:
            owned, last = self._owned, replayed.waiting[-1][0] - 1
            seal_durable(self._sealer, self._tail, last)
            self._sealer.countersign_with(
                keys_to_follow(owned.root, owned.keys_dir, self._origin, create=False)
            )
            seal_durable(self._sealer, self._tail, last + 1)
            raise ShardClosed
        if not replayed.waiting and self._sealer.last_type() == SHARD_CLOSE:
            raise ShardClosed
        if (self._owned.root / NEXT_WAL).exists():
            raise WalBroken(
                f"the next shard has begun (`{NEXT_WAL}`), but the record that closes this one is gone from `{WAL}`: "
                "the disk lost what it had; keep a copy of both and restore them from one moment"
            )

    def _remember(self, writer: Writer, traces: OpenTraces) -> None:
        """Tell writer and traces of recent records that are sealed."""
        size = self._sealer.size
        before = shards_before(self._owned.root)
        if before and size < RECENT:
            objects = self._owned.shelf.storage(before[-1].number).objects
            for index, raw in tail(objects, RECENT - size):
                writer.remember_elsewhere(index, orjson.loads(raw), raw)
        for index, raw in self._sealer.headers(max(0, size - RECENT)):
            header = orjson.loads(raw)
            traces.add(Link.of(header))
            writer.remember(index, header, raw)

    def _notes(
        self, writer: Writer, dangling: list[str], recovered: int, torn: int, *, clean: bool
    ) -> list[Submission]:
        make, announced = self._owned.records.make, self._owned.records.announced
        notes, begins, before = [], writer.next_index == 0, shards_before(self._owned.root)
        if begins:
            notes += self._opening(dangling)
        elif clean:
            notes.append(make("recorder.start", dict(announced)))
        if not clean and (not begins or before):
            facts = {"records": recovered, "torn_bytes": torn, "open_calls": len(dangling), **announced}
            log.warning(
                "recovered %d records that were not sealed yet, cut %d bytes of a torn write, %d calls were open",
                recovered,
                torn,
                len(dangling),
            )
            notes += [
                make("recovery", {**facts, "calls": dangling[at : at + MOST_NAMED]})
                for at in range(0, max(1, len(dangling)), MOST_NAMED)
            ]
        for change in self._changes:
            if change["refused"]:
                log.error("retention is never weakened: %s stays as it was", change["class"])
        if self._changes:
            notes.append(make("retention.change", {"changes": self._changes}))
        return notes

    def _opening(self, opened: list[str]) -> list[Submission]:
        """Return the first records of a log; ``opened`` takes the calls that are open from the shard before."""
        before, calls = shards_before(self._owned.root), dict[str, str]()
        if before:
            calls = open_calls(self._owned.shelf.storage(before[-1].number).objects)
        opened += calls
        return opening(self._owned.records, self._origin, before[-1] if before else None, calls)

    def _keep_reserve(self) -> None:
        if self._reserve.exists():
            return
        descriptor = os.open(self._reserve, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, RESERVE_BYTES)
        except OSError as error:
            log.warning("no reserve could be set aside for a full disk: %s", error.strerror)
            self._reserve.unlink()
        finally:
            os.close(descriptor)


def opening(
    records: OwnRecords, origin: str, before: Closed | None, calls: Mapping[str, str]
) -> list[Submission]:
    """Return the first records of the log ``origin``, which follows ``before``; ``calls`` are open there: id and trace."""
    if before is None:
        return [records.make(SHARD_OPEN, {"origin": origin, **records.announced})]
    first, *others = opening_facts(before, calls)
    first |= {"origin": origin, **records.announced}
    return [records.make(SHARD_OPEN, first), *(records.make(SHARD_CARRY, other) for other in others)]


def write_all(writer: Writer, notes: Sequence[Submission]) -> list[Kept]:
    """Make records of the recorder's own durable, all of them.

    Raises:
        OSError: the disk refuses one of them.
        WalBroken: the disk can no longer be trusted.
    """
    answers: list[Ack] = []
    for note in notes:
        note.ack = answers.append
    written = writer.write(notes)
    if len(written) < len(notes):
        raise OSError(0, next(answer.reason for answer in answers if answer.reason))
    return written
