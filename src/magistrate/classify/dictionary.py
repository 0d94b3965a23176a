"""Exact-data match: values of the reader's own (customers, projects, patients), of which only keyed hashes are kept.

*Dictionary*: BLAKE2b-128 of each value under a secret key, with the lengths that occur. Whoever has the file learns how many
values there are and how long they are; to test a guess takes the key too. Values are compared as people read them: the
normal spelling, case folded, white space as one space, without what stands around the first and last letter or digit.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable
from itertools import pairwise

import msgspec

from magistrate.classify.hit import Hit
from magistrate.classify.views import view_of
from magistrate.exchange.errors import ConfigurationError

FORMAT = "magistrate-dictionary/1"
SHORTEST, LONGEST, LONGEST_PHRASE, MOST_WORDS = 4, 256, 80, 8
"""Characters of a value; of one with white space; its words. A stream holds the longest phrase back all the time."""

MOST_ENTRIES = 5_000_000
DIGEST = 16
PRIORITY = 95
_WORD = re.compile(r"\w+")
_SPACE = re.compile(r"\s+")
_MOST_BETWEEN = 3
"""Characters between two words of one value: ``Smith, John`` has two."""


class Dictionary(msgspec.Struct, frozen=True):
    """The file. ``shapes`` are the pairs of words and characters that occur; ``proof`` tells a wrong key."""

    format: str
    entries: int
    shapes: tuple[tuple[int, int], ...]
    phrase: int
    proof: str
    digests: str


def normal(value: str) -> str:
    """Return ``value`` as it is compared."""
    view = view_of(value)
    plain = _SPACE.sub(" ", (value if view is None else view.text).casefold())
    words = list(_WORD.finditer(plain))
    return plain[words[0].start() : words[-1].end()] if words else ""


def problem(value: str) -> str:
    """Return what keeps a normal value out of a dictionary, or nothing."""
    if len(value) < SHORTEST:
        return f"has fewer than {SHORTEST} characters, it would be found everywhere"
    if len(value) > (LONGEST_PHRASE if " " in value else LONGEST):
        return f"has more than {LONGEST_PHRASE if ' ' in value else LONGEST} characters, a stream cannot hold it back"
    words = list(_WORD.finditer(value))
    if len(words) > MOST_WORDS:
        return f"has more than {MOST_WORDS} words"
    if any(b.start() - a.end() > _MOST_BETWEEN for a, b in pairwise(words)):
        return f"has more than {_MOST_BETWEEN} characters between two words"
    return ""


def make(values: Iterable[str], key: bytes) -> Dictionary:
    """Return the dictionary of normal ``values``, each without a `problem`."""
    shapes: set[tuple[int, int]] = set()
    digests: set[bytes] = set()
    phrase = 0
    for value in values:
        words = len(_WORD.findall(value))
        shapes.add((words, len(value)))
        digests.add(_digest(value, key))
        if " " in value:
            # White space may stand threefold in a text.
            phrase = max(phrase, len(value) + 2 * (words - 1) + 1)
    return Dictionary(
        FORMAT,
        len(digests),
        tuple(sorted(shapes)),
        phrase,
        _digest(FORMAT, key).hex(),
        base64.b64encode(b"".join(sorted(digests))).decode(),
    )


def read(data: bytes, place: str) -> Dictionary:
    """Return the dictionary in a file's bytes.

    Raises:
        ConfigurationError: it is none.
    """
    try:
        dictionary = msgspec.json.decode(data, type=Dictionary)
        size = len(base64.b64decode(dictionary.digests, validate=True))
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise ConfigurationError("is not a dictionary; `magistrate dictionary` makes one", place) from None
    if (
        dictionary.format != FORMAT
        or size != dictionary.entries * DIGEST
        or dictionary.entries > MOST_ENTRIES
    ):
        raise ConfigurationError(f"is not a whole dictionary of the format `{FORMAT}`", place)
    return dictionary


def opens(dictionary: Dictionary, key: bytes) -> bool:
    """Return whether ``key`` is the one that ``dictionary`` was made with."""
    return hmac.compare_digest(dictionary.proof, _digest(FORMAT, key).hex())


class DictionaryMatcher:
    """The `Matcher` over one dictionary: every run of words whose shape occurs is hashed and looked up."""

    def __init__(self, name: str, label: str, dictionary: Dictionary, key: bytes) -> None:
        self.id = name
        self.phrase = dictionary.phrase
        raw = base64.b64decode(dictionary.digests)
        self.version = hashlib.sha256(raw).hexdigest()[:16] + label
        self._label = label
        self._key = key
        self._digests = frozenset(raw[n : n + DIGEST] for n in range(0, len(raw), DIGEST))
        self._lengths: dict[int, frozenset[int]] = {
            words: frozenset(length for each, length in dictionary.shapes if each == words)
            for words in {words for words, _ in dictionary.shapes}
        }
        self._most_words = max(self._lengths, default=0)

    def search(self, text: str) -> Iterable[Hit]:
        """Yield the values that stand in ``text``, from each place the longest."""
        words = [match.span() for match in _WORD.finditer(text)]
        at = 0
        for first, (start, _) in enumerate(words):
            if start < at:
                continue
            end = self._longest_from(text, words, first)
            if end:
                at = end
                yield Hit(start, end, self._label, self.id, PRIORITY, 990, "raw")

    def _longest_from(self, text: str, words: list[tuple[int, int]], first: int) -> int:
        start, found = words[first][0], 0
        for last in range(first, min(first + self._most_words, len(words))):
            if last > first and words[last][0] - words[last - 1][1] > _MOST_BETWEEN:
                break
            end = words[last][1]
            if end - start > LONGEST + MOST_WORDS * 2:
                break
            lengths = self._lengths.get(last - first + 1)
            if lengths:
                value = _SPACE.sub(" ", text[start:end].casefold())
                if len(value) in lengths and _digest(value, self._key) in self._digests:
                    found = end
        return found


def _digest(value: str, key: bytes) -> bytes:
    return hashlib.blake2b(value.encode("utf-8", "surrogatepass"), digest_size=DIGEST, key=key[:64]).digest()
