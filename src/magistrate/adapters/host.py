"""The host's own clock and randomness, behind the `Clock` and `Ids` ports."""

import ctypes
import os
import random
import secrets
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

STANDS_NS = 1_000_000_000
"""So long it is believed how the clock stands: asking the kernel costs a call, and a record is not the place to wait for it."""

_TIME_ERROR = 5
"""What adjtimex(2) returns while the clock is not synchronised."""


class _Timex(ctypes.Structure):
    """The beginning of ``struct timex`` (adjtimex(2)), and more room than the rest takes."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("rest", ctypes.c_char * 1024),
    )


class Synchronisation(NamedTuple):
    """Whether the machine's clock is synchronised, and by how much it may be wrong at most, in microseconds, as the kernel reckons."""

    holds: bool
    error_us: int


def synchronisation() -> Synchronisation | None:
    """Return what the kernel says through adjtimex(2) (reading only), or None where it cannot be asked."""
    told = _Timex()
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(told))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else Synchronisation(state != _TIME_ERROR, max(0, told.maxerror))


class SystemClock:
    """The machine's clocks."""

    def __init__(self, ask: Callable[[], Synchronisation | None] = synchronisation) -> None:
        self._ask = ask
        self._standing: Mapping[str, object] = {}
        self._until_ns = 0

    def now_us(self) -> int:
        return time.time_ns() // 1000

    def ticks_ns(self) -> int:
        return time.monotonic_ns()

    def standing(self) -> Mapping[str, object]:
        """See `pipeline.ports.Clock`. Asked of the kernel once in `STANDS_NS`."""
        now_ns = time.monotonic_ns()
        if now_ns >= self._until_ns:
            self._until_ns = now_ns + STANDS_NS
            self._standing = _described(self._ask())
        return self._standing


def _described(told: Synchronisation | None) -> dict[str, object]:
    if told is None:
        return {"src": "system"}
    if not told.holds:
        return {"src": "system", "sync": False}
    return {"src": "system", "sync": True, "err_us": told.error_us}


class SystemIds:
    """Ids from the machine's clock and its random source; the kernel's source is safe across forks."""

    def record(self) -> str:
        """Return a UUIDv7 (RFC 9562 section 5.7): 48 bits of milliseconds, 74 random bits."""
        at = f"{time.time_ns() // 1_000_000 & (1 << 48) - 1:012x}"
        drawn = os.urandom(10).hex()
        variant = "89ab"[int(drawn[0], 16) & 3]
        return f"{at[:8]}-{at[8:]}-7{drawn[1:4]}-{variant}{drawn[4:7]}-{drawn[8:]}"

    def trace(self) -> str:
        """Return a W3C trace-id: never all zeros, for the specification forbids that value."""
        return secrets.token_hex(16)


def draw() -> float:
    """Return a number in [0, 1) that spreads load; nothing depends on its being unpredictable."""
    return random.random()  # noqa: S311  because it chooses among lawful endpoints, it protects nothing
