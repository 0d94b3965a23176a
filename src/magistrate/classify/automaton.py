"""The automaton (Vectorscan, through ``hyperscan``): many expressions over a text in one pass.

What one pass costs depends on which expressions stand together. Beside literals, an expression that begins with letters of any
kind, or with white space, keeps states alive all over ordinary text: those stand in an automaton of their own.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import hyperscan

_BYTES = hyperscan.HS_FLAG_DOTALL
_WORDS = _BYTES | hyperscan.HS_FLAG_CASELESS
_WHETHER = _BYTES | hyperscan.HS_FLAG_SINGLEMATCH


class Expression(NamedTuple):
    """``number`` is told where it matches; several may share one. ``hint``: as written, and told once, not everywhere."""

    number: int
    pattern: str
    hint: bool = False


class Automaton:
    """Compiled expressions. One serves one thread: its scratch space is not shared."""

    def __init__(self, expressions: Sequence[Expression]) -> None:
        self._database: hyperscan.Database = hyperscan.loadb(
            _compiled(tuple(expressions)), hyperscan.HS_MODE_BLOCK
        )
        self._scratch = hyperscan.Scratch(self._database)
        self._found: dict[int, list[int]] = {}
        # The binding keeps no reference to its callback; without one of ours it would call freed memory.
        self._on_match = self._note

    def scan(self, raw: bytes, found: dict[int, list[int]]) -> None:
        """Add to ``found`` behind which bytes of ``raw`` each expression's matches end."""
        self._found = found
        self._database.scan(raw, match_event_handler=self._on_match, scratch=self._scratch)

    def _note(self, number: int, start: int, end: int, flags: int, context: object) -> None:
        del start, flags, context
        self._found.setdefault(number, []).append(end)


@lru_cache(maxsize=8)
def _compiled(expressions: tuple[Expression, ...]) -> bytes:
    """Return a database as bytes: compiling takes a third of a second, loading what was compiled a millisecond."""
    database = hyperscan.Database()
    database.compile(
        expressions=[one.pattern.encode() for one in expressions],
        ids=[one.number for one in expressions],
        flags=[_WHETHER if one.hint else _WORDS for one in expressions],
    )
    return bytes(hyperscan.dumpb(database))
