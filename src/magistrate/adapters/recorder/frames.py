"""Frames on the socket between gateway and recorder.

Each SEQPACKET message is one byte of kind and a body. A draft travels as one or more DRAFT messages: sequence number
and total length, then a piece of the msgpack document. Acknowledgements travel together, one message for many.
"""

import struct
from collections.abc import Iterator

import msgspec

from magistrate.evidence.draft import Draft, Receipt

HELLO, DRAFT, ACKS = b"H", b"D", b"A"

PIECE = 96 * 1024
"""Bytes of one message's payload: below the default socket buffer of Linux (208 KiB), so that one always fits."""

LARGEST_DRAFT = 512 * 1024 * 1024
_HEAD = struct.Struct("<cQI")


class Ack(msgspec.Struct, frozen=True, array_like=True):
    """``reason`` empty: durable at ``index``. Otherwise the record was not taken, and why."""

    seq: int
    index: int = -1
    leaf: bytes = b""
    reason: str = ""

    def receipt(self, eid: str) -> Receipt:
        return Receipt(eid, self.index, self.leaf)


_encoder = msgspec.msgpack.Encoder()
_drafts = msgspec.msgpack.Decoder(Draft)
_acks = msgspec.msgpack.Decoder(list[Ack])


def pack_draft(seq: int, draft: Draft) -> list[bytes]:
    """Return the messages that carry ``draft``."""
    body = _encoder.encode(draft)
    head = _HEAD.pack(DRAFT, seq, len(body))
    if len(body) <= PIECE:
        return [head + body]
    return [head + body[at : at + PIECE] for at in range(0, len(body), PIECE)]


def unpack_draft(body: bytes | bytearray) -> Draft:
    """Return the draft in a complete document. Raises `msgspec.DecodeError`."""
    return _drafts.decode(body)


def read_piece(message: bytes) -> tuple[int, int, memoryview]:
    """Return sequence number, total length and piece of a DRAFT message."""
    _, seq, total = _HEAD.unpack_from(message)
    return seq, total, memoryview(message)[_HEAD.size :]


def pack_hello(wid: str) -> bytes:
    return HELLO + wid.encode()


ACKS_IN_A_MESSAGE = 1000
"""About 60 bytes each, so that a message of them fits the socket buffer."""


def pack_acks(acks: list[Ack]) -> Iterator[bytes]:
    for at in range(0, len(acks), ACKS_IN_A_MESSAGE):
        yield ACKS + _encoder.encode(acks[at : at + ACKS_IN_A_MESSAGE])


def unpack_acks(message: bytes) -> list[Ack]:
    return _acks.decode(memoryview(message)[1:])
