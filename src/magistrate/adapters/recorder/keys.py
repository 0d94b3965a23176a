"""The keys that a log is signed with, and how new ones follow old ones.

The old keys sign, as their last record, which keys follow (see `evidence.succession`):

1 new seeds beside the old ones (``….next``)   2 a ``key.event`` record, sealed and signed by old and new keys
3 that checkpoint kept as ``keys/N``   4 the new seeds take the place of the old ones   5 the published keys change

A crash before 3 leaves the old keys in force; the seeds of 1 are overwritten next time. A crash after 3 is finished at the
next start, because the kept checkpoint says what was meant.
"""

import logging
import os
from pathlib import Path

import msgspec
import orjson

from magistrate.adapters.recorder.disk import Disk
from magistrate.adapters.recorder.rootkey import secret_file
from magistrate.adapters.recorder.storage import Files
from magistrate.evidence.checkpoint import parse
from magistrate.evidence.cosignature import ML_DSA_44, Cosigner
from magistrate.evidence.note import NoteError, Signer, Verifier, open_note
from magistrate.evidence.succession import named_keys, step_path
from magistrate.evidence.tiles import entry
from magistrate.exchange.errors import ConfigurationError

SIGNING_KEY, MLDSA_KEY = "signing.key", "signing-mldsa.key"
VKEY, MLDSA_VKEY = "log.vkey", "log-mldsa.vkey"
_PAIRS = ((SIGNING_KEY, VKEY), (MLDSA_KEY, MLDSA_VKEY))

log = logging.getLogger("magistrate.recorder")


class Keys(msgspec.Struct, frozen=True):
    """What a log signs with."""

    signer: Signer
    cosigner: Cosigner

    @property
    def vkeys(self) -> list[str]:
        return [self.signer.vkey, self.cosigner.vkey]


def keys_in_force(root: Path, vault: Path, origin: str, disk: Disk) -> Keys:
    """Return the keys of the log in ``root``, made when it begins; ``origin`` empty: the log's own, or a random one.

    A log that began without an ML-DSA-44 key gets one now.

    Raises:
        ConfigurationError: a seed is missing, or is not the one that the log was signed with.
    """
    known = _published(root / VKEY)
    try:
        name = origin or (Verifier(known).name if known else f"magistrate.local/{os.urandom(4).hex()}")
        signer = Signer(name, secret_file(vault / SIGNING_KEY, create=not known))
    except NoteError as error:
        raise ConfigurationError(str(error), str(root / VKEY)) from None
    if known and known != signer.vkey:
        raise ConfigurationError(
            f"this log belongs to `{known.partition('+')[0]}` and its key; "
            f"keep `evidence.origin` and the vault's `{SIGNING_KEY}`, or begin a log elsewhere",
            str(root / VKEY),
        )
    second = _published(root / MLDSA_VKEY)
    cosigner = Cosigner(signer.name, secret_file(vault / MLDSA_KEY, create=not second), ML_DSA_44)
    if second and second != cosigner.vkey:
        raise ConfigurationError(
            f"is not the key that `{vault / MLDSA_KEY}` belongs to; restore the vault's `{MLDSA_KEY}`",
            str(root / MLDSA_VKEY),
        )
    for path, vkey in ((root / VKEY, signer.vkey), (root / MLDSA_VKEY, cosigner.vkey)):
        if not path.exists():
            disk.put(path, vkey.encode() + b"\n", mode=0o644)
    return Keys(signer, cosigner)


def next_keys(vault: Path, origin: str, disk: Disk) -> Keys:
    """Make the seeds of the keys that are to follow."""  # 1
    for name in (SIGNING_KEY, MLDSA_KEY):
        disk.remove(vault / f"{name}.next")
    return Keys(
        Signer(origin, secret_file(vault / f"{SIGNING_KEY}.next", create=True)),
        Cosigner(origin, secret_file(vault / f"{MLDSA_KEY}.next", create=True), ML_DSA_44),
    )


def next_step(objects: Files) -> str:
    """Return where the next step is to be kept."""
    number = 1
    while objects.get(step_path(number)) is not None:
        number += 1
    return step_path(number)


def finish_rotation(root: Path, vault: Path, disk: Disk, objects: Files) -> None:
    """Put the keys in force that the newest step names, as far as a crash kept them from it.

    Raises:
        ConfigurationError: a seed is missing: neither the old nor the new key is the one that was named.
    """
    number = int(next_step(objects).rpartition("/")[2]) - 1
    if not number:
        return
    size = parse(open_note(objects.get(step_path(number)) or b"")[0]).size
    event = orjson.loads(entry(objects.get, size - 1, size))
    for (key, published), vkey in zip(_PAIRS, named_keys(event), strict=True):
        following = vault / f"{key}.next"
        if following.exists() and _vkey_of(following, vkey) == vkey:  # 4
            disk.rename(following, vault / key)
            disk.sync_directory(vault)
        if _vkey_of(vault / key, vkey) != vkey:
            raise ConfigurationError(
                "is not the key that the log says follows; restore it from its backup", str(vault / key)
            )
        if (root / published).read_text(encoding="ascii").strip() != vkey:  # 5
            disk.put(root / published, vkey.encode() + b"\n", mode=0o644)
            log.warning("`%s` is in force from now on: tell your auditors and witnesses", published)


def _published(path: Path) -> str:
    return path.read_text(encoding="ascii").strip() if path.exists() else ""


def _vkey_of(path: Path, like: str) -> str:
    """Return the verifier key of a seed, as a key of the same name and kind as ``like``."""
    wanted = Verifier(like)
    seed = secret_file(path, create=False)
    return Cosigner(wanted.name, seed, ML_DSA_44).vkey if wanted.cosigns else Signer(wanted.name, seed).vkey
