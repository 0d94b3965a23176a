"""Complete texts read sentence by sentence, as a stream of them would be: what to read, and where in the parts it was found."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import msgspec

from magistrate.classify.sentences import Passage, is_whole, on_sentence, passage, sentences
from magistrate.exchange.content import Part, PartKind, Role
from magistrate.exchange.finding import Finding


class Place(NamedTuple):
    """A passage of part ``part`` whose sentence begins at character ``at``."""

    part: int
    at: int
    passage: Passage


def places(parts: Sequence[Part], wants: Callable[[Role, PartKind], bool]) -> list[Place]:
    """Return every sentence of the parts that ``wants`` asks for."""
    return [
        Place(index, start, passage(part.text, start, end, part.role, part.kind))
        for index, part in enumerate(parts)
        if part.text and wants(part.role, part.kind)
        for start, end in sentences(part.text)
    ]


def placed(
    read: Iterable[Place], verdicts: Iterable[Sequence[Finding]], known: Sequence[Finding]
) -> tuple[Finding, ...]:
    """Return the findings in the sentences ``read``, counted in their parts; ``known`` is what the rules found there."""
    whole: list[Finding] = []
    spans: list[Finding] = []
    for (part, at, read_here), verdict in zip(read, verdicts, strict=True):
        for one in verdict:
            if is_whole(one):
                whole.append(_moved(on_sentence(one, read_here.sentence), part, at))
            elif one.end <= one.start:
                whole.append(one)
            else:
                spans.append(_moved(one, part, at))
    # Of what stands nowhere, such as a missed deadline, one word is enough.
    return without_overlap(spans, known) + tuple(dict.fromkeys(whole))


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


def _moved(finding: Finding, part: int, at: int) -> Finding:
    return msgspec.structs.replace(finding, part=part, start=finding.start + at, end=finding.end + at)
