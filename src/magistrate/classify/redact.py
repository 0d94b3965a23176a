"""Replacing findings in a text: by a mask, or by a token that stays the same for the same value."""

import hmac
from collections.abc import Iterable

from magistrate.classify.taxonomy import mask_of
from magistrate.exchange.finding import Finding

TOKEN_HEX = 12
"""Hex digits of a token: 48 bits, so that a thousand values of one conversation collide once in half a billion."""


def mask(label: str) -> str:
    """Return the fixed mask of a label; it tells the type and nothing of the value, not even its length."""
    return mask_of(label)


def token(label: str, value: str, key: bytes) -> str:
    """Return a keyed one-way token such as ``EMAIL_3f9a2b7c01de``.

    HMAC-SHA-256 under ``key`` with the label as domain: an unkeyed hash of a short value is found by trying them all.
    Case and surrounding space do not matter, so that one address is one token.
    """
    name = mask_of(label).strip("[]")
    digest = hmac.digest(key, f"{label}\0{value.strip().casefold()}".encode(), "sha256")
    return f"{name}_{digest.hex()[:TOKEN_HEX]}"


def rewrite(text: str, replacements: Iterable[tuple[Finding, str]]) -> str:
    """Return ``text`` with each finding's span replaced. Right to left, so that spans keep their meaning."""
    for finding, new in sorted(replacements, key=lambda pair: -pair[0].start):
        text = text[: finding.start] + new + text[finding.end :]
    return text
