"""Body segments in a remote store: one seal writes one whole object a folder, and nothing is appended to.

Its name is the moment it was written, so that nobody has to ask the store which names are taken and two writers never
mean the same one. A body that a failed seal leaves twice is the same bytes twice; either place is right.
"""

import io
import time
from collections.abc import Callable, Iterator, Sequence

from magistrate.adapters.recorder.row import Located
from magistrate.adapters.recorder.segments import Emptied
from magistrate.adapters.recorder.storage import Files
from magistrate.adapters.recorder.wal import Entry
from magistrate.evidence.segment import Frame, emptied, encode_frame, folder_of, read_frame

LARGEST_OBJECT = 64 * 1024 * 1024
"""A seal with more of one folder writes several. A single body may be larger."""

CLOCK_MAY_JUMP_NS = 3600 * 10**9
"""A segment is written after its records; a clock that is put back by more than this hides it from a partial index."""


class ObjectSegments:
    """The `Segments` of a log whose files are objects."""

    def __init__(self, objects: Files) -> None:
        self._objects = objects
        self._open: tuple[str, bytes] | None = None

    def write(self, batch: Sequence[Entry], rest: Callable[[], None]) -> list[tuple[Located, ...]]:
        """Write the bodies of ``batch``; return where each stands. Raises `StoreUnavailable`."""
        open_now: dict[str, tuple[str, list[bytes], int]] = {}
        located: list[tuple[Located, ...]] = []
        for entry in batch:
            spots = []
            header = entry.fields()
            folder = folder_of(header)
            for part, ciphertext in entry.bodies:
                frame = encode_frame(header["eid"], part, ciphertext)
                name, frames, length = open_now.get(folder) or (_new_name(folder), [], 0)
                if frames and length + len(frame) > LARGEST_OBJECT:
                    self._objects.put(name, b"".join(frames))
                    name, frames, length = _new_name(folder), [], 0
                spots.append(Located(part, name, length))
                frames.append(frame)
                open_now[folder] = (name, frames, length + len(frame))
            located.append(tuple(spots))
            rest()
        for name, frames, _ in open_now.values():
            self._objects.put(name, b"".join(frames))
        return located

    def forget(self, folder: str) -> None:
        """Nothing is appended to, so there is nothing to forget."""

    def folders(self) -> Iterator[str]:
        """Yield every folder: tenant, class and day."""
        for tenant in self._objects.children("body"):
            for retention in self._objects.children(f"body/{tenant}"):
                for day in self._objects.children(f"body/{tenant}/{retention}"):
                    yield f"{tenant}/{retention}/{day}"

    def names(self, folder: str, since_us: int = 0) -> list[str]:
        """Return the segments of a folder, oldest first; not those that were written an hour and more before ``since_us``."""
        begun = [
            int(name.removesuffix(".seg"))
            for name in self._objects.children(f"body/{folder}")
            if name.removesuffix(".seg").isdecimal()
        ]
        earliest = since_us * 1000 - CLOCK_MAY_JUMP_NS
        return [f"body/{folder}/{moment}.seg" for moment in sorted(begun) if moment >= earliest]

    def locate(self, name: str) -> Iterator[tuple[str, Located]]:
        """Yield record id and place of every whole body in a segment. Reads all of it."""
        file = io.BytesIO(self._objects.get(name) or b"")
        while True:
            try:
                frame = read_frame(file)
            except ValueError:
                return
            yield frame.eid, Located(frame.part, name, frame.offset)

    def frame(self, place: Located) -> Frame | None:
        """Return the body at a place, or None. Raises `StoreUnavailable`."""
        if self._open is None or self._open[0] != place.segment:
            data = self._objects.get(place.segment)
            if data is None:
                return None
            self._open = (place.segment, data)
        file = io.BytesIO(self._open[1])
        file.seek(place.at)
        try:
            return read_frame(file)
        except ValueError:
            return None

    def pieces(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of a segment."""
        yield self._objects.get(name) or b""

    def empty(self, places: Sequence[Located]) -> Emptied:
        """Put zeros in place of ciphertexts, by writing the segment anew and letting the old one go.

        What the store has locked stays as it is, and is counted.
        """
        by_segment: dict[str, list[int]] = {}
        for place in places:
            by_segment.setdefault(place.segment, []).append(place.at)
        done = locked = 0
        for name, offsets in by_segment.items():
            data = self._objects.get(name)
            if data is None:
                continue  # its retention ended before
            zeroed = bytearray(data)
            for at in offsets:
                magic, begin, length = emptied(data[at : at + 16])
                zeroed[at : at + len(magic)] = magic
                zeroed[at + begin : at + begin + length] = bytes(length)
            if self._objects.replace(name, bytes(zeroed)):
                done += len(offsets)
            else:
                locked += len(offsets)
        self._open = None
        return Emptied(done, locked)

    def remove(self, names: Sequence[str]) -> None:
        """Remove segments. Raises `StoreUnavailable`, and `Retained` when the store has one of them locked."""
        for name in names:
            self._objects.remove(name)
        self._open = None

    def close(self) -> None:
        self._open = None


def _new_name(folder: str) -> str:
    return f"body/{folder}/{time.time_ns()}.seg"
