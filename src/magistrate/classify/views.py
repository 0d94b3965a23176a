r"""Views: a text as a reader would see it, with the way back to the original characters.

Removed: characters that show nothing (zero-width, soft hyphen, variation selectors, bidirectional marks). Folded: tag
characters, full-width and mathematical forms, every script's decimal digits, look-alike letters, spaces and dashes.
Undone: percent, HTML and ``\u`` escapes of single characters. Source: Unicode 15 names; UTS #39 for the look-alikes (the
pairs that spell ASCII identifiers); RFC 3986 2.1; HTML 13.5; RFC 8259 7. What is encoded as a whole is `encodings`' matter.
"""

import re
import unicodedata
from bisect import bisect_right
from itertools import chain

_INVISIBLE = chain(
    [0x00AD, 0x034F, 0x061C, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFEFF, 0xFFA0],
    range(0x180B, 0x1810),
    range(0x200B, 0x2010),
    range(0x202A, 0x202F),
    range(0x2060, 0x2070),
    range(0xFE00, 0xFE10),
    range(0xE0100, 0xE01F0),
)
_SPACES = [0x00A0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000]
_DASHES = [*range(0x2010, 0x2016), 0x2043, 0x2212, 0xFE58, 0xFE63, 0xFF0D]
_COMPATIBLE = chain(range(0x2070, 0x20A0), range(0x2100, 0x2150), range(0x2460, 0x2500), range(0xFF01, 0xFF5F),
                    range(0x1D400, 0x1D800), range(0x1F130, 0x1F14A))  # fmt: skip
_LOOK_ALIKES = dict(
    zip(
        "асеорхуіјѕһԁԛԝАВЕКМНОРСТХІЈЅΑΒΕΖΗΙΚΜΝΟΡΤΥΧοαν",
        "aceopxyijshdqwABEKMHOPCTXIJSABEZHIKMNOPTYXoav",
        strict=True,
    )
)


def _table() -> dict[str, str]:
    table = {chr(code): "" for code in _INVISIBLE}
    table |= {chr(code): " " for code in _SPACES}
    table |= {chr(code): "-" for code in _DASHES}
    table |= {chr(0xE0000 + code): chr(code) for code in range(0x20, 0x7F)}
    table |= {chr(0xE0001): "", chr(0xE007F): ""}
    for code in _COMPATIBLE:
        folded = unicodedata.normalize("NFKC", chr(code))
        if len(folded) == 1 and folded.isascii() and folded.isprintable():
            table.setdefault(chr(code), folded)
    for code in chain(range(0x0660, 0x20000), range(0x1E000, 0x1FC00)):
        digit = unicodedata.decimal(chr(code), None)
        if digit is not None:
            table.setdefault(chr(code), str(digit))
    # The last three `re` takes for ASCII letters when it ignores case.
    return table | _LOOK_ALIKES | {"ı": "i", "İ": "I", "ſ": "s"}


FOLDED = _table()
"""Character to what a reader takes it for."""

_TABLE = str.maketrans(FOLDED)


def _ranges(codes: list[int]) -> str:
    """Return the inside of a character class. Ranges, because `re` walks a list of characters beyond U+FFFF one by one."""
    ranges: list[list[int]] = []
    for code in sorted(codes):
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "".join(f"{re.escape(chr(first))}-{re.escape(chr(last))}" for first, last in ranges)


_NOT_ASCII = re.compile("[^\x00-\x7f]+(?: [^\x00-\x7f]+)*")
_REMOVED = re.compile(f"[{_ranges([ord(odd) for odd, plain in FOLDED.items() if not plain])}]")


def _fold(text: str) -> str:
    # Nothing in ASCII folds, and most texts are mostly ASCII.
    return _NOT_ASCII.sub(lambda match: match[0].translate(_TABLE), text)


_NAMED = {
    "amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'", "nbsp": " ", "commat": "@", "period": ".", "hyphen": "-",
    "dash": "-", "lowbar": "_", "num": "#", "colon": ":", "sol": "/", "equals": "=", "plus": "+", "shy": "\u00ad",
    "zwnj": "\u200c", "zwj": "\u200d", "ensp": " ", "emsp": " ", "thinsp": " ", "Tab": "\t", "NewLine": "\n",
}  # fmt: skip
_ESCAPE = re.compile(
    r"%([0-7][0-9A-Fa-f])|&#(?:[xX]([0-9A-Fa-f]{1,6})|([0-9]{1,7}));"
    r"|\\(?:u([0-9A-Fa-f]{4})|u\{([0-9A-Fa-f]{1,6})\}|x([0-9A-Fa-f]{2}))"
    rf"|&({'|'.join(_NAMED)});"
)
_ESCAPE_BEGINS = re.compile(
    r"(?:%[0-7]?|&(?:#(?:[xX][0-9A-Fa-f]{0,6}|[0-9]{0,7})|[A-Za-z]{0,8})"
    r"|\\(?:u(?:[0-9A-Fa-f]{0,3}|\{[0-9A-Fa-f]{0,6})|x[0-9A-Fa-f]?)?)\Z"
)
LONGEST_ESCAPE = 10


class View:
    """A normal spelling of ``original``; `span` leads back."""

    __slots__ = ("_ends", "_escapes", "_shifts", "text")

    def __init__(self, original: str, folded: str | None = None, *, escaped: bool = False) -> None:
        self._escapes = _Unescaped(original) if escaped else None
        plain = original if self._escapes is None else self._escapes.text
        self.text = _fold(plain) if folded is None or escaped else folded
        self._ends: list[int] = []
        self._shifts: list[int] = []
        if len(self.text) == len(plain):
            return
        for removed, match in enumerate(_REMOVED.finditer(plain), 1):
            # From here on an offset in the view lies ``removed`` further on in the original.
            self._ends.append(match.start() - removed + 1)
            self._shifts.append(removed)

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return the original characters behind ``start`` to ``end`` of the view."""
        first, last = self._original(start), self._original(end - 1) + 1
        return (first, last) if self._escapes is None else self._escapes.span(first, last)

    def _original(self, offset: int) -> int:
        index = bisect_right(self._ends, offset) - 1
        return offset + (self._shifts[index] if index >= 0 else 0)


class _Unescaped:
    """``original`` with its escapes undone, one pass: what an escape spells is not read as an escape again."""

    __slots__ = ("_after", "_before", "_places", "text")

    def __init__(self, original: str) -> None:
        self._places: list[int] = []
        self._before: list[int] = []
        self._after: list[int] = []
        pieces: list[str] = []
        at = length = 0
        for match in _ESCAPE.finditer(original):
            pieces += (original[at : match.start()], _character(match))
            length += match.start() - at
            # The character at ``length`` is spelled by ``match``; those behind it follow its end.
            self._places.append(length)
            self._before.append(match.start())
            self._after.append(match.end())
            length += 1
            at = match.end()
        pieces.append(original[at:])
        self.text = "".join(pieces)

    def span(self, start: int, end: int) -> tuple[int, int]:
        return self._edge(start, self._before, 0), self._edge(end - 1, self._after, 1)

    def _edge(self, offset: int, of_escape: list[int], more: int) -> int:
        index = bisect_right(self._places, offset) - 1
        if index < 0:
            return offset + more
        if self._places[index] == offset:
            return of_escape[index]
        return self._after[index] + offset - self._places[index] - 1 + more


def _character(match: re.Match[str]) -> str:
    percent, wide, decimal, unit, braced, byte, name = match.groups()
    if name:
        return _NAMED[name]
    code = int(decimal) if decimal else int(percent or wide or unit or braced or byte, 16)
    return chr(code) if 0 < code <= 0x10FFFF and not 0xD800 <= code < 0xE000 else "\ufffd"


def escape_begins(text: str) -> int:
    """Return where an escape stands at the end of ``text`` that is not complete, else its length."""
    end = text[-LONGEST_ESCAPE:]
    if "%" not in end and "&" not in end and "\\" not in end:
        return len(text)
    begun = _ESCAPE_BEGINS.search(text, max(0, len(text) - LONGEST_ESCAPE))
    return len(text) if begun is None else begun.start()


def view_of(text: str) -> View | None:
    """Return the normal spelling of ``text``, or None when it is its own."""
    if ("%" in text or "&" in text or "\\" in text) and _ESCAPE.search(text):
        return View(text, escaped=True)
    if text.isascii():
        return None
    folded = _fold(text)
    return None if folded == text else View(text, folded)
