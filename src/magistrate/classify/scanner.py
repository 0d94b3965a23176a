"""Scanner: all rules over all parts in one pass.

The automaton (Vectorscan, through ``hyperscan``) says which rules could match anywhere; only those rules' patterns are run.
Nothing triggers in most traffic, so most traffic pays for one linear pass.
"""

import hashlib
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeAlias

import hyperscan

from magistrate.classify.digits import cards
from magistrate.classify.rules import CARD_TRIGGER, RULES, Rule
from magistrate.classify.views import View, view_of
from magistrate.exchange.content import Part, PartKind
from magistrate.exchange.finding import Finding, FindingStatus

SEPARATOR = "\x00"
"""Stands between parts that are scanned together. No pattern matches across it."""

MOST_WINDOWS = 64
"""Where a rule triggers more often, one pass over the whole text is cheaper."""

MOST_RUNS = 1024
"""The same for runs of digits, which trigger at each of their digits."""

AFTER = 8
"""Characters behind a match that show that it ends."""

_IN_RUN = frozenset("0123456789 \t.\n-")

Search: TypeAlias = Callable[[str, list[int]], Iterable["Hit"]]

DETECTOR = "always-on"
INCOMPLETE = "inspection.incomplete"


class Detector(Protocol):
    """A detector of your own. Pure and total in spirit; what it raises becomes an INDETERMINATE finding."""

    id: str
    version: str

    def scan(self, parts: Sequence[Part]) -> Iterable[Finding]: ...


class Hit:
    """A match in a text that many parts were joined to."""

    __slots__ = ("end", "label", "priority", "rule", "score", "start", "view")

    def __init__(
        self, start: int, end: int, label: str, rule: str, priority: int, score: int, view: str
    ) -> None:
        self.start = start
        self.end = end
        self.label = label
        self.rule = rule
        self.priority = priority
        self.score = score
        self.view = view


class Scanner:
    """The compiled rules. One scanner serves one thread: its scratch space is not shared."""

    def __init__(self, rules: Sequence[Rule] = RULES, detectors: Sequence[Detector] = ()) -> None:
        self._searches: list[tuple[str, Search]] = [(rule.id, _search(rule)) for rule in rules]
        self._searches.append(("card", _search_cards))
        triggers = [rule.trigger for rule in rules] + [CARD_TRIGGER]
        self._database = _compile(triggers)
        self._scratch = hyperscan.Scratch(self._database)
        self._detectors = tuple(detectors)
        self._triggered: dict[int, list[int]] = {}
        # The binding keeps no reference to its callback; without one of ours it would call freed memory.
        self._on_match = self._note
        self.version = _version(rules, triggers)

    def scan_text(self, text: str) -> tuple[Finding, ...]:
        """Return the findings in one text. Total: never raises for any text."""
        return self._findings(text, [0])

    def scan(self, parts: Sequence[Part]) -> tuple[Finding, ...]:
        """Return the findings in all parts, in order of part and place."""
        starts: list[int] = []
        texts: list[str] = []
        at = 0
        for part in parts:
            starts.append(at)
            text = "" if part.kind is PartKind.OPAQUE else part.text
            texts.append(text)
            at += len(text) + 1
        found = self._findings(SEPARATOR.join(texts), starts)
        for detector in self._detectors:
            found += _run(detector, parts)
        return found

    def _findings(self, text: str, starts: list[int]) -> tuple[Finding, ...]:
        hits, broken = self._hits(text, "raw", None)
        view = view_of(text)
        if view is not None:
            seen, also_broken = self._hits(view.text, "normal", view)
            hits += seen
            broken += also_broken
        if not hits and not broken:
            return ()
        findings = [self._finding(hit, starts) for hit in merge(hits)]
        findings += [
            Finding(INCOMPLETE, DETECTOR, self.version, status=FindingStatus.INDETERMINATE, detail=rule)
            for rule in broken
        ]
        return tuple(findings)

    def _hits(self, text: str, name: str, view: View | None) -> tuple[list[Hit], list[str]]:
        triggered = self._triggered
        triggered.clear()
        raw = text.encode("utf-8", "surrogatepass")
        self._database.scan(raw, match_event_handler=self._on_match, scratch=self._scratch)
        hits: list[Hit] = []
        broken: list[str] = []
        for index in sorted(triggered):
            rule, search = self._searches[index]
            try:
                for hit in search(text, _characters(raw, text, triggered[index])):
                    if view is not None:
                        hit.start, hit.end = view.span(hit.start, hit.end)
                        hit.view = name
                    hits.append(hit)
            except Exception:  # noqa: BLE001  because one rule's failure is a finding, not an end
                broken.append(rule)
        return hits, broken

    def _note(self, index: int, start: int, end: int, flags: int, context: object) -> None:
        del start, flags, context
        self._triggered.setdefault(index, []).append(end)

    def _finding(self, hit: Hit, starts: list[int]) -> Finding:
        part = bisect_right(starts, hit.start) - 1
        base = starts[part]
        return Finding(
            label=hit.label,
            detector=DETECTOR,
            version=self.version,
            part=part,
            start=hit.start - base,
            end=hit.end - base,
            score_milli=hit.score,
            view=hit.view,
            detail=hit.rule,
        )


def merge(hits: Iterable[Hit]) -> list[Hit]:
    """Return hits that do not overlap, in order.

    Overlapping ones become one that covers them all, under the label of the highest priority: dropping the lesser
    would leave its ends uncovered. The result depends on the hits alone, not on the order they were found in.
    """
    merged: list[Hit] = []
    for hit in sorted(hits, key=lambda h: (h.start, -h.end, -h.priority, h.rule)):
        last = merged[-1] if merged else None
        if last is None or hit.start >= last.end:
            merged.append(hit)
            continue
        if (hit.priority, hit.end - hit.start) > (last.priority, last.end - last.start):
            last.label, last.rule, last.priority = hit.label, hit.rule, hit.priority
            last.score, last.view = hit.score, hit.view
        last.end = max(last.end, hit.end)
    return merged


def _search(rule: Rule) -> Search:
    pattern = re.compile(rule.pattern)
    group = "v" if "v" in pattern.groupindex else 0
    validate = rule.validate

    def search(text: str, triggers: list[int]) -> Iterable[Hit]:
        for low, high in _windows(rule, triggers, len(text)):
            at = low
            while match := pattern.search(text, at, high):
                # What is no value takes nothing with it: one may begin inside it.
                at = match.start() + 1
                if validate is None or validate(match[group]):
                    start, end = match.span(group)
                    at = max(at, end)
                    yield Hit(start, end, rule.label, rule.id, rule.priority, rule.score_milli, "raw")

    return search


def _search_cards(text: str, triggers: list[int]) -> Iterable[Hit]:
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


def _characters(raw: bytes, text: str, offsets: list[int]) -> list[int]:
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


def _compile(triggers: Sequence[str]) -> hyperscan.Database:
    database = hyperscan.Database()
    flags = hyperscan.HS_FLAG_CASELESS | hyperscan.HS_FLAG_DOTALL
    database.compile(
        expressions=[trigger.encode() for trigger in triggers],
        ids=list(range(len(triggers))),
        flags=[flags] * len(triggers),
    )
    return database


def _version(rules: Sequence[Rule], triggers: Sequence[str]) -> str:
    total = hashlib.sha256(b"always-on/1\0")
    for rule, trigger in zip(rules, triggers, strict=False):
        check = rule.validate.__name__ if rule.validate else ""
        total.update(
            f"{rule.id}\0{rule.label}\0{trigger}\0{rule.pattern}\0{check}\0{rule.priority}\n".encode()
        )
    return total.hexdigest()[:16]


def _run(detector: Detector, parts: Sequence[Part]) -> tuple[Finding, ...]:
    try:
        return tuple(detector.scan(parts))
    except Exception as error:  # noqa: BLE001  because one detector's failure is a finding, not an end
        reason = type(error).__name__
        return (
            Finding(
                INCOMPLETE, detector.id, detector.version, status=FindingStatus.INDETERMINATE, detail=reason
            ),
        )
