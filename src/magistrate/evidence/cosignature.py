"""Cosignatures (C2SP tlog-cosignature): "as of this time, this is the largest consistent tree of that log I have seen".

A witness makes them after it checked consistency; a log makes an ML-DSA-44 one beside its Ed25519 signature, because
evidence is kept for years and Ed25519 falls to a quantum computer. Two kinds differ in what they sign: `ED25519` signs
the checkpoint's text, `ML_DSA_44` a binary structure with the cosigner's name in it.
"""

import base64
import hashlib
import struct
from typing import Protocol

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

from magistrate.evidence.checkpoint import parse
from magistrate.evidence.malformed import NoteError

ED25519, ML_DSA_44 = 0x04, 0x06
"""Signature types of the two kinds."""

PUBLIC_BYTES = {ED25519: 32, ML_DSA_44: 1312}
SIGNATURE_BYTES = {ED25519: 64, ML_DSA_44: 2420}
LATEST_TIME = 2**63 - 1
DASH = "— "
_TIME = struct.Struct(">Q")
_LABEL = b"subtree/v1\n\0"
_LONGEST_NAME = 255


class Cosignature(msgspec.Struct, frozen=True):
    """A cosignature that verified: whose, and when (seconds since the epoch, by the cosigner's clock)."""

    name: str
    key: bytes
    time_s: int


class PrivateKey(Protocol):
    """What both kinds of key can do."""

    def sign(self, data: bytes, /) -> bytes: ...


class Cosigner:
    """A private key under a name. ``seed`` is 32 bytes, for either kind (RFC 8032; FIPS 204 algorithm 1)."""

    def __init__(self, name: str, seed: bytes, kind: int = ED25519) -> None:
        check_name(name)
        if len(name.encode()) > _LONGEST_NAME:
            raise NoteError(f"a cosigner's name has at most {_LONGEST_NAME} bytes")
        self.name = name
        self.kind = kind
        self._key: PrivateKey
        if kind == ED25519:
            own = Ed25519PrivateKey.from_private_bytes(seed)
            self._key, public = own, own.public_key().public_bytes_raw()
        else:
            other = MLDSA44PrivateKey.from_seed_bytes(seed)
            self._key, public = other, other.public_key().public_bytes_raw()
        self.id = key_id(name, kind, public)
        self.vkey = vkey(name, kind, public)

    def line(self, text: str, now_s: int) -> bytes:
        """Return the signature line under the checkpoint ``text``, newline included.

        Raises:
            NoteError: ``text`` is no checkpoint.
        """
        signature = self._key.sign(message(self.kind, self.name, now_s, text))
        blob = base64.b64encode(self.id + _TIME.pack(now_s) + signature).decode()
        return f"{DASH}{self.name} {blob}\n".encode()


class PublicKey:
    """The public half of a `Cosigner`."""

    def __init__(self, kind: int, public: bytes) -> None:
        self.kind = kind
        self._key = (
            Ed25519PublicKey.from_public_bytes(public)
            if kind == ED25519
            else MLDSA44PublicKey.from_public_bytes(public)
        )

    def verify(self, name: str, text: str, signature: bytes) -> int:
        """Return the time of a cosignature (time and signature, as in a note) by ``name`` under ``text``.

        Raises:
            NoteError: it has the wrong length, or does not verify.
        """
        if len(signature) != _TIME.size + SIGNATURE_BYTES[self.kind]:
            raise NoteError(f"a cosignature is a time and {SIGNATURE_BYTES[self.kind]} bytes")
        (moment,) = _TIME.unpack(signature[: _TIME.size])
        if moment > LATEST_TIME:
            raise NoteError("the time of a cosignature is beyond 2^63")
        try:
            self._key.verify(signature[_TIME.size :], message(self.kind, name, moment, text))
        except InvalidSignature:
            raise NoteError(f"the signature of `{name}` does not verify") from None
        return int(moment)


def message(kind: int, name: str, moment: int, text: str) -> bytes:
    """Return the bytes that a cosignature of ``kind`` signs. ML-DSA leaves a checkpoint's extension lines out."""
    if kind == ED25519:
        return f"cosignature/v1\ntime {moment}\n{text}".encode()
    checkpoint = parse(text)
    numbers = struct.pack(">QQ", 0, checkpoint.size)
    return _LABEL + _short(name) + _TIME.pack(moment) + _short(checkpoint.origin) + numbers + checkpoint.root


def key_id(name: str, kind: int, public: bytes) -> bytes:
    """Return the four bytes that tell keys of one name apart."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]


def vkey(name: str, kind: int, public: bytes) -> str:
    """Return a public key as text: ``name+hash+base64(type || key)``."""
    return f"{name}+{key_id(name, kind, public).hex()}+{base64.b64encode(bytes([kind]) + public).decode()}"


def check_name(name: str) -> None:
    """Refuse what cannot name a key.

    Raises:
        NoteError: it is empty, or holds a space or `+`.
    """
    if not name or "+" in name or any(c.isspace() or c < " " for c in name):
        raise NoteError("a key's name is not empty and holds neither space nor `+`")


def _short(text: str) -> bytes:
    raw = text.encode()
    if len(raw) > _LONGEST_NAME:
        raise NoteError(f"an origin or a cosigner's name has at most {_LONGEST_NAME} bytes")
    return bytes([len(raw)]) + raw
