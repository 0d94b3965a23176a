"""One recorder on one directory: a lock that lives as long as whoever holds it, its child that seals included."""

import fcntl
import os
import time
from pathlib import Path

from magistrate.exchange.errors import ConfigurationError

LAST_BREATH_S = 1.0
"""So long a lock is waited for: the process that sealed for a recorder that was killed may hold it a moment longer."""


def only_one(path: Path) -> int:
    """Return a descriptor that holds the lock at ``path`` until it is closed.

    Raises:
        ConfigurationError: another recorder holds it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    until = time.monotonic() + LAST_BREATH_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() < until:
                time.sleep(0.02)
                continue
            os.close(descriptor)
            raise ConfigurationError(
                "another recorder is at work here; stop it first", str(path.parent)
            ) from None
        return descriptor
