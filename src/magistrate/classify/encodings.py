"""Texts inside a text: base64, hexadecimal, letters s p a c e d out, rotated and reversed tokens, each read where it stands.

Whoever encodes chooses where a run begins, so every alignment is tried and only what comes out as plain text is kept:
stretches of at least `SHORTEST_TEXT` printable characters. All of that is local, so it does not matter where a text that
arrives in pieces was cut. Runs that white space interrupts are read run by run. Rotated (ROT13) and reversed text looks like any
other, so only a token is read that begins, or ends, as a vendor's token or an IBAN would.
"""

import base64
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator

import msgspec

from magistrate.classify.turned import rotated
from magistrate.classify.validators import IBAN_LENGTHS

SHORTEST_RUN = 24
"""Characters of base64 or hex from which on a run is read: eighteen characters of text, or twelve."""

SHORTEST_TEXT = 12
"""Printable characters in a row that chance hardly gives: one stretch of random bytes in ninety thousand."""

LONGEST_ENCODED = 2000
"""Characters of the original that one value may take when encoded: within what the stream inspector holds."""

LONGEST_SPACED = 90
"""The same for letters that are spaced out."""

LAYERS = 2
"""How deep encodings are undone: base64 in base64, and no further."""

_GROUP = "[CI-Za-f][AC-HQS-Xgi-nwyz0-3][ABEFIJMNQRUVYZcdghklopstwx014589][A-Za-z0-9+/_-]"
"""Four characters of base64 that spell three printable ones; `SHORTEST_TEXT` of them hold three such groups."""

_PREFIXES = (
    "AKIA", "ASIA", "AIza", "ATATT3", "EAAA", "dckr_pat_", "dop_v1_", "figd_", "ghp_", "gho_", "ghs_", "ghu_", "ghr_",
    "github_pat_", "glpat-", "glsa_", "gsk_", "hf_", "hvs.", "lin_api_", "npm_", "ntn_", "pplx-", "pypi-", "r8_", "rk_live_",
    "sk-ant-", "sk-proj-", "sk_live_", "shpat_", "xai-", "xapp-", "xoxb-", "xoxp-", "ya29.",
)  # fmt: skip
"""How tokens begin that say whose they are, as they are written."""

_IN_TOKEN = r"A-Za-z0-9_.+/=\-"  # noqa: S105  because it is the inside of a character class
LONGEST_TURNED = 260
"""Characters of a rotated or reversed token."""


def _either(words: Iterable[str]) -> str:
    return f"(?:{'|'.join(map(re.escape, words))})"


_ROTATED_BEGINS = rf"(?:{_either(map(rotated, _PREFIXES))}|{_either(map(rotated, IBAN_LENGTHS))}[0-9]{{2}})"
_REVERSED_BEGINS = (
    rf"(?:{_either(p[::-1] for p in _PREFIXES)}|[0-9]{{2}}{_either(c[::-1] for c in IBAN_LENGTHS)})"
)
_ROTATED = re.compile(
    rf"(?<![A-Za-z0-9_/+-]){_ROTATED_BEGINS}[{_IN_TOKEN}]{{10,{LONGEST_TURNED}}}(?![{_IN_TOKEN}])"
)
_REVERSED = re.compile(
    rf"(?<![{_IN_TOKEN}])[{_IN_TOKEN}]{{10,{LONGEST_TURNED}}}{_REVERSED_BEGINS}(?![A-Za-z0-9_/+=-])"
)

_SPACED_TRIGGER = r"(?:[^\s\x00][ \t\n]){7}"
RUN_TRIGGERS = (
    rf"(?:{_GROUP}){{3}}",
    rf"[0-9A-Fa-f]{{{SHORTEST_RUN}}}",
    _SPACED_TRIGGER,
    rf"\b{_ROTATED_BEGINS}[A-Za-z0-9_-]{{6}}",
    rf"[A-Za-z0-9_-]{{2}}{_REVERSED_BEGINS}\b",
)
"""One of them stands in every text in which something may be encoded. Together they cost more than all rules."""

HINTS = (
    rf"[A-Za-z0-9+/_-]{{{SHORTEST_RUN}}}",
    rf"\b{_either(map(rotated, _PREFIXES))}[A-Za-z0-9_-]{{6}}",
    rf"[A-Za-z0-9_-]{{2}}{_either(p[::-1] for p in _PREFIXES)}\b",
)
"""Without one of these, of `APART_HINTS` or a trigger of `HINTING_RULES` nothing is encoded. They cost next to nothing."""

APART_HINTS = (r"[A-Za-z0-9_-]{2}[0-9]{2}[A-Z]{2}\b", _SPACED_TRIGGER)
"""An IBAN reversed, letters spaced out."""

HINTING_RULES = frozenset({"iban"})
"""Rules whose triggers hint as well: an IBAN rotated has two letters and two digits in front, too."""

_RUN = re.compile(rf"[A-Za-z0-9+/_-]{{{SHORTEST_RUN},}}")
_SPEAKS = re.compile(rf"(?:{_GROUP}){{3}}")
_HEX = re.compile(rf"[0-9A-Fa-f]{{{SHORTEST_RUN},}}")
_SPACED = re.compile(r"(?<!\S)(?:[^\s\x00][ \t\n]){7,}[^\s\x00](?!\S)")
_STANDARD = str.maketrans("-_", "+/")
_PLAIN = re.compile(rb"[\t\n\r\x20-\x7e]{%d,}" % SHORTEST_TEXT)


class Coding(msgspec.Struct, frozen=True):
    """How characters stand for others: ``coded`` of them for ``plain`` ones, the last ``gap`` of them no part of it."""

    name: str
    coded: int
    plain: int
    gap: int = 0
    longest: int = LONGEST_ENCODED
    """Characters that one value may take in this coding."""
    backwards: bool = False


BASE64 = Coding("base64", 4, 3)
HEX = Coding("hex", 2, 1)
ROT13 = Coding("rot13", 1, 1, longest=LONGEST_TURNED)
REVERSED = Coding("reversed", 1, 1, longest=LONGEST_TURNED, backwards=True)
SPACED = Coding("spaced", 2, 1, gap=1, longest=LONGEST_SPACED)


class _Stretch(msgspec.Struct, frozen=True, gc=False):
    """Plain text at ``at`` of the joined text: character ``first`` of what ``coding`` begins, or backwards ends, at ``origin``."""

    at: int
    origin: int
    first: int
    coding: Coding


class Decoded:
    """Everything that was found encoded in a text, one stretch beside the other; no value reaches across two."""

    __slots__ = ("_places", "_stretches", "text")

    def __init__(self, text: str) -> None:
        self._stretches: list[_Stretch] = []
        self._places: list[int] = []
        pieces: list[str] = []
        at = 0
        for origin, coding, plain in _texts(text):
            for match in _PLAIN.finditer(plain):
                self._stretches.append(_Stretch(at, origin, match.start(), coding))
                self._places.append(at)
                pieces.append(match[0].decode("ascii"))
                at += len(match[0]) + 1
        self.text = "\x00".join(pieces)

    def coding(self, start: int) -> Coding:
        """Return how what stands at ``start`` was encoded."""
        return self._at(start).coding

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return the encoded characters that spell ``start`` to ``end``."""
        stretch = self._at(start)
        coding, shift = stretch.coding, stretch.first - stretch.at
        first = (start + shift) * coding.coded // coding.plain
        last = -(-(end + shift) * coding.coded // coding.plain) - coding.gap
        if coding.backwards:
            return stretch.origin - last, stretch.origin - first
        return stretch.origin + first, stretch.origin + last

    def _at(self, start: int) -> _Stretch:
        return self._stretches[bisect_right(self._places, start) - 1]


def _texts(text: str) -> Iterator[tuple[int, Coding, bytes]]:
    """Yield what the runs of ``text`` spell: where they begin, the coding, the bytes."""
    for run in _RUN.finditer(text):
        if not _SPEAKS.search(run[0]):
            continue
        coded = run[0].translate(_STANDARD)
        for shift in range(4):
            whole = (len(coded) - shift) // 4 * 4
            # What is left behind the last whole group may spell up to two characters more.
            rest = coded[shift + whole :]
            padded = coded[shift : shift + whole] + (rest + "=" * (4 - len(rest)) if len(rest) > 1 else "")
            yield run.start() + shift, BASE64, base64.b64decode(padded)
    for digits in _HEX.finditer(text):
        for shift in range(2):
            half = digits[0][shift:]
            yield digits.start() + shift, HEX, bytes.fromhex(half[: len(half) // 2 * 2])
    for token in _ROTATED.finditer(text):
        yield token.start(), ROT13, rotated(token[0]).encode("ascii")
    for token in _REVERSED.finditer(text):
        yield token.end(), REVERSED, token[0][::-1].encode("ascii")
    for spaced in _SPACED.finditer(text):
        letters = spaced[0][::2]
        yield spaced.start(), SPACED, letters.encode("ascii", "replace")
