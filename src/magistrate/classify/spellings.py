"""Spellings: what a model reads of a text. Disguises are undone first, because a model knows words, not encodings.

The first spelling is the text as a reader sees it, accents taken off. Further ones exist only where something is
encoded: percent signs, character references, escapes, base64, letters set apart. One level is undone, each at most once.
"""

import base64
import binascii
import html
import re
import unicodedata
from itertools import islice
from urllib.parse import unquote

from magistrate.classify.views import view_of

LONGEST_ENCODED = 16_384
"""Characters of one base64 run that are decoded."""

SHORTEST_DECODED = 12
"""Characters; what decodes to less says nothing."""

MOST_RUNS = 16
"""Base64 runs of one text that are decoded."""

_ACCENTS = re.compile("[\u0300-\u036f]+")
_PERCENT = re.compile(r"(?:%[0-9A-Fa-f]{2}.{0,40}?){4}", re.DOTALL)
_REFERENCE = re.compile(r"(?:&#?\w{2,8};.{0,12}?){4}", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2}))")
_BASE64 = re.compile(
    rf"(?<![A-Za-z0-9+/=_-])[A-Za-z0-9+/_-]{{24,{LONGEST_ENCODED}}}={{0,2}}(?![A-Za-z0-9+/=])"
)
_APART = re.compile(r"(?<!\w)\w([ .*_-])\w(?:\1\w){1,200}(?!\w)")
_APART_ENOUGH = 12
"""Letters that stand apart before it is taken for a disguise; initials and lists have fewer."""


_DIGITS_AS_LETTERS = re.compile(r"\b[A-Za-z]*(?:[a-z][013457]|[013457][a-z])[A-Za-z013457]*\b")
_LETTERS = str.maketrans("013457", "oieast")
_MOST_DIGITS_TRIED = 20_000
"""Characters in which digits for letters are looked for: it is a trick of short texts."""


def spellings(text: str) -> tuple[str, ...]:
    """Return the texts that a model reads for ``text``: the reader's, and what is encoded in it."""
    plain = _without_accents(text)
    found = [plain]
    for undo in (_percent, _references, _escapes, _apart, _digits, _base64):
        undone = undo(plain)
        if undone and undone != plain:
            found.append(_without_accents(undone))
    return tuple(dict.fromkeys(found))


def _without_accents(text: str) -> str:
    if text.isascii():
        return text
    view = view_of(text)
    decomposed = unicodedata.normalize("NFKD", view.text if view else text)
    return _ACCENTS.sub("", decomposed)


def _percent(text: str) -> str:
    return unquote(text, errors="replace") if "%" in text and _PERCENT.search(text) else ""


def _references(text: str) -> str:
    return html.unescape(text) if "&" in text and _REFERENCE.search(text) else ""


def _escapes(text: str) -> str:
    if "\\" not in text or len(list(islice(_ESCAPE.finditer(text), 4))) < 4:
        return ""
    return _ESCAPE.sub(lambda match: chr(int(match[1] or match[2], 16)), text)


def _apart(text: str) -> str:
    found = [match for match in _APART.finditer(text) if len(match[0]) >= 5]
    if sum(len(match[0]) // 2 + 1 for match in found) < _APART_ENOUGH:
        return ""
    return _APART.sub(lambda match: match[0].replace(match[1], "") if len(match[0]) >= 5 else match[0], text)


def _digits(text: str) -> str:
    """Return ``text`` with digits read as letters where at least five words mix the two, as ``1gn0r3`` does."""
    if len(text) > _MOST_DIGITS_TRIED or len(_DIGITS_AS_LETTERS.findall(text)) < 5:
        return ""
    return _DIGITS_AS_LETTERS.sub(lambda match: match[0].translate(_LETTERS), text)


def _base64(text: str) -> str:
    decoded = [_decoded(match[0]) for match, _ in zip(_BASE64.finditer(text), range(MOST_RUNS), strict=False)]
    return "\n".join(each for each in decoded if each)


def _decoded(run: str) -> str:
    """Return what a run of base64 says, or nothing when it is not base64 of readable text."""
    plain = run.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        raw = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
        text = raw.decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
    readable = text.replace("\n", " ").replace("\t", " ").isprintable()
    return text if readable and len(text) >= SHORTEST_DECODED else ""
