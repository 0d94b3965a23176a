"""A log in a directory as a stranger has it: a copy, a mount, a backup. No index, no vault, no recorder; read only.

Bodies are found by walking the heads of their segments, folder by folder, so that nothing derived is believed.
"""

from pathlib import Path
from typing import Any, BinaryIO

from magistrate.adapters.fetch import FileObjects
from magistrate.evidence.attested import Token
from magistrate.evidence.segment import folder_of, read_frame, scan

COSIGNED = "cosig/latest"


class LogCopy:
    """What there is of a log under ``root``."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.objects = FileObjects(root)
        self._folders: dict[str, dict[tuple[str, str], tuple[Path, int]]] = {}
        self._open: tuple[Path, BinaryIO] | None = None

    @property
    def vkey(self) -> str:
        """The key beside the log, which proves nothing; empty if there is none."""
        return (self.objects.get("log.vkey") or b"").decode("ascii", "replace").strip()

    def closed(self) -> dict[int, "LogCopy"]:
        """Return the closed shards that stand below the log, by number, oldest first."""
        found = [path for path in (self._root / "shards").glob("*/checkpoint") if path.parent.name.isdigit()]
        return {
            int(path.parent.name): LogCopy(path.parent)
            for path in sorted(found, key=lambda path: int(path.parent.name))
        }

    def cosigned(self) -> bytes:
        """Return the newest checkpoint with the cosignatures of witnesses; empty if there is none."""
        return self.objects.get(COSIGNED) or b""

    def tokens(self) -> list[Token]:
        """Return the time-stamps that are kept, smallest tree first."""
        found = sorted(
            (int(path.stem), path) for path in (self._root / "receipts").glob("*.tsr") if path.stem.isdigit()
        )
        return [Token(f"receipts/{path.name}", size, path.read_bytes()) for size, path in found]

    def ciphertext(self, header: dict[str, Any], part: str) -> bytes | None:
        """Return a body as it is kept, or None: it is not here."""
        folder = folder_of(header)
        if folder not in self._folders:
            self._folders[folder] = self._scanned(folder)
        place = self._folders[folder].get((str(header["eid"]), part))
        if place is None:
            return None
        try:
            file = self._segment(place[0])
            file.seek(place[1])
            return read_frame(file).ciphertext or None
        except (OSError, ValueError):
            return None

    def close(self) -> None:
        """Let go of the segment that was read last."""
        if self._open is not None:
            self._open[1].close()
            self._open = None

    def _segment(self, path: Path) -> BinaryIO:
        """Return a segment, open. Records lie in the order they were written, so the last one serves most reads."""
        if self._open is None or self._open[0] != path:
            self.close()
            self._open = (path, path.open("rb"))
        return self._open[1]

    def _scanned(self, folder: str) -> dict[tuple[str, str], tuple[Path, int]]:
        found: dict[tuple[str, str], tuple[Path, int]] = {}
        for path in sorted((self._root / "body" / folder).glob("*.seg")):
            with path.open("rb") as file:
                for eid, part, at in scan(file, path.stat().st_size):
                    found[eid, part] = (path, at)
        return found
