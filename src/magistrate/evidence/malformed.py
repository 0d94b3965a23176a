"""The one error of notes, checkpoints and cosignatures, so that each of them can raise it."""


class NoteError(ValueError):
    """The note is malformed, or nobody whom we know has signed it."""
