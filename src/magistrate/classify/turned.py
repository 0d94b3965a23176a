"""Turned: words that were rotated (ROT13) or reversed, turned back for the models.

Any text can be turned, and what comes out is nonsense, so it is done only where the turned text has words that ordinary text
is made of, and more of them than the text as it stands.
"""

import re
from collections.abc import Callable

LEAST = 3
"""Different common words before a text is taken for a turned one."""

LONGEST = 20_000
"""Characters in which it is tried: it is a trick of short texts."""

# None that is a word again backwards, as `not`, `now` and `are` are.
_COMMON = frozenset(
    ("the", "you", "your", "all", "this", "that", "with", "from", "for", "have", "will", "must", "what", "who", "any", "ignore",
     "instructions", "previous", "prompt", "system", "rules", "tell", "show", "send", "print", "user", "password", "never",
     "always", "answer", "act", "without", "about", "follow", "following", "everything", "secret", "forget", "disregard",
     "output", "reveal")
)  # fmt: skip
_WORD = re.compile(r"[a-z]{3,16}")
_ROT13 = str.maketrans(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    "NOPQRSTUVWXYZABCDEFGHIJKLMnopqrstuvwxyzabcdefghijklm",
)


def rotated(text: str) -> str:
    return text.translate(_ROT13)


def backwards(text: str) -> str:
    return text[::-1]


_TURNS: tuple[Callable[[str], str], ...] = (rotated, backwards)
_TURNED = tuple(frozenset(turn(word) for word in _COMMON) for turn in _TURNS)


def turned_back(text: str) -> list[str]:
    """Return what ``text`` says when it is turned, for each turn in which it says something."""
    if len(text) > LONGEST:
        return []
    words = set(_WORD.findall(text.lower()))
    plain = len(words & _COMMON)
    return [
        turn(text)
        for turn, common in zip(_TURNS, _TURNED, strict=True)
        if len(words & common) >= LEAST and len(words & common) > plain
    ]
