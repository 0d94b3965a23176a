"""Body segments on disk: ciphertexts by tenant, retention class and day, so that what must go can go as whole files."""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from magistrate.adapters.recorder.disk import Disk
from magistrate.adapters.recorder.index import Located
from magistrate.adapters.recorder.wal import Entry
from magistrate.evidence.segment import encode_frame, frames

LARGEST_SEGMENT = 256 * 1024 * 1024
MOST_OPEN = 64


class _Open:
    __slots__ = ("descriptor", "length", "path")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self.length = os.fstat(self.descriptor).st_size


class SegmentWriter:
    """Appends ciphertexts; whatever a crash leaves twice is found by its first place and harmless."""

    def __init__(self, root: Path, disk: Disk) -> None:
        self._root = root
        self._disk = disk
        self._open: dict[str, _Open] = {}

    def write(self, entries: Sequence[Entry], headers: Sequence[dict[str, Any]]) -> list[tuple[Located, ...]]:
        """Write the bodies of ``entries`` and sync them; return where each stands."""
        pending: dict[str, list[bytes]] = {}
        offsets: dict[str, int] = {}
        located: list[tuple[Located, ...]] = []
        for entry, header in zip(entries, headers, strict=True):
            folder = _folder(header)
            spots = []
            for part, ciphertext in entry.bodies:
                segment = self._segment(folder)
                name = str(segment.path.relative_to(self._root))
                at = offsets.setdefault(folder, segment.length)
                frame = encode_frame(str(header["eid"]), part, ciphertext)
                spots.append(Located(part, name, at))
                pending.setdefault(folder, []).append(frame)
                offsets[folder] = at + len(frame)
            located.append(tuple(spots))
        for folder, parts in pending.items():
            segment = self._open[folder]
            self._disk.write(segment.descriptor, b"".join(parts))
            self._disk.sync(segment.descriptor)
            segment.length = os.fstat(segment.descriptor).st_size
        while len(self._open) > MOST_OPEN:
            _, oldest = self._open.popitem()
            os.close(oldest.descriptor)
        return located

    def locate(self) -> dict[str, list[Located]]:
        """Return where every body stands, by record id, from the segments alone."""
        found: dict[str, list[Located]] = {}
        for path in sorted((self._root / "body").rglob("*.seg")):
            name = str(path.relative_to(self._root))
            for frame in frames(path.read_bytes()):
                found.setdefault(frame.eid, []).append(Located(frame.part, name, frame.offset))
        return found

    def close(self) -> None:
        for segment in self._open.values():
            os.close(segment.descriptor)
        self._open.clear()

    def _segment(self, folder: str) -> _Open:
        segment = self._open.get(folder)
        if segment is not None and segment.length < LARGEST_SEGMENT:
            return segment
        if segment is not None:
            os.close(segment.descriptor)
        directory = self._root / "body" / folder
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        numbers = sorted(int(path.stem) for path in directory.glob("*.seg"))
        number = numbers[-1] if numbers else 0
        path = directory / f"{number}.seg"
        if segment is not None or (path.exists() and path.stat().st_size >= LARGEST_SEGMENT):
            path = directory / f"{number + 1}.seg"
        self._open[folder] = opened = _Open(path)
        self._disk.sync_directory(directory)
        return opened


def _folder(header: dict[str, Any]) -> str:
    day = time.strftime("%Y-%m-%d", time.gmtime(int(header["ts"]) // 1_000_000))
    tenant = "".join(c if c.isalnum() or c in "-_" else "_" for c in str(header.get("tenant", "default")))[
        :64
    ]
    return f"{tenant or 'default'}/{header.get('ret', {}).get('class', 'standard')}/{day}"
