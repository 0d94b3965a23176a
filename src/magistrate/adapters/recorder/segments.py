"""Body segments on disk: ciphertexts by tenant, retention class and day, so that what must go can go as whole files."""

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from magistrate.adapters.recorder.disk import Disk
from magistrate.adapters.recorder.index import Located
from magistrate.adapters.recorder.writer import Kept
from magistrate.evidence.segment import encode_frame, read_frame

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

    def write(self, batch: Sequence[Kept]) -> list[tuple[Located, ...]]:
        """Write the bodies of ``batch`` and sync them; return where each stands. Raises OSError."""
        pending: dict[str, list[bytes]] = {}
        ends: dict[str, int] = {}
        located: list[tuple[Located, ...]] = []
        for kept in batch:
            if not kept.entry.bodies:
                located.append(())
                continue
            folder = folder_of(kept.header)
            segment = self._segment(folder)
            frames = pending.setdefault(folder, [])
            at = ends.get(folder, segment.length)
            spots = []
            for part, ciphertext in kept.entry.bodies:
                frame = encode_frame(kept.header["eid"], part, ciphertext)
                spots.append(Located(part, segment.name, at))
                frames.append(frame)
                at += len(frame)
            ends[folder] = at
            located.append(tuple(spots))
        for folder, frames in pending.items():
            self._append(folder, b"".join(frames))
        return located

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
        name = str(path.relative_to(root))
        with path.open("rb") as file:
            while True:
                try:
                    frame = read_frame(file)
                except ValueError:
                    break  # the end, or what a crash left behind it
                yield frame.eid, Located(frame.part, name, frame.offset)


def folder_of(header: dict[str, Any]) -> str:
    """Return tenant, retention class and day as a path in which nothing but names can stand."""
    day = time.strftime("%Y-%m-%d", time.gmtime(header["ts"] // 1_000_000))
    tenant = "".join(
        c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in str(header.get("tenant", ""))
    )
    return f"{tenant[:64] or 'default'}/{header['ret']['class']}/{day}"
