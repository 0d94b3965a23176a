"""Admin tokens: what the control plane asks for. Kept apart from virtual keys in format, table and plane."""

import hashlib
import hmac
from collections.abc import Iterable
from enum import StrEnum

import msgspec

from magistrate.identity.keys import ID_LENGTH, RANDOM_BYTES, mint

PREFIX = "mag-admin-"
_NOBODY = hashlib.sha256(b"nobody has this token").digest()


class Right(StrEnum):
    """What a token opens."""

    ADMIN = "admin"
    METRICS = "metrics"
    """Only `/metrics`: for a scraper that should hold nothing more."""


class AdminToken(msgspec.Struct, frozen=True):
    """A token as it is stored: everything but its secret."""

    id: str
    digest: bytes
    right: Right
    created_us: int
    revoked_us: int | None = None
    person: str = ""
    """Who holds it; empty for a program's."""


def mint_token(
    random: bytes, *, now_us: int, right: Right = Right.ADMIN, person: str = ""
) -> tuple[str, AdminToken]:
    """Return a new token as it is presented (``mag-admin-<id>-<secret>``), and the record to keep."""
    assert len(random) == RANDOM_BYTES
    presented, record = mint(random, user="", now_us=now_us)
    token = AdminToken(record.id, record.digest, right, now_us, person=person)
    return PREFIX + presented.removeprefix("mag-"), token


def admit(tokens: Iterable[AdminToken], presented: str) -> AdminToken | None:
    """Return the token that ``presented`` is, or None. Every known token is compared, in constant time."""
    body = presented.removeprefix(PREFIX)
    secret = body[ID_LENGTH + 1 :]
    digest = hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
    found: AdminToken | None = None
    hmac.compare_digest(digest, _NOBODY)
    for token in tokens:
        same_id = hmac.compare_digest(body[:ID_LENGTH].encode(errors="surrogatepass"), token.id.encode())
        same = hmac.compare_digest(digest, token.digest)
        if same and same_id and presented.startswith(PREFIX) and token.revoked_us is None:
            found = token
    return found
