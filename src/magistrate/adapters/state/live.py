"""The gateway's keys: a snapshot that follows the store."""

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path

from magistrate.adapters.state.database import StateUnavailable
from magistrate.adapters.state.keys import KeyStore
from magistrate.exchange.errors import Refused
from magistrate.exchange.outcome import Code
from magistrate.exchange.principal import Principal
from magistrate.identity.keys import KeyRing

POLL_S = 0.25
STALE_NS = 3_000_000_000
"""A snapshot not confirmed for so long authenticates nobody: a poll that died must not freeze old rights."""

_log = logging.getLogger("magistrate.keys")


class LiveKeys:
    """Answers the `KeyRing` port; `poll` (called by `follow`) keeps it current, and closes it when it cannot be."""

    def __init__(self, path: Path, ticks_ns: Callable[[], int] = time.monotonic_ns) -> None:
        """Load the first snapshot.

        Raises:
            StateUnavailable: the store cannot be used; starting without keys would hide it.
        """
        self._path = path
        self._ticks_ns = ticks_ns
        self._store: KeyStore | None = KeyStore(path)
        self._ring: KeyRing | None = self._store.snapshot()
        self._confirmed_ns = ticks_ns()

    def authenticate(self, presented: str, now_us: int) -> Principal:
        """Return whose key this is, as of at most `POLL_S` ago.

        Raises:
            Refused: as `KeyRing`; and INTERNAL while the store cannot be read.
        """
        ring = self._ring
        if ring is None or self._stale():
            raise Refused(Code.INTERNAL, "keys cannot be verified at the moment; try again shortly")
        return ring.authenticate(presented, now_us)

    def problem(self) -> str | None:
        """Return why nobody is authenticated at the moment, or None."""
        return "the key store cannot be read" if self._ring is None or self._stale() else None

    def _stale(self) -> bool:
        return self._ticks_ns() - self._confirmed_ns > STALE_NS

    def poll(self) -> None:
        """Take a new snapshot if the store changed; close while it cannot be read. Never raises."""
        try:
            if self._store is None:
                self._store = KeyStore(self._path, create=False)
            if self._ring is None or self._store.changed():
                self._ring = self._store.snapshot()
            self._confirmed_ns = self._ticks_ns()
        except StateUnavailable as error:
            if self._ring is not None:
                _log.error("keys are closed: %s", error)
            self.close()

    async def follow(self, every_s: float = POLL_S) -> None:
        """Poll until cancelled, off the event loop: a slow disk delays a revocation, never a request."""
        try:
            while True:
                await asyncio.sleep(every_s)
                await asyncio.to_thread(self.poll)
        finally:
            self.close()

    def close(self) -> None:
        """Authenticate nobody from now on, until a poll succeeds."""
        self._ring = None
        store, self._store = self._store, None
        if store is not None:
            store.close()
