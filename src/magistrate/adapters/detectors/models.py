"""The model tier behind the `Classifier` port, on top of the always-on tier.

Little text is judged on the spot, because handing it to a thread costs as much as judging it. The rest goes to a worker
thread; numpy lets go of the interpreter lock while it works on long arrays, and the tier looks at the time between
stretches. Requests are read part by part; answers sentence by sentence, so that whole and streamed ones get one verdict.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from magistrate.adapters.detectors.always_on import AlwaysOn
from magistrate.adapters.detectors.sentences import AT_ONCE, Sentences, Verdicts
from magistrate.classify.by_sentence import placed, places, without_overlap
from magistrate.classify.inspector import Inspector
from magistrate.classify.model_tier import ModelTier, unended
from magistrate.classify.sentences import Passage
from magistrate.exchange.content import Part, PartKind, Role
from magistrate.exchange.finding import Finding
from magistrate.exchange.stream import Channel

T = TypeVar("T")

INLINE_CHARACTERS = 8_000
"""Up to here the linear models take less than 1 ms. The model of names takes some twenty times as long, and gets less."""

INLINE_PASSAGES = 4
"""The same for an answer's passages, which are short: it is their number that costs."""


class WithModels:
    """The `Classifier` port: rules first, then models."""

    def __init__(
        self,
        rules: AlwaysOn,
        tier: ModelTier,
        *,
        deadline_s: float,
        answers: bool = True,
        inline: int = INLINE_CHARACTERS,
    ) -> None:
        """``answers`` says whether models read answers, or requests only.

        ``inline`` is the number of characters up to which the tier is asked on the spot.
        """
        self._rules = rules
        self._tier = tier
        self._deadline_s = deadline_s
        self._answers = answers
        self._inline = inline
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="models")
        self.versions: Mapping[str, str] = {**rules.versions, **tier.versions}

    async def classify(self, parts: Sequence[Part]) -> tuple[Finding, ...]:
        """See `pipeline.ports.Classifier`."""
        found = await self._rules.classify(parts)
        size = self._tier.to_read(parts)
        return found + without_overlap(await self._judge(parts, size), found) if size else found

    async def classify_answer(self, parts: Sequence[Part]) -> tuple[Finding, ...]:
        """See `pipeline.ports.Classifier`."""
        found = await self._rules.classify_answer(parts)
        if not self._answers:
            return found
        read = places(parts, self.wants)
        verdicts: Verdicts = []
        for start in range(0, len(read), AT_ONCE):
            verdicts += await self.read([place.passage for place in read[start : start + AT_ONCE]])
        return found + placed(read, verdicts, found)

    def classify_now(self, parts: Sequence[Part]) -> tuple[Finding, ...]:
        """See `pipeline.ports.Classifier`: the rules only, for nothing here may take milliseconds."""
        return self._rules.classify_now(parts)

    def open_inspector(self) -> Inspector[Channel]:
        """See `pipeline.ports.Classifier`."""
        return self._rules.open_inspector()

    def open_reader(self) -> Sentences | None:
        """See `pipeline.ports.Classifier`."""
        readers = self._rules.stream_readers()
        if self._answers:
            readers.append(self)
        return Sentences(readers) if readers else None

    def wants(self, role: Role, kind: PartKind) -> bool:
        """See `pipeline.ports.SentenceReader`."""
        return self._tier.wants(role, kind)

    async def read(self, passages: Sequence[Passage]) -> Verdicts:
        """Return what models find in each passage's sentence, within the deadline."""

        def late(reason: str) -> Verdicts:
            return [(unended(self._tier.versions, reason),)] * len(passages)

        size = sum(len(one.text) for one in passages)
        inline = len(passages) <= INLINE_PASSAGES and size <= self._inline
        return await self._in_time(lambda expired: self._tier.read(passages, expired), late, inline=inline)

    async def aclose(self) -> None:
        """Let go of the workers and of connections."""
        self._worker.shutdown(wait=False, cancel_futures=True)
        await self._rules.aclose()

    async def _judge(self, parts: Sequence[Part], size: int) -> tuple[Finding, ...]:
        def late(reason: str) -> tuple[Finding, ...]:
            return (unended(self._tier.versions, reason),)

        inline = size <= self._inline
        return await self._in_time(lambda expired: self._tier.judge(parts, expired), late, inline=inline)

    async def _in_time(
        self, judge: Callable[[Callable[[], bool]], T], late: Callable[[str], T], *, inline: bool
    ) -> T:
        """Return what ``judge`` returns, or what ``late`` makes of the reason why it did not in time."""
        deadline = time.monotonic() + self._deadline_s

        def expired() -> bool:
            return time.monotonic() > deadline

        if inline:
            return judge(expired)
        judged = asyncio.get_running_loop().run_in_executor(self._worker, judge, expired)
        try:
            return await asyncio.wait_for(judged, self._deadline_s)
        except TimeoutError:
            return late(f"no verdict within {self._deadline_s:g} s")
