"""Checkpoints (C2SP tlog-checkpoint): origin, size, root; the text that a log signs."""

import base64

import msgspec

from magistrate.evidence.malformed import NoteError, unbase64
from magistrate.evidence.merkle import HASH_BYTES

LONGEST_SIZE = 19
"""Digits of 2^63 - 1."""


class Checkpoint(msgspec.Struct, frozen=True):
    """The state of a log. ``origin`` is its name, the same as its key's."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Return the note text."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def parse(text: str) -> Checkpoint:
    """Return the checkpoint in a note's text. Extension lines are allowed and ignored.

    Raises:
        NoteError: not a checkpoint.
    """
    lines = text.split("\n")
    if len(lines) < 4 or lines[-1] or not lines[0]:
        raise NoteError("a checkpoint has an origin, a size and a root hash")
    if not lines[1].isascii() or not lines[1].isdigit() or (lines[1] != "0" and lines[1].startswith("0")):
        raise NoteError("the size is not a decimal number without leading zeros")
    if len(lines[1]) > LONGEST_SIZE:
        raise NoteError("the size is beyond 2^63")
    if any(not line for line in lines[3:-1]):
        raise NoteError("an extension line is empty")
    try:
        root = unbase64(lines[2])
    except ValueError:  # binascii.Error, or not ASCII
        raise NoteError("the root hash is not base64") from None
    if len(root) != HASH_BYTES:
        raise NoteError("the root hash is not 32 bytes")
    return Checkpoint(lines[0], int(lines[1]), root)
