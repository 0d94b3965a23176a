"""Reversible tokens: what stands for the values of one conversation at an endpoint, and leads back to them.

A token such as ``EMAIL_3f9a2b7c01de`` is an HMAC under the conversation's key, so the same value has the same token in
every turn without anything being remembered, nobody can make one up, and a token of another conversation means nothing.
"""

import re
from collections.abc import Iterable, Mapping

import msgspec

from magistrate.classify.redact import token

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
        self.entries: dict[str, Entry] = dict(entries or {})

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

    def echoes(self) -> tuple[re.Pattern[str], Mapping[str, str]] | None:
        """Return what finds the values again where no detector would, and the token of each in its normal form.

        A value that was restored in an answer comes back in the history without the words that gave it away.
        """
        tokens = {
            normal(entry.value): name
            for name, entry in self.entries.items()
            if len(entry.value.strip()) >= SHORTEST_ECHO
        }
        if not tokens:
            return None
        # The longest first: one value may begin another.
        values = sorted(tokens, key=len, reverse=True)
        pattern = rf"(?i)(?<![^\W_])(?:{'|'.join(map(re.escape, values))})(?![^\W_])"
        return re.compile(pattern), tokens


def normal(value: str) -> str:
    """Return the form under which two spellings are one value: case and surrounding space do not matter."""
    return value.strip().casefold()


def spelled(tokens: Iterable[str]) -> re.Pattern[str]:
    """Return a pattern for ``tokens`` as a model may write them: in any case, with ``_`` escaped as in Markdown.

    Nothing else is guessed: a token that is cut, plural or translated stays what it is.
    """
    forms = sorted((re.escape(name).replace("_", r"\\?_") for name in tokens), key=len, reverse=True)
    return re.compile(rf"(?i)(?:{'|'.join(forms)})(?![A-Za-z0-9])")


def canonical(written: str) -> str:
    """Return the token that ``written`` spells: name in capitals, digits in small letters."""
    name, _, digits = written.replace("\\", "").rpartition("_")
    return f"{name.upper()}_{digits.lower()}"
