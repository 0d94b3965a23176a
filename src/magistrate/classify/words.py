"""Words: a text as words and signs, and each of them as hashed features of itself and its neighbours.

What is looked at: how a word is written, how it begins and ends, its shape, whether lists know it (given names, surnames,
places, common words), the same of two words on either side, and the key it stands under (``"name": "…"``). The hashing is
vectorised: a text of 2 KB, about 450 words, takes some 2 ms.
"""

import re
import zlib
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Hashes: TypeAlias = NDArray[np.uint64]
Slots: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.uint64]

GIVEN, SURNAME, TOWN, PLACES, REGION, COMMON, STREET, FIRM, GIVEN_OFTEN, SURNAME_OFTEN = (
    1 << bit for bit in range(10)
)
"""What lists say of a word. ``PLACES``: it is part of a place's name of several words."""

_NAMES = GIVEN | SURNAME | GIVEN_OFTEN | SURNAME_OFTEN | COMMON
_WHERE = TOWN | PLACES | REGION | STREET | COMMON

_TOKEN = re.compile(
    r"(?:https?://|www\.)[^\s<>\"']+|[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+|[@#]\w+|[^\W\d_]\w{0,63}_\w*"
    r"|[^\W\d_]+(?:['’][^\W\d_]+)*|\d+|[^\w\s]|_|\n"
)
_INNER = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_RUNS = re.compile(r"(.)\1+")
_LONGEST_SHAPE = 10
_REACH = 2
_KEY_HOLDS = 14
"""Words behind a key that stand under it."""

_MIX = np.uint64(0xD6E8FEB86659FD93)
_NEXT = np.uint64(0x9E3779B97F4A7C15)
_FOLD = np.uint64(31)

_WORD, _LOWER, _HEAD, _TAIL, _END, _LONG_TAIL, _SHAPE, _SHORT, _LISTS, _NAMED, _PLACED, _KEY, _CASE = range(
    13
)
_COLUMNS = 8
"""Columns that come from a word alone; the others come from lists and from where it stands."""

FEATURES: tuple[tuple[tuple[int, int], ...], ...] = (
    ((0, _WORD),), ((0, _LOWER),), ((0, _HEAD),), ((0, _TAIL),), ((0, _END),), ((0, _LONG_TAIL),), ((0, _SHAPE),), ((0, _SHORT),),
    ((0, _LISTS),), ((0, _NAMED),), ((0, _PLACED),), ((-1, _LOWER),), ((1, _LOWER),), ((-2, _LOWER),), ((2, _LOWER),),
    ((-1, _LISTS),), ((1, _LISTS),), ((-2, _LISTS), (-1, _SHORT)), ((2, _LISTS), (1, _SHORT)), ((-1, _TAIL),), ((1, _TAIL),),
    ((-1, _LOWER), (0, _SHORT)), ((1, _LOWER), (0, _SHORT)), ((-1, _SHORT), (0, _SHORT), (1, _SHORT)),
    ((-2, _SHORT), (-1, _SHORT), (0, _SHORT)), ((0, _SHORT), (1, _SHORT), (2, _SHORT)),
    ((-1, _LISTS), (0, _LISTS)), ((0, _LISTS), (1, _LISTS)), ((-1, _NAMED), (0, _NAMED), (1, _NAMED)), ((0, _LISTS), (0, _SHORT)),
    ((-1, _LOWER), (0, _LISTS)), ((1, _LOWER), (0, _LISTS)), ((-2, _LOWER), (-1, _LOWER)), ((1, _LOWER), (2, _LOWER)),
    ((-2, _LOWER), (-1, _LOWER), (0, _NAMED)), ((-2, _LOWER), (-1, _SHORT), (0, _LISTS)), ((0, _CASE), (0, _SHORT), (0, _LISTS)),
    ((0, _TAIL), (0, _SHORT)), ((-1, _LOWER), (0, _LOWER)), ((0, _LOWER), (1, _LOWER)), ((0, _KEY),), ((0, _KEY), (0, _SHORT)),
    ((0, _KEY), (0, _LISTS)), ((-1, _SHORT), (0, _LISTS), (1, _SHORT)),
)  # fmt: skip
"""What is looked at: (distance, column) pairs that are hashed together."""


class Word(NamedTuple):
    """One word or sign and where it stands."""

    text: str
    start: int
    end: int


class Lists(NamedTuple):
    """Sorted hashes of words and of places' names, and what the lists say of each."""

    hashes: NDArray[np.uint32]
    flags: NDArray[np.int16]

    def flags_of(self, hashes: Hashes) -> Flags:
        """Return what is known of each hash; 0 is nothing."""
        if not len(self.hashes):
            return np.zeros(len(hashes), dtype=np.uint64)
        short = hashes.astype(np.uint32)
        at = np.minimum(np.searchsorted(self.hashes, short), len(self.hashes) - 1)
        return np.where(self.hashes[at] == short, self.flags[at].astype(np.uint64), np.uint64(0))


def words(text: str) -> list[Word]:
    """Return the words and signs of ``text``: an address of a site or of e-mail, a handle, an identifier is one."""
    return [Word(match[0], match.start(), match.end()) for match in _TOKEN.finditer(text)]


def entry(name: Sequence[str]) -> int:
    """Return the hash under which lists keep a name of one to three words, in any case."""
    lower = np.array([[_hash(word.lower(), _LOWER)] for word in name], dtype=np.uint64)
    return int(_joined(list(lower))[0].astype(np.uint32))


def slots(tokens: Sequence[Word], lists: Lists, bits: int) -> Slots:
    """Return for each word the slots of its features, one row a word."""
    count = len(tokens)
    padded = np.zeros((count + 2 * _REACH, 13), dtype=np.uint64)
    columns = padded[_REACH : _REACH + count]
    known: dict[str, tuple[int, ...]] = {}
    columns[:, :_COLUMNS] = [
        known.get(word.text) or known.setdefault(word.text, _columns(word.text)) for word in tokens
    ]
    flags = _listed(columns[:, _LOWER], lists)
    columns[:, _LISTS] = flags + np.uint64(1)
    columns[:, _NAMED] = (flags & np.uint64(_NAMES)) + np.uint64(1 << 12)
    columns[:, _PLACED] = (flags & np.uint64(_WHERE)) + np.uint64(1 << 13)
    columns[:, _KEY] = _keys(tokens)
    columns[:, _CASE] = _case(tokens)
    found = np.empty((count, len(FEATURES)), dtype=np.int64)
    shift = np.uint64(64 - bits)
    for number, parts in enumerate(FEATURES):
        mixed = np.full(count, number + 1, dtype=np.uint64)
        for distance, column in parts:
            mixed = (mixed * _NEXT) ^ padded[_REACH + distance : _REACH + distance + count, column]
            mixed *= _MIX
            mixed ^= mixed >> _FOLD
        found[:, number] = (mixed * _MIX) >> shift
    return found


def _listed(lower: Hashes, lists: Lists) -> Flags:
    """Return what lists say of each word, alone and as part of a name of two or three words."""
    flags = lists.flags_of(_joined([lower]))
    many = np.uint64(TOWN | REGION | PLACES)
    for size in (2, 3):
        if len(lower) < size:
            break
        count = len(lower) - size + 1
        found = lists.flags_of(_joined([lower[at : at + count] for at in range(size)]))
        spread = (found & np.uint64(REGION)) | np.where(found & many, np.uint64(PLACES), np.uint64(0))
        for at in range(size):
            flags[at : at + count] |= spread
    return flags


def _joined(parts: Sequence[Hashes]) -> Hashes:
    mixed = np.full(len(parts[0]), len(parts), dtype=np.uint64)
    for part in parts:
        mixed = ((mixed * _NEXT) ^ part) * _MIX
        mixed ^= mixed >> _FOLD
    return mixed


def _keys(tokens: Sequence[Word]) -> list[int]:
    """Return for each word the hash of the key it stands under, or 0: ``name: …``, ``"city": "…"``, ``owner=…``."""
    found: list[int] = []
    key, left, last = 0, 0, ""
    for word in tokens:
        text = word.text
        if text == "\n" or (text in ",;{}|" and left < _KEY_HOLDS - 6):
            key = 0
        found.append(key)
        left -= 1
        if left <= 0:
            key = 0
        if text in ":=>" and last:
            inner = _INNER.findall(last)
            key, left = _hash((inner[-1] if inner else last).lower(), _KEY), _KEY_HOLDS
        if text[0].isalnum():
            last = text
        elif text not in "\"'’)]*`":
            last = ""
    return found


def _case(tokens: Sequence[Word]) -> NDArray[np.uint64]:
    """Return whether a word stands among capitals only, among small letters only, or in mixed company."""
    letters = np.array([word.text[0].isalpha() and len(word.text) > 1 for word in tokens])
    upper = np.array([word.text.isupper() for word in tokens]) & letters
    lower = np.array([word.text.islower() for word in tokens]) & letters
    window = np.ones(17)
    among = [np.convolve(each, window)[8 : 8 + len(tokens)] for each in (letters, upper, lower)]
    mode = np.where(among[2] == among[0], 2, np.where(among[1] * 4 >= among[0] * 3, 3, 1))
    return mode.astype(np.uint64)


def _columns(word: str) -> tuple[int, ...]:
    lower = re.sub(r"\d", "0", word.lower())
    shape = "".join(
        "X" if c.isupper() else "x" if c.isalpha() else "0" if c.isdigit() else c
        for c in word[:_LONGEST_SHAPE]
    )
    short = _RUNS.sub(r"\1", shape)
    texts = (word, lower, lower[:3], lower[-3:], lower[-2:], lower[-4:], shape, short)
    return tuple(_hash(text, number) for number, text in enumerate(texts))


def _hash(text: str, column: int) -> int:
    return zlib.crc32(text.encode("utf-8", "surrogatepass")) + column + 1
