"""Who reads one streamed answer sentence by sentence: the trained models and the detectors that others run, side by side.

What was read stays read: clients' formats repeat a text when it is complete, and that costs nothing again.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Protocol

import msgspec

from magistrate.adapters.detectors.remote import SKIPPED, RemoteDetector
from magistrate.classify.sentences import Passage, in_sentence
from magistrate.exchange.content import Part, PartKind, Role
from magistrate.exchange.finding import Finding, FindingStatus

AT_ONCE = 64
"""Passages that are asked about together, each lot under the deadlines: 30 KB, more than an answer says in a second."""

PATIENCE = 3
"""Times in a row that a remote detector may fail in one answer. Then it is not asked again: every sentence would wait for it."""

Verdicts = list[tuple[Finding, ...]]


class Reader(Protocol):
    """Reads passages, one tuple of findings each, within a deadline of its own. Total."""

    def wants(self, role: Role, kind: PartKind) -> bool: ...

    async def read(self, passages: Sequence[Passage]) -> Verdicts: ...


class Sentences:
    """The `SentenceReader` port over several readers."""

    def __init__(self, readers: Sequence[Reader]) -> None:
        self._readers = tuple(readers)
        self._known: dict[bytes, tuple[Finding, ...]] = {}

    def wants(self, role: Role, kind: PartKind) -> bool:
        """See `pipeline.ports.SentenceReader`."""
        return any(reader.wants(role, kind) for reader in self._readers)

    async def read(self, passages: Sequence[Passage]) -> Verdicts:
        """See `pipeline.ports.SentenceReader`."""
        keys = [_key(passage) for passage in passages]
        told = {key: self._known[key] for key in keys if key in self._known}
        fresh = {key: each for key, each in zip(keys, passages, strict=True) if key not in told}
        unread = list(fresh)
        for start in range(0, len(unread), AT_ONCE):
            lot = unread[start : start + AT_ONCE]
            for key, verdict in zip(lot, await self._ask([fresh[key] for key in lot]), strict=True):
                told[key] = verdict
                if all(one.status is FindingStatus.FOUND and one.label != SKIPPED for one in verdict):
                    self._known[key] = verdict
        return [told[key] for key in keys]

    async def _ask(self, passages: Sequence[Passage]) -> Verdicts:
        if len(self._readers) == 1:
            return await self._readers[0].read(passages)
        answers = await asyncio.gather(*(reader.read(passages) for reader in self._readers))
        return [
            tuple(one for verdict in verdicts for one in verdict) for verdicts in zip(*answers, strict=True)
        ]


class Asking:
    """One remote detector for one answer: asked as long as it answers."""

    def __init__(self, remote: RemoteDetector) -> None:
        self._remote = remote
        self._failed = 0

    def wants(self, role: Role, kind: PartKind) -> bool:
        """It reads all that can be read."""
        del role
        return kind is not PartKind.OPAQUE

    async def read(self, passages: Sequence[Passage]) -> Verdicts:
        if self._failed >= PATIENCE:
            return [(self._remote.unable(f"not asked again after {PATIENCE} failures"),)] * len(passages)
        parts = [Part((), each.role, each.kind, each.text) for each in passages]
        found = await self._remote.classify(parts)
        unable = tuple(one for one in found if one.part < 0)
        if unable:
            self._failed += 1
            return [unable] * len(passages)
        self._failed = 0
        verdicts: list[list[Finding]] = [[] for _ in passages]
        for one in found:
            verdicts[one.part] += in_sentence(msgspec.structs.replace(one, part=-1), passages[one.part])
        return [tuple(verdict) for verdict in verdicts]


def _key(passage: Passage) -> bytes:
    content = passage.text.encode("utf-8", "surrogatepass")
    what = f"{passage.fresh}/{passage.role}/{passage.kind}".encode()
    return hashlib.blake2b(content, digest_size=16, key=what).digest()
