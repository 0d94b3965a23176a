"""Model tier: trained models over the parts they read, until time runs out.

*Model*: one trained detector; says which parts it reads and what it finds in a text. *Tier*: all of them under one
deadline. What could not be judged in time is a finding too, INDETERMINATE, and the fail-mode table decides.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec

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

    def judge(self, text: str, reader: str) -> tuple[Finding, ...]:
        """Return findings whose spans count ``text``'s characters; ``part`` is left open."""
        ...


class ModelTier:
    """The trained models."""

    def __init__(self, models: Sequence[Model]) -> None:
        self._models = tuple(models)
        self.versions: Mapping[str, str] = {model.id: model.version for model in models}
        self._remembered: dict[bytes, tuple[Finding, ...]] = {}

    def to_read(self, parts: Sequence[Part]) -> int:
        """Return how many characters `judge` would read, all models together."""
        return sum(
            len(part.text) for part in parts for model in self._models if model.reads(part) is not None
        )

    def judge(self, parts: Sequence[Part], expired: Callable[[], bool]) -> tuple[Finding, ...]:
        """Return the findings in all parts. Total: a model that raises, or time that runs out, is a finding."""
        found: list[Finding] = []
        for index, part in enumerate(parts):
            for model in self._models:
                reader = model.reads(part)
                if reader is None or not part.text:
                    continue
                verdict = self._verdict(model, part.text, reader, expired)
                if verdict is None:
                    return (*found, unended(self.versions, "no verdict before the deadline"))
                found += [msgspec.structs.replace(one, part=index) for one in verdict]
        return tuple(found)

    def judge_passage(self, text: str, role: Role, kind: PartKind = PartKind.TEXT) -> tuple[Finding, ...]:
        """Return the findings in one short passage, such as a sentence of a stream; spans count its characters."""
        return self.judge((Part((), role, kind, text),), lambda: False)

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
