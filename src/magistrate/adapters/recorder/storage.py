"""Where the published log stands: the evidence directory, an S3 bucket or a PostgreSQL database.

The write-ahead log, the indexes and the keys are always local. What is published (tiles, checkpoints, bodies, what others
vouched for) goes to one `Storage`; the newest signed checkpoint to one `Register`. Either may be remote, and neither is
ever waited for when a record is acknowledged.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from magistrate.adapters.recorder.segments import Segments
from magistrate.evidence.ports import Objects
from magistrate.evidence.shards import shard_path
from magistrate.exchange.errors import EvidenceUnavailable

WITHIN_S = 10.0
"""How long one request to a store may take; together with its retries, a seal waits some thirty seconds at most."""


class StoreUnavailable(EvidenceUnavailable, OSError):  # noqa: N818  because it names the state of the other side
    """A remote store does not answer, or refuses. What was asked may have been done or not.

    To the sealer it is a disk that refuses; to a command it is one line and exit status 2.
    """


class Retained(OSError):  # noqa: N818  because it names a state
    """The store keeps a file whatever we say: it is locked until a date."""


class Altered(Exception):  # noqa: N818  because it names what was found
    """The store holds other bytes at a path that is written once."""

    def __init__(self, path: str) -> None:
        super().__init__(f"the store holds other bytes at `{path}` than were written there")


def checked(path: str) -> str:
    """Return the path of an object as it is. Raises ValueError: it would leave the log."""
    if path.startswith("/") or ".." in path.split("/"):
        raise ValueError(f"`{path}` is no path of an object")
    return path


def written_once(path: str) -> bool:
    """Return whether a path never gets other bytes: tiles (a partial one has its width in its path), bodies, steps to keys and shards."""
    return path.startswith(("tile/", "body/", "keys/", "succession/", "shards/"))


class Files(Objects, Protocol):
    """The `Objects` port, and what pruning, erasure and reading need besides. Remote ones raise `StoreUnavailable`."""

    def put_all(self, files: Mapping[str, bytes]) -> None:
        """Keep each file as `put` does, in any order; durable when this returns. If it raises, some may be kept."""
        ...

    def children(self, path: str) -> list[str]:
        """Return the names directly below a path, folders and files."""
        ...

    def replace(self, path: str, data: bytes) -> bool:
        """Put other bytes of the same length in place and let the old ones go; False: they are locked, nothing changed."""
        ...

    def remove(self, path: str) -> None:
        """Remove a file if it is there. Raises `Retained`."""
        ...

    def remove_below(self, path: str) -> None:
        """Remove every file below a folder that has been superseded. Raises `Retained`."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Storage:
    """Published files, and the bodies among them."""

    objects: Files
    segments: Segments
    remote: bool = False
    """True when losing this machine loses nothing that was sealed."""


@dataclass(frozen=True, slots=True)
class S3Place:
    """A bucket. Empty keys: what the AWS SDK finds (environment, profile, instance role)."""

    bucket: str
    prefix: str = ""
    endpoint: str = ""
    region: str = ""
    access_key: str = ""
    secret_key: str = ""
    ca: str = ""
    lock: bool = False

    def __repr__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"


@dataclass(frozen=True, slots=True)
class PostgresPlace:
    """A database; ``url`` may hold a password. Several logs share one by their ``prefix``."""

    url: str
    prefix: str = ""

    def __repr__(self) -> str:
        return f"postgres (log `{self.prefix}`)"


Place = S3Place | PostgresPlace


def of_shard(place: Place | None, number: int) -> Place | None:
    """Return where shard ``number`` of the log at ``place`` is: the first there, every later one below ``shards/NUMBER/``.

    What a store has locked cannot be moved, so each shard stays where it was written.
    """
    if place is None or number == 1:
        return place
    above = f"{place.prefix.removesuffix('/')}/" if place.prefix else ""
    return replace(place, prefix=f"{above}{shard_path(number)}/")


@dataclass(frozen=True, slots=True)
class Places:
    """Where both ports are; None: the evidence directory."""

    objects: Place | None = None
    register: Place | None = None
