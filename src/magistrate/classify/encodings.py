"""Texts inside a text, each read where it stands.

They are base64, hexadecimal, letters s p a c e d out, Morse code, rotated and reversed tokens, numbers with letters for
digits, and secrets under a name in disguise.

Whoever encodes chooses where a run begins, so every alignment is tried and only what comes out as plain text is kept:
stretches of at least `SHORTEST_TEXT` printable characters. All of that is local, so it does not matter where a text that
arrives in pieces was cut. Runs that white space interrupts are read run by run. Rotated and reversed text looks like any
other, so only a token is read that begins, or ends, as a vendor's token or an IBAN would, and what follows a secret's name.
"""

import base64
import re
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator

import msgspec

from magistrate.classify import disguised, look_alikes, morse
from magistrate.classify.codings import (
    BASE64,
    HEX,
    LONGEST_TURNED,
    REVERSED,
    ROTATED,
    SHORTEST_TEXT,
    SPACED,
    Coding,
    Run,
)
from magistrate.classify.rule import LONGEST_CONTEXT
from magistrate.classify.turned import rotated
from magistrate.classify.validators import IBAN_LENGTHS

SHORTEST_RUN = 24
"""Characters of base64 or hex from which on a run is read: eighteen characters of text, or twelve."""

LAYERS = 2
"""How deep encodings are undone: base64 in base64, and no further."""

_GROUP = "[CI-Za-f][AC-HQS-Xgi-nwyz0-3][ABEFIJMNQRUVYZcdghklopstwx014589][A-Za-z0-9+/_-]"
"""Four characters of base64 that spell three printable ones; `SHORTEST_TEXT` of them hold three such groups."""

_HEX_TEXT = rf"(?:[2-6][0-9A-Fa-f]|7[0-9A-Ea-e]|0[9AaDd]){{{SHORTEST_TEXT}}}"
"""As many bytes in hexadecimal as are read, all of them printable: an identifier or a digest of 64 digits has them once in 3,000."""

_PREFIXES = (
    "AKIA", "ASIA", "AIza", "ATATT3", "EAAA", "dckr_pat_", "dop_v1_", "figd_", "ghp_", "gho_", "ghs_", "ghu_", "ghr_",
    "github_pat_", "glpat-", "glsa_", "gsk_", "hf_", "hvs.", "lin_api_", "npm_", "ntn_", "pplx-", "pypi-", "r8_", "rk_live_",
    "sk-ant-", "sk-proj-", "sk_live_", "shpat_", "xai-", "xapp-", "xoxb-", "xoxp-", "ya29.",
)  # fmt: skip
"""How tokens begin that say whose they are, as they are written."""

_IN_TOKEN = r"A-Za-z0-9_.+/=\-"  # noqa: S105  because it is the inside of a character class


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

_RUN = re.compile(rf"[A-Za-z0-9+/_-]{{{SHORTEST_RUN},}}")
_SPEAKS = re.compile(rf"(?:{_GROUP}){{3}}")
_HEX = re.compile(rf"[0-9A-Fa-f]{{{SHORTEST_RUN},}}")
_SPEAKS_HEX = re.compile(_HEX_TEXT)
_SPACED = re.compile(r"(?<![^\s\x00])(?:[^\s\x00][ \t\n]){7,}[^\s\x00](?![^\s\x00])")
_STANDARD = str.maketrans("-_", "+/")
_PLAIN = {n: re.compile(rb"[\t\n\r\x20-\x7e]{%d,}" % n) for n in range(8, SHORTEST_TEXT + 1)}


class _Stretch(msgspec.Struct, frozen=True, gc=False):
    """Plain text at ``at`` of the joined text: it begins with character ``first`` of what ``run`` spells."""

    at: int
    first: int
    run: Run


class Decoded:
    """Everything that was found encoded in a text, one stretch beside the other; no value reaches across two."""

    __slots__ = ("_places", "_source", "_stretches", "text")

    def __init__(self, text: str, readers: Collection[int] | None = None) -> None:
        """``readers`` are the numbers of those whose triggers stand in ``text``; without them all are tried."""
        self._source = text
        self._stretches: list[_Stretch] = []
        self._places: list[int] = []
        pieces: list[str] = []
        at = 0
        for run in runs(text, range(len(READERS)) if readers is None else readers):
            for match in _PLAIN[run.coding.shortest].finditer(run.plain):
                self._stretches.append(_Stretch(at, match.start(), run))
                self._places.append(at)
                pieces.append(match[0].decode("ascii"))
                at += len(match[0]) + 1
        self.text = "\x00".join(pieces)

    def coding(self, start: int) -> Coding:
        """Return how what stands at ``start`` was encoded."""
        return self._at(start).run.coding

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return the encoded characters that spell ``start`` to ``end``."""
        stretch = self._at(start)
        run, shift = stretch.run, stretch.first - stretch.at
        coding = run.coding
        if run.places is not None:
            return run.places[start + shift][0], run.places[end + shift - 1][1]
        first = (start + shift) * coding.coded // coding.plain
        last = -(-(end + shift) * coding.coded // coding.plain) - coding.gap
        if coding.backwards:
            return run.origin - last, run.origin - first
        return run.origin + first, run.origin + last

    def reach(self, start: int, extent: int) -> int:
        """Return up to where the encoded text must be known for what stands from ``start`` to ``extent``."""
        run = self._at(start).run
        # The name that announces it stands behind it.
        return run.origin if run.coding.backwards and run.coding.announced else self.span(start, extent)[1]

    def counts(self, start: int, end: int, label: str) -> bool:
        """Return whether what was found from ``start`` to ``end`` is what the coding is read for."""
        stretch = self._at(start)
        coding = stretch.run.coding
        if coding.labels and not label.startswith(coding.labels):
            return False
        if coding.announced:
            return start - stretch.at <= LONGEST_CONTEXT
        return coding.mark is None or coding.mark.search(self._source, *self.span(start, end)) is not None

    def _at(self, start: int) -> _Stretch:
        return self._stretches[bisect_right(self._places, start) - 1]


def _base64_runs(text: str) -> Iterator[Run]:
    for run in _RUN.finditer(text):
        if not _SPEAKS.search(run[0]):
            continue
        coded = run[0].translate(_STANDARD)
        for shift in range(4):
            whole = (len(coded) - shift) // 4 * 4
            # What is left behind the last whole group may spell up to two characters more.
            rest = coded[shift + whole :]
            padded = coded[shift : shift + whole] + (rest + "=" * (4 - len(rest)) if len(rest) > 1 else "")
            yield Run(run.start() + shift, BASE64, base64.b64decode(padded))


def _hex_runs(text: str) -> Iterator[Run]:
    for digits in _HEX.finditer(text):
        if not _SPEAKS_HEX.search(digits[0]):
            continue
        for shift in range(2):
            half = digits[0][shift:]
            yield Run(digits.start() + shift, HEX, bytes.fromhex(half[: len(half) // 2 * 2]))


def _rotated_runs(text: str) -> Iterator[Run]:
    for token in _ROTATED.finditer(text):
        yield Run(token.start(), ROTATED, rotated(token[0]).encode("ascii"))


def _reversed_runs(text: str) -> Iterator[Run]:
    for token in _REVERSED.finditer(text):
        yield Run(token.end(), REVERSED, token[0][::-1].encode("ascii"))


def _spaced_runs(text: str) -> Iterator[Run]:
    for spaced in _SPACED.finditer(text):
        yield Run(spaced.start(), SPACED, spaced[0][::2].encode("ascii", "replace"))


class Reader(msgspec.Struct, frozen=True):
    """One way of reading. ``trigger`` stands in every text in which there is something to read for it.

    Together the triggers cost more than all rules, so ordinary text is not asked for them: without one of ``hints``, of
    ``apart`` or a trigger of `HINTING_RULES` nothing is encoded, and hints cost next to nothing. ``apart`` are those that
    must stand in an automaton of their own, see `automaton`.
    """

    trigger: str
    runs: Callable[[str], Iterator[Run]]
    hints: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()


READERS = (
    Reader(rf"(?:{_GROUP}){{3}}", _base64_runs, (rf"[A-Za-z0-9+/_-]{{{SHORTEST_RUN}}}",)),
    # A run of hexadecimal digits is one of base64 for the hint.
    Reader(_HEX_TEXT, _hex_runs),
    Reader(_SPACED_TRIGGER, _spaced_runs, apart=(_SPACED_TRIGGER,)),
    Reader(
        rf"\b{_ROTATED_BEGINS}[A-Za-z0-9_-]{{6}}",
        _rotated_runs,
        (rf"\b{_either(map(rotated, _PREFIXES))}[A-Za-z0-9_-]{{6}}",),
    ),
    Reader(
        rf"[A-Za-z0-9_-]{{2}}{_REVERSED_BEGINS}\b",
        _reversed_runs,
        (rf"[A-Za-z0-9_-]{{2}}{_either(p[::-1] for p in _PREFIXES)}\b",),
        (r"[A-Za-z0-9_-]{2}[0-9]{2}[A-Z]{2}\b",),
    ),
    Reader(morse.TRIGGER, morse.runs, morse.HINTS),
    Reader(look_alikes.TRIGGER, look_alikes.runs, look_alikes.HINTS),
    Reader(disguised.LEET_TRIGGER, disguised.leet_runs, (disguised.LEET_TRIGGER,)),
    Reader(disguised.REVERSED_TRIGGER, disguised.reversed_runs, (disguised.REVERSED_TRIGGER,)),
    *(
        Reader(trigger, disguised.rotated_by(rotation), (trigger,))
        for rotation, trigger in enumerate(disguised.ROTATED_TRIGGERS)
    ),
)  # fmt: skip

HINTING_RULES = frozenset({"iban"})
"""Rules whose triggers hint as well: an IBAN rotated has two letters and two digits in front, too."""


def runs(text: str, readers: Iterable[int]) -> Iterator[Run]:
    """Yield what is encoded in ``text``, as the readers with these numbers see it."""
    for number in readers:
        yield from READERS[number].runs(text)
