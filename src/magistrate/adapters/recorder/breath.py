"""Rests in long work, so that a thread that answers others need not fight for the interpreter."""

import time

SLICE_S = 0.0005
"""Work so long at a stretch, in processor time of the thread: what waits for the disk holds nobody up."""

REST = 3.0
"""Rest so many times as long as the stretch before it, by the clock."""


class Breath:
    """How the sealer goes about a batch: in slices, with rests between them, and without when there is no time for it.

    Sealing a second of heavy traffic takes the interpreter for some hundred milliseconds. At a stretch, records that come
    meanwhile wait for it again and again (measured at half of the load that two cores bear: 20 to 40 ms instead of 4).
    """

    def __init__(self) -> None:
        self._left = 0.0
        self._since = 0.0

    def begin(self, at_most_s: float) -> None:
        """Begin a batch, whose rests may take ``at_most_s`` seconds together."""
        self._left = at_most_s
        self._since = time.thread_time()

    def rest(self) -> None:
        """Rest, if a slice is over. Cheap enough for every record."""
        worked = time.thread_time() - self._since
        if worked < SLICE_S or self._left <= 0:
            return
        pause = min(worked * REST, self._left)
        time.sleep(pause)
        self._left -= pause
        self._since = time.thread_time()
