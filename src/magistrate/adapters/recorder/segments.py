"""Body segments: ciphertexts by tenant, retention class and day, so that what must go can go as whole files."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

import msgspec

from magistrate.adapters.recorder.disk import Disk
from magistrate.adapters.recorder.row import Located
from magistrate.adapters.recorder.wal import Entry
from magistrate.evidence.segment import HEAD_BYTES, Frame, emptied, encode_frame, folder_of, read_frame

ZEROS = bytes(1 << 20)
LARGEST_SEGMENT = 256 * 1024 * 1024
_PIECE = 1 << 20


class Emptied(msgspec.Struct, frozen=True):
    """How many ciphertexts were overwritten, and how many the store does not let go of yet."""

    bodies: int
    locked: int = 0

    def __add__(self, other: "Emptied") -> "Emptied":
        return Emptied(self.bodies + other.bodies, self.locked + other.locked)


class Segments(Protocol):
    """Bodies by folder (tenant, class, day) and segment (``body/FOLDER/N.seg``). Everything raises OSError."""

    def write(self, batch: Sequence[Entry], rest: Callable[[], None]) -> list[tuple[Located, ...]]:
        """Make the bodies of ``batch`` durable; return where each stands. ``rest`` is called after each record."""
        ...

    def forget(self, folder: str) -> None:
        """Begin a new segment in ``folder`` the next time: the one that was being written may have been removed."""
        ...

    def folders(self) -> Iterator[str]:
        """Yield every folder."""
        ...

    def names(self, folder: str, since_us: int = 0) -> list[str]:
        """Return the segments of a folder, oldest first; those may be missing that hold nothing from ``since_us`` on."""
        ...

    def locate(self, name: str) -> Iterator[tuple[str, Located]]:
        """Yield record id and place of every whole body in a segment."""
        ...

    def frame(self, place: Located) -> Frame | None:
        """Return the body at a place, or None: it is gone."""
        ...

    def pieces(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of a segment."""
        ...

    def empty(self, places: Sequence[Located]) -> Emptied:
        """Overwrite ciphertexts. Lengths and places stay, so that nothing else in a segment moves."""
        ...

    def remove(self, names: Sequence[str]) -> None:
        """Remove segments, and folders that are empty then."""
        ...

    def close(self) -> None: ...


class _Segment:
    """A file that this process appends to, and how much of it is whole."""

    __slots__ = ("length", "name", "path")

    def __init__(self, root: Path, path: Path) -> None:
        self.path = path
        self.name = str(path.relative_to(root))
        self.length = 0


class FileSegments:
    """The `Segments` of a log in a directory: files that are appended to.

    Each process begins files of its own, so a torn frame that a crash leaves stands at the end of a file and hides
    nothing. A body that a crash leaves twice is the same bytes twice; either place is right.
    """

    def __init__(self, root: Path, disk: Disk) -> None:
        self._root = root
        self._disk = disk
        self._segments: dict[str, _Segment] = {}
        self._open: tuple[str, BinaryIO] | None = None

    def write(self, batch: Sequence[Entry], rest: Callable[[], None]) -> list[tuple[Located, ...]]:
        """Write the bodies of ``batch`` and sync them; return where each stands. Raises OSError.

        ``rest`` is called after each record.
        """
        pending: dict[str, list[bytes]] = {}
        ends: dict[str, int] = {}
        located: list[tuple[Located, ...]] = []
        for entry in batch:
            if not entry.bodies:
                located.append(())
                continue
            header = entry.fields()
            folder = folder_of(header)
            segment = self._segment(folder)
            frames = pending.setdefault(folder, [])
            at = ends.get(folder, segment.length)
            spots = []
            for part, ciphertext in entry.bodies:
                frame = encode_frame(header["eid"], part, ciphertext)
                spots.append(Located(part, segment.name, at))
                frames.append(frame)
                at += len(frame)
            ends[folder] = at
            located.append(tuple(spots))
            rest()
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

    def folders(self) -> Iterator[str]:
        """Yield every folder: tenant, class and day."""
        for folder in sorted(self._root.glob("body/*/*/*")):
            yield str(folder.relative_to(self._root / "body"))

    def names(self, folder: str, since_us: int = 0) -> list[str]:
        """Return the segments of a folder, oldest first. Any may hold what is new: they are appended to."""
        del since_us
        found = (self._root / "body" / folder).glob("*.seg")
        return [str(path.relative_to(self._root)) for path in sorted(found, key=lambda path: int(path.stem))]

    def locate(self, name: str) -> Iterator[tuple[str, Located]]:
        """Yield record id and place of every whole body in one segment."""
        with (self._root / name).open("rb") as file:
            while True:
                try:
                    frame = read_frame(file)
                except ValueError:
                    return  # the end, or what a crash left behind it
                yield frame.eid, Located(frame.part, name, frame.offset)

    def frame(self, place: Located) -> Frame | None:
        """Return the body at a place, or None: its segment is gone."""
        try:
            file = self._opened(place.segment)
            file.seek(place.at)
            return read_frame(file)
        except (OSError, ValueError):
            return None

    def pieces(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of a segment. Raises OSError."""
        with (self._root / name).open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece

    def empty(self, places: Sequence[Located]) -> Emptied:
        """Overwrite the ciphertexts at ``places`` and sync; return how many were there. Raises OSError."""
        by_segment: dict[str, list[int]] = {}
        for place in places:
            by_segment.setdefault(place.segment, []).append(place.at)
        done = 0
        for name, offsets in by_segment.items():
            try:
                descriptor = os.open(self._root / name, os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:
                continue  # its retention ended before
            try:
                done += sum(_empty_frame(descriptor, self._disk, at) for at in sorted(offsets))
                self._disk.sync(descriptor)
            finally:
                os.close(descriptor)
        return Emptied(done)

    def remove(self, names: Sequence[str]) -> None:
        """Remove segments and the folders that are empty then. Raises OSError."""
        for name in names:
            self._disk.remove(self._root / name)
        for folder in {(self._root / name).parent for name in names}:
            if any(folder.iterdir()):
                self._disk.sync_directory(folder)
            else:
                folder.rmdir()
                self._disk.sync_directory(folder.parent)

    def close(self) -> None:
        """Let go of the segment that was read last."""
        if self._open is not None:
            self._open[1].close()
            self._open = None

    def _opened(self, name: str) -> BinaryIO:
        """Return the segment, open. Records lie in the order they were written, so the last one serves most reads."""
        if self._open is None or self._open[0] != name:
            # Also when the next one is not there: a closed file would hide all that is in it.
            self.close()
            self._open = (name, (self._root / name).open("rb"))
        return self._open[1]


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
