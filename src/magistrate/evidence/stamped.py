"""A time-stamp as it is kept. By itself, because whoever reads a log needs no cryptography for it."""

import msgspec


class Token(msgspec.Struct, frozen=True):
    """A time-stamp token for the checkpoint of ``size``, and where it was found."""

    place: str
    size: int
    data: bytes
