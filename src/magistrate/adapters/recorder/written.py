"""The shard that is written, as far as the sealer goes: its stores, register, index, keys, and the tail of what is durable."""

from contextlib import ExitStack
from pathlib import Path

import orjson

from magistrate.adapters.recorder.disk import Disk
from magistrate.adapters.recorder.index import open_index
from magistrate.adapters.recorder.keys import finish_rotation, keys_in_force
from magistrate.adapters.recorder.opening import Stores
from magistrate.adapters.recorder.rotation import WAL, origin_in_force, shards_before
from magistrate.adapters.recorder.sealer import Sealer
from magistrate.adapters.recorder.tail import Tail


class WrittenShard:
    """Opened, not recovered: whoever opens it lets the sealer `recover`, alone or in the course of a `Recovery`.

    ``origin``: the log's configured name, or empty.

    Raises:
        ConfigurationError: a key or the register is missing or damaged, or a store will not do.
        StoreUnavailable: a store does not answer; nothing stays open.
        OSError, sqlite3.Error: the disk refuses; nothing stays open.
    """

    def __init__(self, root: Path, keys_dir: Path, origin: str, stores: Stores, disk: Disk) -> None:
        number = len(shards_before(root)) + 1
        with ExitStack() as closing:
            self.storage = stores.written(number)
            closing.callback(self.storage.objects.close)
            register = stores.register(number)
            closing.callback(register.close)
            finish_rotation(root, keys_dir, disk, self.storage.objects)
            self.keys = keys_in_force(root, keys_dir, origin_in_force(root, origin), disk)
            index = open_index(root / "index" / "records.db")
            closing.callback(index.close)
            self.sealer = Sealer(root, self.keys, index, disk, register, self.storage)
            self.tail = Tail(root / WAL)
            closing.callback(self.tail.close)
            self._closing = closing.pop_all()

    @property
    def vkey(self) -> str:
        """The key that verifies it (Ed25519)."""
        return self.keys.signer.vkey

    @property
    def name(self) -> str:
        """Its origin: the first line of its checkpoints."""
        return self.keys.signer.name

    @property
    def began_us(self) -> int:
        """When it began, by its first sealed record; 0 if there is none. Raises OSError, `Missing`."""
        first = next(iter(self.sealer.headers_at([0])), None) if self.sealer.size else None
        return int(orjson.loads(first[1])["ts"]) if first else 0

    def count_of(self, wid: str, since: int) -> int:
        """Return how far writer ``wid`` has counted, by its newest sealed record from index ``since`` on; 0 if there is none."""
        for index, raw in self.sealer.headers_backwards(self.sealer.size):
            header = orjson.loads(raw)
            if header["wid"] == wid:
                return int(header["wseq"])
            if index < since:
                break
        return 0

    def close(self) -> None:
        """Let go of everything; once more does no harm."""
        self._closing.close()
