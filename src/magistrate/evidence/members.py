"""The files of a bundle, read from its archive a piece at a time: however much it unpacks to, little of it is in memory.

Strict, because the archive comes from anybody: no name but a bundle's own, nothing encrypted, no length that is not kept, no
table of contents larger than the largest bundle has.
"""

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from typing import BinaryIO

LARGEST_BUNDLE = 256 * 1024 * 1024
LARGEST_MEMBER = 128 * 1024 * 1024
LARGEST_WHOLE = 512 * 1024 * 1024
"""Bytes of all files together: a bound on time, not on memory."""

LARGEST_READ = 4 * 1024 * 1024
"""Of one file that is read whole: records, proofs, salts, stamps. Bodies and the page are not."""

MOST_MEMBERS = 20_000
LARGEST_CONTENTS = MOST_MEMBERS * 256
"""Bytes of the archive's table of contents: an entry has 46 and its name, of at most 93."""

PIECE = 1 << 20
UNREADABLE = (ValueError, OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error, struct.error)
"""What reading a hostile archive may raise."""

_NAME = re.compile(r"(?:(?:record|beacon)\.(?:json|tlog-proof)|trace/(?:[0-9]{1,4}\.)?[0-9]{1,16}\.(?:json|tlog-proof)"
                   r"|(?:bodies|salts)/(?:[0-9]{1,4}\.)?[0-9]{1,16}-[a-z0-9][a-z0-9._-]{0,63}"
                   r"|(?:succession|shards)/[0-9]{1,4}\.(?:json|tlog-proof)"
                   r"|checkpoint(?:\.[1-9])?\.tsr|policy\.txt|READ-ME\.txt|verify\.mjs|index\.html)")  # fmt: skip
_COMPRESSIONS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED = 0x1
# APPNOTE 4.3.16, end of central directory record, and 4.3.15, the ZIP64 locator that would stand before it.
_END = struct.Struct("<4s4H2IH")
_END_MARK, _LOCATOR, _LOCATOR_BYTES = b"PK\x05\x06", b"PK\x06\x07", 20


class Files(dict[str, bytes]):
    """The files of a bundle that is being made, in memory."""

    def size(self, name: str) -> int:
        return len(self[name])

    def pieces(self, name: str) -> Iterator[bytes]:
        yield self[name]


class Members(Mapping[str, bytes]):
    """The files of a bundle in an archive.

    Raises:
        one of `UNREADABLE`: it is no bundle's archive. `check` reads all of it once; what is read after that was whole.
    """

    def __init__(self, source: BinaryIO) -> None:
        _check_end(source)
        self._archive = zipfile.ZipFile(source)
        members = self._archive.infolist()
        if len(members) > MOST_MEMBERS or sum(member.file_size for member in members) > LARGEST_WHOLE:
            raise ValueError("the bundle unpacks to too much")
        self._members: dict[str, zipfile.ZipInfo] = {}
        for member in members:
            if not _NAME.fullmatch(member.filename) or member.filename in self._members:
                raise ValueError(
                    f"`{member.filename[:80]!a}` does not belong into a bundle, or stands in it twice"
                )
            if member.flag_bits & _ENCRYPTED or member.compress_type not in _COMPRESSIONS:
                raise ValueError(f"`{member.filename}` is encrypted, or packed in an unknown way")
            large = member.filename.startswith("bodies/") or member.filename == "index.html"
            if member.file_size > (LARGEST_MEMBER if large else LARGEST_READ):
                raise ValueError(f"`{member.filename}` is too large")
            self._members[member.filename] = member

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, name: object) -> bool:
        return name in self._members

    def __getitem__(self, name: str) -> bytes:
        if self._members[name].file_size > LARGEST_READ:
            raise ValueError(f"`{name}` is too large to be read whole")
        return b"".join(self.pieces(name))

    def size(self, name: str) -> int:
        return self._members[name].file_size

    def pieces(self, name: str) -> Iterator[bytes]:
        """Yield a file's content, at most `PIECE` bytes at a time. Raises one of `UNREADABLE`: it is not what it says."""
        member, length = self._members[name], 0
        with self._archive.open(member) as file:
            while piece := file.read(PIECE):
                length += len(piece)
                if length > member.file_size:
                    break
                yield piece
        if length != member.file_size:
            raise ValueError(f"`{name}` is longer or shorter than it says")

    def check(self) -> None:
        """Read everything once, and let go of it."""
        for name in self._members:
            for _ in self.pieces(name):
                pass


def _check_end(source: BinaryIO) -> None:
    """Refuse an archive whose table of contents could fill the memory: it is read whole before any limit can be looked at."""
    length = source.seek(0, io.SEEK_END)
    if length > LARGEST_BUNDLE:
        raise ValueError("the bundle is too large")
    source.seek(max(0, length - _END.size - _LOCATOR_BYTES))
    tail = source.read()
    end = tail[-_END.size :]
    if len(end) < _END.size or end[:4] != _END_MARK or end[-2:] != b"\0\0":
        raise ValueError("the bundle is no zip archive, or is cut short")
    contents = _END.unpack(end)[5]
    if tail[: -_END.size].startswith(_LOCATOR) or contents > LARGEST_CONTENTS:
        raise ValueError("the bundle holds more files than any")
