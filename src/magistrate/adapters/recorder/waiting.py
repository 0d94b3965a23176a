"""What is durable and waits for the sealer: how much, and up to which record."""

import threading
from collections import deque
from collections.abc import Iterable


class Waiting:
    """Counted by group, in the log's order. One thread adds, another takes away."""

    def __init__(self, groups: Iterable[tuple[int, int]] = ()) -> None:
        """``groups``: before which index the last record of each stands, and its bytes."""
        self._groups = deque(groups)
        self._bytes = sum(weight for _, weight in self._groups)
        self._lock = threading.Lock()

    @property
    def bytes(self) -> int:
        """How many bytes wait."""
        return self._bytes

    def add(self, end: int, weight: int) -> None:
        """Take a group whose last record stands before ``end``."""
        with self._lock:
            self._groups.append((end, weight))
            self._bytes += weight

    def sealed(self, size: int) -> None:
        """Forget the groups that a checkpoint of ``size`` records covers whole."""
        with self._lock:
            while self._groups and self._groups[0][0] <= size:
                self._bytes -= self._groups.popleft()[1]
