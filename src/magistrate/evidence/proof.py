"""The proof of one record in one file (C2SP tlog-proof): index, audit path, and the signed checkpoint they lead to."""

import base64

import msgspec

from magistrate.evidence.checkpoint import LONGEST_SIZE, Checkpoint
from magistrate.evidence.checkpoint import parse as parse_checkpoint
from magistrate.evidence.malformed import unbase64
from magistrate.evidence.merkle import HASH_BYTES, leaf_hash, verify_inclusion
from magistrate.evidence.note import NoteError, Verifier

HEADER = "c2sp.org/tlog-proof@v1"
MOST_HASHES = 63
"""A tree of 2^63 leaves has no longer path."""

LARGEST_PROOF = 64 * 1024


class ProofError(ValueError):
    """The proof is malformed, or does not prove what it is shown for."""


class Proof(msgspec.Struct, frozen=True):
    """``path`` leads from leaf ``index`` to the root that ``checkpoint`` (a signed note) names."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: bytes

    def encode(self) -> bytes:
        """Return the proof's file."""
        lines = [
            HEADER,
            f"index {self.index}",
            *(base64.b64encode(step).decode() for step in self.path),
            "",
            "",
        ]
        return "\n".join(lines).encode() + self.checkpoint


def parse(data: bytes) -> Proof:
    """Return the proof in ``data``.

    Raises:
        ProofError: it is not one.
    """
    head, blank, checkpoint = data.partition(b"\n\n")
    if len(data) > LARGEST_PROOF or not blank:
        raise ProofError("a proof is a path, an empty line and a signed checkpoint")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise ProofError("the path is not ASCII") from None
    if lines[0] != HEADER:
        raise ProofError(f"a proof begins with `{HEADER}`")
    lines = lines[2:] if lines[1:] and lines[1].startswith("extra ") else lines[1:]
    number = lines[0].removeprefix("index ") if lines else ""
    if not lines or lines[0] == number or not number.isdigit() or (number != "0" and number.startswith("0")):
        raise ProofError("the index is not a decimal number")
    if len(number) > LONGEST_SIZE:
        raise ProofError("the index is beyond 2^63")
    if len(lines) - 1 > MOST_HASHES:
        raise ProofError(f"more than {MOST_HASHES} hashes")
    return Proof(int(number), tuple(map(_hash, lines[1:])), checkpoint)


def check(proof: Proof, leaf: bytes, verifier: Verifier) -> int:
    """Return the size of the tree in which ``leaf`` (a record's exact bytes) is proven to stand.

    Raises:
        ProofError: the checkpoint is not signed by ``verifier``, or the path does not lead to its root.
    """
    try:
        checkpoint = parse_checkpoint(verifier.verify(proof.checkpoint))
    except NoteError as error:
        raise ProofError(str(error)) from None
    if checkpoint.origin != verifier.name:
        raise ProofError(f"the checkpoint is of `{checkpoint.origin}`, the key of `{verifier.name}`")
    return check_in(proof, leaf, checkpoint)


def check_in(proof: Proof, leaf: bytes, checkpoint: Checkpoint) -> int:
    """Return the size of the tree of ``checkpoint``, which is trusted, in which ``leaf`` is proven to stand.

    Raises:
        ProofError: the path does not lead to its root.
    """
    if not verify_inclusion(leaf_hash(leaf), proof.index, checkpoint.size, proof.path, checkpoint.root):
        raise ProofError("the path does not lead from this record to the signed root")
    return checkpoint.size


def _hash(line: str) -> bytes:
    try:
        value = unbase64(line)
    except ValueError:  # binascii.Error
        raise ProofError("a hash is not base64") from None
    if len(value) != HASH_BYTES:
        raise ProofError("a hash is not 32 bytes")
    return value
