"""Reversible tokens: what stands for the values of one conversation at an endpoint, and leads back to them.

A token such as ``EMAIL_3f9a2b7c01de`` is an HMAC under the conversation's key, so the same value has the same token in
every turn without anything being remembered, nobody can make one up, and a token of another conversation means nothing.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from magistrate.classify.redact import TOKEN_HEX, token

MOST_VALUES = 4096
"""Values of one conversation. Beyond it a value is masked, which nobody can undo."""

SHORTEST_ECHO = 5
"""Characters of a value that is replaced wherever it stands. Shorter ones stand for other things too."""


class Entry(msgspec.Struct, frozen=True):
    """What a token stands for. ``places`` says where it may be put back: ``text``, ``tools``."""

    label: str
    value: str
    places: frozenset[str] = frozenset({"text", "tools"})


class Table:
    """The tokens given for one request, by token. ``key`` belongs to its conversation."""

    def __init__(self, key: bytes, entries: Mapping[str, Entry] | None = None) -> None:
        self._key = key
        self._known = entries or {}
        self.entries: dict[str, Entry] = dict(self._known)

    @property
    def fresh(self) -> dict[str, Entry]:
        """What came in or changed since the table was opened."""
        return {name: entry for name, entry in self.entries.items() if self._known.get(name) is not entry}

    def token_for(self, label: str, value: str, places: frozenset[str]) -> str | None:
        """Return the token of ``value``; None where none can lead back to it, and the value must be masked."""
        name = token(label, value, self._key)
        known = self.entries.get(name)
        if known is None:
            if len(self.entries) >= MOST_VALUES:
                return None
            self.entries[name] = Entry(label, value, places)
        elif normal(known.value) != normal(value):
            return None  # 48 bits collided: better no way back than a wrong one
        elif not places >= known.places:
            self.entries[name] = Entry(label, known.value, known.places & places)
        return name


class Echoes:
    """Finds the values of a table again where no detector would.

    A value that was restored in an answer comes back in the history without the words that gave it away. Looked up by its
    first characters at each beginning of a word, because there may be thousands.
    """

    def __init__(self, table: Table) -> None:
        self._tokens: dict[str, str] = {}
        self._lengths: dict[str, list[int]] = {}
        for name, entry in table.entries.items():
            value = _lowered(entry.value.strip())
            if len(value) >= SHORTEST_ECHO:
                self._tokens[value] = name
                self._lengths.setdefault(value[:SHORTEST_ECHO], []).append(len(value))
        for start, lengths in self._lengths.items():
            # The longest first: one value may begin another.
            self._lengths[start] = sorted(set(lengths), reverse=True)

    def find(self, text: str) -> Iterator[tuple[int, int, str]]:
        """Yield from where to where a value stands in ``text``, and its token. None overlap."""
        lower = _lowered(text)
        if len(self._tokens) <= FEW and not any(value in lower for value in self._tokens):
            return
        at = 0
        for begin in _BEGINS.finditer(lower):
            start = begin.start()
            if start < at:
                continue
            for length in self._lengths.get(lower[start : start + SHORTEST_ECHO], ()):
                end = start + length
                name = self._tokens.get(lower[start:end])
                # At the end of the text a slice is shorter than it was asked for, and may be another, shorter value.
                if name is not None and end <= len(lower) and not lower[end : end + 1].isalnum():
                    yield start, end, name
                    at = end
                    break


FEW = 32
"""Values that are quicker looked for one by one than at each beginning of a word."""

_BEGINS = re.compile(r"(?<![^\W_])\S")


def _lowered(text: str) -> str:
    """Return ``text`` in small letters, character for character: ``İ`` would become two."""
    lower = text.lower()
    return (
        lower if len(lower) == len(text) else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
    )


def normal(value: str) -> str:
    """Return the form under which two spellings are one value: case and surrounding space do not matter."""
    return value.strip().casefold()


def names_of(tokens: Iterable[str]) -> tuple[str, ...]:
    """Return the names that ``tokens`` begin with, the longest first."""
    return tuple(sorted({name.rpartition("_")[0] for name in tokens}, key=lambda name: (-len(name), name)))


def spelled(names: Iterable[str]) -> re.Pattern[str]:
    """Return a pattern for tokens as a model may write them: in any case, with ``_`` escaped as in Markdown.

    Nothing else is guessed: a token that is cut, plural or translated stays what it is.
    """
    forms = "|".join(re.escape(name).replace("_", r"\\?_") for name in names)
    return re.compile(rf"(?i)(?:{forms})\\?_[0-9a-f]{{{TOKEN_HEX}}}(?![A-Za-z0-9])")


def begun(names: Iterable[str]) -> re.Pattern[str]:
    """Return a pattern for what may become such a token, escapes taken out."""
    starts = {name[:size] for name in names for size in range(1, len(name) + 1)}
    forms = "|".join(sorted(map(re.escape, starts), key=len, reverse=True))
    whole = "|".join(map(re.escape, names))
    return re.compile(rf"(?i)(?:(?:{whole})_[0-9a-f]{{0,{TOKEN_HEX}}}|{forms})")


def canonical(written: str) -> str:
    """Return the token that ``written`` spells: name in capitals, digits in small letters."""
    name, _, digits = written.replace("\\", "").rpartition("_")
    return f"{name.upper()}_{digits.lower()}"
