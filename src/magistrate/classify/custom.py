"""Patterns of the reader's own: found by the automaton alone, so they cost linear time whatever they look like.

A pattern has a longest match, or a stream could not hold it back; one that may hold white space has a short one. Both are
checked when it is made. Where matches overlap, the leftmost and longest counts.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import hyperscan
import msgspec

from magistrate.classify.hit import Hit
from magistrate.exchange.errors import ConfigurationError

LONGEST_PATTERN = 1024
"""Characters that a match may have."""

LONGEST_PHRASE = 96
"""The same if it may hold white space: a stream holds so much back all the time."""

SHORTEST_PATTERN = 3
PRIORITY = 95
"""Above every built-in rule but those for secrets."""

_SPACES = " \t\n\r\v\f"


class Pattern(msgspec.Struct, frozen=True):
    """One pattern, in the syntax that PCRE and Python share, without look-around and back-references."""

    id: str
    label: str
    expression: str
    ignore_case: bool = False
    score_milli: int = 900


class PatternMatcher:
    """The `Matcher` over all patterns. One serves one thread, like the scanner it belongs to."""

    id = "patterns"

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        """Compile ``patterns``.

        Raises:
            ConfigurationError: one cannot be used; the place is its id.
        """
        self._patterns = tuple(patterns)
        self.version = "\0".join(map(repr, patterns))
        self.phrase = 0
        for pattern in patterns:
            longest, spaced = _measured(pattern)
            self.phrase = max(self.phrase, longest + 1 if spaced else 0)
        self._database = hyperscan.Database()
        if patterns:
            self._database.compile(
                expressions=[pattern.expression.encode() for pattern in patterns],
                ids=list(range(len(patterns))),
                flags=[_flags(pattern) for pattern in patterns],
            )
            self._scratch = hyperscan.Scratch(self._database)
        self._longest: dict[tuple[int, int], int] = {}
        # The binding keeps no reference to its callback.
        self._on_match = self._note

    def search(self, text: str) -> Iterable[Hit]:
        """Yield the matches, those of one pattern not overlapping."""
        if not self._patterns:
            return
        longest = self._longest
        longest.clear()
        # Half a surrogate pair has no bytes in UTF-8, and the engine must be fed nothing else.
        raw = text.encode("utf-8", "replace")
        self._database.scan(raw, match_event_handler=self._on_match, scratch=self._scratch)
        at = byte = character = -1
        for (index, first), last in sorted(longest.items()):
            if index != at:
                at, byte, character = index, 0, 0
            if first < byte:
                continue
            pattern = self._patterns[index]
            start = character + len(raw[byte:first].decode())
            byte, character = last, start + len(raw[first:last].decode())
            yield Hit(start, character, pattern.label, pattern.id, PRIORITY, pattern.score_milli, "raw")

    def _note(self, index: int, start: int, end: int, flags: int, context: object) -> None:
        del flags, context
        if end > self._longest.get((index, start), 0):
            self._longest[index, start] = end


def _flags(pattern: Pattern) -> int:
    flags = hyperscan.HS_FLAG_SOM_LEFTMOST | hyperscan.HS_FLAG_DOTALL | hyperscan.HS_FLAG_UTF8
    return int(flags | hyperscan.HS_FLAG_CASELESS if pattern.ignore_case else flags)


def _measured(pattern: Pattern) -> tuple[int, bool]:
    """Return the longest match of ``pattern`` and whether it may hold white space.

    Raises:
        ConfigurationError: it cannot be used.
    """

    def refuse(reason: str) -> ConfigurationError:
        return ConfigurationError(reason, pattern.id)

    try:
        hyperscan.Database().compile(
            expressions=[pattern.expression.encode()], ids=[0], flags=[_flags(pattern)]
        )
        tree: Any = re._parser.parse(pattern.expression)  # type: ignore[attr-defined]  # noqa: SLF001  because only the parser knows how long a match can be
    except hyperscan.HyperscanError as error:
        raise refuse(f"cannot be matched in linear time ({str(error).rstrip('.').lower()})") from None
    except re.error as error:
        raise refuse(f"is not a regular expression: {error}") from None
    least, most = tree.getwidth()
    spaced = _may_hold_space(tree)
    if least < SHORTEST_PATTERN:
        raise refuse(
            f"may match {least} characters; at least {SHORTEST_PATTERN} must stand, or it matches everywhere"
        )
    limit = LONGEST_PHRASE if spaced else LONGEST_PATTERN
    if most > limit:
        advice = "write `{1,64}` in place of `+` or `*`"
        why = " because it may hold white space" if spaced else ""
        raise refuse(
            f"may match more than {limit} characters, the longest that a stream holds back{why}; {advice}"
        )
    return int(most), spaced


def _may_hold_space(tree: Any) -> bool:
    """Return whether something in a parsed pattern can match white space."""
    for operator, operand in tree:
        match str(operator):
            case "LITERAL":
                found = chr(operand) in _SPACES
            case "ANY" | "NOT_LITERAL":
                found = True
            case "IN":
                found = any(_in_class(operand, ord(space)) for space in _SPACES)
            case "BRANCH":
                found = any(_may_hold_space(branch) for branch in operand[1])
            case "SUBPATTERN":
                found = _may_hold_space(operand[-1])
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
                found = _may_hold_space(operand[2])
            case _:
                found = False
        if found:
            return True
    return False


def _in_class(items: Any, code: int) -> bool:
    negated, inside = False, False
    for operator, operand in items:
        match str(operator):
            case "NEGATE":
                negated = True
            case "LITERAL":
                inside |= operand == code
            case "RANGE":
                inside |= operand[0] <= code <= operand[1]
            case "CATEGORY":
                inside |= str(operand) in {"CATEGORY_SPACE", "CATEGORY_NOT_DIGIT", "CATEGORY_NOT_WORD"}
    return inside != negated
