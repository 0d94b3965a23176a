"""Bundles kept by their hash, so that a record's policy can be asked again years later."""

import os
import re
from pathlib import Path

import msgspec

from magistrate.exchange.errors import ConfigurationError
from magistrate.policy.bundle import Bundle, load
from magistrate.policy.bundle import digest as hash_of

_DIGEST = re.compile(r"[0-9a-f]{64}")


def store_bundle(data: Path, bundle: Bundle) -> Path:
    """Keep ``bundle`` under ``data/policies``; return its file. Keeping it twice is keeping it once."""
    path = data / "policies" / f"{bundle.digest}.json"
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        content = msgspec.json.encode({name: text.decode() for name, text in sorted(bundle.files.items())})
        partial = path.with_suffix(f".{os.getpid()}.partial")
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    return path


def load_stored_bundle(data: Path, digest: str) -> Bundle:
    """Return the bundle with ``digest``.

    Raises:
        ConfigurationError: it is not kept here, or what is kept is not what the hash says.
    """
    path = data / "policies" / f"{digest}.json"
    if not _DIGEST.fullmatch(digest) or not path.exists():
        raise ConfigurationError(
            f"no policies with the hash `{digest[:16]}` are kept here", str(data / "policies")
        )
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        kept = {}
    files = {name: text.encode() for name, text in kept.items()}
    if hash_of(files) != digest:
        raise ConfigurationError(
            "the kept policies were changed: their hash is not the one in their name", str(path)
        )
    return load(files)
