"""Model tier: trained models over the parts they read, until time runs out.

*Model*: one trained detector; says which parts it reads and what it finds in a text. *Tier*: all of them under one
deadline. What could not be judged in time is a finding too, INDETERMINATE, and the fail-mode table decides. Requests are
read part by part; answers sentence by sentence (`sentences`), so that a stream and a whole answer get one verdict.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from magistrate.classify.sentences import Passage, family, in_sentence, is_whole
from magistrate.exchange.content import Part, PartKind, Role
from magistrate.exchange.finding import Finding, FindingStatus, incomplete

STRETCH = 32_768
"""Characters of a long text that are judged at a time; about 2 ms a model. Time is looked at in between."""

OVERLAP = 512
"""Characters that neighbouring stretches share, so that nothing hides on the border."""

MOST_REMEMBERED = 8192
"""Verdicts that are kept. Chat clients send the whole history with every turn, and it was judged already."""

TIER = "models"


class Model(Protocol):
    """A trained detector. MUST NOT keep state between texts: it is asked from several threads."""

    id: str
    version: str

    def reads(self, part: Part) -> str | None:
        """Return in which capacity ``part`` is read, or None."""
        ...

    def reads_answer(self, role: Role, kind: PartKind) -> str | None:
        """Return in which capacity such text of an answer is read, sentence by sentence, or None."""
        ...

    def judge(self, text: str, reader: str) -> tuple[Finding, ...]:
        """Return findings whose spans count ``text``'s characters; ``part`` is left open. An empty span: the whole."""
        ...


class ModelTier:
    """The trained models."""

    def __init__(self, models: Sequence[Model]) -> None:
        self.models = tuple(models)
        self.versions: Mapping[str, str] = {model.id: model.version for model in models}
        self._remembered: dict[bytes, tuple[Finding, ...]] = {}

    def to_read(self, parts: Sequence[Part]) -> int:
        """Return how many characters `judge` would read, all models together."""
        return sum(len(part.text) for part in parts for model in self.models if model.reads(part) is not None)

    def judge(self, parts: Sequence[Part], expired: Callable[[], bool]) -> tuple[Finding, ...]:
        """Return the findings in all parts. Total: a model that raises, or time that runs out, is a finding."""
        found: list[Finding] = []
        for index, part in enumerate(parts):
            for model in self.models:
                reader = model.reads(part)
                if reader is None or not part.text:
                    continue
                verdict = self._verdict(model, part.text, reader, expired)
                if verdict is None:
                    return (*found, unended(self.versions, "no verdict before the deadline"))
                found += [msgspec.structs.replace(one, part=index) for one in verdict]
        return tuple(found)

    def wants(self, role: Role, kind: PartKind) -> bool:
        """Return whether some model reads such text of an answer."""
        return any(model.reads_answer(role, kind) is not None for model in self.models)

    def read(self, passages: Sequence[Passage], expired: Callable[[], bool]) -> list[tuple[Finding, ...]]:
        """Return what is found in each passage's sentence; spans count the sentence's characters. Total, as `judge`."""
        found: list[tuple[Finding, ...]] = []
        for passage in passages:
            here: list[Finding] = []
            for model in self.models:
                reader = model.reads_answer(passage.role, passage.kind)
                news = () if reader is None else self._news(model, passage, reader, expired)
                if news is None:
                    late = unended(self.versions, "no verdict before the deadline")
                    return found + [(late,)] * (len(passages) - len(found))
                here += news
            found.append(tuple(here))
        return found

    def _news(
        self, model: Model, passage: Passage, reader: str, expired: Callable[[], bool]
    ) -> tuple[Finding, ...] | None:
        """Return what ``model`` finds in a sentence, its context read with it; None when time ran out first."""
        verdict = self._verdict(model, passage.text, reader, expired)
        if not verdict or not passage.fresh:
            return verdict
        whole = [one for one in verdict if is_whole(one)]
        if whole:
            # What is found in context and sentence together is the sentence's, unless the context has it and it has not.
            before = self._verdict(model, passage.text[: passage.fresh], reader, expired)
            alone = self._verdict(model, passage.sentence, reader, expired)
            if before is None or alone is None:
                return None
            old = _families(before) - _families(alone)
            whole = [one for one in whole if family(one.label) not in old]
        return (
            *whole,
            *(fresh for one in verdict if not is_whole(one) for fresh in in_sentence(one, passage)),
        )

    def _verdict(
        self, model: Model, text: str, reader: str, expired: Callable[[], bool]
    ) -> tuple[Finding, ...] | None:
        """Return what ``model`` finds in ``text``; None when time ran out first."""
        content = text.encode("utf-8", "surrogatepass")
        key = hashlib.blake2b(content, digest_size=16, key=f"{model.id}/{reader}".encode()).digest()
        known = self._remembered.get(key)
        if known is not None:
            return known
        found: list[Finding] = []
        for start in range(0, max(1, len(text) - OVERLAP), STRETCH - OVERLAP):
            if expired():
                return None
            found += _judged(model, text[start : start + STRETCH], reader, start)
        verdict = _apart(found)
        if all(one.status is FindingStatus.FOUND for one in verdict):
            if len(self._remembered) >= MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered[key] = verdict
        return verdict


def _families(found: Sequence[Finding]) -> set[str]:
    return {family(one.label) for one in found if is_whole(one)}


def unended(versions: Mapping[str, str], reason: str) -> Finding:
    """Return the finding that says that the models did not come to an end."""
    return incomplete(TIER, "+".join(versions.values()), reason)


def _judged(model: Model, text: str, reader: str, start: int) -> list[Finding]:
    try:
        found = model.judge(text, reader)
    except Exception as error:  # noqa: BLE001  because one detector's failure is a finding, not an end
        return [incomplete(model.id, model.version, type(error).__name__)]
    if not start:
        return list(found)
    return [
        msgspec.structs.replace(one, start=one.start + start, end=one.end + start)
        if one.end > one.start
        else msgspec.structs.replace(one, detail=f"{one.detail} from character {start}")
        for one in found
    ]


def _apart(found: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return findings of which no two cover the same characters, and of those on the whole text one a label."""
    kept: list[Finding] = []
    whole: dict[str, Finding] = {}
    end = 0
    for one in sorted(found, key=lambda each: (each.start, -each.end)):
        if one.end <= one.start:
            best = whole.setdefault(one.label, one)
            whole[one.label] = max(best, one, key=lambda each: each.score_milli)
        elif one.start >= end:
            kept.append(one)
            end = one.end
    return (*whole.values(), *kept)
