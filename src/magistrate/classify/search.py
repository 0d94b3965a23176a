"""Search: where in a text a rule is tried, and what it finds there. Triggers say where, windows bound it."""

import re
from collections.abc import Callable, Iterable
from typing import TypeAlias

from magistrate.classify.digits import cards
from magistrate.classify.hit import Hit
from magistrate.classify.rule import VALUE_GROUPS, Rule

MOST_WINDOWS = 64
"""Where a rule triggers more often, one pass over the whole text is cheaper."""

MOST_RUNS = 1024
"""The same for runs of digits, which trigger at each of their digits."""

AFTER = 8
"""Characters behind a match that show that it ends."""

_IN_RUN = frozenset("0123456789 \t.\n-")

Search: TypeAlias = Callable[[str, list[int]], Iterable[Hit]]


def search_for(rule: Rule) -> Search:
    pattern = re.compile(rule.pattern)
    groups: list[str | int] = [name for name in VALUE_GROUPS if name in pattern.groupindex]
    mark = "m" if "m" in pattern.groupindex else None

    def hit(match: re.Match[str]) -> Hit | None:
        group = next((name for name in groups if match.start(name) >= 0), 0)
        if not rule.holds(match, group):
            return None
        start, end = match.span(mark or group)
        found = Hit(start, end, rule.label, rule.id, rule.priority, rule.score_milli, "raw")
        found.extent = match.end(group)
        return found

    def search(text: str, triggers: list[int]) -> Iterable[Hit]:
        for low, high in _windows(rule, triggers, len(text)):
            at = low
            while match := pattern.search(text, at, high):
                # What is no value takes nothing with it: one may begin inside it.
                at = match.start() + 1
                if found := hit(match):
                    at = max(at, found.extent)
                    yield found

    def search_beginnings(text: str, triggers: list[int]) -> Iterable[Hit]:
        at = 0
        for end in sorted(triggers):
            # Every match begins before the end of its trigger and no further back than the rule's reach.
            low = max(at, end - rule.reach)
            for begun in _begun(begins, text, low, end):
                match = pattern.match(text, begun, end + rule.ahead + AFTER) if begun >= at else None
                if match and (found := hit(match)):
                    at = max(begun + 1, found.extent)
                    yield found
            at = max(at, end)

    begins = re.compile(rule.begins)
    return search_beginnings if rule.begins else search


def _begun(begins: re.Pattern[str], text: str, low: int, end: int) -> Iterable[int]:
    """Yield where ``begins`` stands in ``text`` from ``low`` to ``end``, whatever the case, and where the text begins."""
    if low == 0:
        yield 0
    part = text[low:end]
    small = part.lower()
    if len(small) != len(part):
        small = part  # a capital that becomes two characters: such a text is read as it is
    at = max(1 - low, 0)
    while found := begins.search(small, at):
        at = found.start() + 1
        yield low + found.start()


def search_cards(text: str, triggers: list[int]) -> Iterable[Hit]:
    for low, high in _runs(text, triggers):
        for start, end in cards(text[low:high]):
            yield Hit(low + start, low + end, "pci.pan", "card", 70, 980, "raw")


def _runs(text: str, triggers: list[int]) -> Iterable[tuple[int, int]]:
    """Yield the runs of digits and separators around the triggers, whole: what is in a run decides together."""
    if len(triggers) > MOST_RUNS:
        yield 0, len(text)
        return
    high = 0
    for end in sorted(triggers):
        if end <= high:
            continue
        low, high = end, end
        while low > 0 and text[low - 1] in _IN_RUN:
            low -= 1
        while high < len(text) and text[high] in _IN_RUN:
            high += 1
        yield low, high


def _windows(rule: Rule, triggers: list[int], length: int) -> Iterable[tuple[int, int]]:
    """Yield the stretches of text in which a pattern must be tried: around its triggers, joined where they meet."""
    if len(triggers) > MOST_WINDOWS:
        yield 0, length
        return
    low = high = -1
    for end in sorted(triggers):
        if end - rule.reach > high:
            if high >= 0:
                yield low, high
            low = max(0, end - rule.reach)
        high = min(length, end + rule.ahead + AFTER)
    yield low, high


def characters(raw: bytes, text: str, offsets: list[int]) -> list[int]:
    """Return character offsets for byte offsets. Nobody asks for them when there are many."""
    if len(raw) == len(text) or len(offsets) > MOST_RUNS:
        return offsets
    characters: list[int] = []
    at = count = 0
    for offset in sorted(offsets):
        # A trigger ends behind an ASCII character, so no character is cut in two.
        count += len(raw[at:offset].decode("utf-8", "surrogatepass"))
        characters.append(count)
        at = offset
    return characters
