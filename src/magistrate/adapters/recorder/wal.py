"""The write-ahead log: where a record becomes durable.

A file holds frames: length, CRC-32 of the payload, payload. Files are named by the log index of their first record. A
file is removed only when a published checkpoint covers all of it.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import msgspec

from magistrate.adapters.recorder.disk import Disk

ROTATE_BYTES = 32 * 1024 * 1024
_HEAD = struct.Struct("<II")


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One durable record: its place, its exact header bytes, and the ciphertexts of its bodies by part."""

    index: int
    header: bytes
    bodies: tuple[tuple[str, bytes], ...]


class WalBroken(Exception):  # noqa: N818  because it names a state of the disk
    """The log cannot be written or read any further. Fatal: the process must stop and recover."""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Entry)


def frame(entry: Entry) -> bytes:
    payload = _encoder.encode(entry)
    return _HEAD.pack(len(payload), zlib.crc32(payload)) + payload


class WriteAheadLog:
    """The files under ``directory``; appended to by one process."""

    def __init__(self, directory: Path, disk: Disk) -> None:
        self._directory = directory
        self._disk = disk
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._descriptor = -1
        self._length = 0

    def replay(self, first: int) -> tuple[list[Entry], int]:
        """Return the records from index ``first`` on, and how many bytes of a torn last frame were cut off.

        Raises:
            WalBroken: a gap, or damage anywhere but at the very end.
        """
        files = sorted(self._directory.glob("*.wal"))
        entries: list[Entry] = []
        torn = 0
        for path in files:
            data = path.read_bytes()
            good = 0
            for entry, end in _frames(data):
                good = end
                if entry.index == first + len(entries):
                    entries.append(entry)
                elif entry.index > first + len(entries):
                    raise WalBroken(f"{path.name}: record {first + len(entries)} is missing")
            if good < len(data):
                if path != files[-1]:
                    raise WalBroken(f"{path.name}: damaged in the middle, at byte {good}")
                torn = len(data) - good
                os.truncate(path, good)
        return entries, torn

    def open(self, index: int) -> None:
        """Begin a new file whose first record is ``index``."""
        self.close()
        path = self._directory / f"{index:016d}.wal"
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._length = os.fstat(self._descriptor).st_size
        self._disk.sync_directory(self._directory)

    def append(self, data: bytes) -> None:
        """Make frames durable.

        Raises:
            OSError: nothing was added (no space): the caller may refuse these records and go on.
            WalBroken: it is not known what is on the device. After a failed sync Linux drops the pages, so a second sync
                would lie; stopping is the only honest answer.
        """
        try:
            self._disk.write(self._descriptor, data)
        except OSError:
            try:
                os.ftruncate(self._descriptor, self._length)
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
                path.unlink()

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _frames(data: bytes) -> Iterator[tuple[Entry, int]]:
    """Yield records with the offset behind each; stop at the first frame that is not whole."""
    at = 0
    while at + _HEAD.size <= len(data):
        length, crc = _HEAD.unpack_from(data, at)
        end = at + _HEAD.size + length
        payload = data[at + _HEAD.size : end]
        if end > len(data) or zlib.crc32(payload) != crc:
            return
        at = end
        yield _decoder.decode(payload), at
