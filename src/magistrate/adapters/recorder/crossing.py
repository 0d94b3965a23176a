"""From one shard to the next while records come in: what may wait for a store, and what may not.

Once a shard's last record is durable no other may follow it, so the next shard begins at once, on the local disk alone: its
write-ahead log in a directory below the old one's (``wal/next``), its first record in it. That record names the old shard's
last checkpoint, whose root is reckoned from the tree's right edge, read before (`Sealer.foresee`). From then on records are
acknowledged in the next shard, while the old one is sealed, put away, and the next one's stores are opened; each of these
may fail for as long as a store is away, and is tried again.

Nothing of the next shard is sealed before all of the old one is published. A crash anywhere is finished by the next start,
see `rotation`: it finds the old shard's last record, and behind it a write-ahead log that has begun.
"""

import sqlite3
from collections.abc import Callable
from contextlib import ExitStack
from enum import Enum, auto

from magistrate.adapters.recorder.keys import Keys
from magistrate.adapters.recorder.opening import Stores
from magistrate.adapters.recorder.publishing import publish
from magistrate.adapters.recorder.recovery import Begun, Owned, opening, write_all
from magistrate.adapters.recorder.rotation import (
    NEXT_WAL,
    finish_putting_away,
    keep_lineage,
    keep_signed_root,
    mark,
    shards_before,
)
from magistrate.adapters.recorder.sealing import seal_durable
from magistrate.adapters.recorder.storage import Altered, StoreUnavailable
from magistrate.adapters.recorder.traces import OpenTraces
from magistrate.adapters.recorder.wal import WalBroken, WriteAheadLog
from magistrate.adapters.recorder.writer import Writer
from magistrate.adapters.recorder.written import WrittenShard
from magistrate.evidence.checkpoint import Checkpoint
from magistrate.evidence.shards import Closed
from magistrate.evidence.tiles import Missing
from magistrate.exchange.errors import ConfigurationError


class Stage(Enum):
    """How far a crossing is."""

    ENDING = auto()
    """The old shard's last record is durable; its end is not published."""
    ENDED = auto()
    """It is, and what leads on from it is kept; the files wait to be moved."""
    MOVED = auto()
    """The old shard stands where closed ones stand; the next one's stores are to be opened."""


class Crossing:
    """One shard on its way to where closed ones stand. One caller at a time.

    ``origin`` as `WrittenShard` takes it. ``end``: how many records the old shard has in all; None: all of them are sealed,
    under the keys that follow, too.
    """

    def __init__(
        self, owned: Owned, origin: str, stores: Stores, shard: WrittenShard, end: int | None
    ) -> None:
        self._owned, self._origin, self._stores = owned, origin, stores
        self._shard = shard
        self._end = end
        self.stage = Stage.ENDING

    def far(self) -> WrittenShard | None:
        """Do what asks a store, as far as it can be done now; return the next shard once that is open.

        Raises:
            StoreUnavailable: it does not answer; ask again.
            WalBroken: it cannot be done; the next start finishes it.
        """
        try:
            self.publish()
            return self._reached() if self.stage is Stage.MOVED else None
        except StoreUnavailable:
            raise
        except (OSError, sqlite3.Error, ConfigurationError, Altered, Missing) as error:
            raise _not_begun(error) from error

    def near(self) -> bool:
        """Put the old shard away, and the next one's keys and write-ahead log in force; False: there is nothing to do now.

        Asks no store. Nobody may write meanwhile.

        Raises:
            WalBroken: the disk refuses; the next start finishes it.
        """
        if self.stage is not Stage.ENDED:
            return False
        root, keys_dir, disk = self._owned.root, self._owned.keys_dir, self._owned.disk
        self._shard.close()
        try:
            mark(root, disk)
            finish_putting_away(root, keys_dir, disk)
        except (OSError, ConfigurationError) as error:
            raise _not_begun(error) from error
        self.stage = Stage.MOVED
        return True

    def publish(self) -> None:
        """Publish the old shard's end, unless that is done, and keep what leads on from it.

        Raises:
            OSError, sqlite3.Error: it cannot be done now.
            WalBroken, Altered, ConfigurationError, Missing: it cannot be done.
        """
        if self.stage is not Stage.ENDING:
            return
        if self._end is not None:
            seal_durable(self._shard.sealer, self._shard.tail, self._end)
        objects = self._shard.storage.objects
        # Its key is destroyed with the move: nobody can sign for this shard afterwards.
        keep_signed_root(objects, self._shard.sealer.signed_root())
        keep_lineage(self._owned.root, self._owned.disk, objects)
        self.stage = Stage.ENDED

    def _reached(self) -> WrittenShard:
        owned = self._owned
        with ExitStack() as unless_opened:
            shard = WrittenShard(owned.root, owned.keys_dir, self._origin, self._stores, owned.disk)
            unless_opened.callback(shard.close)
            shard.sealer.recover()
            publish(owned.root, shard.storage)
            unless_opened.pop_all()
        return shard


def begin_next(
    owned: Owned, shard: WrittenShard, keys: Keys, ending_with: Callable[[bytes], Checkpoint], before: Writer
) -> tuple[Closed, Begun, WriteAheadLog]:
    """Begin the shard of ``keys`` behind ``shard``, whose newest durable record closes it. Asks no store.

    ``ending_with`` is what `Sealer.foresee` returned when all but that record was sealed; ``before`` has written it.

    Raises:
        WalBroken: the disk refuses, or can no longer be trusted; the next start begins it.
    """
    end = before.next_index
    try:
        (closing,) = shard.tail.read(end - 1, end)
        number = len(shards_before(owned.root)) + 1
        closed = Closed(number, ending_with(closing.header), b"", tuple(keys.vkeys))
        wal = WriteAheadLog(owned.root / NEXT_WAL, owned.disk)
        wal.open(0)
        traces = OpenTraces(owned.trace_idle_s)
        traces.begin()
        name = keys.signer.name
        writer = Writer(name, owned.vault, wal, 0, owned.schedule, traces)
        writer.take_over(before)
        written = write_all(writer, opening(owned.records, name, closed, before.calls.recent()))
    except OSError as error:
        raise _not_begun(error) from error
    shard.sealer.countersign_with(keys)
    waiting = [(writer.next_index, sum(kept.entry.weight for kept in written))]
    return closed, Begun(writer, traces, waiting), wal


def _not_begun(error: Exception) -> WalBroken:
    return WalBroken(f"the shard is closed, and the next one does not begin: {error}")
