"""The write-ahead log: where a record becomes durable.

A file holds groups: magic, length, CRC-32, then the records that were written together. Files are named by the log index
of their first record. A file is removed only when a published checkpoint covers all of it.

One CRC covers a whole group because a group is acknowledged as a whole. A damaged group at the very end was never
acknowledged (its sync did not return) and is cut. A damaged group *before* a whole one had been acknowledged: that is
damage, not a crash, and nobody may cut it away silently.
"""

import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import msgspec

from magistrate.adapters.recorder.disk import Disk

ROTATE_BYTES = 32 * 1024 * 1024
MAGIC = b"MWG1"
_HEAD = struct.Struct("<4sII")


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One durable record: its place, its exact header bytes, and the ciphertexts of its bodies by part."""

    index: int
    header: bytes
    bodies: tuple[tuple[str, bytes], ...]

    @property
    def weight(self) -> int:
        """About how many bytes it takes in memory."""
        return len(self.header) + sum(len(ciphertext) for _, ciphertext in self.bodies)


class WalBroken(Exception):  # noqa: N818  because it names a state of the disk
    """The log cannot be written or read any further. Fatal: the process must stop and recover."""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Entry])


def pack_group(entries: Sequence[Entry]) -> bytes:
    """Return the bytes of one group."""
    payload = _encoder.encode(entries)
    length = len(payload).to_bytes(4, "little")
    return MAGIC + length + zlib.crc32(payload, zlib.crc32(length)).to_bytes(4, "little") + payload


class WriteAheadLog:
    """The files under ``directory``; appended to by one process."""

    def __init__(self, directory: Path, disk: Disk) -> None:
        self._directory = directory
        self._disk = disk
        disk.make_directories(directory)
        self._descriptor = -1
        self._length = 0

    def replay(self, first: int) -> tuple[list[Entry], int]:
        """Return the records from index ``first`` on, and how many bytes of a torn last group were cut off.

        Raises:
            WalBroken: a gap, or damage anywhere but at the very end.
        """
        files = sorted(self._directory.glob("*.wal"))
        sealed = {path for path, following in pairwise(files) if int(following.stem) <= first}
        entries: list[Entry] = []
        torn = 0
        for path in files:
            if path in sealed:
                continue
            data = path.read_bytes()
            good = 0
            for group, end in _groups(data):
                good = end
                for entry in group:
                    if entry.index == first + len(entries):
                        entries.append(entry)
                    elif entry.index > first + len(entries):
                        raise WalBroken(f"{path.name}: record {first + len(entries)} is missing")
            if good < len(data):
                if path != files[-1] or _whole_group_after(data, good):
                    raise WalBroken(f"{path.name}: damaged in the middle, at byte {good}")
                torn = len(data) - good
                self._cut(path, good)
        return entries, torn

    def open(self, index: int) -> None:
        """Begin a new file whose first record is ``index``."""
        self.close()
        path = self._directory / f"{index:016d}.wal"
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._length = os.fstat(self._descriptor).st_size
        self._disk.sync_directory(self._directory)

    def append(self, entries: Sequence[Entry]) -> None:
        """Make one group durable: one write, one sync.

        Raises:
            OSError: nothing was added (no space): the caller may refuse these records and go on.
            WalBroken: it is not known what is on the device. After a failed sync Linux drops the pages, so a second sync
                would lie; stopping is the only honest answer.
        """
        data = pack_group(entries)
        try:
            self._disk.write(self._descriptor, data)
        except OSError:
            try:
                self._disk.truncate(self._descriptor, self._length)
            except OSError as error:
                raise WalBroken(f"a partial write could not be taken back: {error.strerror}") from error
            raise
        try:
            self._disk.sync(self._descriptor)
        except OSError as error:
            raise WalBroken(f"fdatasync failed: {error.strerror}") from error
        self._length += len(data)

    @property
    def full(self) -> bool:
        return self._length >= ROTATE_BYTES

    def remove_sealed(self, size: int) -> None:
        """Remove the files all of whose records are below ``size``; the newest file always stays."""
        files = sorted(self._directory.glob("*.wal"))
        for path, following in pairwise(files):
            if int(following.stem) <= size:
                self._disk.remove(path)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _cut(self, path: Path, length: int) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            self._disk.truncate(descriptor, length)
            self._disk.sync(descriptor)
        finally:
            os.close(descriptor)


def _groups(data: bytes) -> Iterator[tuple[list[Entry], int]]:
    """Yield groups with the offset behind each; stop at the first that is not whole."""
    at = 0
    while (group := _group_at(data, at)) is not None:
        entries, at = group
        yield entries, at


def _group_at(data: bytes, at: int) -> tuple[list[Entry], int] | None:
    if at + _HEAD.size > len(data):
        return None
    magic, length, crc = _HEAD.unpack_from(data, at)
    begin = at + _HEAD.size
    payload = memoryview(data)[begin : begin + length]
    if magic != MAGIC or len(payload) < length:
        return None
    if zlib.crc32(payload, zlib.crc32(length.to_bytes(4, "little"))) != crc:
        return None
    return _decoder.decode(payload), begin + length


def _whole_group_after(data: bytes, at: int) -> bool:
    found = data.find(MAGIC, at + 1)
    while found >= 0:
        if _group_at(data, found) is not None:
            return True
        found = data.find(MAGIC, found + 1)
    return False
