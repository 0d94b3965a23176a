"""Rests in long work, so that others have the processor soon."""

import time

SLICE_S = 0.0005
"""Work so long at a stretch, in processor time of the thread: what waits for the disk holds nobody up."""

REST = 5.0
"""Rest so many times as long as the stretch before it, by the clock."""


class Breath:
    """How long work goes: in slices, with rests between them, and without when there is no time for it.

    Two processors that are half busy are a queue that is short; half of a second's sealing at a stretch makes it long for as long.
    """

    def __init__(self) -> None:
        self._left = 0.0
        self._since = 0.0

    def begin(self, at_most_s: float) -> None:
        """Begin work whose rests may take ``at_most_s`` seconds together."""
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
