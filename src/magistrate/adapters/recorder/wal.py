"""The write-ahead log: where a record becomes durable.

A file holds groups: magic, length, CRC-32, then the records that were written together. Files are named by the log index
of their first record. A file is written full of zeros before its first group, and used again for a later part of the log
once a published checkpoint covers all of it: overwriting blocks that exist needs no change of the file system's own
records, so that a sync waits for the data alone (measured: 195 us instead of 263 to 358).

So what stands behind a file's last group may be zeros, or groups of an earlier use, told apart by their lower indexes.

Groups begin at multiples of `BLOCK`, filled up with zeros, so that no page is written twice: the second sync of a page
waits for the first (measured, a group every millisecond: 172 us instead of 239).

One CRC covers a whole group because a group is acknowledged as a whole. A damaged group at the very end was never
acknowledged (its sync did not return) and is cut. A damaged group *before* a whole one of the same use had been
acknowledged: that is damage, not a crash, and nobody may cut it away silently.
"""

import os
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import orjson

from magistrate.adapters.recorder.disk import Disk

FILE_BYTES = 8 * 1024 * 1024
"""A file of so many bytes is written ahead, and followed by the next one when it is full."""

MOST_SPARES = 8
"""So many files are kept to be used again: what a busy second between two checkpoints fills."""

BLOCK = 4096
"""Bytes of a page, which is what Linux writes."""

MAGIC = b"MWG2"
_HEAD = struct.Struct("<4sII")


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One durable record: its place, its exact header bytes, and the ciphertexts of its bodies by part."""

    index: int
    header: bytes
    bodies: tuple[tuple[str, bytes], ...]

    @property
    def weight(self) -> int:
        """About how many bytes it takes in memory."""
        return len(self.header) + sum(len(ciphertext) for _, ciphertext in self.bodies)

    def fields(self) -> dict[str, Any]:
        """Return what ``header`` spells, read anew: thousands of mappings that wait would be walked by the collector."""
        spelled: dict[str, Any] = orjson.loads(self.header)
        return spelled


class Durable(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An `Entry` as far as a start needs it: its bodies are not unpacked."""

    index: int
    header: bytes
    bodies: msgspec.Raw

    @property
    def weight(self) -> int:
        """About how many bytes it takes in memory."""
        return len(self.header) + len(self.bodies)


class WalBroken(Exception):  # noqa: N818  because it names a state of the disk
    """The log cannot be written or read any further. Fatal: the process must stop and recover."""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Entry])
_durable = msgspec.msgpack.Decoder(list[Durable])

Kind = TypeVar("Kind", Entry, Durable)


def pack_group(entries: Sequence[Entry]) -> bytes:
    """Return the bytes of one group."""
    payload = _encoder.encode(entries)
    length = len(payload).to_bytes(4, "little")
    return MAGIC + length + zlib.crc32(payload, zlib.crc32(length)).to_bytes(4, "little") + payload


class WriteAheadLog:
    """The files under ``directory``; appended to by one process. `remove_sealed` and `prepare` may run in another thread."""

    def __init__(self, directory: Path, disk: Disk) -> None:
        self._directory = directory
        self._disk = disk
        disk.make_directories(directory)
        self._descriptor = -1
        self._length = 0

    def replay(
        self, first: int, take: Callable[[Sequence[Durable]], None], *, ends_whole: bool = False
    ) -> tuple[int, int]:
        """Hand on the records from index ``first`` on, group by group; return how many, and how many bytes were cut off as torn.

        What ``take`` is given is true until it returns: the pages behind it are read into again, so that all of this needs
        the memory of two files, however long the log is.

        They are on the device when this returns. That a group can be read does not mean that its sync succeeded: Linux
        keeps pages readable that it could not write, and syncs them no more. But a group is written only after the one
        before it was synced, so at most the last one is in doubt; the file that it stands in is written over with itself.

        ``ends_whole``: the last group is known to have been durable, so that what looks torn is damage.

        Raises:
            WalBroken: a gap, or damage anywhere but at the very end.
        """
        files = sorted(self._directory.glob("*.wal"))
        sealed = {path for path, following in pairwise(files) if int(following.stem) <= first}
        expected, torn = first, 0
        newest: tuple[Path, memoryview] | None = None
        pages, others = bytearray(), bytearray()
        for path in files:
            if path in sealed:
                continue
            pages, data = _read_into(pages, path)
            index, good = int(path.stem), 0
            for group, end in _groups(data, index, _durable):
                good = end
                index += len(group)
                fresh = [entry for entry in group if entry.index >= expected]
                _check_order(path, fresh, expected)
                if fresh:
                    take(fresh)
                    expected += len(fresh)
            if _whole_group_after(data, good, index):
                raise WalBroken(f"{path.name}: damaged in the middle, at byte {good}")
            if path == files[-1]:
                torn = _torn(data, good)
                if torn and ends_whole:
                    raise WalBroken(f"{path.name}: damaged at its end, at byte {good}")
                if torn:
                    self._cut(path, good)
            if good:
                newest = path, data[:good]
                pages, others = others, pages  # what is to be written over stays as it was checked
        if newest is not None:
            self._write_over(*newest)
        return expected - first, torn

    def open(self, index: int) -> None:
        """Begin a new file whose first record is ``index``.

        Raises:
            OSError: there is no room for it; the file before it is still open, and may grow.
            WalBroken: nor is it known whether a file of that name will be there after a crash.
        """
        path = self._directory / f"{index:016d}.wal"
        descriptor: int | None = None
        try:
            descriptor = self._reused(path)
            if descriptor is None:
                descriptor = self._written_ahead(path)
            self._disk.sync_directory(self._directory)
        except OSError as error:
            if descriptor is not None:
                os.close(descriptor)
            # The next start takes a file for finished when it finds a later one, so none may stay behind.
            try:
                path.unlink(missing_ok=True)
                self._disk.sync_directory(self._directory)
            except OSError:
                raise WalBroken(f"a new file could not be taken back: {error.strerror}") from error
            raise
        self.close()
        self._descriptor, self._length = descriptor, 0

    def append(self, entries: Sequence[Entry]) -> None:
        """Make one group durable: one write, one sync.

        Raises:
            OSError: nothing was added (no space): the caller may refuse these records and go on.
            WalBroken: it is not known what is on the device. After a failed sync Linux drops the pages, so a second sync
                would lie; stopping is the only honest answer.
        """
        data = pack_group(entries)
        data += bytes(-len(data) % BLOCK)
        os.lseek(self._descriptor, self._length, os.SEEK_SET)
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
        return self._length >= FILE_BYTES

    def remove_sealed(self, size: int) -> None:
        """Set the files aside all of whose records are below ``size``; the newest file always stays."""
        files = sorted(self._directory.glob("*.wal"))
        spares = len(list(self._directory.glob("*.spare")))
        for path, following in pairwise(files):
            if int(following.stem) > size:
                break
            if spares < MOST_SPARES and path.stat().st_size == FILE_BYTES:
                spares += 1
                path.rename(path.with_suffix(".spare"))
            else:
                self._disk.remove(path)

    def prepare(self) -> None:
        """Have a file ready for when the open one is full: writing it ahead takes longer than anybody should wait for an answer.

        Raises OSError: there is none then, and `open` will try.
        """
        if self._length < FILE_BYTES // 4 or any(self._directory.glob("*.spare")):
            return
        ahead = self._directory / "ahead.partial"
        os.close(self._written_ahead(ahead))
        self._disk.rename(ahead, ahead.with_suffix(".spare"))

    def shed(self, index: int) -> None:
        """Go on in a file of zeros at record ``index`` and remove all others, spares too; all before must be sealed.

        Raises:
            OSError: no room for a new file; nothing that is needed is gone.
            WalBroken: a file that was to be cleared cannot be trusted any more.
        """
        for spare in [*self._directory.glob("*.spare"), *self._directory.glob("*.partial")]:
            self._disk.remove(spare)
        path = self._directory / f"{index:016d}.wal"
        if path.exists():
            # The file that is open. Nothing stands in it yet, but it may have been another one's before.
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            try:
                self._disk.write(self._descriptor, bytes(FILE_BYTES))
                self._disk.sync(self._descriptor)
            except OSError as error:
                raise WalBroken(f"a file could not be cleared: {error.strerror}") from error
        else:
            self.open(index)
        for other in self._directory.glob("*.wal"):
            if other != path:
                self._disk.remove(other)
        self._disk.sync_directory(self._directory)

    def follow(self, directory: Path) -> None:
        """Take note that the directory, with the file that is open, was renamed."""
        self._directory = directory

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _reused(self, path: Path) -> int | None:
        for spare in sorted(self._directory.glob("*.spare")):
            spare.replace(path)
            return os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        return None

    def _written_ahead(self, path: Path) -> int:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            self._disk.write(descriptor, bytes(FILE_BYTES))
            self._disk.sync(descriptor)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def _write_over(self, path: Path, data: memoryview) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            self._disk.write(descriptor, bytes(data))
            self._disk.sync(descriptor)
        finally:
            os.close(descriptor)

    def _cut(self, path: Path, length: int) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            self._disk.truncate(descriptor, length)
            self._disk.sync(descriptor)
        finally:
            os.close(descriptor)


def read_group(descriptor: int, at: int) -> tuple[list[Entry], int] | None:
    """Return the group at ``at`` of an open file and where the next one may begin; None: no whole group begins there.

    Raises OSError.
    """
    head = os.pread(descriptor, _HEAD.size, at)
    if len(head) < _HEAD.size or not head.startswith(MAGIC):
        return None
    length = _HEAD.unpack(head)[1]
    if at + _HEAD.size + length > os.fstat(descriptor).st_size:
        return None
    group = _group_at(memoryview(os.pread(descriptor, _HEAD.size + length, at)), 0, _decoder)
    return None if group is None else (group[0], at + group[1])


def _groups(
    data: memoryview, index: int, decoder: msgspec.msgpack.Decoder[list[Kind]]
) -> Iterator[tuple[list[Kind], int]]:
    """Yield groups with where the next may begin; stop at the first that is not whole, or not of this use of the file."""
    at = 0
    while (group := _group_at(data, at, decoder)) is not None and group[0][0].index >= index:
        entries, at = group
        index = entries[-1].index + 1
        yield entries, at


def _group_at(
    data: memoryview, at: int, decoder: msgspec.msgpack.Decoder[list[Kind]]
) -> tuple[list[Kind], int] | None:
    if at + _HEAD.size > len(data):
        return None
    magic, length, crc = _HEAD.unpack_from(data, at)
    begin = at + _HEAD.size
    payload = data[begin : begin + length]
    if magic != MAGIC or len(payload) < length:
        return None
    if zlib.crc32(payload, zlib.crc32(length.to_bytes(4, "little"))) != crc:
        return None
    return decoder.decode(payload), _aligned(begin + length)


def _check_order(path: Path, entries: Sequence[Durable], index: int) -> None:
    """Raise `WalBroken` unless ``entries`` are the records from ``index`` on, one after the other."""
    for place, entry in enumerate(entries, index):
        if entry.index != place:
            raise WalBroken(f"{path.name}: record {place} is missing")


def _read_into(pages: bytearray, path: Path) -> tuple[bytearray, memoryview]:
    """Return the bytes of a file, in ``pages`` or, if they are too few, in new ones. Raises OSError."""
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        if len(pages) < size:
            pages = bytearray(size)
        view = memoryview(pages)
        length = 0
        while count := file.readinto(view[length:size]):
            length += count
    return pages, view[:length]


def _aligned(at: int) -> int:
    return at + -at % BLOCK


def _whole_group_after(data: memoryview, at: int, index: int) -> bool:
    """Return whether a whole group of this use of the file stands behind ``at``: one with records from ``index`` on."""
    for found in range(_aligned(at), len(data), BLOCK):
        group = _group_at(data, found, _durable)
        if group is not None and group[0][-1].index >= index:
            return True
    return False


def _torn(data: memoryview, at: int) -> int:
    """Return how many bytes of a group that began at ``at`` are not whole; 0 if none began there."""
    if data[at : at + len(MAGIC)] != MAGIC or _group_at(data, at, _durable) is not None:
        return 0
    head = data[at : at + _HEAD.size]
    length = _HEAD.unpack(head)[1] if len(head) == _HEAD.size else 0
    return min(_HEAD.size + length, len(data) - at)
