"""The ledger: everything that one recorder owns on disk, from the lock on the directory to the last checkpoint.

It knows no socket. `write` and `seal` may run in two threads: one writes, one seals.
"""

import fcntl
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
import orjson

from magistrate.adapters.host import SystemIds
from magistrate.adapters.recorder.attesting import Plan
from magistrate.adapters.recorder.disk import Disk
from magistrate.adapters.recorder.frames import Ack
from magistrate.adapters.recorder.index import open_index
from magistrate.adapters.recorder.keys import Keys, finish_rotation, keys_in_force, next_keys, next_step
from magistrate.adapters.recorder.rotation import (
    Limits,
    ShardClosed,
    finish_putting_away,
    keep_signed_root,
    keys_to_follow,
    open_calls,
    origin_in_force,
    put_away,
    shards_before,
    tail,
)
from magistrate.adapters.recorder.sealer import CHECKPOINT, Sealer
from magistrate.adapters.recorder.vault import Vault
from magistrate.adapters.recorder.wal import Entry, WalBroken, WriteAheadLog
from magistrate.adapters.recorder.writer import Kept, Submission, Writer
from magistrate.evidence.draft import Body, Draft
from magistrate.evidence.links import carried
from magistrate.evidence.note import Verifier
from magistrate.evidence.ports import Register
from magistrate.evidence.retention import Promised, Schedule
from magistrate.evidence.shards import SHARD_CARRY, SHARD_OPEN, Closed, opening_facts
from magistrate.evidence.succession import KEY_EVENT, SHARD_CLOSE
from magistrate.evidence.tiles import Missing
from magistrate.exchange.errors import ConfigurationError, EvidenceUnavailable

RECENT = 32_768
"""So many records are read again at the start, for their ids, traces and open calls. More than gateways may have waiting."""

RESERVE_BYTES = 16 * 1024 * 1024
"""Kept free for the start after a full disk: sealing what was recovered, and the record that says so."""

MOST_NAMED = 500
"""Open calls in one record of recovery; there are as many records as it takes."""

log = logging.getLogger("magistrate.recorder")


@dataclass(frozen=True, slots=True)
class Settings:
    """Where everything stands. ``origin`` empty: the log's own, or a new random one.

    ``root_key``: a file outside of the vault. ``writers``: users who may hand records over, and nothing else.
    """

    evidence: Path
    vault: Path
    socket: Path
    origin: str = ""
    heartbeat_s: float = 10.0
    root_key: Path | None = None
    retention: Schedule = field(default_factory=Schedule)
    writers: frozenset[int] = frozenset()
    plan: Plan = field(default_factory=Plan)
    """Who is asked to vouch for the log."""
    limits: Limits = field(default_factory=Limits)
    """When the log goes on in a new shard by itself."""


class Ledger:
    """Opened means recovered: every durable record is sealed, and what was found is on record.

    Raises:
        ConfigurationError: another recorder is at work here, a key file or the register is missing or damaged, or there
            is no room to recover.
        WalBroken: the disk does not hold what was signed or acknowledged.
    """

    def __init__(
        self, settings: Settings, disk: Disk | None = None, register: Register | None = None
    ) -> None:
        self._root = settings.evidence
        self._disk = disk or Disk()
        self._disk.make_directories(self._root)
        self._lock = _only_one(self._root / "recorder.lock")
        self._ids = SystemIds()
        self._wid = f"recorder-{self._ids.record()}"
        self._seq = 0
        self._announced = {"heartbeat_ms": int(settings.heartbeat_s * 1000)}
        self.beacon = b""
        """Digest of the newest time-stamp: the next heartbeat names it, so that it cannot have been written before."""
        self._unsealed: list[Kept] = []
        self._unsealed_bytes = 0
        self._unsealed_lock = threading.Lock()
        self._sealing = threading.RLock()
        self._clean_stop = self._root / "stopped-cleanly"
        self._reserve = self._root / "reserve"
        self._settings, self._register = settings, register
        try:
            self._vault = Vault(settings.vault, root_key=settings.root_key)
            self.schedule, self._schedule_changes = settings.retention.strengthened_by(
                _schedule_kept(self._vault)
            )
            self._keys_dir = settings.vault
            try:
                self._open_shard(rotating=False)
            except ShardClosed:
                self._put_away()
                self._open_shard(rotating=False)
        except BaseException:
            os.close(self._lock)
            raise

    @property
    def size(self) -> int:
        """How many records the newest checkpoint covers."""
        return self._sealer.size

    @property
    def began_us(self) -> int:
        """When the shard began, by its first record; 0 before that is sealed."""
        first = next(iter(self._sealer.headers_at([0])), None) if self._sealer.size else None
        return int(orjson.loads(first[1])["ts"]) if first else 0

    @property
    def root(self) -> Path:
        return self._root

    @property
    def disk(self) -> Disk:
        return self._disk

    @property
    def vault(self) -> Vault:
        """The vault, for the thread that writes."""
        return self._vault

    @property
    def unsealed_bytes(self) -> int:
        """How much memory durable records take that are not sealed yet."""
        return self._unsealed_bytes

    def write(self, group: list[Submission]) -> None:
        """Make a group durable and acknowledge it.

        Raises:
            WalBroken: the disk can no longer be trusted; nothing of the group was acknowledged.
        """
        kept = self._writer.write(group)
        if not kept:
            return
        weight = sum(one.entry.weight for one in kept)
        with self._unsealed_lock:
            self._unsealed += kept
            self._unsealed_bytes += weight
        if self._wal.full:
            try:
                self._wal.open(self._writer.next_index)
            except OSError as error:
                log.error("the next write-ahead file waits for room: %s", error.strerror)

    def seal(self) -> None:
        """Seal what is durable and not sealed yet, and drop write-ahead files that are no longer needed.

        Raises:
            OSError, sqlite3.Error: the disk refuses; the records stay durable and first in line.
            WalBroken: another recorder signed for this log, or the tree on disk is damaged.
        """
        with self._sealing:
            self._seal()

    def _seal(self) -> None:
        with self._unsealed_lock:
            batch, self._unsealed = self._unsealed, []
        if not batch:
            return
        try:
            self._sealer.seal(batch)
        except (OSError, sqlite3.Error):
            with self._unsealed_lock:
                self._unsealed = batch + self._unsealed
            raise
        except Missing as missing:
            raise WalBroken(f"the tree on disk is damaged: {missing}") from missing
        with self._unsealed_lock:
            self._unsealed_bytes -= sum(one.entry.weight for one in batch)
        self._wal.remove_sealed(self._sealer.size)

    def heartbeat(self) -> Submission:
        """Return the record that tells silence from absence."""
        facts = {"records": self._writer.next_index, "refused": self._writer.refused, **self._announced}
        return self._note("heartbeat", facts | ({"beacon": self.beacon.hex()} if self.beacon else {}))

    def farewell(self) -> Submission:
        """Return the record that announces a silence: the recorder stops because it was told to."""
        return self._note("recorder.stop", {"records": self._writer.next_index})

    def record(
        self,
        kind: str,
        facts: dict[str, object],
        *,
        phase: str = "note",
        tenant: str = "default",
        subj: str = "",
        cause: Sequence[str] = (),
        bodies: tuple[Body, ...] = (),
    ) -> str:
        """Make a record of the recorder's own durable and return its id. For the thread that writes.

        Raises:
            EvidenceUnavailable: it could not be made durable; what it says must not be done.
            WalBroken: the disk can no longer be trusted.
        """
        note = self._note(kind, facts)
        note.draft.header.update(phase=phase, tenant=tenant, subj=subj)
        if cause:
            note.draft.header["cause"] = list(cause)
        answers: list[Ack] = []
        note.draft = Draft(note.draft.header, bodies, tenant=tenant)
        note.ack = answers.append
        self.write([note])
        if answers[0].reason:
            raise EvidenceUnavailable(answers[0].reason)
        return str(note.draft.header["eid"])

    @contextmanager
    def resting(self) -> Iterator[Sealer]:
        """Seal everything and keep sealing away, so that segments and index hold still. For the thread that writes.

        Raises:
            OSError, sqlite3.Error: the disk refuses; the records stay durable.
        """
        with self._sealing:
            self._seal()
            self._wal.remove_sealed(self._sealer.size)
            self._sealer.catch_up()
            yield self._sealer

    def shed(self) -> None:
        """Let nothing linger in the write-ahead log: all of it is sealed. Within `resting`.

        Raises:
            OSError: no room for a new file; the old one stays.
            WalBroken: the disk can no longer be trusted.
        """
        self._wal.shed(self._writer.next_index)

    def greet(self, wid: str, last_index: int) -> None:
        """Prepare for records of writer ``wid``, whose newest acknowledged record stands at ``last_index`` (-1: none).

        A writer that this process does not remember goes on counting where the log says it stopped.
        """
        if last_index < 0 or self._writer.knows_writer(wid):
            return
        for index, raw in self._sealer.headers_backwards(self._sealer.size):
            header = orjson.loads(raw)
            if header["wid"] == wid:
                self._writer.resume_writer(wid, header["wseq"])
                return
            if index < last_index:
                return

    def rotate_keys(self) -> Keys:
        """Let new keys follow those in force, and return them. For a ledger that nobody else writes to.

        Raises:
            OSError, sqlite3.Error: the disk refuses; the old keys stay in force, or the next start finishes.
        """
        keys = next_keys(self._keys_dir, Verifier(self.vkey).name, self._disk)
        event = self._note(KEY_EVENT, {"event": "rotation", "next": keys.vkeys})
        answers: list[Ack] = []
        event.ack = answers.append
        self.write([event])
        if answers[0].reason:
            raise OSError(0, answers[0].reason)
        self._sealer.countersign_with(keys)
        self.seal()
        step = self._root / next_step(self._root)
        self._disk.make_directories(step.parent)
        self._disk.put(step, self._sealer.published(CHECKPOINT))
        finish_rotation(self._root, self._keys_dir, self._disk)
        return keys

    def rotate_shard(self, why: Mapping[str, object] = MappingProxyType({})) -> Closed:
        """Close the shard and begin the next one; see `rotation`. Nothing is written meanwhile: for the thread that writes.

        ``why`` goes into the record that closes it.

        Raises:
            EvidenceUnavailable: the shard cannot be closed now, and goes on.
            WalBroken: it is closed, and the disk refused what follows; the next start finishes it.
        """
        if self._register is not None:
            raise EvidenceUnavailable("a log whose checkpoints are kept elsewhere is not rotated")
        with self._sealing:
            self._seal()
            keys = keys_to_follow(self._root, self._keys_dir, Verifier(self.vkey).name)
            self.record(SHARD_CLOSE, {"next": keys.vkeys, **why})
            try:
                self._sealer.countersign_with(keys)
                self._seal()
                self._put_away()
                self._open_shard(rotating=True)
            except (OSError, sqlite3.Error, ConfigurationError) as error:
                raise WalBroken(f"the shard is closed, and the next one does not begin: {error}") from error
            return shards_before(self._root)[-1]

    def _put_away(self) -> None:
        # Its key is destroyed with the move: nobody can sign for this shard afterwards.
        keep_signed_root(self._root, self._sealer.signed_root(), self._disk)
        self._let_go()
        put_away(self._root, self._keys_dir, self._disk)

    def _open_shard(self, *, rotating: bool) -> None:
        """Open the log in the directory, or begin it. ``rotating`` says that this process has closed the one before.

        Raises:
            ShardClosed: the log has its last record.
        """
        finish_putting_away(self._root, self._keys_dir, self._disk)
        finish_rotation(self._root, self._keys_dir, self._disk)
        origin = origin_in_force(self._root, self._settings.origin)
        keys = keys_in_force(self._root, self._keys_dir, origin, self._disk)
        self.vkey = keys.signer.vkey
        self._index = open_index(self._root / "index" / "records.db")
        self._sealer = Sealer(self._root, keys, self._index, self._disk, self._register)
        self._wal = WriteAheadLog(self._root / "wal", self._disk)
        self._writer = self._recover(keys.signer.name, rotating=rotating)

    def _let_go(self) -> None:
        self._wal.close()
        self._sealer.close()
        self._index.close()

    def close(self, *, clean: bool) -> None:
        """Let go of everything. ``clean`` says that all is sealed, so that the next start need not look for losses."""
        if clean:
            self._disk.put(self._clean_stop, b"")
        self._let_go()
        self._vault.close()
        os.close(self._lock)

    # --- beginning

    def _recover(self, origin: str, *, rotating: bool) -> Writer:
        clean = self._clean_stop.exists()
        self._disk.remove(self._clean_stop)
        self._disk.sync_directory(self._root)
        try:
            return self._recovered(origin, clean=clean, rotating=rotating)
        except (OSError, sqlite3.Error) as error:
            if not self._reserve.exists():
                raise ConfigurationError(
                    f"the disk refuses to recover the log ({error})", str(self._root)
                ) from error
            log.warning("no room to recover: the reserve is given up")
            self._disk.remove(self._reserve)
        try:
            return self._recovered(origin, clean=clean, rotating=rotating)
        except (OSError, sqlite3.Error) as error:
            raise ConfigurationError(
                f"no room to recover the log ({error}); free some and start again", str(self._root)
            ) from error

    def _recovered(self, origin: str, *, clean: bool, rotating: bool) -> Writer:
        self._sealer.recover()
        first = self._sealer.size
        entries, torn = self._wal.replay(first)
        pending = [Kept(entry, orjson.loads(entry.header)) for entry in entries]
        writer = Writer(origin, self._vault, self._wal, first + len(entries), self.schedule)
        dangling = self._remember(writer, pending)
        # Sealed before anything is acknowledged again: that a record can be read back from the write-ahead log does not
        # mean that its sync ever succeeded, and a gateway that hands it over again is told that it is durable.
        if pending and pending[-1].header["t"] == SHARD_CLOSE:
            self._sealer.countersign_with(keys_to_follow(self._root, self._keys_dir, origin, create=False))
        self._sealer.seal(pending)
        if self._sealer.last_type() == SHARD_CLOSE:
            raise ShardClosed
        self._wal.remove_sealed(self._sealer.size)
        self._wal.open(writer.next_index)
        notes = []
        begins = writer.next_index == 0
        if begins:
            notes += self._opening(origin, dangling)
        elif clean:
            notes.append(self._note("recorder.start", dict(self._announced)))
        if not clean and not rotating and (not begins or shards_before(self._root)):
            facts = {"records": len(entries), "torn_bytes": torn, "open_calls": len(dangling)}
            facts |= self._announced
            log.warning(
                "recovered %d records that were not sealed yet, cut %d bytes of a torn write, %d calls were open",
                len(entries),
                torn,
                len(dangling),
            )
            notes += [
                self._note("recovery", {**facts, "calls": dangling[at : at + MOST_NAMED]})
                for at in range(0, max(1, len(dangling)), MOST_NAMED)
            ]
        if self._schedule_changes:
            notes.append(self._schedule_note())
        answers: list[Ack] = []
        for note in notes:
            note.ack = answers.append
        self._unsealed = writer.write(notes)
        self._unsealed_bytes = sum(kept.entry.weight for kept in self._unsealed)
        if len(self._unsealed) < len(notes):
            raise OSError(0, next(answer.reason for answer in answers if answer.reason))
        if self._schedule_changes:
            self._vault.keep_standing("retention", msgspec.json.encode(self.schedule.kept()))
            self._schedule_changes = []
        self._keep_reserve()
        return writer

    def _remember(self, writer: Writer, pending: list[Kept]) -> list[str]:
        """Tell the writer of recent records; return the calls among them that were opened and never closed."""
        opened: dict[str, None] = {}
        before = shards_before(self._root)
        if before and self._sealer.size < RECENT:
            for index, raw in tail(self._root, before[-1].number, RECENT - self._sealer.size):
                writer.remember_elsewhere(index, orjson.loads(raw), raw)
        for index, raw in self._sealer.headers(max(0, self._sealer.size - RECENT)):
            _follow(writer, opened, index, orjson.loads(raw), raw)
        for kept in pending:
            _follow(writer, opened, kept.entry.index, kept.header, kept.entry.header)
        return list(opened)

    def _opening(self, origin: str, opened: list[str]) -> list[Submission]:
        """Return the first records of a log; ``opened`` takes the calls that are open from the shard before."""
        before = shards_before(self._root)
        if not before:
            return [self._note(SHARD_OPEN, {"origin": origin, **self._announced})]
        calls = open_calls(self._root, before[-1].number)
        opened += calls
        first, *others = opening_facts(before[-1], calls)
        first |= {"origin": origin, **self._announced}
        return [self._note(SHARD_OPEN, first), *(self._note(SHARD_CARRY, other) for other in others)]

    def _schedule_note(self) -> Submission:
        for change in self._schedule_changes:
            if change["refused"]:
                log.error("retention is never weakened: %s stays as it was", change["class"])
        return self._note("retention.change", {"changes": self._schedule_changes})

    def _note(self, kind: str, facts: dict[str, object]) -> Submission:
        self._seq += 1
        header: dict[str, object] = {
            "v": 1,
            "eid": self._ids.record(),
            "t": kind,
            "phase": "note",
            "ts": time.time_ns() // 1000,
            "clk": {"src": "system"},
            "trace": "",
            "parent": "",
            "tenant": "default",
            "app": "magistrate",
            "actor": {"kind": "recorder", "handle": ""},
            "ext": facts,
        }
        return Submission(self._wid, self._seq, Draft(header), lambda _ack: None, own=True)

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


def _follow(writer: Writer, opened: dict[str, None], index: int, header: dict[str, Any], raw: bytes) -> None:
    writer.remember(index, header, raw)
    opened.update(dict.fromkeys(carried(header)))
    if header["phase"] == "intent":
        opened[header["eid"]] = None
    for cause in header.get("cause", ()):
        opened.pop(cause, None)
    if header["t"] == "recovery":
        for call in header["ext"]["calls"]:
            opened.pop(call, None)  # told before


def _schedule_kept(vault: Vault) -> Promised:
    kept = vault.standing("retention")
    return msgspec.json.decode(kept, type=Promised) if kept else Promised()


def _only_one(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise ConfigurationError(
            "another recorder is at work here; stop it first", str(path.parent)
        ) from None
    return descriptor


__all__ = ["Entry", "Ledger", "Settings"]
