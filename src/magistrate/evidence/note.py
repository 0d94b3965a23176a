"""Signed notes (C2SP signed-note): a text, and lines that sign it, each by a named key."""

import base64
import re
from collections.abc import Iterator, Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from magistrate.evidence import cosignature
from magistrate.evidence.cosignature import DASH, Cosignature, check_name, key_id
from magistrate.evidence.malformed import NoteError, unbase64

__all__ = ["NoteError", "Signer", "Verifier", "key_id", "open_note", "verifies"]

ED25519 = 0x01
"""The signature type of a log's own key. Those of cosignatures stand in `cosignature`."""

ARRAY = 4
"""The major type of an array in CBOR: bytes 0x80 to 0x9f, with which no UTF-8 text begins."""

LARGEST_NOTE = 1_000_000
MOST_SIGNATURES = 100
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
"""Control characters but the newline (ASCII below U+0020), which signed-note forbids."""


class Signer:
    """A private key under a name. ``seed`` is the 32-byte Ed25519 seed (RFC 8032)."""

    def __init__(self, name: str, seed: bytes) -> None:
        check_name(name)
        self.name = name
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        public = self._key.public_key().public_bytes_raw()
        self._id = key_id(name, ED25519, public)
        self.vkey = cosignature.vkey(name, ED25519, public)

    def sign(self, text: str) -> bytes:
        """Return ``text`` as a signed note. The text ends with a newline."""
        if not text.endswith("\n"):
            raise NoteError("a note's text ends with a newline")
        signature = base64.b64encode(self._id + self._key.sign(text.encode())).decode()
        return f"{text}\n{DASH}{self.name} {signature}\n".encode()

    def sign_structure(self, data: bytes) -> bytes:
        """Return the signature over a COSE structure (RFC 9052): an array, as which no note's text can be read.

        Raises:
            NoteError: it begins like a text, so that the signature could stand under a note.
        """
        if not data or data[0] >> 5 != ARRAY:
            raise NoteError("only a COSE structure is signed as such")
        return self._key.sign(data)


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
        check_name(name)
        try:
            identifier, key = bytes.fromhex(hash_text), unbase64(key_text)
        except ValueError:
            raise NoteError("the vkey's hash or key is not encoded well") from None
        self.type, self.public = (key[0], key[1:]) if key else (0, b"")
        if len(self.public) != {ED25519: 32, **cosignature.PUBLIC_BYTES}.get(self.type):
            raise NoteError(f"the vkey's type 0x{self.type:02x} is not supported")
        if identifier != key_id(name, self.type, self.public):
            raise NoteError("the vkey's hash is not its key's")
        self.name = name
        self.id = identifier
        self.vkey = vkey.strip()
        self._key: Ed25519PublicKey | cosignature.PublicKey = (
            cosignature.PublicKey(self.type, self.public)
            if self.cosigns
            else Ed25519PublicKey.from_public_bytes(self.public)
        )

    @property
    def cosigns(self) -> bool:
        """Whether signatures of this key carry their time."""
        return self.type != ED25519

    def verify(self, note: bytes) -> str:
        """Return the text of ``note`` if this key has signed it.

        Raises:
            NoteError: malformed, not signed by this key, or signed wrongly under this key's name.
        """
        text, signatures = open_note(note)
        for signature in self._own(signatures):
            self._check(text, signature)
            return text
        raise NoteError(f"`{self.name}` has not signed it")

    def has_signed(self, note: bytes) -> bool:
        """Return whether `verify` would return."""
        try:
            self.verify(note)
        except NoteError:
            return False
        return True

    def cosignature(self, note: bytes) -> Cosignature | None:
        """Return this key's cosignature under ``note``, or None: it has none.

        Raises:
            NoteError: malformed, or signed wrongly under this key's name.
        """
        text, signatures = open_note(note)
        for signature in self._own(signatures):
            return Cosignature(self.name, self.public, self._check(text, signature))
        return None

    def _own(self, signatures: Sequence[tuple[str, bytes, bytes]]) -> Iterator[bytes]:
        return (blob for name, identifier, blob in signatures if (name, identifier) == (self.name, self.id))

    def _check(self, text: str, signature: bytes) -> int:
        """Return when it was signed; 0 if the signature does not say."""
        if isinstance(self._key, cosignature.PublicKey):
            return self._key.verify(self.name, text, signature)
        if not verifies(self._key, signature, text.encode()):
            raise NoteError(f"the signature of `{self.name}` does not verify")
        return 0


def verifies(key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    """Return whether ``signature`` is the key's over ``message`` (RFC 8032, without the cofactor, as in Go)."""
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


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
    if _CONTROL.search(document):
        raise NoteError("the note holds control characters")
    text, blank, block = document.rpartition("\n\n")
    if not blank or not block.endswith("\n"):
        raise NoteError("a note is a text, an empty line and lines of signatures")
    signatures = [_signature(line) for line in block[:-1].split("\n")]
    if len(signatures) > MOST_SIGNATURES:
        raise NoteError(f"more than {MOST_SIGNATURES} signatures")
    return text + "\n", signatures


def _signature(line: str) -> tuple[str, bytes, bytes]:
    name, space, encoded = line.removeprefix(DASH).partition(" ")
    if not line.startswith(DASH) or not space:
        raise NoteError("a line of signature is malformed")
    check_name(name)
    try:
        raw = unbase64(encoded)
    except ValueError:  # binascii.Error, or not ASCII
        raise NoteError("a signature is not base64") from None
    if len(raw) < 5:
        raise NoteError("a signature is too short")
    return name, raw[:4], raw[4:]
