"""Does a value look drawn by chance, or worded by a person? What tells a secret from the name of one.

Generated values change between letters, digits and cases where words do not, and pile up consonants. Names in code are
words joined by underscores, dashes or capitals. Both are judged by form alone: no word list of a language is needed.
"""

import math
import re
from collections import Counter
from itertools import pairwise

_PIECES = re.compile(r"[A-Za-z]+|[0-9]+")
_HARD = re.compile(
    r"(?i)[bcdfghjklmnpqrstvwxz]{5}|[bcdfghjklmpqvwxz][bcdfghjkmpqvwxz]{3}|[jqvxz][bcdfghjkmpqvxz]|(.)\1\1"
)
"""Runs of consonants that hardly stand in a word. English has `lengths`, `strengths`, `rhythms`: none is here."""

_CHANGES = re.compile(r"[0-9][A-Za-z]|[a-z][0-9]|[A-Z][0-9]")
_HUMPS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")
_HEX = re.compile(r"(?:0x)?(?:[0-9a-f]{2}){8,}|(?:[0-9A-F]{2}){8,}")
_UUID = re.compile(r"(?i)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SERIES = ("0123456789", "abcdefghijklmnopqrstuvwxyz", "qwertyuiop", "1234567890")


def entropy(value: str) -> float:
    """Shannon entropy in bits a character."""
    length = len(value)
    return (
        -sum(count / length * math.log2(count / length) for count in Counter(value).values())
        if value
        else 0.0
    )


def drawn(value: str) -> bool:
    """Return whether ``value`` looks generated: hexadecimal, mixed beyond words, or unpronounceable."""
    if counted(value) or len(set(value)) < 6:
        return False
    if _HEX.fullmatch(value) or _UUID.fullmatch(value):
        return entropy(value) >= 2.6
    changes = len(_CHANGES.findall(value))
    humps = [hump for hump in _HUMPS.findall(value) if hump.isalpha()]
    short = sum(len(hump) <= 2 for hump in humps)
    if changes >= 3 or (changes == 2 and len(value) >= 10):
        return True
    if len(humps) >= 5 and short * 2 >= len(humps):
        return True
    letters = re.sub("[^A-Za-z]", "", value)
    hard = sum(len(match[0]) for match in _HARD.finditer(value))
    return (hard >= 4 and hard * 3 >= len(letters) and len(letters) > 9) or (
        hard >= 4 and len(letters) <= 9 and _vowels(letters) < 0.2
    )


def worded(value: str) -> bool:
    """Return whether ``value`` is words: an identifier, a phrase with separators, a word with a number behind it."""
    pieces = _PIECES.findall(value)
    letters = [piece for piece in pieces if piece.isalpha()]
    plain = re.fullmatch(r"[A-Za-z0-9]+(?:[ _.:/-][A-Za-z0-9]+)*", value) is not None
    return plain and bool(letters) and not drawn(value) and sum(map(len, letters)) * 4 >= len(value) * 3


def counted(value: str) -> bool:
    """Return whether ``value`` counts up or repeats itself: ``1234567890abc``, ``xxxxxx``, ``abcabcabc``."""
    low = value.lower()
    series = max((_longest_series(low, line) for line in _SERIES), default=0)
    return series * 2 >= len(low) or any(
        low == (low[:n] * len(low))[: len(low)] for n in (1, 2, 3, 4) if len(low) >= 3 * n
    )


def _longest_series(low: str, line: str) -> int:
    best = run = 1
    for before, after in pairwise(low):
        run = run + 1 if (at := line.find(before)) >= 0 and line[at + 1 : at + 2] == after else 1
        best = max(best, run)
    return best


def _vowels(letters: str) -> float:
    return sum(c in "aeiouyAEIOUY" for c in letters) / len(letters) if len(letters) >= 8 else 1.0
