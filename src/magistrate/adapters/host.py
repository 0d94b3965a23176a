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
        random_bits = int.from_bytes(os.urandom(10))
        value = (time.time_ns() // 1_000_000 & (1 << 48) - 1) << 80
        value |= 0x7 << 76 | (random_bits >> 68 & 0xFFF) << 64
        value |= 0b10 << 62 | random_bits & ((1 << 62) - 1)
        digits = f"{value:032x}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"

    def trace(self) -> str:
        """Return a W3C trace-id: never all zeros, for the specification forbids that value."""
        return secrets.token_hex(16)


def draw() -> float:
    """Return a number in [0, 1) that spreads load; nothing depends on its being unpredictable."""
    return random.random()  # noqa: S311  because it chooses among lawful endpoints, it protects nothing
