"""What was put last, remembered: growing the tree asks for its right edge, and that is what was put last."""

from collections import OrderedDict
from collections.abc import Mapping

from magistrate.evidence.ports import Readable

REMEMBERED = 64
"""Files: the edge has at most two a level, and a seal rarely brings more. The largest, an entry bundle, has 180 KB or so."""


class Recent:
    """Reads from memory what this process put, everything else from ``store``."""

    def __init__(self, store: Readable) -> None:
        self._store = store
        self._kept: OrderedDict[str, bytes] = OrderedDict()

    def keep(self, files: Mapping[str, bytes]) -> None:
        """Remember files that were put."""
        for path, data in files.items():
            self._kept[path] = data
            self._kept.move_to_end(path)
        while len(self._kept) > REMEMBERED:
            self._kept.popitem(last=False)

    def get(self, path: str) -> bytes | None:
        """Return the file, or None if there is none. Raises what the store raises."""
        kept = self._kept.get(path)
        if kept is not None:
            self._kept.move_to_end(path)
            return kept
        return self._store.get(path)
