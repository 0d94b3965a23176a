"""Opening what the configuration names: the storage of published files, and the register of the newest checkpoint."""

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from magistrate.adapters.recorder.disk import Disk
from magistrate.adapters.recorder.object_segments import ObjectSegments
from magistrate.adapters.recorder.segments import FileSegments
from magistrate.adapters.recorder.storage import Files, Place, Places, S3Place, Storage, of_shard
from magistrate.adapters.recorder.store import PosixObjects, SqliteRegister
from magistrate.evidence.ports import Register
from magistrate.evidence.shards import shard_path
from magistrate.exchange.errors import ConfigurationError


class Stores:
    """Opens both ports for any shard of the log in ``root``. ``days`` as `open_storage` takes them.

    Raises what `open_storage` and `open_register` raise.
    """

    def __init__(
        self,
        root: Path,
        places: Places | None = None,
        disk: Disk | None = None,
        days: Mapping[str, int] | None = None,
    ) -> None:
        self._root = root
        self._places = places or Places()
        self._disk = disk
        self._days = days

    @property
    def remote(self) -> bool:
        """Whether what is published stands elsewhere."""
        return self._places.objects is not None

    def written(self, number: int) -> Storage:
        """Return the storage of the shard that is written, which is shard ``number``."""
        return open_storage(self._root, of_shard(self._places.objects, number), self._disk, self._days)

    def read(self, number: int) -> Storage:
        """Return the storage of the shard that is written, for reading and for what others vouch."""
        return open_storage(self._root, of_shard(self._places.objects, number), self._disk)

    def closed(self, number: int) -> Storage:
        """Return the storage of a shard that is closed."""
        root = self._root / shard_path(number)
        return open_storage(root, of_shard(self._places.objects, number), self._disk)

    def register(self, number: int) -> Register:
        """Return the register of the shard that is written, which is shard ``number``."""
        return open_register(self._root, of_shard(self._places.register, number))


def open_storage(
    root: Path, place: Place | None, disk: Disk | None = None, days: Mapping[str, int] | None = None
) -> Storage:
    """Return the storage of the log in ``root``. ``days``: what each retention class is kept; without it, to read only.

    Raises:
        ConfigurationError: the driver is not installed, or the store will not do.
        StoreUnavailable: it does not answer; only asked when ``days`` is given.
    """
    if place is None:
        disk = disk or Disk()
        return Storage(PosixObjects(root, disk), FileSegments(root, disk))
    objects: Files
    if isinstance(place, S3Place):
        objects = _s3().S3Objects(place, days)
    else:
        objects = _postgres().PostgresObjects(place, writable=days is not None)
    return Storage(objects, ObjectSegments(objects), remote=True)


def open_register(root: Path, place: Place | None) -> Register:
    """Return the register of the log in ``root``.

    Raises:
        ConfigurationError: the driver is not installed, or the store will not do.
        StoreUnavailable: it does not answer.
    """
    if place is None:
        return SqliteRegister(root / "lock.db")
    driver = _s3().S3Register if isinstance(place, S3Place) else _postgres().PostgresRegister
    register: Register = driver(place)
    return register


def _s3() -> ModuleType:
    try:
        from magistrate.adapters.recorder import s3  # noqa: PLC0415  because only a log in a bucket needs it
    except ModuleNotFoundError as missing:
        raise ConfigurationError(
            f"the S3 driver needs `{missing.name}`: `make stores`, or pip install 'magistrate[s3]'",
            "evidence.objects",
        ) from None
    return s3


def _postgres() -> ModuleType:
    try:
        from magistrate.adapters.recorder import postgres  # noqa: PLC0415  because only a log in a database needs it
    except ImportError as missing:
        raise ConfigurationError(
            f"the PostgreSQL driver needs `psycopg` ({missing}): `make stores`, or pip install 'magistrate[postgres]'",
            "evidence.objects",
        ) from None
    return postgres
