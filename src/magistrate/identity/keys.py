"""Virtual keys: minting, rotating, and the snapshot that authenticates.

A key is ``mag-<id>-<secret>``: the id (60 random bits, in an alphabet without look-alikes) is public and appears in
evidence; the secret (256 random bits) is shown once and only its SHA-256 is kept. A slow password hash would buy
nothing: a secret of 256 uniform bits cannot be guessed from its digest, and this runs on every request.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable

import msgspec

from magistrate.exchange.errors import MagistrateError, Refused
from magistrate.exchange.outcome import Code
from magistrate.exchange.principal import Principal

ID_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
ID_LENGTH = 12
RANDOM_BYTES = ID_LENGTH + 32
"""How much uniform randomness `mint` and `rotated` take."""
LONGEST_CREDENTIAL = 512
"""Characters. Longer ones are refused unhashed."""

_FAILED = "the credential is not valid here; ask your platform team for a key (`magistrate keys create`)"
_NOBODY = hashlib.sha256(b"nobody has this secret").digest()


class NoSuchKey(MagistrateError):  # noqa: N818  because it is an answer
    """There is no key of that id, or it is revoked."""


class KeyRecord(msgspec.Struct, frozen=True):
    """A key as it is stored: everything but its secret. Times are microseconds since the epoch."""

    id: str
    digest: bytes
    """SHA-256 of the secret's text."""
    user: str
    created_us: int
    tenant: str = "default"
    groups: tuple[str, ...] = ()
    application: str = ""
    models: tuple[str, ...] = ()
    """Shell-style patterns; empty means no ceiling of the key's own."""
    expires_us: int | None = None
    revoked_us: int | None = None
    previous: bytes | None = None
    """Digest of the secret before the last rotation, good until ``previous_until_us``."""
    previous_until_us: int = 0

    @property
    def principal(self) -> Principal:
        return Principal(
            key=self.id,
            user=self.user,
            tenant=self.tenant,
            groups=self.groups,
            application=self.application,
            models=self.models,
            expires_us=self.expires_us,
        )


def mint(
    random: bytes,
    *,
    user: str,
    now_us: int,
    tenant: str = "default",
    groups: tuple[str, ...] = (),
    application: str = "",
    models: tuple[str, ...] = (),
    expires_us: int | None = None,
) -> tuple[str, KeyRecord]:
    """Return a new key as its owner presents it, and the record to keep. ``random``: `RANDOM_BYTES` uniform bytes."""
    key_id, secret = _spell(random)
    record = KeyRecord(
        id=key_id,
        digest=_digest(secret),
        user=user,
        created_us=now_us,
        tenant=tenant,
        groups=groups,
        application=application,
        models=models,
        expires_us=expires_us,
    )
    return f"mag-{key_id}-{secret}", record


def rotated(record: KeyRecord, random: bytes, *, now_us: int, grace_us: int = 0) -> tuple[str, KeyRecord]:
    """Return ``record`` under a new secret; the old one stays good for ``grace_us`` microseconds."""
    _, secret = _spell(random)
    renewed = msgspec.structs.replace(
        record,
        digest=_digest(secret),
        previous=record.digest if grace_us > 0 else None,
        previous_until_us=now_us + grace_us if grace_us > 0 else 0,
    )
    return f"mag-{record.id}-{secret}", renewed


class KeyRing:
    """All keys as of one load of the store: an immutable snapshot that answers without waiting."""

    def __init__(self, records: Iterable[KeyRecord]) -> None:
        self._known = {record.id: (record, record.principal) for record in records}

    def __len__(self) -> int:
        return len(self._known)

    def authenticate(self, presented: str, now_us: int) -> Principal:
        """Return whose key this is.

        The same hashing and comparing is done for an unknown id as for a known one, and unknown, wrong and revoked
        are told alike, so that neither time nor words reveal which ids exist.

        Raises:
            Refused: AUTHENTICATION_FAILED, or KEY_EXPIRED to a holder of the right secret.
        """
        if len(presented) > LONGEST_CREDENTIAL:
            raise Refused(Code.AUTHENTICATION_FAILED, _FAILED)
        key_id, secret = _parse(presented)
        record, principal = self._known.get(key_id, (None, None))
        digest = _digest(secret)
        current = hmac.compare_digest(digest, record.digest if record else _NOBODY)
        earlier = hmac.compare_digest(digest, (record.previous if record else None) or _NOBODY)
        if record is None or principal is None or record.revoked_us is not None:
            raise Refused(Code.AUTHENTICATION_FAILED, _FAILED)
        if not (current or (earlier and record.previous is not None and now_us < record.previous_until_us)):
            raise Refused(Code.AUTHENTICATION_FAILED, _FAILED)
        if record.expires_us is not None and now_us >= record.expires_us:
            raise Refused(Code.KEY_EXPIRED, f"the key `{key_id}` has expired; ask for a new one")
        return principal


def _spell(random: bytes) -> tuple[str, str]:
    if len(random) != RANDOM_BYTES:
        message = f"a key takes {RANDOM_BYTES} random bytes, not {len(random)}"
        raise ValueError(message)
    key_id = "".join(ID_ALPHABET[byte & 31] for byte in random[:ID_LENGTH])
    return key_id, base64.urlsafe_b64encode(random[ID_LENGTH:]).rstrip(b"=").decode()


def _parse(presented: str) -> tuple[str, str]:
    """Return id and secret; what is not a key has an empty id and is all secret."""
    prefix, _, rest = presented.partition("-")
    key_id, dash, secret = rest.partition("-")
    if prefix != "mag" or not dash or len(key_id) != ID_LENGTH:
        return "", presented
    return key_id, secret


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
