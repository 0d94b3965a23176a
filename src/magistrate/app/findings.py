"""What a diagnosis is made of: findings, and what is asked of the machine to make them."""

import os
import shutil
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

import msgspec

from magistrate.adapters.host import synchronisation
from magistrate.adapters.recorder.attesting import Standings, read_standings
from magistrate.adapters.recorder.outage import StoreStanding, read_store
from magistrate.adapters.recorder.shelf import ShardStanding, read_shards
from magistrate.app.listening import taken

GIB = 1 << 30


def clock_synchronised() -> bool | None:
    """Return what the kernel says, or None where it cannot be asked."""
    told = synchronisation()
    return None if told is None else told.holds


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    NOTE = "note"
    WEAK = "weak"
    """It works, and a promise is weaker than it could be."""
    BAD = "bad"
    """It does not work, or a promise is broken."""


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at. ``advice`` is empty exactly when there is nothing to do."""

    level: Level
    subject: str
    says: str
    advice: str = ""


class World(msgspec.Struct, frozen=True):
    """What is asked of the machine, so that a check can be shown every state of it."""

    running: bool
    """True when a magistrate of ours answers on the control port; its ports are then taken by itself."""
    free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free
    device: Callable[[Path], int] = lambda path: path.stat().st_dev
    owner: Callable[[Path], int] = lambda path: path.stat().st_uid
    user: Callable[[], int] = os.getuid
    synchronised: Callable[[], bool | None] = clock_synchronised
    taken: Callable[[str], str | None] = taken
    now_us: Callable[[], int] = lambda: time.time_ns() // 1000
    standings: Callable[[Path], Standings | None] = read_standings
    store: Callable[[Path], StoreStanding | None] = read_store
    shards: Callable[[Path], ShardStanding | None] = read_shards


def is_loopback(address: str) -> bool:
    """Return whether ``host`` or ``host:port`` is this machine's own."""
    bare = address.rpartition("]")[0].strip("[") if address.startswith("[") else address.partition(":")[0]
    return bare in {"localhost", "::1"} or bare.startswith("127.")


def existing(path: Path) -> Path:
    """Return ``path`` or its nearest ancestor that exists."""
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path
