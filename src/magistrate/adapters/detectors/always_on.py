"""The always-on tier behind the `Classifier` port.

Small content is inspected on the spot, because handing it to a thread costs more than reading it. Large content goes to
one worker thread with a scanner of its own (a scanner's scratch space is not shared), under a deadline.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from magistrate.classify.inspector import Inspector
from magistrate.classify.scanner import Scanner
from magistrate.exchange.content import Part
from magistrate.exchange.finding import Finding, FindingStatus
from magistrate.exchange.stream import Channel

INLINE_CHARACTERS = 100_000
"""Up to here inspection takes about as long as one garbage collection: 3 ms."""

TIMED_OUT = "inspection.incomplete"


class AlwaysOn:
    """The `Classifier` port over `classify.Scanner`."""

    def __init__(self, make_scanner: Callable[[], Scanner], *, deadline_s: float) -> None:
        self._scanner = make_scanner()
        self._deadline_s = deadline_s
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="inspect")
        self._worker_scanner = self._worker.submit(make_scanner).result()
        self.versions: Mapping[str, str] = {"always-on": self._scanner.version}

    async def classify(self, parts: Sequence[Part]) -> tuple[Finding, ...]:
        """See `pipeline.ports.Classifier`."""
        if sum(len(part.text) for part in parts) <= INLINE_CHARACTERS:
            return self._scanner.scan(parts)
        loop = asyncio.get_running_loop()
        scan = loop.run_in_executor(self._worker, self._worker_scanner.scan, parts)
        try:
            return await asyncio.wait_for(scan, self._deadline_s)
        except TimeoutError:
            return (self._incomplete(),)

    def classify_now(self, parts: Sequence[Part]) -> tuple[Finding, ...]:
        """See `pipeline.ports.Classifier`."""
        return self._scanner.scan(parts)

    def open_inspector(self) -> Inspector[Channel]:
        """See `pipeline.ports.Classifier`."""
        return Inspector(self._scanner)

    def close(self) -> None:
        self._worker.shutdown(wait=False, cancel_futures=True)

    def _incomplete(self) -> Finding:
        return Finding(
            TIMED_OUT,
            "always-on",
            self._scanner.version,
            status=FindingStatus.INDETERMINATE,
            detail=f"no verdict within {self._deadline_s:g} s",
        )
