"""Sentences: where a text is cut so that what reads meaning can read it before it is complete.

*Passage*: one sentence and the end of what stood before it. A boundary depends on the characters behind the boundary before
it, `LONGEST_SENTENCE` of them at most, so a text that arrives in pieces has the boundaries of the whole.
"""

import re
from collections.abc import Iterator

import msgspec

from magistrate.exchange.content import PartKind, Role
from magistrate.exchange.finding import Finding, FindingStatus

SHORTEST_SENTENCE = 16
"""Characters; what ends earlier ("e.g.", "1.", an empty line) goes on into the next."""

LONGEST_SENTENCE = 480
"""Characters; what is longer is cut at white space, or where there is none, here."""

CONTEXT = 240
"""Characters before a sentence that are read with it: what is harmless by itself may go on from there."""

_END = re.compile(r"""[.!?…:;][)\]}"'’”»*_`]*[ \t\r\n]|[。！？；]|\n""")
_SPACE = re.compile(r"\s")
_LAST_SPACE = re.compile(r"\s(?=\S*\Z)")


class Passage(msgspec.Struct, frozen=True, gc=False):
    """``text`` from ``fresh`` on is a sentence; what is before it was read already and is context."""

    text: str
    fresh: int
    role: Role = Role.ASSISTANT
    kind: PartKind = PartKind.TEXT

    @property
    def sentence(self) -> str:
        return self.text[self.fresh :]


def next_end(text: str, begin: int) -> int | None:
    """Return where the sentence ends that begins at ``begin``, or None as long as that is open."""
    limit = begin + LONGEST_SENTENCE
    found = _END.search(text, begin + SHORTEST_SENTENCE - 1, limit)
    if found:
        return found.end()
    if len(text) < limit:
        return None
    space = _LAST_SPACE.search(text[begin + SHORTEST_SENTENCE : limit])
    return limit if space is None else begin + SHORTEST_SENTENCE + space.end()


def sentences(text: str) -> list[tuple[int, int]]:
    """Return the sentences of a text that is complete; together they are the text."""
    found: list[tuple[int, int]] = []
    at = 0
    while at < len(text):
        end = next_end(text, at)
        if end is None:
            end = len(text)
        found.append((at, end))
        at = end
    return found


def passage(text: str, start: int, end: int, role: Role, kind: PartKind) -> Passage:
    """Return the sentence from ``start`` to ``end`` with its context, which begins at a word."""
    begin = max(0, start - CONTEXT)
    if begin:
        space = _SPACE.search(text, begin, start)
        begin = start if space is None else space.end()
    return Passage(text[begin:end], start - begin, role, kind)


def is_whole(finding: Finding) -> bool:
    """Return whether something was found in a text as a whole, not in some of its characters nor about its inspection."""
    return (
        finding.status is FindingStatus.FOUND
        and finding.end <= finding.start
        and not finding.label.startswith("inspection.")
    )


def family(label: str) -> str:
    """Return what a label is a kind of: ``threat`` for ``threat.jailbreak``."""
    return label.rpartition(".")[0] or label


def in_sentence(finding: Finding, passage: Passage) -> Iterator[Finding]:
    """Yield ``finding``, which counts a passage's characters, counted from its sentence; not what its context holds."""
    if finding.end <= finding.start:
        yield finding
    elif finding.end > passage.fresh:
        start = max(finding.start, passage.fresh) - passage.fresh
        yield msgspec.structs.replace(finding, start=start, end=finding.end - passage.fresh)


def on_sentence(finding: Finding, sentence: str) -> Finding:
    """Return ``finding``, which was found in ``sentence`` as a whole, on its characters: those can be masked."""
    start = len(sentence) - len(sentence.lstrip())
    end = max(len(sentence.rstrip()), start)
    return msgspec.structs.replace(finding, start=start, end=end)
