"""What notes, checkpoints, proofs and cosignatures share when they are read: their one error, and their base64."""

import base64


class NoteError(ValueError):
    """The note is malformed, or nobody whom we know has signed it."""


def unbase64(text: str | bytes) -> bytes:
    """Return the bytes that ``text`` spells (RFC 4648 section 4, padded). Raises ValueError if it spells none.

    Python's own strict reading lets too much padding pass (``AAA==``), which other implementations refuse.
    """
    if len(text) % 4:
        raise ValueError("not base64: the length is no multiple of four")
    return base64.b64decode(text, validate=True)
