"""Card numbers in runs of digits, however they are grouped.

A run is digits with at most one separator between two of them. Every place where a number could begin and every place
where it could end is tried, each by itself, so that the answer does not depend on where the text was cut.
"""

import re
from collections.abc import Iterator

from magistrate.classify.validators import card

_RUN = re.compile(r"(?<![0-9])[0-9](?:[ \t.\-\n]?[0-9]){11,}(?![0-9])")
_GROUP = re.compile(r"[0-9]+")

SHORTEST, LONGEST = 12, 19
LONGEST_CARD = LONGEST * 2 - 1
"""Characters: nineteen digits with a separator between each."""

_USUAL = {(4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4, 4, 3), (4, 4, 4, 1), (6, 13), (4, 4, 5)}
"""How cards are printed. What begins a run may also be grouped in any way."""


def cards(text: str) -> Iterator[tuple[int, int]]:
    """Yield start and end of every card number in ``text``; they may overlap."""
    for run in _RUN.finditer(text):
        groups = [(m.start() + run.start(), m.end() + run.start()) for m in _GROUP.finditer(run[0])]
        yield from _within(text, groups)


def _within(text: str, groups: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    for first in range(len(groups)):
        if _is_fraction(text, groups[first]):
            continue
        digits, shape = "", []
        for last in range(first, len(groups)):
            start, end = groups[last]
            digits += text[start:end]
            shape.append(end - start)
            if len(digits) > LONGEST:
                break
            if len(digits) < SHORTEST or not _plausible(shape, begins=first == 0):
                continue
            if card(digits):
                yield groups[first][0], end


def _plausible(shape: list[int], *, begins: bool) -> bool:
    # What stands behind a number must not decide: one digit more would make a strangely grouped card invisible.
    return len(shape) == 1 or begins or tuple(shape) in _USUAL or set(shape) <= {1}


def _is_fraction(text: str, group: tuple[int, int]) -> bool:
    """0.4111111111111111: one in forty floating-point numbers would pass for a card."""
    start, end = group
    return end - start > 4 and start > 1 and text[start - 1] == "." and text[start - 2] in "0123456789"
