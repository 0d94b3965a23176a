"""Languages: which language a user writes in, by the letters that stand together in it.

Naive Bayes over hashed runs of one to four letters: each language has a weight for every run, and the sum over a text's runs says
which fits best. A fact for policy (a detector that has not learnt a language should not be relied on in it), not a finding of
something bad.
"""

import math
import re
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from magistrate.classify.artefact import Artefact, BrokenArtefact
from magistrate.exchange.content import Part, PartKind, Role
from magistrate.exchange.finding import Finding

FAMILY = "language"
LONGEST_RUN = 4
READ = 1500
"""Characters of a text that are looked at; more makes nobody surer."""
FEWEST = 20
"""Letters below which nothing is said."""

_NO_LETTERS = re.compile(r"[\W\d_]+")
_MIX = np.uint64(0xD6E8FEB86659FD93)
_NEXT = np.uint64(0x9E3779B97F4A7C15)
_FOLD = np.uint64(31)

Slots: TypeAlias = NDArray[np.int64]


def runs(text: str, bits: int) -> Slots:
    """Return the slots of the runs of letters of ``text``, and nothing if it has hardly any."""
    letters = _NO_LETTERS.sub(" ", text[:READ].lower()).strip()
    if len(letters) < FEWEST:
        return np.zeros(0, dtype=np.int64)
    points = np.frombuffer(f" {letters} ".encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(
        np.uint64
    )
    found: list[NDArray[np.uint64]] = []
    for length in range(1, LONGEST_RUN + 1):
        count = len(points) - length + 1
        mixed = np.full(count, length, dtype=np.uint64)
        for at in range(length):
            mixed = ((mixed * _NEXT) ^ points[at : at + count]) * _MIX
            mixed ^= mixed >> _FOLD
        found.append((mixed * _MIX) >> np.uint64(64 - bits))
    return np.concatenate(found).astype(np.int64)


class Languages:
    """The model of languages. Immutable once made; may be asked from several threads."""

    id = "languages"

    def __init__(self, artefact: Artefact) -> None:
        """Take the weights and the calibration of the artefact.

        Raises:
            BrokenArtefact: the artefact is not one of this model.
        """
        self.version = artefact.version
        facts = artefact.header.facts
        try:
            self.known: tuple[str, ...] = tuple(facts["languages"])
            self._bits = int(facts["bits"])
            self._weights = artefact.arrays["weights"].astype(np.float32) * np.float32(facts["scale"])
            self._slope, self._offset = (float(one) for one in facts["platt"])
            self._least = int(facts["least_milli"])
        except (KeyError, TypeError, ValueError) as error:
            raise BrokenArtefact(f"is no model of languages ({type(error).__name__})") from None
        if self._weights.shape != (len(self.known), 1 << self._bits):
            raise BrokenArtefact("has weights of the wrong size for a model of languages")

    def reads(self, part: Part) -> str | None:
        """Return how ``part`` is read: what users write, and nothing else."""
        return "user" if part.role is Role.USER and part.kind is PartKind.TEXT else None

    def reads_answer(self, role: Role, kind: PartKind) -> None:
        """Answers are in the language of the question, or policy need not know: they are not read."""
        del role, kind

    def judge(self, text: str, reader: str) -> tuple[Finding, ...]:
        """Return one finding on the whole of ``text``, or none where nobody could tell."""
        del reader
        guess = self.guess(text)
        if guess is None:
            return ()
        language, lead = guess
        score = self.score_milli(lead)
        if score < self._least:
            return ()
        return (Finding(f"{FAMILY}.{language}", self.id, self.version, score_milli=score, detail="user"),)

    def guess(self, text: str) -> tuple[str, float] | None:
        """Return the likeliest language and by how much it leads, per run of letters; None for too little text."""
        slots = runs(text, self._bits)
        if not len(slots):
            return None
        fits = self._weights[:, slots].sum(axis=1) / len(slots)
        best, second = np.argsort(-fits)[:2]
        return self.known[int(best)], float(fits[best] - fits[second])

    def score_milli(self, lead: float) -> int:
        """Return how often a guess with such a lead was right, of a thousand."""
        return round(1000 / (1 + math.exp(-self._slope * lead - self._offset)))
