"""Secrets that a name announces which is written in disguise: ``p4ssw0rd: …``, ``cnffjbeq: …``, ``A2DDH@C5i …``, ``… :drowssap``.

Turned text looks like any other, so what is looked for is the name, turned in each of the ways; from there on the text is
turned back and read. Rotated is by any number of letters (Caesar), or by 47 of the 94 printable characters; whose
digits are rotated as well. In leet the name alone is turned back, because nobody can say which letter of a password was one.
"""

import re
from collections.abc import Callable, Iterator

from magistrate.classify.codings import NAMED_LEET, NAMED_REVERSED, NAMED_ROTATED, Run

NAMES = (
    "password", "passwd", "passphrase", "secret", "credential", "token", "api_key", "api-key", "apikey", "access_key",
    "access-key", "accesskey", "private_key", "private-key", "privatekey", "authorization",
)  # fmt: skip
"""What secrets are called (see `credentials`), where it is long enough not to be a word when it is rotated."""

LONGEST_TOKEN = 180
"""Characters without white space of which such a text is made: a value and what quotes it."""

_BEHIND = re.compile(
    rf"[!-~]{{0,{LONGEST_TOKEN}}}+(?![!-~])(?:[ \t]{{1,12}}+[!-~]{{1,{LONGEST_TOKEN}}}+(?![!-~])){{0,3}}+"
)
"""What follows a name: the rest of its word, and the three next ones."""

_VALUE = r"(?=[!-~]*[0-9\"'`])[!-~]{6,140}(?![!-~])"
_GIVES = r"[\"'\])]{0,2}[ \t]?[:=]{1,3}>?[ \t]?"
_GIVEN = re.compile(rf"(?:[A-Za-z0-9_\"'\])-]{{0,24}}[:=]{{1,3}}>?|{_GIVES}){_VALUE}")
"""What follows a name in a text that is reversed, turned back. Where blanks stand between the two, only what a stream can
hold back is read, because there the value comes first: see `held_from`."""

_REACH = 256
"""Characters in which all of that stands, and one more."""

_LEET = {"a": "4@", "s": "5$", "o": "0", "e": "3", "i": "1!", "t": "7"}
_LEET_NAME = re.compile(
    "|".join(
        f"({''.join(f'[{letter}{re.escape(_LEET.get(letter, str()))}]' for letter in name)})"
        for name in NAMES
    ),
    re.IGNORECASE,
)


def _caesar(by: int) -> dict[int, int]:
    return {base + n: base + (n + by) % 26 for base in (ord("a"), ord("A")) for n in range(26)}


_ROT47 = {code: 33 + (code - 33 + 47) % 94 for code in range(33, 127)}

ROTATIONS = tuple(
    [(tuple(name.translate(_caesar(by)) for name in NAMES), _caesar(-by)) for by in range(1, 26)]
    + [
        (
            tuple(c.translate(_ROT47) for name in NAMES for c in (name, name.capitalize(), name.upper())),
            _ROT47,
        )
    ]
)
"""The names rotated, and what turns them back, for each rotation. The last one knows capitals, the others do not."""


def _any(words: tuple[str, ...], flags: str = "(?i)") -> str:
    return f"{flags}(?:{'|'.join(map(re.escape, words))})"


def _leet(name: str) -> list[str]:
    """Return patterns for ``name`` with one letter at least as a digit or a sign."""
    classes = [f"[{letter}{re.escape(_LEET.get(letter, ''))}]" for letter in name]
    return [
        "".join([*classes[:at], f"[{re.escape(_LEET[letter])}]", *classes[at + 1 :]])
        for at, letter in enumerate(name)
        if letter in _LEET
    ]


ROTATED_TRIGGERS = tuple(_any(words, "" if turn is _ROT47 else "(?i)") for words, turn in ROTATIONS)
REVERSED_TRIGGER = _any(tuple(name[::-1] for name in NAMES))
LEET_TRIGGER = f"(?i)(?:{'|'.join(pattern for name in NAMES for pattern in _leet(name))})"


def rotated_by(rotation: int) -> Callable[[str], Iterator[Run]]:
    """Return what yields the runs of one of `ROTATIONS`."""
    names, turn = ROTATIONS[rotation]

    def runs(text: str) -> Iterator[Run]:
        searched = text if turn is _ROT47 else _lower(text)
        for start, end in _places(searched, names):
            behind = _BEHIND.match(text, end)
            if behind:
                yield Run(start, NAMED_ROTATED, text[start : behind.end()].translate(turn).encode("ascii"))

    return runs


def leet_runs(text: str) -> Iterator[Run]:
    """Yield names in leet, spelled as words, with what follows them."""
    for match in _LEET_NAME.finditer(text):
        name = NAMES[(match.lastindex or 0) - 1]
        behind = _BEHIND.match(text, match.end()) if match[0].lower() != name else None
        if behind:
            yield Run(match.start(), NAMED_LEET, (name + behind[0]).encode("ascii"))


def reversed_runs(text: str) -> Iterator[Run]:
    """Yield reversed names with what stands before them."""
    for start, end in _places(_lower(text), tuple(name[::-1] for name in NAMES)):
        given = _GIVEN.match(text[max(0, start - _REACH) : start][::-1])
        if given:
            yield Run(end, NAMED_REVERSED, (text[start:end][::-1] + given[0]).encode("ascii"))


_ENDS = tuple(sorted({name[at:] for name in NAMES for at in range(len(name))}, key=len, reverse=True))
_SIGNED = re.compile(rf"(?i){_any(_ENDS, '')}?[\"'\])]{{0,2}}[ \t]?(?:[:=]{{1,3}}>?|>)[ \t]?{_VALUE}")
_UNSIGNED = re.compile(rf"[ \t]{_VALUE}")
_SIGN_WITHIN = 20
"""Characters at the end of a text in which the sign stands if a name is under way."""


def held_from(seen: str) -> int:
    """Return where a value begins at the end of ``seen`` whose reversed name may be under way, else its length."""
    end = seen[-_SIGN_WITHIN:]
    if ":" in end or "=" in end or ">" in end:
        held = _SIGNED.match(seen[: -_REACH - 1 : -1])
        if held:
            return len(seen) - held.end()
    held = _UNSIGNED.match(seen[: -_REACH - 1 : -1]) if end[-1:] in {" ", "\t"} else None
    return len(seen) - held.end() if held else len(seen)


def _places(text: str, words: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    for word in words:
        at = text.find(word)
        while at >= 0:
            yield at, at + len(word)
            at = text.find(word, at + 1)


def _lower(text: str) -> str:
    small = text.lower()
    return small if len(small) == len(text) else text
