"""A log in a directory as a stranger has it: a copy, a mount, a backup. No index, no vault, no recorder; read only.

Bodies are found by walking the heads of their segments, folder by folder, so that nothing derived is believed.
"""

import os
from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import Any

from magistrate.adapters.fetch import FileObjects
from magistrate.evidence.segment import folder_of, scan
from magistrate.evidence.stamped import Token

COSIGNED = "cosig/latest"

MOST_PLACES = 2_000_000
"""So many bodies' places are remembered, about 500 MB, before the folder used longest ago is forgotten. Records lie in
the order of time and folders hold one day each, so one that was forgotten is seldom walked again."""

MOST_OPEN = 64
"""Segments that are open at once: tenants and retention classes of one day alternate."""

ID_BYTES = 36
"""Of a record's id in a frame. With the part behind it, it is one name that can be read in one way only."""

_Places = dict[str, tuple[Path, int, int]]
"""Of each body, by id and part in one: its segment, its offset, and its length, 0 if it was erased."""
_NOWHERE = (Path(), 0, 0)


class LogCopy:
    """What there is of a log under ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.objects = FileObjects(root)
        self._folders: OrderedDict[str, _Places] = OrderedDict()
        self._remembered = 0
        self._open: OrderedDict[Path, int] = OrderedDict()

    @property
    def vkey(self) -> str:
        """The key beside the log, which proves nothing; empty if there is none."""
        return (self.objects.get("log.vkey") or b"").decode("ascii", "replace").strip()

    def below(self) -> dict[int, "LogCopy"]:
        """Return the shards of the same log that stand below this one, by number."""
        found = [path.parent for path in (self.root / "shards").glob("*/checkpoint")]
        return {int(root.name): LogCopy(root) for root in found if root.name.isdecimal()}

    def cosigned(self) -> bytes:
        """Return the newest checkpoint with the cosignatures of witnesses; empty if there is none."""
        return self.objects.get(COSIGNED) or b""

    def tokens(self) -> list[Token]:
        """Return the time-stamps that are kept, smallest tree first."""
        found = sorted(
            (int(path.stem), path) for path in (self.root / "receipts").glob("*.tsr") if path.stem.isdigit()
        )
        return [Token(f"receipts/{path.name}", size, path.read_bytes()) for size, path in found]

    def ciphertext(self, header: dict[str, Any], part: str) -> bytes | None:
        """Return a body as it is kept, or None: it is not here."""
        path, at, length = self._places(folder_of(header)).get(f"{header['eid']}{part}", _NOWHERE)
        if length == 0:
            return None
        try:
            found = os.pread(self._segment(path), length, at)
        except OSError:
            return None
        return found if len(found) == length else None

    def close(self) -> None:
        """Let go of the segments that are open."""
        while self._open:
            os.close(self._open.popitem()[1])

    def _segment(self, path: Path) -> int:
        descriptor = self._open.get(path)
        if descriptor is None:
            if len(self._open) >= MOST_OPEN:
                os.close(self._open.popitem(last=False)[1])
            descriptor = self._open[path] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        return descriptor

    def _places(self, folder: str) -> _Places:
        known = self._folders.get(folder)
        if known is None:
            known = self._folders[folder] = self._scanned(folder)
            self._remembered += len(known)
            while self._remembered > MOST_PLACES and len(self._folders) > 1:
                self._remembered -= len(self._folders.popitem(last=False)[1])
        elif len(self._folders) > 1:
            self._folders.move_to_end(folder)
        return known

    def _scanned(self, folder: str) -> _Places:
        found: _Places = {}
        for path in sorted((self.root / "body" / folder).glob("*.seg")):
            try:
                descriptor = self._segment(path)
            except FileNotFoundError:
                continue  # pruned since it was listed
            size = os.fstat(descriptor).st_size
            for names, first, at, length in scan(partial(os.pread, descriptor), size):
                if first == ID_BYTES:
                    found[names] = path, at, length
        return found
