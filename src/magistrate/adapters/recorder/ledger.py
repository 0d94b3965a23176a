"""The ledger: everything that one recorder owns on disk, from the lock on the directory to the last checkpoint.

It knows no socket. `write` and `seal` may run in two threads: one writes, one seals, or waits for the process that does.
"""

import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import msgspec

from magistrate.adapters.recorder.alone import only_one
from magistrate.adapters.recorder.crossing import Crossing, begin_next
from magistrate.adapters.recorder.disk import Disk
from magistrate.adapters.recorder.frames import Ack
from magistrate.adapters.recorder.keys import Keys, finish_rotation, next_keys, next_step
from magistrate.adapters.recorder.opening import Stores
from magistrate.adapters.recorder.own import Notes, OwnRecords
from magistrate.adapters.recorder.pruning import Shelved
from magistrate.adapters.recorder.publishing import fetch, publish
from magistrate.adapters.recorder.recovery import CLEAN_STOP, Begun, Owned, Recovery
from magistrate.adapters.recorder.rotation import WAL, ShardClosed, finish_putting_away, keys_to_follow
from magistrate.adapters.recorder.sealer import CHECKPOINT, Sealer
from magistrate.adapters.recorder.sealing import SealingProcess, seal_durable
from magistrate.adapters.recorder.settings import Settings
from magistrate.adapters.recorder.shelf import Shelf
from magistrate.adapters.recorder.storage import Storage, StoreUnavailable
from magistrate.adapters.recorder.vault import Vault
from magistrate.adapters.recorder.waiting import Waiting
from magistrate.adapters.recorder.wal import Entry, WriteAheadLog
from magistrate.adapters.recorder.writer import Submission
from magistrate.adapters.recorder.written import WrittenShard
from magistrate.evidence.draft import Body, Draft
from magistrate.evidence.note import Verifier
from magistrate.evidence.retention import Promised
from magistrate.evidence.shards import Closed
from magistrate.evidence.succession import KEY_EVENT, SHARD_CLOSE
from magistrate.exchange.errors import ConfigurationError, EvidenceUnavailable

HALF_WAY = "the end of the shard before waits for its store"

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
        self._lock = only_one(self._root / "recorder.lock")
        self._own = OwnRecords(settings.heartbeat_s)
        self._waiting = Waiting()
        self._sealing = threading.RLock()
        self._behind = False
        """Whether our sealer has not yet read what the process that seals has left."""
        self._crossing: Crossing | None = None
        self.store_fails = ""
        """Why the last seal could not be carried to a store that is elsewhere; empty: it could."""
        self._apart = SealingProcess(settings, self._disk, stores, (self._lock,)) if apart else None
        try:
            self._vault = Vault(settings.vault, root_key=settings.root_key)
            self.schedule, self._schedule_changes = settings.retention.strengthened_by(
                _schedule_kept(self._vault)
            )
            self._stores = stores or Stores(self._root, settings.places, self._disk, self.schedule.days)
            self.shelf = Shelf(self._root, self._stores)
            root, own, idle_s = self._root, self._own, settings.trace_idle_s
            self._owned = Owned(
                root, self._keys_dir, self._disk, self._vault, self.shelf, own, self.schedule, idle_s
            )
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
        """How many records of the shard that is written the newest checkpoint covers."""
        return 0 if self.crossing else self._shard.sealer.size

    @property
    def began_us(self) -> int:
        """When the shard began, by its first record; 0 before that is sealed. Raises OSError, `Missing`."""
        return self._shard.began_us if self.size else 0

    @property
    def crossing(self) -> bool:
        """Whether records are taken in a new shard already, and the one before it waits to be put away."""
        return self._crossing is not None

    @property
    def waits_for_store(self) -> bool:
        """Whether a store is known not to answer, or the shard before still waits for one."""
        return bool(self.store_fails) or self.crossing

    @property
    def storage(self) -> Storage:
        """What is published. While a shard is being put away: of that one, and it may be closed already."""
        return self._shard.storage

    @property
    def vkey(self) -> str:
        """The key that the log is signed with; see `storage`."""
        return self._shard.vkey

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
        return self._writer.next_index - self.size

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
            try:
                self._seal_what_waits()
                self.store_fails = ""
            except StoreUnavailable as error:
                self.store_fails = str(error)
                raise

    def _seal_what_waits(self) -> None:
        if self._crossing is not None:
            self._prepare()
            self._cross_far(self._crossing)
            if self._crossing is not None:
                return  # the rest is the writing thread's
        if self._apart is None:
            self._seal()
        elif self.unsealed_records:
            self._have_sealed(self._apart)
        else:
            self._waiting.sealed(self.size)  # it may have been sealed before it was counted

    def _have_sealed(self, apart: SealingProcess) -> None:
        note, failure = apart.seal(self._writer.next_index, self.schedule.days)
        self._shard.sealer.follow(note)
        self._count_sealed()
        if failure is not None:
            raise failure

    def _seal(self) -> None:
        try:
            seal_durable(self._shard.sealer, self._shard.tail, self._writer.next_index)
        finally:
            self._count_sealed()

    def _count_sealed(self) -> None:
        """Take what is sealed from what waits, and set its write-ahead files aside; have one ready that is needed soon."""
        self._waiting.sealed(self.size)
        self._wal.remove_sealed(self.size)
        self._prepare()

    def _prepare(self) -> None:
        try:
            self._wal.prepare()
        except OSError as error:
            log.info("no write-ahead file could be made ready: %s", error.strerror)

    def _take_back(self) -> None:
        """Have segments, index and register to ourselves, as the process that seals left them. Within the lock."""
        self._behind |= self._apart is not None and self._apart.let_go()
        if self._behind:
            self._shard.sealer.recover()
            self._behind = False

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
            if self._crossing is not None:
                self._cross(self._crossing)
            self._take_back()
            self._seal()
            self._shard.sealer.catch_up()
            yield self._shard.sealer

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
        if last_index < 0 or self._crossing is not None or self._writer.knows_writer(wid):
            return
        if count := self._shard.count_of(wid, last_index):
            self._writer.resume_writer(wid, count)

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
            self._shard.sealer.countersign_with(keys)
            self._seal()
        objects = self.storage.objects
        objects.put(next_step(objects), self._shard.sealer.published(CHECKPOINT))
        finish_rotation(self._root, self._keys_dir, self._disk, objects)
        publish(self._root, self.storage)
        return keys

    def shelved(self) -> list[Shelved]:
        """Return the shards that are here as pruning sees them. Raises OSError."""
        if self._crossing is not None:
            raise StoreUnavailable(HALF_WAY)
        closed = [Shelved(one.root, one.storage.segments, one.origin) for one in self.shelf.here()]
        return [Shelved(self._root, self.storage.segments), *closed]

    def check_store(self) -> None:
        """Raise `StoreUnavailable` if `waits_for_store`."""
        if self.waits_for_store:
            raise StoreUnavailable(f"{self.store_fails or HALF_WAY}; no shard is closed meanwhile")

    def rotate_shard(self, why: Mapping[str, object] = MappingProxyType({})) -> Closed:
        """Close the shard and begin the next one; see `rotation`. Nothing is written meanwhile: for the thread that writes.

        ``why`` goes into the record that closes it. If a store goes away behind that record, this returns all the same, and
        the log is `crossing`: records are taken in the next shard; `seal` and `go_on` do the rest when the store is back.

        Raises:
            OSError, sqlite3.Error, EvidenceUnavailable: the shard cannot be closed now, and goes on.
            WalBroken: it is closed, and the disk refused what follows; the next start finishes it.
        """
        self.check_store()
        with self._sealing:
            self._take_back()
            # A trace is counted within a shard: whoever verifies this one alone sees where each of them ends in it.
            while closings := self.notes.closings(all_of_them=True):
                if not self.write(closings):
                    raise EvidenceUnavailable("the evidence disk refuses the records that close what is open")
            self._seal()
            keys = keys_to_follow(self._root, self._keys_dir, Verifier(self.vkey).name)
            ending_with = self._shard.sealer.foresee()
            self.record(SHARD_CLOSE, {"next": keys.vkeys, **why})
            end = self._writer.next_index
            closed, begun, wal = begin_next(self._owned, self._shard, keys, ending_with, self._writer)
            self._wal.close()
            self._take(begun, wal)
            self._crossing = crossing = self._crossing_from(end)
            try:
                self._cross(crossing)
            except StoreUnavailable as error:
                log.error("the rotation waits for the store; calls go on in the next shard: %s", error)
            return closed

    def go_on(self) -> None:
        """Do what of a rotation under way only the thread that writes may do, if the other one is not at work.

        Raises:
            WalBroken: the disk refuses; the next start finishes it.
        """
        if self._crossing is None or not self._sealing.acquire(blocking=False):
            return
        try:
            self._cross_near(self._crossing)
        finally:
            self._sealing.release()

    def _cross(self, crossing: Crossing) -> None:
        """Finish a rotation. For the thread that writes. Raises what `Crossing` raises."""
        self._cross_far(crossing)
        self._cross_near(crossing)
        self._cross_far(crossing)

    def _cross_far(self, crossing: Crossing) -> None:
        if (shard := crossing.far()) is not None:
            self._shard, self._crossing = shard, None

    def _cross_near(self, crossing: Crossing) -> None:
        if crossing.near():
            self._wal.follow(self._root / WAL)

    def close(self, *, clean: bool) -> None:
        """Let go of everything. ``clean`` says that all is sealed, so that the next start need not look for losses."""
        if clean:
            self._disk.put(self._root / CLEAN_STOP, b"")
        self._let_go()
        self.shelf.close()
        self._vault.close()
        self._unlock()

    def _unlock(self) -> None:
        if self._apart is not None:
            self._apart.close()
        os.close(self._lock)

    # --- beginning

    def _open_what_is_here(self) -> None:
        finish_putting_away(self._root, self._keys_dir, self._disk)
        try:
            self._open_shard()
        except ShardClosed:
            crossing = self._crossing_from(None)
            crossing.publish()
            crossing.near()
            self._open_shard()

    def _crossing_from(self, end: int | None) -> Crossing:
        return Crossing(self._owned, self._settings.origin, self._stores, self._shard, end)

    def _open_shard(self) -> None:
        """Open the log in the directory, or begin it.

        Raises:
            ShardClosed: the log has its last record.
        """
        self._shard = WrittenShard(
            self._root, self._keys_dir, self._settings.origin, self._stores, self._disk
        )
        wal, changes = WriteAheadLog(self._root / WAL, self._disk), self._schedule_changes
        self._take(Recovery(self._owned, self._shard, wal, changes=changes).run(), wal)
        if changes:
            self._vault.keep_standing("retention", msgspec.json.encode(self.schedule.kept()))
            self._schedule_changes = []
        publish(self._root, self.storage)

    def _take(self, begun: Begun, wal: WriteAheadLog) -> None:
        self._wal = wal
        self._writer, self._traces = begun.writer, begun.traces
        self.notes = Notes(self._own, begun.writer, begun.traces)
        self._waiting = Waiting(begun.waiting)

    def _let_go(self) -> None:
        self._wal.close()
        self._shard.close()


def _schedule_kept(vault: Vault) -> Promised:
    kept = vault.standing("retention")
    return msgspec.json.decode(kept, type=Promised) if kept else Promised()


__all__ = ["Entry", "Ledger", "Settings"]
