"""The always-on tier, and beside it the detectors that others run, behind the `Classifier` port.

Small content is inspected on the spot, because handing it to a thread costs more than reading it. Large content goes to
one worker thread with a scanner of its own (a scanner's scratch space is not shared), under a deadline. Remote detectors
are asked first and awaited last, so that their road and our reading take the same time.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from magistrate.adapters.detectors.remote import RemoteDetector
from magistrate.adapters.detectors.sentences import Asking, Reader, Sentences
from magistrate.classify.inspector import Inspector
from magistrate.classify.scanner import DETECTOR, Scanner
from magistrate.exchange.content import Part
from magistrate.exchange.finding import Finding, incomplete
from magistrate.exchange.stream import Channel

INLINE_CHARACTERS = 32_000
"""Up to here the rules hold up the event loop for two or three milliseconds in prose, and about ten in a text that is full of
values (`bench/detect.py` measures it); a thread would not make them shorter, only interruptible."""


class AlwaysOn:
    """The `Classifier` port over `classify.Scanner` and remote detectors."""

    def __init__(
        self,
        make_scanner: Callable[[], Scanner],
        *,
        deadline_s: float,
        remotes: Sequence[RemoteDetector] = (),
    ) -> None:
        self._scanner = make_scanner()
        self._deadline_s = deadline_s
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="inspect")
        self._worker_scanner = self._worker.submit(make_scanner).result()
        self._remotes = tuple(remotes)
        self._unread = tuple(remote.not_in_streams() for remote in remotes if not remote.reads_streams)
        self.versions: Mapping[str, str] = {DETECTOR: self._scanner.version} | {
            remote.remote.id: remote.version for remote in remotes
        }

    async def classify(self, parts: Sequence[Part]) -> tuple[Finding, ...]:
        """See `pipeline.ports.Classifier`."""
        if not self._remotes:
            return await self._scan(parts)
        asked = [asyncio.ensure_future(remote.classify(parts)) for remote in self._remotes]
        try:
            found = await self._scan(parts)
            late = await asyncio.wait(asked, timeout=self._deadline_s)
            for remote, answer in zip(self._remotes, asked, strict=True):
                found += answer.result() if answer in late[0] else (remote.unable("no answer in time"),)
        finally:
            for answer in asked:
                answer.cancel()
        return found

    async def classify_answer(self, parts: Sequence[Part]) -> tuple[Finding, ...]:
        """See `pipeline.ports.Classifier`."""
        return await self.classify(parts)

    def classify_now(self, parts: Sequence[Part]) -> tuple[Finding, ...]:
        """See `pipeline.ports.Classifier`."""
        return self._scanner.scan(parts) + self._unread

    def open_inspector(self) -> Inspector[Channel]:
        """See `pipeline.ports.Classifier`."""
        return Inspector(self._scanner, notices=self._unread)

    def open_reader(self) -> Sentences | None:
        """See `pipeline.ports.Classifier`."""
        readers = self.stream_readers()
        return Sentences(readers) if readers else None

    def stream_readers(self) -> list[Reader]:
        """Return the remote detectors that read streams, each for one answer."""
        return [Asking(remote) for remote in self._remotes if remote.reads_streams]

    async def aclose(self) -> None:
        """Let go of the worker and of connections."""
        self._worker.shutdown(wait=False, cancel_futures=True)
        for remote in self._remotes:
            await remote.aclose()

    async def _scan(self, parts: Sequence[Part]) -> tuple[Finding, ...]:
        if sum(len(part.text) for part in parts) <= INLINE_CHARACTERS:
            return self._scanner.scan(parts)
        loop = asyncio.get_running_loop()
        scan = loop.run_in_executor(self._worker, self._worker_scanner.scan, parts)
        try:
            return await asyncio.wait_for(scan, self._deadline_s)
        except TimeoutError:
            reason = f"no verdict within {self._deadline_s:g} s"
            return (incomplete(DETECTOR, self._scanner.version, reason),)
