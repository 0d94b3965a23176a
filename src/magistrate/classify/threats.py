"""Threats: prompt injection and jailbreak, in what a user says, in what tools and documents bring, and in what a model answers.

Two heads over the same n-grams: whether a passage is an attack, and whether it is a jailbreak (a role without rules) or
another injection. A user's words and data have thresholds of their own, because ordinary people ask for role-play and
documents do not; an answer is data to whoever acts on it. Instructions of developers (system prompts, tool definitions)
are not read: they are instructions.
"""

from collections.abc import Mapping
from typing import Literal, TypeAlias

from magistrate.classify.artefact import Artefact, BrokenArtefact
from magistrate.classify.grams import grams
from magistrate.classify.linear import Head
from magistrate.classify.spellings import spellings
from magistrate.classify.turned import turned_back
from magistrate.exchange.content import Part, PartKind, Role
from magistrate.exchange.finding import Finding

Reader: TypeAlias = Literal["user", "data"]
"""How a passage reached the model: as a user's words, or as data that somebody else may have written."""

FalsePositives: TypeAlias = Literal["0.5", "1"]
"""How many of a hundred harmless texts may be taken for an attack, as measured on sources left out of training."""

INJECTION = "threat.injection"
JAILBREAK = "threat.jailbreak"

_READ = frozenset({PartKind.TEXT, PartKind.TOOL_RESULT, PartKind.CITATION})
_ANSWERING = frozenset({Role.ASSISTANT, Role.TOOL})

ANSWERED = frozenset(
    {
        PartKind.TEXT,
        PartKind.REASONING,
        PartKind.REFUSAL,
        PartKind.CITATION,
        PartKind.TOOL_ARGUMENTS,
        PartKind.TOOL_RESULT,
    }
)
"""Kinds of an answer's text that hold sentences."""


class Threats:
    """The threat model. Immutable once made; may be asked from several threads."""

    id = "threats"

    def __init__(
        self,
        artefact: Artefact,
        *,
        false_positives: FalsePositives = "0.5",
        threshold_milli: int | None = None,
    ) -> None:
        """Take the thresholds that the artefact was measured at, or one of your own.

        ``threshold_milli`` is a calibrated score, 1 to 1000; it then holds for users and data alike.

        Raises:
            BrokenArtefact: the artefact lacks a head or a threshold.
        """
        self.version = artefact.version
        self._attack = Head(artefact, "attack")
        self._jailbreak = Head(artefact, "jailbreak")
        try:
            measured: Mapping[str, Mapping[str, float]] = self._attack.thresholds
            self._limits: dict[str, float] = {
                reader: float(measured[reader][false_positives]) for reader in ("user", "data")
            }
        except (KeyError, TypeError, ValueError):
            raise BrokenArtefact("has no thresholds for the model of threats") from None
        self._threshold_milli = threshold_milli

    def reads(self, part: Part) -> Reader | None:
        """Return how ``part`` is read, or None when it is not."""
        if part.kind not in _READ:
            return None
        if part.role is Role.USER:
            return "user"
        return "data" if part.role is Role.TOOL else None

    def reads_answer(self, role: Role, kind: PartKind) -> Reader | None:
        """Return how such text of an answer is read: as data, for an agent that gets it may do what it says."""
        return "data" if role in _ANSWERING and kind in ANSWERED else None

    def judge(self, text: str, reader: str) -> tuple[Finding, ...]:
        """Return at most one finding on the whole of ``text``; ``detail`` says where its strongest passage stands.

        The span is empty because no rewriting makes an attack harmless: it is refused or let through.
        """
        best, found, place = float("-inf"), None, "decoded"
        for number, spelling in enumerate((*spellings(text), *turned_back(text))):
            each = grams(spelling, self._attack.bits)
            reading = self._attack.read(each)
            if reading.score > best:
                best, found = reading.score, each
                place = "decoded" if number else f"bytes {reading.start}-{reading.end}"
        milli = self._attack.milli(best)
        limit = self._threshold_milli
        if found is None or (best <= self._limits[reader] if limit is None else milli < limit):
            return ()
        label = JAILBREAK if self._jailbreak.read(found).score > 0 else INJECTION
        return (Finding(label, self.id, self.version, score_milli=milli, detail=f"{reader}, {place}"),)
