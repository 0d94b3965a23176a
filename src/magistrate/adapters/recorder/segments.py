"""Body segments on disk: ciphertexts by tenant, retention class and day, so that what must go can go as whole files."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from magistrate.adapters.recorder.disk import Disk
from magistrate.adapters.recorder.row import Located
from magistrate.adapters.recorder.writer import Kept
from magistrate.evidence.segment import HEAD_BYTES, emptied, encode_frame, folder_of, read_frame

ZEROS = bytes(1 << 20)
LARGEST_SEGMENT = 256 * 1024 * 1024


class _Segment:
    """A file that this process appends to, and how much of it is whole."""

    __slots__ = ("length", "name", "path")

    def __init__(self, root: Path, path: Path) -> None:
        self.path = path
        self.name = str(path.relative_to(root))
        self.length = 0


class SegmentWriter:
    """Appends ciphertexts.

    Each process begins files of its own, so a torn frame that a crash leaves stands at the end of a file and hides
    nothing. A body that a crash leaves twice is the same bytes twice; either place is right.
    """

    def __init__(self, root: Path, disk: Disk) -> None:
        self._root = root
        self._disk = disk
        self._segments: dict[str, _Segment] = {}

    def write(self, batch: Sequence[Kept], pause: Callable[[], None]) -> list[tuple[Located, ...]]:
        """Write the bodies of ``batch`` and sync them; return where each stands. Raises OSError.

        ``pause`` is called after each record.
        """
        pending: dict[str, list[bytes]] = {}
        ends: dict[str, int] = {}
        located: list[tuple[Located, ...]] = []
        for kept in batch:
            if not kept.entry.bodies:
                located.append(())
                continue
            header = kept.header()
            folder = folder_of(header)
            segment = self._segment(folder)
            frames = pending.setdefault(folder, [])
            at = ends.get(folder, segment.length)
            spots = []
            for part, ciphertext in kept.entry.bodies:
                frame = encode_frame(header["eid"], part, ciphertext)
                spots.append(Located(part, segment.name, at))
                frames.append(frame)
                at += len(frame)
            ends[folder] = at
            located.append(tuple(spots))
            pause()
        for folder, frames in pending.items():
            self._append(folder, b"".join(frames))
        return located

    def forget(self, folder: str) -> None:
        """Begin a new file in ``folder`` the next time: the one that was being written may have been removed."""
        self._segments.pop(folder, None)

    def _append(self, folder: str, data: bytes) -> None:
        segment = self._segments[folder]
        new = segment.length == 0
        descriptor = os.open(segment.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            self._disk.write(descriptor, data)
            self._disk.sync(descriptor)
        except OSError:
            # What is behind `length` now is not known: nobody writes behind it again.
            del self._segments[folder]
            raise
        finally:
            os.close(descriptor)
        if new:
            self._disk.sync_directory(segment.path.parent)
        segment.length += len(data)

    def _segment(self, folder: str) -> _Segment:
        segment = self._segments.get(folder)
        if segment is None or segment.length >= LARGEST_SEGMENT:
            directory = self._root / "body" / folder
            self._disk.make_directories(directory)
            number = max((int(path.stem) for path in directory.glob("*.seg")), default=-1) + 1
            segment = _Segment(self._root, directory / f"{number}.seg")
            self._segments[folder] = segment
        return segment


def locate(root: Path, folder: str) -> Iterator[tuple[str, Located]]:
    """Yield record id and place of every whole body in a folder, from the segments alone."""
    for path in sorted((root / "body" / folder).glob("*.seg"), key=lambda path: int(path.stem)):
        yield from locate_in(root, str(path.relative_to(root)))


def locate_in(root: Path, name: str) -> Iterator[tuple[str, Located]]:
    """Yield record id and place of every whole body in one segment."""
    with (root / name).open("rb") as file:
        while True:
            try:
                frame = read_frame(file)
            except ValueError:
                return  # the end, or what a crash left behind it
            yield frame.eid, Located(frame.part, name, frame.offset)


def empty(root: Path, disk: Disk, places: Sequence[Located]) -> int:
    """Overwrite the ciphertexts at ``places`` and sync; return how many were there. Raises OSError.

    Lengths and places stay, so that nothing else in a segment moves.
    """
    by_segment: dict[str, list[int]] = {}
    for place in places:
        by_segment.setdefault(place.segment, []).append(place.at)
    done = 0
    for name, offsets in by_segment.items():
        try:
            descriptor = os.open(root / name, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # its retention ended before
        try:
            done += sum(_empty_frame(descriptor, disk, at) for at in sorted(offsets))
            disk.sync(descriptor)
        finally:
            os.close(descriptor)
    return done


def _empty_frame(descriptor: int, disk: Disk, at: int) -> bool:
    head = os.pread(descriptor, HEAD_BYTES, at)
    if len(head) < HEAD_BYTES:
        return False
    try:
        magic, begin, length = emptied(head)
    except ValueError:
        return False
    os.lseek(descriptor, at, os.SEEK_SET)
    disk.write(descriptor, magic)
    os.lseek(descriptor, at + begin, os.SEEK_SET)
    while length:
        piece = ZEROS[: min(length, len(ZEROS))]
        disk.write(descriptor, piece)
        length -= len(piece)
    return True
