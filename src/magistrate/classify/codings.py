"""Codings: how characters of a text stand for others, and the runs in which they do."""

import re
from typing import NamedTuple

import msgspec

LONGEST_ENCODED = 2000
"""Characters of the original that one value may take when encoded: within what the stream inspector holds."""

LONGEST_SPACED = 90
"""The same for letters that are spaced out."""

LONGEST_TURNED = 260
"""Characters of a rotated or reversed token."""

LONGEST_MORSE = 480
"""Characters that one value may take in Morse code: an account number of 34 characters has about 230."""

SHORTEST_TEXT = 12
"""Printable characters in a row that chance hardly gives: one stretch of random bytes in ninety thousand."""

LOOK_ALIKES = "OoIlSZ"
"""Letters that are written for digits, and `LOOK_ALIKE_DIGITS` for which. A ``B`` among them would cost ordinary text."""

LOOK_ALIKE_DIGITS = "001152"

LETTERS_AMONG_DIGITS = (
    rf"[0-9][{LOOK_ALIKES}]{{1,3}}[0-9]",
    rf"[0-9][{LOOK_ALIKES}][ -][0-9]",
    rf"[0-9][ -][{LOOK_ALIKES}][0-9]",
)
"""One of them stands in every number that is read with letters for digits. More places would cost ordinary text more."""

DOT = "[.·•∙⋅…]"
DASH = "[-_]"
"""The glyphs of Morse code in the normal spelling, which knows one dash. An editor makes one glyph of three dots."""

BETWEEN_LETTERS = r"[ \t\n/|]"


class Coding(msgspec.Struct, frozen=True):
    """How characters stand for others: ``coded`` of them for ``plain`` ones, the last ``gap`` of them no part of it."""

    name: str
    coded: int = 1
    plain: int = 1
    gap: int = 0
    longest: int = LONGEST_ENCODED
    """Characters that one value may take in this coding."""
    backwards: bool = False
    shortest: int = SHORTEST_TEXT
    """Printable characters in a row that are read."""
    mark: re.Pattern[str] | None = None
    """What every value holds as it is written. It is what a hint asks for, and makes sure that the coding was needed."""
    labels: tuple[str, ...] = ()
    """How the labels begin that it is read for, if not for all."""
    announced: bool = False
    """Whether the run's own first word must announce what counts."""


BASE64 = Coding("base64", 4, 3)
HEX = Coding("hex", 2)
ROTATED = Coding("rot13", longest=LONGEST_TURNED)
REVERSED = Coding("reversed", longest=LONGEST_TURNED, backwards=True)
SPACED = Coding("spaced", 2, gap=1, longest=LONGEST_SPACED)
MORSE = Coding(
    "morse",
    longest=LONGEST_MORSE,
    shortest=8,
    mark=re.compile(rf"{BETWEEN_LETTERS}(?:{DOT}{DASH}|{DASH}{DOT})"),
)
LOOK_ALIKE_NUMBER = Coding(
    "leet",
    longest=96,
    shortest=9,
    mark=re.compile("|".join(LETTERS_AMONG_DIGITS)),
    labels=("pci.pan", "fin.iban", "pii.ssn", "pii.itin", "pii.passport"),
)
NAMED_LEET = Coding("leet", longest=LONGEST_TURNED, labels=("secret",), announced=True)
NAMED_ROTATED = Coding("rotated", longest=LONGEST_TURNED, labels=("secret",), announced=True)
NAMED_REVERSED = Coding(
    "reversed", longest=LONGEST_TURNED, backwards=True, labels=("secret",), announced=True
)


class Run(NamedTuple):
    """What ``coding`` spells from ``origin`` on, or backwards up to it.

    ``places``: where each character of it is spelled, if that is no matter of counting.
    """

    origin: int
    coding: Coding
    plain: bytes
    places: tuple[tuple[int, int], ...] | None = None
