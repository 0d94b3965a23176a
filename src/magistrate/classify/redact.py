"""Replacing findings in a text: by a mask, or by a token that stays the same for the same value."""

import hmac
import re
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase

from magistrate.classify.taxonomy import ancestors, mask_of
from magistrate.exchange.finding import Finding, FindingStatus

_NO_NAME = re.compile(r"[^A-Z0-9_]")

TOKEN_HEX = 12
"""Hex digits of a token: 48 bits, so that a thousand values of one conversation collide once in half a billion."""


def redact(text: str, findings: Iterable[Finding], patterns: Sequence[str]) -> str:
    """Return ``text`` with a mask such as ``[EMAIL]`` for every finding whose label matches one of ``patterns``."""
    return _replaced(text, findings, patterns, lambda label, _: mask(label))


def tokenise(text: str, findings: Iterable[Finding], patterns: Sequence[str], key: bytes) -> str:
    """Return ``text`` with a keyed one-way token for every finding whose label matches one of ``patterns``."""
    return _replaced(text, findings, patterns, lambda label, value: token(label, value, key))


def matches(label: str, patterns: Iterable[str]) -> bool:
    """Return whether a shell-style pattern names ``label`` or what it is a kind of: ``pii``, ``pii.*``, ``*``."""
    names = (label, *ancestors(label))
    return any(fnmatchcase(name, pattern) for pattern in patterns for name in names)


def mask(label: str) -> str:
    """Return the fixed mask of a label; it tells the type and nothing of the value, not even its length."""
    return mask_of(label)


def token(label: str, value: str, key: bytes) -> str:
    """Return a keyed one-way token such as ``EMAIL_3f9a2b7c01de``.

    HMAC-SHA-256 under ``key`` with the label as domain: an unkeyed hash of a short value is found by trying them all.
    Case and surrounding space do not matter, so that one address is one token.
    """
    name = _NO_NAME.sub("", mask_of(label).upper()) or "VALUE"
    digest = hmac.digest(
        key, f"{label}\0{value.strip().casefold()}".encode("utf-8", "surrogatepass"), "sha256"
    )
    return f"{name}_{digest.hex()[:TOKEN_HEX]}"


def rewrite(text: str, replacements: Iterable[tuple[Finding, str]]) -> str:
    """Return ``text`` with each finding's span replaced. The spans count ``text``'s own characters.

    Detectors do not know each other, so spans may overlap: together they are replaced by what the first one becomes.
    """
    pieces: list[str] = []
    at = 0
    for finding, new in sorted(replacements, key=lambda pair: (pair[0].start, -pair[0].end)):
        if finding.start >= at:
            pieces += (text[at : finding.start], new)
        at = max(at, finding.end)
    pieces.append(text[at:])
    return "".join(pieces)


def _replaced(
    text: str, findings: Iterable[Finding], patterns: Sequence[str], new: Callable[[str, str], str]
) -> str:
    chosen = [
        finding
        for finding in findings
        if finding.status is FindingStatus.FOUND
        and finding.end > finding.start
        and any(matches(label, patterns) for label in finding.labels)
    ]
    return rewrite(text, [(f, new(f.label, text[f.start : f.end])) for f in chosen])
