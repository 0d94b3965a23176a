"""Entities: names of people, places, addresses and organisations, dates about a person, ages above 89, health near them.

Names are found by a chain over words (`words`, `chain`) and in four scripts of Asia by rules (`eastern`), dates by their form and what announces them (`dates`), health by
words of medicine that stand near what identifies a person (`health`). A score is how often a finding of that kind and
strength was right on sources that training left out.
"""

import hashlib
import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate

import numpy as np

from magistrate.classify import dates, eastern, health
from magistrate.classify.artefact import Artefact, BrokenArtefact
from magistrate.classify.chain import KINDS, TAGS, Floats, marginals, stretches
from magistrate.classify.words import REGION, Lists, Word, entry, slots, words
from magistrate.exchange.content import Part, PartKind, Role
from magistrate.exchange.finding import Finding

NAME, ADDRESS, TOWN, COUNTRY, ORGANISATION = "pii.name", "pii.address", "place.town", "place.region", "org"
BIRTH, DATE, AGE, HEALTH = "pii.birth_date", "pii.date", "pii.age", "phi.context"
LABELS = (NAME, ADDRESS, TOWN, COUNTRY, ORGANISATION, BIRTH, DATE, AGE, HEALTH)

NEAR = 400
"""Characters between a date or a word of medicine and what makes it somebody's."""

LOWEST = 0.3
"""Chance from which words are looked at when the reader sets a threshold of their own."""

_BY_FORM = 950
"""Score of what has a form and is announced."""
_BY_COMPANY = 800
"""Score of what stands near a person."""

_READ = frozenset({PartKind.TEXT, PartKind.TOOL_RESULT, PartKind.TOOL_ARGUMENTS, PartKind.CITATION})
_ROLES = frozenset({Role.USER, Role.TOOL, Role.SYSTEM, Role.ASSISTANT})
_ALSO_TOWNS = frozenset({"new york", "washington"})
"""States that are towns too: the narrower reading counts."""
_OWNED = re.compile(r"['’]s\Z")
_JOINT = re.compile(r"\s*,\s*|\s+-\s+")

Span = tuple[int, int, str, float]
"""Start, end, kind, and how sure the chain is that the words in between are named at all."""


class Entities:
    """The model of names. Immutable once made; may be asked from several threads."""

    id = "entities"

    def __init__(self, artefact: Artefact, *, threshold_milli: int | None = None) -> None:
        """Take the thresholds that the artefact was measured at, or one calibrated score (1 to 1000) for all kinds.

        Raises:
            BrokenArtefact: the artefact is not one of this model.
        """
        self.version = _version(artefact)
        facts = artefact.header.facts
        try:
            self._bits = int(facts["bits"])
            self._weights = artefact.arrays["weights"].astype(np.float32) * np.float32(facts["scale"])
            self._moves = np.array(facts["moves"], dtype=np.float64)
            self._lists = Lists(artefact.arrays["known"].view(np.uint32), artefact.arrays["flags"])
            self._limits: Mapping[str, float] = {kind: float(facts["thresholds"][kind]) for kind in KINDS}
            self._platt = {kind: (float(a), float(b)) for kind, (a, b) in facts["platt"].items()}
        except (KeyError, TypeError, ValueError) as error:
            raise BrokenArtefact(f"is no model of names ({type(error).__name__})") from None
        if self._weights.shape != (1 << self._bits, len(TAGS)) or self._moves.shape != (len(TAGS), len(TAGS)):
            raise BrokenArtefact("has weights of the wrong size for a model of names")
        self._threshold_milli = threshold_milli

    def reads(self, part: Part) -> str | None:
        """Return how ``part`` is read, or None: texts, results and arguments are; what developers define is not."""
        return "text" if part.kind in _READ and part.role in _ROLES else None

    def reads_answer(self, role: Role, kind: PartKind) -> str | None:
        """Return how such text of an answer is read, or None."""
        return "text" if kind in _READ and role in _ROLES else None

    def judge(self, text: str, reader: str) -> tuple[Finding, ...]:
        """Return what is named in ``text``, none overlapping."""
        del reader
        lowest = min(self._limits.values()) if self._threshold_milli is None else LOWEST
        found = [self._finding(*span, text) for span in self.spans(text, lowest) if self._counts(span)]
        found += [self._made(NAME, start, end, _BY_FORM) for start, end in eastern.names(text)]
        people = [(one.start, one.end) for one in found if one.label in {NAME, ADDRESS}]
        people += [match.span() for match in health.IDENTIFIED.finditer(text)]
        near = _Near(people)
        for one in dates.dates(text):
            if one.announced or (not one.stamp and near.to(one.start, one.end)):
                score = _BY_FORM if one.announced else _BY_COMPANY
                found.append(self._made(BIRTH if one.birth else DATE, one.start, one.end, score))
        found += [self._made(AGE, start, end, _BY_FORM) for start, end in dates.ages(text)]
        people += [(one.start, one.end) for one in found if one.label in {BIRTH, DATE, AGE}]
        if people:
            near = _Near(people)
            found += [
                self._made(HEALTH, start, end, _BY_COMPANY)
                for start, end in health.terms(text)
                if near.to(start, end)
            ]
        return _apart(found)

    def spans(self, text: str, lowest: float) -> list[Span]:
        """Return the runs of words each of which is named with a chance of ``lowest`` or more."""
        tokens = words(text)
        if not tokens:
            return []
        scores = np.zeros((len(tokens), len(TAGS)))
        for column in slots(tokens, self._lists, self._bits).T:
            scores += self._weights[column]
        return _spans(tokens, marginals(scores, self._moves, stretches(tokens)), lowest)

    def score_milli(self, kind: str, sure: float) -> int:
        """Return the calibrated score of a span."""
        slope, offset = self._platt[kind]
        return round(1000 / (1 + math.exp(-slope * logit(sure) - offset)))

    def _counts(self, span: Span) -> bool:
        _, _, kind, sure = span
        if self._threshold_milli is not None:
            return self.score_milli(kind, sure) >= self._threshold_milli
        return sure >= self._limits[kind]

    def _finding(self, start: int, end: int, kind: str, sure: float, text: str) -> Finding:
        owned = _OWNED.search(text, start, end)
        end = owned.start() if owned else end
        label = {"name": NAME, "address": ADDRESS, "org": ORGANISATION}.get(kind) or self._place(
            text[start:end]
        )
        return self._made(label, start, end, self.score_milli(kind, sure))

    def _place(self, name: str) -> str:
        """Return whether a place is a country, a state or larger: then it identifies nobody."""
        for piece in _JOINT.split(name):
            parts = [word.text for word in words(piece)]
            if not 1 <= len(parts) <= 3 or piece.lower() in _ALSO_TOWNS:
                return TOWN
            known = self._lists.flags_of(np.array([entry(parts)], dtype=np.uint64))
            if not int(known[0]) & REGION:
                return TOWN
        return COUNTRY

    def _made(self, label: str, start: int, end: int, score: int) -> Finding:
        return Finding(label, self.id, self.version, start=start, end=end, score_milli=score)


def _version(artefact: Artefact) -> str:
    """Return what changes with the weights and with every pattern."""
    parts = (artefact.version, str(NEAR), *dates.PATTERNS, *health.PATTERNS, *eastern.PATTERNS)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def logit(chance: float) -> float:
    """Return the logarithm of the odds, between -9.2 and 9.2."""
    chance = min(max(chance, 1e-4), 1 - 1e-4)
    return math.log(chance / (1 - chance))


def _spans(tokens: Sequence[Word], chances: Floats, lowest: float) -> list[Span]:
    """Return runs of words that are named with a chance of ``lowest`` or more, cut where a new name begins."""
    named = 1 - chances[:, 0]
    kinds = (chances[:, 1::2] + chances[:, 2::2]).argmax(axis=1)
    found: list[Span] = []
    chain: list[float] = []
    last = -2
    for at in np.flatnonzero(named >= lowest).tolist():
        kind, word = int(kinds[at]), tokens[at]
        begins = chances[at, 1 + 2 * kind] > chances[at, 2 + 2 * kind]
        if found and at == last + 1 and found[-1][2] == KINDS[kind] and not begins:
            chain.append(float(named[at]))
            found[-1] = (found[-1][0], word.end, KINDS[kind], sum(chain) / len(chain))
        elif word.text[0].isalnum() or word.text[0] == "#":
            chain = [float(named[at])]
            found.append((word.start, word.end, KINDS[kind], chain[0]))
        else:
            continue
        last = at
    return found


class _Near:
    """Where people stand, so that nearness costs no look at each of them."""

    def __init__(self, people: Sequence[tuple[int, int]]) -> None:
        ordered = sorted(people)
        self._starts = [start for start, _ in ordered]
        self._ends = list(accumulate((end for _, end in ordered), max))

    def to(self, start: int, end: int) -> bool:
        """Return whether somebody stands within `NEAR` characters of this place."""
        before = bisect_left(self._starts, end + NEAR)
        return before > 0 and self._ends[before - 1] > start - NEAR


def _apart(found: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return findings of which no two cover the same characters: the surer one stays, then the longer."""
    kept: list[Finding] = []
    starts: list[int] = []
    for one in sorted(found, key=lambda each: (-each.score_milli, each.start - each.end, each.start)):
        at = bisect_right(starts, one.start)
        clear_before = at == 0 or kept[at - 1].end <= one.start
        if clear_before and (at == len(kept) or one.end <= starts[at]):
            kept.insert(at, one)
            starts.insert(at, one.start)
    return tuple(kept)
