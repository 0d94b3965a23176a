"""What stands beside a log that is elsewhere: its keys, and what leads from shard to shard. Both are kept here too.

A shard's own key is put beside it last, so that a machine which has kept nothing finds there either all of it or nothing.
"""

from pathlib import Path

from magistrate.adapters.recorder.disk import Disk
from magistrate.adapters.recorder.keys import MLDSA_VKEY, VKEY
from magistrate.adapters.recorder.opening import Stores
from magistrate.adapters.recorder.rotation import lineage_paths
from magistrate.adapters.recorder.storage import Files, Storage
from magistrate.evidence.shards import beginning_path, closed
from magistrate.evidence.succession import MOST_KEYS, kept_path


def fetch(root: Path, stores: Stores, disk: Disk) -> None:
    """Take what stands beside a log that is elsewhere, on a machine that has not kept it before. Raises OSError."""
    if not stores.remote or (root / VKEY).exists():
        return
    number, objects = 1, stores.written(1).objects
    try:
        while (following := stores.read(number + 1).objects).get(VKEY) is not None:
            objects.close()
            number, objects = number + 1, following
        following.close()
        for path in [*_lineage(objects), MLDSA_VKEY, VKEY]:
            if (data := objects.get(path)) is not None:
                disk.make_directories((root / path).parent)
                disk.put(root / path, data, mode=0o644)
    finally:
        objects.close()


def publish(root: Path, storage: Storage) -> None:
    """Let the keys in force, and what led to them, stand beside a log that is elsewhere. Raises OSError."""
    if not storage.remote:
        return
    objects, lineage = storage.objects, lineage_paths(root)
    if lineage and objects.get(lineage[-1]) is None:  # the last is put last
        for path in lineage:
            objects.put(path, (root / path).read_bytes())
    for path in (MLDSA_VKEY, VKEY):
        data = (root / path).read_bytes()
        if objects.get(path) != data:
            objects.put(path, data)


def _lineage(objects: Files) -> list[str]:
    found = []
    for number in range(1, MOST_KEYS + 1):
        if objects.get(kept_path(number, proof=True)) is None:
            break
        found += [kept_path(number, proof=proof) for proof in (False, True)]
    found += [
        beginning_path(one.number, proof=proof) for one in closed(objects.get) for proof in (False, True)
    ]
    return found
