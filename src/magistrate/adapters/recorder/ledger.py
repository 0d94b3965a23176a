"""The ledger: everything that one recorder owns on disk, from the lock on the directory to the last checkpoint.

It knows no socket. `write` and `seal` may run in two threads: one writes, one seals, or waits for the process that does.
"""

import fcntl
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import msgspec
import orjson

from magistrate.adapters.recorder.disk import Disk
from magistrate.adapters.recorder.frames import Ack
from magistrate.adapters.recorder.index import open_index
from magistrate.adapters.recorder.keys import Keys, finish_rotation, keys_in_force, next_keys, next_step
from magistrate.adapters.recorder.opening import Stores
from magistrate.adapters.recorder.own import OwnRecords
from magistrate.adapters.recorder.pruning import Doomed, Shelved
from magistrate.adapters.recorder.publishing import fetch, publish
from magistrate.adapters.recorder.recovery import CLEAN_STOP, Owned, Recovery
from magistrate.adapters.recorder.rotation import (
    ShardClosed,
    finish_putting_away,
    keep_signed_root,
    keys_to_follow,
    origin_in_force,
    put_away,
    shards_before,
)
from magistrate.adapters.recorder.sealer import CHECKPOINT, Sealer
from magistrate.adapters.recorder.sealing import SealingProcess, seal_durable
from magistrate.adapters.recorder.settings import Settings
from magistrate.adapters.recorder.shelf import Shelf
from magistrate.adapters.recorder.storage import StoreUnavailable
from magistrate.adapters.recorder.tail import Tail
from magistrate.adapters.recorder.traces import CLOSE
from magistrate.adapters.recorder.vault import Vault
from magistrate.adapters.recorder.waiting import Waiting
from magistrate.adapters.recorder.wal import Entry, WalBroken, WriteAheadLog
from magistrate.adapters.recorder.writer import Submission, Writer
from magistrate.evidence.beacon import BEACON
from magistrate.evidence.draft import Body, Draft
from magistrate.evidence.note import Verifier
from magistrate.evidence.retention import Promised
from magistrate.evidence.shards import Closed
from magistrate.evidence.succession import KEY_EVENT, SHARD_CLOSE
from magistrate.exchange.errors import ConfigurationError, EvidenceUnavailable

LAST_BREATH_S = 1.0
"""So long a lock is waited for: the process that sealed for a recorder that was killed may hold it a moment longer."""

log = logging.getLogger("magistrate.recorder")


class Ledger:
    """Opened means recovered: every durable record is in line for the sealer, and what was found is on record.

    ``apart``: `seal` is done by a child that is forked here, so this process must have no thread and no database open yet.

    Raises:
        ConfigurationError: another recorder is at work here, a key file or the register is missing or damaged, there
            is no room to recover, or a remote store does not answer or will not do.
        WalBroken: the disk does not hold what was signed or acknowledged.
    """

    def __init__(
        self,
        settings: Settings,
        disk: Disk | None = None,
        stores: Stores | None = None,
        *,
        apart: bool = False,
    ) -> None:
        self._settings = settings
        self._root, self._keys_dir = settings.evidence, settings.vault
        self._disk = disk or Disk()
        self._disk.make_directories(self._root)
        self._lock = _only_one(self._root / "recorder.lock")
        self._own = OwnRecords(settings.heartbeat_s)
        self.beacon = b""
        """Digest of the newest time-stamp: the next heartbeat names it, so that it cannot have been written before."""
        self._waiting = Waiting()
        self._sealing = threading.RLock()
        self._apart = SealingProcess(settings, self._disk, stores, (self._lock,)) if apart else None
        try:
            self._vault = Vault(settings.vault, root_key=settings.root_key)
            self.schedule, self._schedule_changes = settings.retention.strengthened_by(
                _schedule_kept(self._vault)
            )
            self._stores = stores or Stores(self._root, settings.places, self._disk, self.schedule.days)
            self.shelf = Shelf(self._root, self._stores)
            fetch(self._root, self._stores, self._disk)
            self._open_what_is_here()
        except StoreUnavailable as error:
            self._unlock()
            raise ConfigurationError(
                f"cannot begin without its store: {error}", str(settings.places.objects or self._root)
            ) from error
        except BaseException:
            self._unlock()
            raise

    @property
    def size(self) -> int:
        """How many records the newest checkpoint covers."""
        return self._sealer.size

    @property
    def began_us(self) -> int:
        """When the shard began, by its first record; 0 before that is sealed. Raises OSError, `Missing`."""
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
    def open_traces(self) -> int:
        """How many traces have no end on record yet."""
        return len(self._traces)

    @property
    def unsealed_records(self) -> int:
        """How many durable records are not sealed yet."""
        return self._writer.next_index - self._sealer.size

    @property
    def unsealed_bytes(self) -> int:
        """How many bytes durable records have that are not sealed yet."""
        return self._waiting.bytes

    def write(self, group: list[Submission], answer: Callable[[], None] = lambda: None) -> bool:
        """Make a group durable and acknowledge it; False if nothing of it is new on record.

        ``answer`` sends the acknowledgements, before anything else is done that nobody waits for.

        Raises:
            WalBroken: the disk can no longer be trusted; nothing of the group was acknowledged.
        """
        kept = self._writer.write(group)
        answer()
        if not kept:
            return False
        weight = sum(one.entry.weight for one in kept)
        for one in kept:
            self._traces.add(one.link)
        self._waiting.add(self._writer.next_index, weight)
        if self._wal.full:
            try:
                self._wal.open(self._writer.next_index)
            except OSError as error:
                log.error("the next write-ahead file waits for room: %s", error.strerror)
        return True

    def seal(self) -> None:
        """Seal what is durable and not sealed yet, and drop write-ahead files that are no longer needed.

        Raises:
            OSError, sqlite3.Error: the disk refuses; the records stay durable and first in line.
            WalBroken: another recorder signed for this log, the tree on disk is damaged, or the process that seals is dead.
        """
        with self._sealing:
            if self._apart is None:
                self._seal()
            elif self.unsealed_records:
                self._have_sealed(self._apart)
            else:
                self._waiting.sealed(self._sealer.size)  # it may have been sealed before it was counted

    def _have_sealed(self, apart: SealingProcess) -> None:
        note, failure = apart.seal(self._writer.next_index, self.schedule.days)
        self._sealer.follow(note)
        self._count_sealed()
        if failure is not None:
            raise failure

    def _seal(self) -> None:
        try:
            seal_durable(self._sealer, self._tail, self._writer.next_index)
        finally:
            self._count_sealed()

    def _count_sealed(self) -> None:
        """Take what is sealed from what waits, and set its write-ahead files aside; have one ready that is needed soon."""
        self._waiting.sealed(self._sealer.size)
        self._wal.remove_sealed(self._sealer.size)
        try:
            self._wal.prepare()
        except OSError as error:
            log.info("no write-ahead file could be made ready: %s", error.strerror)

    def _take_back(self) -> None:
        """Have segments, index and register to ourselves, as the process that seals left them. Within the lock."""
        if self._apart is not None and self._apart.let_go():
            self._sealer.recover()

    def heartbeat(self) -> Submission:
        """Return the record that tells silence from absence."""
        facts = {"records": self._writer.next_index, "refused": self._writer.refused, **self._own.announced}
        return self._own.make("heartbeat", facts | ({"beacon": self.beacon.hex()} if self.beacon else {}))

    def closings(self, *, all_of_them: bool = False) -> list[Submission]:
        """Return records that close traces, to be written before anything else; none if no trace has ended."""
        closed = []
        for trace, records in self._traces.ended(all_of_them=all_of_them):
            note = self._own.make(CLOSE, {"records": records})
            note.draft.header["trace"] = trace
            closed.append(note)
        return closed

    def beacon_record(self, facts: dict[str, object]) -> Submission:
        """Return the record of a beacon's value: whatever is written behind it was written after that was published."""
        return self._own.make(BEACON, facts)

    def farewell(self) -> Submission:
        """Return the record that announces a silence: the recorder stops because it was told to."""
        return self._own.make("recorder.stop", {"records": self._writer.next_index})

    def parted(self, wid: str, handed: int) -> Submission:
        """Return the record that a writer is gone and everything of it was read: nothing of it is still under way."""
        return self._own.make("writer.end", {"writer": wid, "handed": handed})

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
        note = self._own.make(kind, facts)
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
            self._take_back()
            self._seal()
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
        event = self._own.make(KEY_EVENT, {"event": "rotation", "next": keys.vkeys})
        answers: list[Ack] = []
        event.ack = answers.append
        self.write([event])
        if answers[0].reason:
            raise OSError(0, answers[0].reason)
        with self._sealing:
            self._take_back()  # the keys that follow are known here only
            self._sealer.countersign_with(keys)
            self._seal()
        objects = self.storage.objects
        objects.put(next_step(objects), self._sealer.published(CHECKPOINT))
        finish_rotation(self._root, self._keys_dir, self._disk, objects)
        publish(self._root, self.storage)
        return keys

    def shelved(self) -> list[Shelved]:
        """Return the shards that are here as pruning sees them. Raises OSError."""
        closed = [Shelved(one.root, one.storage.segments, one.origin) for one in self.shelf.here()]
        return [Shelved(self._root, self.storage.segments), *closed]

    def remove_segments(self, doomed: Sequence[Doomed]) -> None:
        """Remove segments of any shard. Raises OSError."""
        for shelved in self.shelved():
            if names := [one.name for one in doomed if one.log == shelved.log]:
                shelved.segments.remove(names)

    def rotate_shard(self, why: Mapping[str, object] = MappingProxyType({})) -> Closed:
        """Close the shard and begin the next one; see `rotation`. Nothing is written meanwhile: for the thread that writes.

        ``why`` goes into the record that closes it.

        Raises:
            OSError, sqlite3.Error, EvidenceUnavailable: the shard cannot be closed now, and goes on.
            WalBroken: it is closed, and the disk refused what follows; the next start finishes it.
        """
        with self._sealing:
            self._take_back()
            # A trace is counted within a shard: whoever verifies this one alone sees where each of them ends in it.
            while closings := self.closings(all_of_them=True):
                if not self.write(closings):
                    raise EvidenceUnavailable("the evidence disk refuses the records that close what is open")
            self._seal()
            keys = keys_to_follow(self._root, self._keys_dir, Verifier(self.vkey).name)
            self.record(SHARD_CLOSE, {"next": keys.vkeys, **why})
            try:
                self._sealer.countersign_with(keys)
                self._seal()
                self._put_away()
                self._open_shard(self._writer)
            except (OSError, sqlite3.Error, ConfigurationError) as error:
                raise WalBroken(f"the shard is closed, and the next one does not begin: {error}") from error
            return shards_before(self._root)[-1]

    def close(self, *, clean: bool) -> None:
        """Let go of everything. ``clean`` says that all is sealed, so that the next start need not look for losses."""
        if clean:
            self._disk.put(self._root / CLEAN_STOP, b"")
        self._let_go()
        self.storage.objects.close()
        self.shelf.close()
        self._vault.close()
        self._unlock()

    def _unlock(self) -> None:
        if self._apart is not None:
            self._apart.close()
        os.close(self._lock)

    # --- beginning

    def _open_what_is_here(self) -> None:
        try:
            self._open_shard()
        except ShardClosed:
            self._put_away()
            self._open_shard()

    def _open_shard(self, before: Writer | None = None) -> None:
        """Open the log in the directory, or begin it; ``before``: the writer of the shard that this process has closed.

        Raises:
            ShardClosed: the log has its last record.
        """
        finish_putting_away(self._root, self._keys_dir, self._disk)
        number = len(shards_before(self._root)) + 1
        self.storage = self._stores.written(number)
        self._register = self._stores.register(number)
        finish_rotation(self._root, self._keys_dir, self._disk, self.storage.objects)
        origin = origin_in_force(self._root, self._settings.origin)
        keys = keys_in_force(self._root, self._keys_dir, origin, self._disk)
        self.vkey = keys.signer.vkey
        self._index = open_index(self._root / "index" / "records.db")
        self._sealer = Sealer(self._root, keys, self._index, self._disk, self._register, self.storage)
        self._wal = WriteAheadLog(self._root / "wal", self._disk)
        self._tail = Tail(self._root / "wal")
        owned = Owned(
            self._root,
            self._keys_dir,
            self._disk,
            self._vault,
            self.shelf,
            self._own,
            self.schedule,
            self._settings.trace_idle_s,
        )
        changes = self._schedule_changes
        begun = Recovery(owned, keys, self._sealer, self._wal, before=before, changes=changes).run()
        self._writer, self._traces = begun.writer, begun.traces
        self._waiting = Waiting(begun.waiting, self._writer.next_index - len(begun.waiting))
        if changes:
            self._vault.keep_standing("retention", msgspec.json.encode(self.schedule.kept()))
            self._schedule_changes = []
        publish(self._root, self.storage)

    def _put_away(self) -> None:
        # Its key is destroyed with the move: nobody can sign for this shard afterwards.
        keep_signed_root(self.storage.objects, self._sealer.signed_root())
        self._let_go()
        put_away(self._root, self._keys_dir, self._disk, self.storage.objects)
        self.storage.objects.close()

    def _let_go(self) -> None:
        self._tail.close()
        self._wal.close()
        self._register.close()
        self._index.close()


def _schedule_kept(vault: Vault) -> Promised:
    kept = vault.standing("retention")
    return msgspec.json.decode(kept, type=Promised) if kept else Promised()


def _only_one(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    until = time.monotonic() + LAST_BREATH_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() < until:
                time.sleep(0.02)
                continue
            os.close(descriptor)
            raise ConfigurationError(
                "another recorder is at work here; stop it first", str(path.parent)
            ) from None
        return descriptor


__all__ = ["Entry", "Ledger", "Settings"]
