"""Rotation on disk: a shard is closed, put below ``shards/``, and another one begins in its place.

What is published elsewhere stays where it is, and the next shard has a place of its own there (`storage.of_shard`);
only what stands in the evidence directory moves. What leads from shard to shard stands in it always, and beside a log
that is elsewhere too.

1 the next shard's seeds beside those in force (``….shard``)   2 a ``shard.close`` record   3 the next shard's write-ahead
log (``wal/next``), which begins with its ``shard.open``; from here on records are taken in it   4 the closing record
sealed; the checkpoint that ends with it is signed by old and new keys   5 its root signed for receipts; the steps to the new
keys kept whole, under ``succession/``, and the shard's first record beside the place where it will stand   6 a mark
7 every local file of the old shard moved to ``shards/N``   8 its write-ahead files removed, because all of it is sealed, and
the next one's in their place   9 the new seeds in the place of the old ones, which are gone then   10 the new public keys
11 the mark removed   12 the new shard's stores opened, and what leads to it put there

A crash before 2 is durable leaves the shard as it was. After it, the next start finds a log whose last record closes it,
and goes on with 4; after 6 it finds the mark, and goes on with 7. Every step may be done again. What was acknowledged since
3 is read back like everything that was not sealed; if the crash came before 3, the next start finds an empty log with a
succession, and opens it.

4, 5 and 12 wait for a store that is away, and calls go on meanwhile (see `crossing`); 2 and 3 need nothing but the disk.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import orjson

from magistrate.adapters.recorder.disk import Disk
from magistrate.adapters.recorder.keys import MLDSA_KEY, MLDSA_VKEY, SIGNING_KEY, VKEY, Keys
from magistrate.adapters.recorder.open_calls import OpenCalls
from magistrate.adapters.recorder.rootkey import secret_file
from magistrate.adapters.recorder.sealer import BEFORE, CHECKPOINT, STAGING, read_headers
from magistrate.adapters.recorder.storage import Files
from magistrate.adapters.recorder.store import PosixObjects
from magistrate.evidence.checkpoint import parse
from magistrate.evidence.cosignature import ML_DSA_44, Cosigner
from magistrate.evidence.note import Signer, Verifier, open_note
from magistrate.evidence.proof import Proof
from magistrate.evidence.receipt import SignedRoot
from magistrate.evidence.shards import Closed, beginning, beginning_path, closed, origin_after, shard_path
from magistrate.evidence.succession import MOST_KEYS, SHARD_CLOSE, Step, kept_path, kept_steps, own_steps
from magistrate.evidence.tiles import entry, prove_inclusion
from magistrate.exchange.errors import ConfigurationError

MARK = "rotation.json"
WAL, NEXT_WAL = "wal", "wal/next"
"""The second is in the first, so that both are on whatever disk the operator has put there."""
_OLD_IS_GONE = "wal/now"
SIGNED_ROOT = "root.json"
MOVED = (
    *("tile", "body", CHECKPOINT, "cosig", "receipts", "keys", "index", "lock.db"),
    *("policy.txt", "attestation.json", SIGNED_ROOT, VKEY, MLDSA_VKEY),
)
MOST_READ = 1 << 17
"""So many of a closed shard's newest records are looked through for calls that are open, by a process that has not written them."""

_PAIRS = ((SIGNING_KEY, VKEY), (MLDSA_KEY, MLDSA_VKEY))


@dataclass(frozen=True, slots=True)
class Limits:
    """How many records, or how many seconds, a shard has before the next one begins by itself; 0: it has no end."""

    records: int = 0
    age_s: float = 0.0


class ShardClosed(Exception):  # noqa: N818  because it names a state of the log
    """The log in this directory has its last record; another shard is to begin."""


class _Mark(msgspec.Struct, frozen=True):
    """Which shard is put away, and whether the write-ahead log of the next one had begun before."""

    number: int
    begun: bool = False


def shards_before(root: Path) -> list[Closed]:
    """Return the shards that were closed before the one in ``root`` began, oldest first."""
    known = _vkey_of(root)
    return [one for one in closed(PosixObjects(root).get) if not known or one.checkpoint.origin != known.name]


def origin_in_force(root: Path, configured: str) -> str:
    """Return the name of the log in ``root``: as configured, and with its number once it was rotated.

    Raises:
        ConfigurationError: the configured name is not the one that the log began with.
    """
    before = shards_before(root)
    if not before:
        return configured
    if configured and before[0].checkpoint.origin != configured:
        raise ConfigurationError(
            f"this log began as `{before[0].checkpoint.origin}`; keep `evidence.origin`", str(root)
        )
    return Verifier(before[-1].following[0]).name


def keys_to_follow(root: Path, vault: Path, origin: str, *, create: bool = True) -> Keys:
    """Return the keys of the shard that will follow ``origin``; made once, and kept until then."""  # 1
    name = origin_after(origin, len(shards_before(root)) + 1)
    return Keys(
        Signer(name, secret_file(vault / f"{SIGNING_KEY}.shard", create=create)),
        Cosigner(name, secret_file(vault / f"{MLDSA_KEY}.shard", create=create), ML_DSA_44),
    )


def keep_signed_root(objects: Files, signed: SignedRoot) -> None:
    """Keep what receipts of a shard's records need once its key is gone. Raises OSError."""
    objects.put(SIGNED_ROOT, msgspec.json.encode(signed))


def kept_signed_root(objects: Files) -> SignedRoot:
    """Return what `keep_signed_root` kept.

    Raises:
        ConfigurationError: it is not there, or damaged.
    """
    try:
        return msgspec.json.decode(objects.get(SIGNED_ROOT) or b"", type=SignedRoot)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"what a closed shard kept for receipts is missing or damaged ({error})", SIGNED_ROOT
        ) from None


def keep_lineage(root: Path, disk: Disk, objects: Files) -> None:
    """Keep what leads from the closed log in ``root`` to the next one; ``objects`` are its published files. Raises OSError."""  # 5
    _keep_steps(root, disk, objects)
    _keep_beginning(root, len(shards_before(root)) + 1, disk, objects)


def mark(root: Path, disk: Disk) -> None:
    """Say that the log in ``root``, of which everything needed is kept, is put away from here on. Raises OSError."""  # 6
    begun = (root / NEXT_WAL).exists()
    disk.put(root / MARK, msgspec.json.encode(_Mark(len(shards_before(root)) + 1, begun)))


def finish_putting_away(root: Path, vault: Path, disk: Disk) -> None:
    """Do what the mark says is not done yet; nothing, if there is none. Raises OSError.

    Raises:
        ConfigurationError: the mark cannot be read, or a seed is missing.
    """
    try:
        marked = msgspec.json.decode((root / MARK).read_bytes(), type=_Mark)
    except FileNotFoundError:
        return
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"is damaged ({error})", str(root / MARK)) from None
    target = root / shard_path(marked.number)
    disk.make_directories(target)
    for name in MOVED:  # 7
        # What is there already was moved before a crash; what stands here by its name is the next shard's.
        if (root / name).exists() and not (target / name).exists():
            disk.rename(root / name, target / name)
    disk.sync_directory(target)
    disk.sync_directory(root)
    for name in (STAGING, BEFORE, "stopped-cleanly"):
        disk.remove(root / name)
    _replace_wal(root, disk, begun=marked.begun)
    following = closed(PosixObjects(root).get)[-1].following
    for (key, published), vkey in zip(_PAIRS, following, strict=True):
        staged = vault / f"{key}.shard"
        if staged.exists():  # 9
            disk.rename(staged, vault / key)
            disk.sync_directory(vault)
        disk.put(root / published, f"{vkey}\n".encode(), mode=0o644)  # 10
    disk.remove(root / MARK)  # 11
    disk.sync_directory(root)


def _replace_wal(root: Path, disk: Disk, *, begun: bool) -> None:
    wal, following, now = root / WAL, root / NEXT_WAL, root / _OLD_IS_GONE
    if following.exists() or not begun:
        for path in wal.glob("*.*"):  # 8
            disk.remove(path)
    if following.exists():
        disk.sync_directory(wal)
        disk.rename(following, now)  # from here on nothing in `wal` is the old shard's
        disk.sync_directory(wal)
    if now.exists():
        for path in sorted(now.iterdir()):
            disk.rename(path, wal / path.name)
        disk.sync_directory(wal)
        now.rmdir()


def tail(objects: Files, at_most: int) -> Iterator[tuple[int, bytes]]:
    """Yield index and exact bytes of the newest records of a closed shard; nothing, if it is not here."""
    note = objects.get(CHECKPOINT)
    if note is None:
        return
    size = parse(open_note(note)[0]).size
    yield from read_headers(objects, max(0, size - at_most), size)


def open_calls(objects: Files) -> dict[str, str]:
    """Return the calls, id and trace, that were open when a shard was closed, as its newest `MOST_READ` records tell."""
    calls = OpenCalls()
    for _, raw in tail(objects, MOST_READ):
        calls.follow(orjson.loads(raw))
    return calls.recent()


def _keep_steps(root: Path, disk: Disk, objects: Files) -> None:
    read = objects.get
    origin = parse(open_note(read(CHECKPOINT) or b"")[0]).origin
    kept = sum(step.checkpoint.origin != origin for step in kept_steps(PosixObjects(root).get))
    disk.make_directories(root / "succession")
    for number, step in enumerate([*own_steps(read), _closing(objects)], kept + 1):
        disk.put(root / kept_path(number, proof=False), step.raw, mode=0o644)
        disk.put(root / kept_path(number, proof=True), step.proof.encode(), mode=0o644)


def _keep_beginning(root: Path, number: int, disk: Disk, objects: Files) -> None:
    if number == 1:
        return  # nothing is before it
    first = beginning(objects.get, objects.get(CHECKPOINT) or b"")
    disk.make_directories(root / beginning_path(number, proof=False).rpartition("/")[0])
    disk.put(root / beginning_path(number, proof=False), first.raw, mode=0o644)
    disk.put(root / beginning_path(number, proof=True), first.proof.encode(), mode=0o644)


def _closing(objects: Files) -> Step:
    read = objects.get
    note = read(CHECKPOINT) or b""
    size = parse(open_note(note)[0]).size
    step = Step(
        entry(read, size - 1, size), Proof(size - 1, tuple(prove_inclusion(read, size - 1, size)), note)
    )
    assert step.header["t"] == SHARD_CLOSE
    return step


def lineage_paths(root: Path) -> list[str]:
    """Return what leads from shard to shard, oldest first, as it stands in ``root`` and beside a log that is elsewhere."""
    found: list[str] = []
    for number in range(1, MOST_KEYS + 1):
        if not (root / kept_path(number, proof=True)).exists():
            break
        found += [kept_path(number, proof=proof) for proof in (False, True)]
    for one in shards_before(root)[1:]:
        found += [beginning_path(one.number, proof=proof) for proof in (False, True)]
    return found


def _vkey_of(root: Path) -> Verifier | None:
    path = root / VKEY
    return Verifier(path.read_text(encoding="ascii")) if path.exists() else None
