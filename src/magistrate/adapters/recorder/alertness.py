"""Waiting awake: while drafts follow each other closely, no processor goes to sleep between two.

One that has nothing to do stops; starting it again for the next draft, its sync or its acknowledgement takes some 40 us each
and leaves caches cold. Best is to ask the kernel to keep all processors ready (PM QoS: a latency of 0 written to
``/dev/cpu_dma_latency`` and held). Where the recorder may not, it waits awake itself as long as nobody wants its processor.
"""

import os
import struct
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

CLOSE_S = 0.0015
"""Drafts with a shorter time between them follow closely; nobody waits awake by itself for longer."""

PROVEN = 8
"""So many in a row prove that another one is near. One that does not come in time takes the proof away."""

LINGER_S = 0.05
"""Processors are kept ready for so long after the last draft: asking anew for each would wake them all each time."""

CROWDED_S = 0.0001
"""Whoever yields its processor and gets it back no sooner than this was in somebody's way."""

LATENCY_DEVICE = Path("/dev/cpu_dma_latency")
"""Linux, Documentation/power/pm_qos_interface.rst: an int32 in microseconds, in force while the file is open."""

_READY = struct.pack("i", 0)
_ANY = struct.pack("i", 2_000_000_000)
"""What the kernel itself starts with: no wish."""

Event = TypeVar("Event")


class Processors:
    """The wish that no processor sleeps. ``allowed`` is False where nobody may have it."""

    def __init__(self, device: Path = LATENCY_DEVICE) -> None:
        self._descriptor: int | None = None
        self._held = False
        try:
            self._descriptor = os.open(device, os.O_WRONLY | os.O_CLOEXEC)
            os.write(self._descriptor, _ANY)
        except OSError:
            self.close()

    @property
    def allowed(self) -> bool:
        return self._descriptor is not None

    def hold(self, *, ready: bool) -> None:
        """Keep the processors ready, or let them sleep again."""
        if self._descriptor is None or ready == self._held:
            return
        try:
            os.write(self._descriptor, _READY if ready else _ANY)
            self._held = ready
        except OSError:
            self.close()

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = None


class Alertness:
    """Decides how to wait. Light traffic, or an endpoint that thinks for long, costs no processor time beyond one short wait."""

    def __init__(self, processors: Processors, count: int | None = None) -> None:
        self._processors = processors
        self._spare = (count or len(os.sched_getaffinity(0))) > 1
        self._in_a_row = 0

    def wait(self, poll: Callable[[float], Sequence[Event]], at_most_s: float) -> Sequence[Event]:
        """Return what ``poll(timeout in seconds)`` finds within ``at_most_s``."""
        began = time.perf_counter()
        if self._in_a_row < PROVEN:
            found = poll(at_most_s)
            near = bool(found) and time.perf_counter() - began < CLOSE_S
            self._in_a_row = self._in_a_row + 1 if near else 0
            return found
        if self._processors.allowed:
            self._processors.hold(ready=True)
            found = poll(min(LINGER_S, at_most_s))
            if found:
                return found
            self._processors.hold(ready=False)
        elif self._spare and (found := self._awake(poll, began)):
            return found
        self._in_a_row = 0
        return poll(max(0.0, at_most_s - (time.perf_counter() - began)))

    def close(self) -> None:
        self._processors.close()

    def _awake(self, poll: Callable[[float], Sequence[Event]], began: float) -> Sequence[Event]:
        before = began
        while before - began < CLOSE_S:
            os.sched_yield()  # to whoever has work
            if found := poll(0):
                return found
            now = time.perf_counter()
            if now - before > CROWDED_S:
                break
            before = now
        return ()
