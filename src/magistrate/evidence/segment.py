"""Frames of a body segment: magic, lengths, CRC-32, then id, part and ciphertext.

A segment holds the bodies of one tenant, retention class and day, so that what must go goes as a whole file. What must go
before is emptied in place: the frame says so in its magic, keeps its length, and holds zeros.
"""

import datetime as dt
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, BinaryIO

import msgspec

from magistrate.evidence.retention import day_of

MAGIC, EMPTIED = b"MSEG", b"MSEE"
_HEAD = struct.Struct("<4sHHII")
HEAD_BYTES = _HEAD.size
LARGEST_CIPHERTEXT = (1 << 30) + 1024
_HEADS = 80
"""Bytes: the head of a frame with the names that records have."""


class Frame(msgspec.Struct, frozen=True):
    """A body where it stands; ``ciphertext`` is empty when it was erased."""

    offset: int
    eid: str
    part: str
    ciphertext: bytes


def encode_frame(eid: str, part: str, ciphertext: bytes) -> bytes:
    """Return the frame of one body."""
    names = (eid.encode(), part.encode())
    head = names[0] + names[1]
    crc = zlib.crc32(ciphertext, zlib.crc32(head))
    return _HEAD.pack(MAGIC, len(names[0]), len(names[1]), len(ciphertext), crc) + head + ciphertext


def emptied(head: bytes) -> tuple[bytes, int, int]:
    """Return what to write over a frame whose head is ``head``: new magic, where the ciphertext begins, and its length.

    Raises:
        ValueError: no frame begins so.
    """
    magic, first, second, length, _ = _HEAD.unpack(head)
    if magic not in {MAGIC, EMPTIED} or length > LARGEST_CIPHERTEXT:
        raise ValueError("no frame here")
    return EMPTIED, _HEAD.size + first + second, length


def folder_of(header: Mapping[str, Any]) -> str:
    """Return tenant, retention class and day as a path in which nothing but names can stand."""
    ret = header.get("ret")
    retention = str(ret.get("class", "")) if isinstance(ret, dict) else ""
    return _folder(str(header.get("tenant", "")), retention, day_of(header))


@lru_cache(maxsize=1024)
def _folder(tenant: str, retention: str, day: int) -> str:
    spelled = dt.date.fromordinal(dt.date(1970, 1, 1).toordinal() + day).isoformat()
    return f"{_plain(tenant) or 'default'}/{_plain(retention) or 'standard'}/{spelled}"


def _plain(name: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in name[:64])


def frames(data: bytes) -> Iterator[Frame]:
    """Yield the whole frames; a torn tail ends the iteration."""
    at = 0
    while True:
        frame, end = _parse(data, at)
        if frame is None:
            return
        yield frame
        at = end


def scan(read: Callable[[int, int], bytes], size: int) -> Iterator[tuple[str, int, int, int]]:
    """Yield what each ciphertext of a segment of ``size`` bytes is called and where it stands, passing over their bytes.

    That is: record id and part in one, the length of the id, the ciphertext's offset, and its length, 0 if it was erased.

    ``read`` returns so many bytes (first argument) from an offset on (second one), fewer at the end. Names are ASCII in
    every frame that a record speaks of; others are nobody's. What a crash tore at the end, or what is no frame, ends
    the iteration.
    """
    at, head_bytes, unpack = 0, HEAD_BYTES, _HEAD.unpack_from
    while at + head_bytes <= size:
        head = read(_HEADS, at)
        if len(head) < head_bytes:
            return
        magic, first, second, length, _ = unpack(head)
        named = head_bytes + first + second
        begins = at + named
        if (magic != MAGIC and magic != EMPTIED) or begins + length > size:  # noqa: PLR1714  because a set is made anew each time
            return
        if named > len(head):
            head = read(named, at)
        yield (
            head[head_bytes:named].decode("utf-8", "replace"),
            first,
            begins,
            length if magic == MAGIC else 0,
        )
        at = begins + length


def read_frame(file: BinaryIO) -> Frame:
    """Read the frame that begins where ``file`` stands.

    The checksum is not asked: it tells a torn tail from a whole frame, while the record's SHA-256 tells a body that was
    changed from the recorded one. A changed body must reach that check instead of looking like an absent one.

    Raises:
        ValueError: no whole frame stands there.
    """
    offset = file.tell()
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size:
        raise ValueError("no frame here")
    magic, first, second, length, _ = _HEAD.unpack(head)
    if magic not in {MAGIC, EMPTIED} or length > LARGEST_CIPHERTEXT:
        raise ValueError("no frame here")
    rest = file.read(first + second + length)
    if len(rest) < first + second + length:
        raise ValueError("the frame is torn")
    names = rest[: first + second]
    ciphertext = b"" if magic == EMPTIED else rest[first + second :]
    return Frame(offset, names[:first].decode(), names[first:].decode(), ciphertext)


def _parse(data: bytes, at: int) -> tuple[Frame | None, int]:
    if at + _HEAD.size > len(data):
        return None, at
    magic, first, second, length, crc = _HEAD.unpack_from(data, at)
    start = at + _HEAD.size
    end = start + first + second + length
    if magic not in {MAGIC, EMPTIED} or end > len(data):
        return None, at
    names, ciphertext = data[start : start + first + second], data[start + first + second : end]
    if magic == EMPTIED:
        return Frame(at, names[:first].decode(), names[first:].decode(), b""), end
    if zlib.crc32(ciphertext, zlib.crc32(names)) != crc:
        return None, at
    return Frame(at, names[:first].decode(), names[first:].decode(), ciphertext), end
