"""Signed notes (C2SP signed-note): a text, and lines that sign it, each by a named key."""

import base64
import hashlib
import struct
from collections.abc import Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ED25519, COSIGNATURE_V1 = 0x01, 0x04
"""Signature types: a log's own, and a witness's with its time (C2SP tlog-cosignature)."""

LARGEST_NOTE = 1_000_000
MOST_SIGNATURES = 100
_DASH = "— "


class NoteError(ValueError):
    """The note is malformed, or nobody whom we know has signed it."""


class Signer:
    """A private key under a name. ``seed`` is the 32-byte Ed25519 seed (RFC 8032)."""

    def __init__(self, name: str, seed: bytes) -> None:
        _check_name(name)
        self.name = name
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        public = self._key.public_key().public_bytes_raw()
        self._id = key_id(name, ED25519, public)
        self.vkey = f"{name}+{self._id.hex()}+{base64.b64encode(bytes([ED25519]) + public).decode()}"

    def sign(self, text: str) -> bytes:
        """Return ``text`` as a signed note. The text ends with a newline."""
        if not text.endswith("\n"):
            raise NoteError("a note's text ends with a newline")
        signature = base64.b64encode(self._id + self._key.sign(text.encode())).decode()
        return f"{text}\n{_DASH}{self.name} {signature}\n".encode()


class Verifier:
    """A public key, from its vkey: ``name+hash+base64(type || key)``.

    Raises:
        NoteError: malformed, or the hash is not the key's.
    """

    def __init__(self, vkey: str) -> None:
        name, plus, rest = vkey.strip().partition("+")
        hash_text, more, key_text = rest.partition("+")
        if not plus or not more:
            raise NoteError("a vkey is `name+hash+key`")
        _check_name(name)
        try:
            identifier, key = bytes.fromhex(hash_text), base64.b64decode(key_text, validate=True)
        except ValueError:
            raise NoteError("the vkey's hash or key is not encoded well") from None
        self.type, public = (key[0], key[1:]) if key else (0, b"")
        if self.type not in {ED25519, COSIGNATURE_V1} or len(public) != 32:
            raise NoteError(f"the vkey's type 0x{self.type:02x} is not supported")
        if identifier != key_id(name, self.type, public):
            raise NoteError("the vkey's hash is not its key's")
        self.name = name
        self.id = identifier
        self._key = Ed25519PublicKey.from_public_bytes(public)

    def verify(self, note: bytes) -> str:
        """Return the text of ``note`` if this key has signed it.

        Raises:
            NoteError: malformed, not signed by this key, or signed wrongly under this key's name.
        """
        text, signatures = open_note(note)
        for name, identifier, signature in signatures:
            if name == self.name and identifier == self.id:
                self._check(text, signature)
                return text
        raise NoteError(f"`{self.name}` has not signed it")

    def _check(self, text: str, signature: bytes) -> None:
        message = text.encode()
        if self.type == COSIGNATURE_V1:
            if len(signature) != 72:
                raise NoteError("a cosignature is a time and 64 bytes")
            (moment,) = struct.unpack(">Q", signature[:8])
            message, signature = f"cosignature/v1\ntime {moment}\n".encode() + message, signature[8:]
        if not verifies(self._key, signature, message):
            raise NoteError(f"the signature of `{self.name}` does not verify")


def verifies(key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    """Return whether ``signature`` is the key's over ``message`` (RFC 8032, without the cofactor, as in Go)."""
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def key_id(name: str, kind: int, public: bytes) -> bytes:
    """Return the four bytes that tell keys of one name apart."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]


def open_note(note: bytes) -> tuple[str, Sequence[tuple[str, bytes, bytes]]]:
    """Return the text and the signatures (name, key id, signature). Nothing is verified yet.

    Raises:
        NoteError: not a signed note.
    """
    if len(note) > LARGEST_NOTE:
        raise NoteError("the note is too large")
    try:
        document = note.decode()
    except UnicodeDecodeError:
        raise NoteError("the note is not UTF-8") from None
    if any(character < " " and character != "\n" for character in document):
        raise NoteError("the note holds control characters")
    text, blank, block = document.rpartition("\n\n")
    if not blank or not block.endswith("\n"):
        raise NoteError("a note is a text, an empty line and lines of signatures")
    signatures = [_signature(line) for line in block[:-1].split("\n")]
    if len(signatures) > MOST_SIGNATURES:
        raise NoteError(f"more than {MOST_SIGNATURES} signatures")
    return text + "\n", signatures


def _signature(line: str) -> tuple[str, bytes, bytes]:
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not space:
        raise NoteError("a line of signature is malformed")
    _check_name(name)
    try:
        raw = base64.b64decode(encoded, validate=True)
    except ValueError:  # binascii.Error, or not ASCII
        raise NoteError("a signature is not base64") from None
    if len(raw) < 5:
        raise NoteError("a signature is too short")
    return name, raw[:4], raw[4:]


def _check_name(name: str) -> None:
    if not name or "+" in name or any(c.isspace() or c < " " for c in name):
        raise NoteError("a key's name is not empty and holds neither space nor `+`")
