"""The model tier behind the `Classifier` port, on top of the always-on tier.

Little text is judged on the spot, because handing it to a thread costs as much as judging it. The rest goes to a worker
thread; numpy lets go of the interpreter lock while it works on long arrays, and the tier looks at the time between
stretches. Requests are read; answers are not yet, for whole and streamed ones must get the same verdict.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from magistrate.adapters.detectors.always_on import AlwaysOn
from magistrate.classify.inspector import Inspector
from magistrate.classify.model_tier import ModelTier, unended
from magistrate.exchange.content import Part
from magistrate.exchange.finding import Finding
from magistrate.exchange.stream import Channel

INLINE_CHARACTERS = 8_000
"""Up to here the linear models take less than 1 ms. The model of names takes some twenty times as long, and gets less."""


class WithModels:
    """The `Classifier` port: rules first, then models."""

    def __init__(
        self, rules: AlwaysOn, tier: ModelTier, *, deadline_s: float, inline: int = INLINE_CHARACTERS
    ) -> None:
        """``inline`` is the number of characters up to which the tier is asked on the spot."""
        self._rules = rules
        self._tier = tier
        self._deadline_s = deadline_s
        self._inline = inline
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="models")
        self.versions: Mapping[str, str] = {**rules.versions, **tier.versions}

    async def classify(self, parts: Sequence[Part]) -> tuple[Finding, ...]:
        """See `pipeline.ports.Classifier`."""
        found = await self._rules.classify(parts)
        size = self._tier.to_read(parts)
        return found + without_overlap(await self._judge(parts, size), found) if size else found

    def classify_now(self, parts: Sequence[Part]) -> tuple[Finding, ...]:
        """See `pipeline.ports.Classifier`: the rules only, for nothing here may take milliseconds."""
        return self._rules.classify_now(parts)

    def open_inspector(self) -> Inspector[Channel]:
        """See `pipeline.ports.Classifier`."""
        return self._rules.open_inspector()

    async def aclose(self) -> None:
        """Let go of the workers and of connections."""
        self._worker.shutdown(wait=False, cancel_futures=True)
        await self._rules.aclose()

    async def _judge(self, parts: Sequence[Part], size: int) -> tuple[Finding, ...]:
        deadline = time.monotonic() + self._deadline_s

        def expired() -> bool:
            return time.monotonic() > deadline

        if size <= self._inline:
            return self._tier.judge(parts, expired)
        loop = asyncio.get_running_loop()
        judged = loop.run_in_executor(self._worker, self._tier.judge, parts, expired)
        try:
            return await asyncio.wait_for(judged, self._deadline_s)
        except TimeoutError:
            return (unended(self._tier.versions, f"no verdict within {self._deadline_s:g} s"),)


def without_overlap(new: Sequence[Finding], known: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return the ``new`` findings whose characters no known one covers: a rule's finding is checked, a model's guessed."""
    taken: dict[int, list[tuple[int, int]]] = {}
    for one in known:
        if one.end > one.start:
            taken.setdefault(one.part, []).append((one.start, one.end))
    return tuple(
        one
        for one in new
        if not any(start < one.end and one.start < end for start, end in taken.get(one.part, ()))
    )
