"""The host's own clock and randomness, behind the `Clock` and `Ids` ports."""

import os
import random
import secrets
import time


class SystemClock:
    """The machine's clocks."""

    def now_us(self) -> int:
        return time.time_ns() // 1000

    def ticks_ns(self) -> int:
        return time.monotonic_ns()


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
