"""Morse code (ITU-R M.1677-1) in text: dots and dashes in their common glyphs, and where each letter of it stands.

One space, tab, stroke or bar stands between two letters; more of them, or a line end, between two words. Morse knows no
capitals, so what it spells is read in capitals and in small letters.
"""

import re
from collections.abc import Iterator

from magistrate.classify.codings import BETWEEN_LETTERS, DASH, DOT, LONGEST_MORSE, MORSE, Run
from magistrate.classify.rule import LONGEST_CONTEXT

LETTERS = {
    ".-": "A", "-...": "B", "-.-.": "C", "-..": "D", ".": "E", "..-.": "F", "--.": "G", "....": "H", "..": "I", ".---": "J",
    "-.-": "K", ".-..": "L", "--": "M", "-.": "N", "---": "O", ".--.": "P", "--.-": "Q", ".-.": "R", "...": "S", "-": "T",
    "..-": "U", "...-": "V", ".--": "W", "-..-": "X", "-.--": "Y", "--..": "Z",
    "-----": "0", ".----": "1", "..---": "2", "...--": "3", "....-": "4", ".....": "5", "-....": "6", "--...": "7", "---..": "8",
    "----.": "9", ".-.-.-": ".", "--..--": ",", "---...": ":", "..--..": "?", ".----.": "'", "-....-": "-", "-..-.": "/",
    "-.--.": "(", "-.--.-": ")", ".-..-.": '"', "-...-": "=", ".-.-.": "+", ".--.-.": "@", "-.-.--": "!", ".-...": "&",
    "-.-.-.": ";", "..--.-": "_", "...-..-": "$",
}  # fmt: skip
"""Beside the recommendation, what is usual for ``! & ; _ $``."""

LONGEST_LETTER = 7
LONGEST_GAP = 7

_GLYPH = rf"(?:{DOT}|{DASH})"
_RUN = re.compile(
    rf"(?<![\w.·•∙⋅…-]){_GLYPH}{{1,7}}(?![\w.·•∙⋅…-])"
    rf"(?:{BETWEEN_LETTERS}{{1,{LONGEST_GAP}}}{_GLYPH}{{1,7}}(?![\w.·•∙⋅…-])){{7,}}"
)
_LETTER = re.compile(rf"({_GLYPH}+)({BETWEEN_LETTERS}*)")
_ONE = str.maketrans(dict.fromkeys("·•∙⋅", ".") | {"_": "-", "…": "..."})
_UNKNOWN = "\x00"

TRIGGER = rf"(?:(?:[._-]|·|•|∙|⋅|…){{1,7}}{BETWEEN_LETTERS}{{1,{LONGEST_GAP}}}){{7}}"
HINTS = tuple(rf"{BETWEEN_LETTERS}(?:{dot}{DASH}|{DASH}{dot})" for dot in (r"\.", "·", "•", "∙", "⋅", "…"))
"""A letter with both signs. Of all letters and digits, nine have one sign only."""


def runs(text: str) -> Iterator[Run]:
    """Yield what runs of eight letters and more spell, in capitals and in small letters."""
    for match in _RUN.finditer(text):
        spelled: list[str] = []
        places: list[tuple[int, int]] = []
        for letter in _LETTER.finditer(match[0]):
            spelled.append(LETTERS.get(letter[1].translate(_ONE), _UNKNOWN))
            places.append((match.start() + letter.start(1), match.start() + letter.end(1)))
            if len(letter[2]) > 1 or letter[2] == "\n":
                spelled.append(" ")
                places.append((match.start() + letter.start(2), match.start() + letter.end(2)))
        plain = "".join(spelled)
        for cased in (plain, plain.lower()):
            yield Run(0, MORSE, cased.encode("ascii"), tuple(places))


LONGEST_CONTEXT_CODED = LONGEST_CONTEXT * (LONGEST_LETTER + LONGEST_GAP)
"""Characters of Morse code in which rules may look behind a value."""

_GAPS = " \t\n/|"
_SIGNS = frozenset(".·•∙⋅…-_" + _GAPS)


def held_from(seen: str) -> int:
    """Return where Morse code begins that reaches to the end of ``seen``, as far back as one value may; else its length."""
    end = len(seen)
    if seen[-1:] not in _SIGNS:
        return end
    first = _begins(seen, end, LONGEST_MORSE)
    if first > 0 and (seen[first - 1].isalnum() or seen[first - 1] == "_"):
        # What stands right behind a word is its full stop or its dash.
        while first < end and seen[first] not in _GAPS:
            first += 1
    while first < end and seen[first] in _GAPS:
        first += 1
    return first


def kept_from(seen: str, at: int) -> int:
    """Return ``at``, or if it stands in Morse code, so much before it as rules may look back to."""
    return _begins(seen, at, LONGEST_MORSE + LONGEST_CONTEXT_CODED)


def _begins(seen: str, at: int, most: int) -> int:
    floor = max(0, at - most)
    while at > floor and seen[at - 1] in _SIGNS:
        at -= 1
    return at
