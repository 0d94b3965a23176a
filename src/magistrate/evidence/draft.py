"""Draft and receipt: what the gateway hands to the recorder, and what it gets back."""

import msgspec


class Body(msgspec.Struct, frozen=True):
    """Content that belongs to a record: ``part`` names it (``request``, ``response``…)."""

    part: str
    media: str
    content: bytes


class Draft(msgspec.Struct, frozen=True):
    """A record before the recorder has sealed its bodies and given it a place.

    ``header`` holds the fields of the record header that the gateway knows, in the restricted JCS profile (ASCII
    keys, no floats, integers within 2^53-1). The recorder adds ``log``, ``wid``, ``wseq``, ``prev`` and ``body``.
    ``header["eid"]`` is the idempotency key: the same draft handed over twice is recorded once.

    Headers never carry personal data, because they can never be deleted. ``subject`` (a user name) is exchanged by
    the recorder for a random handle kept in the vault, put into the header as ``subj``; bodies are encrypted under
    that subject's key.
    """

    header: dict[str, object]
    bodies: tuple[Body, ...] = ()
    tenant: str = "default"
    subject: str = ""
    retention: str = "standard"


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """The record is durable at ``index`` of the log; ``leaf`` is its RFC 6962 leaf hash."""

    eid: str
    index: int
    leaf: bytes
