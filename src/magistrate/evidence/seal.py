"""Sealing a body: compressed, encrypted, committed to.

The header gets the SHA-256 of the ciphertext, so that custody of the bytes can be checked without a key, and a salted
commitment to the plaintext, because AES-GCM does not commit to its key: without it one ciphertext could be opened to two
texts. The salt is inside the ciphertext: once the key is destroyed, a short prompt cannot be guessed from what remains.
"""

import hashlib
import hmac
from collections.abc import Iterable
from typing import Any

import msgspec
import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SALT_BYTES = 32
NONCE_BYTES = 12
LARGEST_BODY = 1 << 30
_LABEL = b"evd/commit/v1\0"

# One for all, because making one costs more than a small body does. One thread seals at a time (the recorder's).
_compressor = zstandard.ZstdCompressor(level=1, write_content_size=True)


class SealBroken(Exception):  # noqa: N818  because it names the state of what was opened
    """A body is not what its record commits to, or cannot be opened."""


class Sealed(msgspec.Struct, frozen=True):
    """``meta`` goes into the header; ``ciphertext`` begins with its nonce."""

    meta: dict[str, Any]
    ciphertext: bytes


def seal(
    content: bytes,
    *,
    key: bytes,
    log: str,
    eid: str,
    part: str,
    media: str,
    kid: str,
    salt: bytes,
    nonce: bytes,
) -> Sealed:
    """Seal ``content`` under a key of its own, derived from ``key`` and its place in the log.

    A place is never used twice (``eid`` has random bits), so neither is a pair of key and nonce.
    """
    packed = salt + _compressor.compress(content)
    ciphertext = nonce + AESGCM(_body_key(key, log, eid, part)).encrypt(nonce, packed, None)
    return Sealed(
        {
            "part": part,
            "media": media,
            "codec": "zstd",
            "alg": "A256GCM",
            "kid": kid,
            "len": len(content),
            "ct": hashlib.sha256(ciphertext).hexdigest(),
            "cm": commitment(content, salt),
        },
        ciphertext,
    )


def open_sealed(
    ciphertext: bytes, meta: dict[str, Any], *, key: bytes, log: str, eid: str
) -> tuple[bytes, bytes]:
    """Return content and salt.

    Raises:
        SealBroken: the ciphertext, the key or the content is not the one that ``meta`` names.
    """
    part, length, ct, cm = (meta.get(name) for name in ("part", "len", "ct", "cm"))
    if type(length) is not int or not 0 <= length <= LARGEST_BODY:
        raise SealBroken(f"the recorded length of `{part}` is not plausible")
    if hashlib.sha256(ciphertext).hexdigest() != ct:
        raise SealBroken(f"the ciphertext of `{part}` is not the recorded one")
    try:
        packed = AESGCM(_body_key(key, log, eid, str(part))).decrypt(
            ciphertext[:NONCE_BYTES], ciphertext[NONCE_BYTES:], None
        )
    except (InvalidTag, ValueError):  # ValueError: shorter than a nonce
        raise SealBroken(f"the key does not open `{part}`") from None
    salt, content = packed[:SALT_BYTES], _unpack(packed[SALT_BYTES:], length)
    if content is None or not opens(content, salt, str(cm)):
        raise SealBroken(f"`{part}` opens to another text than the recorded one")
    return content, salt


def unseal(ciphertext: bytes, meta: dict[str, Any], *, key: bytes, log: str, eid: str) -> bytes:
    """Return the content. Raises like `open_sealed`."""
    return open_sealed(ciphertext, meta, key=key, log=log, eid=eid)[0]


def _unpack(packed: bytes, length: int) -> bytes | None:
    """Return ``length`` bytes, or None. The frame's own word on its size is what zstandard allocates: it is checked."""
    try:
        if zstandard.frame_content_size(packed) != length:
            return None
        content: bytes = zstandard.ZstdDecompressor().decompress(
            packed, max_output_size=length, allow_extra_data=False
        )
    except zstandard.ZstdError:
        return None
    return content


def commitment(content: bytes, salt: bytes) -> str:
    """Return the salted commitment, hex."""
    return hashlib.sha256(_LABEL + salt + hashlib.sha256(content).digest()).hexdigest()


def opens(content: bytes, salt: bytes, committed: str) -> bool:
    """Return whether ``committed`` is the commitment to ``content`` under ``salt``."""
    return hmac.compare_digest(commitment(content, salt), committed)


def opens_in_pieces(content: Iterable[bytes], salt: bytes, committed: str) -> bool:
    """Return what `opens` does, for content that is not in memory as a whole."""
    digest = hashlib.sha256()
    for piece in content:
        digest.update(piece)
    found = hashlib.sha256(_LABEL + salt + digest.digest()).hexdigest()
    return hmac.compare_digest(found, committed)


def derive(key: bytes, info: bytes) -> bytes:
    """Return 32 bytes of HKDF-SHA256 (RFC 5869). The salt is empty, because the input is a uniform key."""
    secret = hmac.digest(bytes(32), key, "sha256")
    return hmac.digest(secret, info + b"\x01", "sha256")


def _body_key(key: bytes, log: str, eid: str, part: str) -> bytes:
    return derive(key, f"{eid}\0{part}\0{log}".encode())
