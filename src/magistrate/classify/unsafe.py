"""Unsafe content: requests for harm, and abusive language, in what users say; abusive language in answers.

Two heads over the same n-grams as the threat model's. They know words and phrases, not what is meant: a signal for people who
watch, and a hook for policy, not a moderation service.
"""

from magistrate.classify.artefact import Artefact, BrokenArtefact
from magistrate.classify.grams import grams
from magistrate.classify.linear import Head
from magistrate.classify.spellings import spellings
from magistrate.classify.threats import ANSWERED
from magistrate.classify.turned import turned_back
from magistrate.exchange.content import Part, PartKind, Role
from magistrate.exchange.finding import Finding

LABELS = {"request": "content.unsafe.request", "toxic": "content.unsafe.toxic"}
"""Head to label."""

READ_BY = {"user": ("request", "toxic"), "answer": ("toxic",)}
"""Reader to heads. A request is what users make: of an answer's sentences the head knows nothing."""


class Unsafe:
    """The model of unsafe content. Immutable once made; may be asked from several threads."""

    id = "unsafe"

    def __init__(self, artefact: Artefact, *, threshold_milli: int | None = None) -> None:
        """Take the thresholds that 1 % of harmless texts exceed, or a calibrated score of your own (1 to 1000).

        Raises:
            BrokenArtefact: the artefact lacks a head or a threshold.
        """
        self.version = artefact.version
        self._heads = {name: Head(artefact, name) for name in LABELS}
        try:
            self._limits = {name: float(head.thresholds["user"]["1"]) for name, head in self._heads.items()}
        except (KeyError, TypeError, ValueError):
            raise BrokenArtefact("has no thresholds for the model of unsafe content") from None
        self._threshold_milli = threshold_milli

    def reads(self, part: Part) -> str | None:
        """Return how ``part`` is read: what users say, and nothing else."""
        return "user" if part.role is Role.USER and part.kind is PartKind.TEXT else None

    def reads_answer(self, role: Role, kind: PartKind) -> str | None:
        """Return how such text of an answer is read: what the model says, thinks or hands to a tool."""
        return "answer" if role is Role.ASSISTANT and kind in ANSWERED else None

    def judge(self, text: str, reader: str) -> tuple[Finding, ...]:
        """Return at most one finding a head, on the whole of ``text``."""
        found: list[Finding] = []
        read = [
            grams(spelling, next(iter(self._heads.values())).bits)
            for spelling in (*spellings(text), *turned_back(text))
        ]
        for name in READ_BY[reader]:
            head = self._heads[name]
            best = max((head.read(each) for each in read), key=lambda reading: reading.score)
            milli = head.milli(best.score)
            limit = self._threshold_milli
            if best.score > self._limits[name] if limit is None else milli >= limit:
                found.append(Finding(LABELS[name], self.id, self.version, score_milli=milli, detail=reader))
        return tuple(found)
