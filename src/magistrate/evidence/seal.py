"""Sealing a body: compressed, encrypted, committed to.

The header gets the SHA-256 of the ciphertext, so that custody of the bytes can be checked without a key, and a salted
commitment to the plaintext, because AES-GCM does not commit to its key: without it one ciphertext could be opened to two
texts. The salt is inside the ciphertext: once the key is destroyed, a short prompt cannot be guessed from what remains.
"""

import hashlib
import hmac
from typing import Any

import msgspec
import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SALT_BYTES = 32
NONCE_BYTES = 12
LARGEST_BODY = 1 << 30
_LABEL = b"evd/commit/v1\0"

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
    if hashlib.sha256(ciphertext).hexdigest() != meta["ct"]:
        raise SealBroken(f"the ciphertext of `{meta['part']}` is not the recorded one")
    try:
        packed = AESGCM(_body_key(key, log, eid, str(meta["part"]))).decrypt(
            ciphertext[:NONCE_BYTES], ciphertext[NONCE_BYTES:], None
        )
    except InvalidTag:
        raise SealBroken(f"the key does not open `{meta['part']}`") from None
    salt = packed[:SALT_BYTES]
    length = int(meta["len"])
    if not 0 <= length <= LARGEST_BODY:
        raise SealBroken("the recorded length is not plausible")
    try:
        content = zstandard.ZstdDecompressor().decompress(packed[SALT_BYTES:], max_output_size=length)
    except zstandard.ZstdError:
        raise SealBroken(f"`{meta['part']}` does not unpack") from None
    if len(content) != length or not opens(content, salt, str(meta["cm"])):
        raise SealBroken(f"`{meta['part']}` opens to another text than the recorded one")
    return content, salt


def unseal(ciphertext: bytes, meta: dict[str, Any], *, key: bytes, log: str, eid: str) -> bytes:
    """Return the content. Raises like `open_sealed`."""
    return open_sealed(ciphertext, meta, key=key, log=log, eid=eid)[0]


def commitment(content: bytes, salt: bytes) -> str:
    """Return the salted commitment, hex."""
    return hashlib.sha256(_LABEL + salt + hashlib.sha256(content).digest()).hexdigest()


def opens(content: bytes, salt: bytes, committed: str) -> bool:
    """Return whether ``committed`` is the commitment to ``content`` under ``salt``."""
    return hmac.compare_digest(commitment(content, salt), committed)


def _body_key(key: bytes, log: str, eid: str, part: str) -> bytes:
    # HKDF-SHA256 (RFC 5869) with an empty salt and one block of output: the input is a uniform key.
    secret = hmac.digest(bytes(32), key, "sha256")
    return hmac.digest(secret, f"{eid}\0{part}\0{log}".encode() + b"\x01", "sha256")
