"""Frames on the socket between gateway and recorder.

Each SEQPACKET message is one byte of kind and a body. HELLO names the writer and where its newest acknowledged record
stands. A draft travels as one or more DRAFT messages, one draft after the other: sequence number and total length, then
a piece of the msgpack document. Acknowledgements travel together, one message for many.
"""

import struct
from collections.abc import Iterator

import msgspec

from magistrate.evidence.draft import Draft, Receipt

HELLO, DRAFT, ACKS = b"H", b"D", b"A"

PIECE = 96 * 1024
"""Bytes of one message's payload: below the default socket buffer of Linux (208 KiB), so that one always fits."""

LARGEST_MESSAGE = 256 * 1024
LARGEST_DRAFT = 128 * 1024 * 1024
"""Bytes: content of all bodies together. Several times the largest request and answer that the gateway accepts."""

ACKS_IN_A_MESSAGE = 500
"""At most some 200 KB even if every one is a refusal with its reason; a message of them fits the socket buffer."""

_HEAD = struct.Struct("<cQI")
_HELLO = struct.Struct("<cq")


class Ack(msgspec.Struct, frozen=True, array_like=True, gc=False):
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


def unpack_draft(body: bytes | bytearray | memoryview) -> Draft:
    """Return the draft in a complete document.

    Raises:
        msgspec.DecodeError, UnicodeDecodeError: it is none. RecursionError: it is nested too deeply.
    """
    return _drafts.decode(body)


def read_piece(message: memoryview) -> tuple[int, int, memoryview]:
    """Return sequence number, total length and piece of a DRAFT message. Raises `struct.error` if it is none."""
    kind, seq, total = _HEAD.unpack_from(message)
    if kind != DRAFT:
        raise struct.error("neither a greeting nor a draft")
    return seq, total, message[_HEAD.size :]


def pack_hello(wid: str, last_index: int) -> bytes:
    """Return the greeting of writer ``wid``; ``last_index`` is -1 before its first acknowledgement."""
    return _HELLO.pack(HELLO, last_index) + wid.encode()


def read_hello(message: memoryview) -> tuple[str, int]:
    """Return writer and index. Raises `struct.error` or ValueError if it is no greeting."""
    _, last_index = _HELLO.unpack_from(message)
    return bytes(message[_HELLO.size :]).decode("ascii"), last_index


def pack_acks(acks: list[Ack]) -> Iterator[bytes]:
    for at in range(0, len(acks), ACKS_IN_A_MESSAGE):
        yield ACKS + _encoder.encode(acks[at : at + ACKS_IN_A_MESSAGE])


def unpack_acks(message: bytes) -> list[Ack]:
    """Return acknowledgements. Raises `msgspec.DecodeError` or UnicodeDecodeError."""
    return _acks.decode(memoryview(message)[1:])
