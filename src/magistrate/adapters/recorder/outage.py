"""How the remote store stands, for those outside of the recorder: ``store.json`` in the evidence directory."""

import logging
import time
from pathlib import Path

import msgspec

from magistrate.adapters.recorder.disk import Disk

STORE_FILE = "store.json"
TOLD_EVERY_S = 10.0

log = logging.getLogger("magistrate.recorder")


class StoreStanding(msgspec.Struct, frozen=True):
    """``fails`` is empty while the store answers; else why not, since when, and what waits for it."""

    fails: str = ""
    since_us: int = 0
    records: int = 0
    bytes: int = 0


class Outage:
    """Tells when the store goes away and when it is back: in the log once each, in the file every ten seconds."""

    def __init__(self, root: Path, disk: Disk) -> None:
        self._path = root / STORE_FILE
        self._disk = disk
        self._standing = StoreStanding()
        self._told = 0.0

    def begin(self) -> None:
        """Forget what an earlier process told."""
        self._tell(StoreStanding())

    def fails(self, why: str, records: int, waiting: int) -> None:
        """Take note of one more failure."""
        begun = not self._standing.fails
        if begun:
            log.error("sealing waits for the store; calls go on: %s", why)
        if begun or time.monotonic() - self._told >= TOLD_EVERY_S:
            since = time.time_ns() // 1000 if begun else self._standing.since_us
            self._tell(StoreStanding(why, since, records, waiting))

    def answers(self) -> None:
        """Take note that it answers."""
        if self._standing.fails:
            seconds = (time.time_ns() // 1000 - self._standing.since_us) / 1e6
            log.warning("the store answers again after %.0f s; what waited is sealed", seconds)
            self._tell(StoreStanding())

    def _tell(self, standing: StoreStanding) -> None:
        self._standing, self._told = standing, time.monotonic()
        try:
            self._disk.put(self._path, msgspec.json.format(msgspec.json.encode(standing)), mode=0o644)
        except OSError as error:
            log.error("`%s` cannot be written: %s", STORE_FILE, error.strerror)


def read_store(root: Path) -> StoreStanding | None:
    """Return how the store of the log in ``root`` stands, or None: everything is local, or it cannot be read."""
    try:
        return msgspec.json.decode((root / STORE_FILE).read_bytes(), type=StoreStanding)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
