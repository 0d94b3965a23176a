"""COSE receipts (RFC 9942): the proof of a record in the encoding of SCITT, for those whose tools speak that.

A receipt is a COSE_Sign1 by the log's Ed25519 key over the root hash, which is left out (detached) because the record and
its audit path lead to it. One signature serves every record below the size. Only the recorder can sign, and it signs
nothing but the root of a tree that it has sealed.

Protected: ``1`` algorithm EdDSA (-8), ``4`` key id (the four bytes of the vkey), ``15`` issuer (the log's name), ``395``
verifiable data structure RFC9162_SHA256 (1). Unprotected: ``396`` proofs, ``-1`` inclusion.
"""

import msgspec

from magistrate.evidence.checkpoint import Checkpoint
from magistrate.evidence.note import Signer, Verifier

MEDIA = "application/cose"
_ALGORITHM, _KEY_ID, _CLAIMS, _STRUCTURE, _PROOFS = 1, 4, 15, 395, 396
_EDDSA, _RFC9162_SHA256, _ISSUER, _INCLUSION = -8, 1, 1, -1
_SIGN1 = 18

Value = int | bytes | str | None | list["Value"] | dict[int, "Value"]


class SignedRoot(msgspec.Struct, frozen=True):
    """A tree's root, and the log's COSE signature over it; ``protected`` is what was signed beside it."""

    origin: str
    size: int
    root: bytes
    protected: bytes
    signature: bytes


def sign_root(signer: Signer, tree: Checkpoint) -> SignedRoot:
    """Return the root of ``tree``, signed."""
    protected = cbor(
        {
            _ALGORITHM: _EDDSA,
            _KEY_ID: Verifier(signer.vkey).id,
            _CLAIMS: {_ISSUER: tree.origin},
            _STRUCTURE: _RFC9162_SHA256,
        }
    )
    structure = cbor(["Signature1", protected, b"", tree.root])
    return SignedRoot(tree.origin, tree.size, tree.root, protected, signer.sign_structure(structure))


def receipt(signed: SignedRoot, index: int, path: list[bytes]) -> bytes:
    """Return the receipt of record ``index``; ``path`` leads from it to the root."""
    nodes: list[Value] = list(path)
    proof = cbor([signed.size, index, nodes])
    unprotected: dict[int, Value] = {_PROOFS: {_INCLUSION: [proof]}}
    return _head(6, _SIGN1) + cbor([signed.protected, unprotected, None, signed.signature])


def cbor(value: Value) -> bytes:
    """Return a value in deterministic CBOR (RFC 8949, 4.2.1): keys in the order of their encoding, shortest lengths."""
    if value is None:
        return b"\xf6"
    if isinstance(value, int):
        return _head(0, value) if value >= 0 else _head(1, -1 - value)
    if isinstance(value, bytes):
        return _head(2, len(value)) + value
    if isinstance(value, str):
        text = value.encode()
        return _head(3, len(text)) + text
    if isinstance(value, list):
        return _head(4, len(value)) + b"".join(map(cbor, value))
    pairs = sorted((cbor(key), cbor(one)) for key, one in value.items())
    return _head(5, len(pairs)) + b"".join(key + one for key, one in pairs)


def _head(major: int, number: int) -> bytes:
    if number < 24:
        return bytes([major << 5 | number])
    for extra, width in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if number < 1 << (8 * width):
            return bytes([major << 5 | extra]) + number.to_bytes(width, "big")
    raise ValueError("a number of more than 64 bits")
