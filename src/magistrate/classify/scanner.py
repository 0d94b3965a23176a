"""Scanner: all rules over all parts in one pass.

The automaton (Vectorscan, through ``hyperscan``) says which rules could match anywhere; only those rules' patterns are run.
Nothing triggers in most traffic, so most traffic pays for one linear pass.
"""

import hashlib
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Protocol, TypeAlias

import hyperscan

from magistrate.classify.digits import cards
from magistrate.classify.encodings import LAYERS, LONGEST_ENCODED, RUN_TRIGGER, Decoded
from magistrate.classify.rule import VALUE_GROUPS
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


class Matcher(Protocol):
    """A search of your own that reads every text, and promises how far a value of its kind can reach.

    Total and a function of the text alone; what stands behind a value decides at most where it ends.
    """

    id: str
    version: str
    phrase: int
    """Characters of the longest value that holds white space, its end included; 0 when none does."""

    def search(self, text: str) -> Iterable["Hit"]: ...


class Hit:
    """A match in a text that many parts were joined to."""

    __slots__ = ("also", "end", "extent", "label", "priority", "rule", "score", "start", "view")

    def __init__(
        self, start: int, end: int, label: str, rule: str, priority: int, score: int, view: str
    ) -> None:
        self.start = start
        self.end = end
        self.extent = end
        """How far the rule had to read; further than ``end`` where only the head of a value is marked."""
        self.label = label
        self.also: set[str] = set()
        self.rule = rule
        self.priority = priority
        self.score = score
        self.view = view


class Scanner:
    """The compiled rules. One scanner serves one thread: its scratch space is not shared."""

    def __init__(
        self,
        rules: Sequence[Rule] = RULES,
        detectors: Sequence[Detector] = (),
        matchers: Sequence[Matcher] = (),
    ) -> None:
        self._searches: list[tuple[str, Search]] = [(rule.id, _search(rule)) for rule in rules]
        self._searches.append(("card", _search_cards))
        triggers = [rule.trigger for rule in rules] + [CARD_TRIGGER, RUN_TRIGGER]
        self._encoded = len(triggers) - 1
        self._database = _database(triggers)
        self._scratch = hyperscan.Scratch(self._database)
        self._detectors = tuple(detectors)
        self._matchers = tuple(matchers)
        self.phrase = max((matcher.phrase for matcher in matchers), default=0)
        self._triggered: dict[int, list[int]] = {}
        # The binding keeps no reference to its callback; without one of ours it would call freed memory.
        self._on_match = self._note
        self.version = _version(rules, triggers, matchers)

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
        hits, broken, encoded = self._hits(text)
        view = view_of(text)
        if view is not None:
            also, also_broken, encoded = self._hits(view.text)
            hits += _led_back(also, view)
            broken += also_broken
        if encoded:
            also, also_broken = self._decoded(text if view is None else view.text)
            hits += also if view is None else _led_back(also, view)
            broken += also_broken
        if not hits and not broken:
            return ()
        findings = [self._finding(hit, starts) for hit in merge(hits)]
        findings += [
            Finding(INCOMPLETE, DETECTOR, self.version, status=FindingStatus.INDETERMINATE, detail=rule)
            for rule in dict.fromkeys(broken)
        ]
        return tuple(findings)

    def _decoded(self, text: str) -> tuple[list[Hit], list[str]]:
        """Return what is found in the encoded runs of ``text``, and in those of what they spell."""
        hits: list[Hit] = []
        broken: list[str] = []
        layers: list[Decoded] = []
        for _ in range(LAYERS):
            decoded = Decoded(layers[-1].text if layers else text)
            if not decoded.text:
                break
            layers.append(decoded)
            also, also_broken, encoded = self._hits(decoded.text)
            broken += also_broken
            hits += [hit for hit in also if _led_out(hit, layers)]
            if not encoded:
                break
        return hits, broken

    def _hits(self, text: str) -> tuple[list[Hit], list[str], bool]:
        """Return what is found in one spelling, which rules failed, and whether something may be encoded in it."""
        triggered = self._triggered
        triggered.clear()
        raw = text.encode("utf-8", "surrogatepass")
        self._database.scan(raw, match_event_handler=self._on_match, scratch=self._scratch)
        hits: list[Hit] = []
        broken: list[str] = []
        encoded = triggered.pop(self._encoded, None) is not None
        for index in sorted(triggered):
            rule, search = self._searches[index]
            try:
                hits += search(text, _characters(raw, text, triggered[index]))
            except Exception:  # noqa: BLE001  because one rule's failure is a finding, not an end
                broken.append(rule)
        for matcher in self._matchers:
            try:
                hits += matcher.search(text)
            except Exception:  # noqa: BLE001  because the same holds for a rule of the reader's own
                broken.append(matcher.id)
        return hits, broken, encoded

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
            also=tuple(sorted(hit.also - {hit.label})) if hit.also else (),
        )


def _led_back(hits: list[Hit], view: View) -> list[Hit]:
    """Return ``hits`` with their spans in the text that ``view`` was made from."""
    for hit in hits:
        hit.start, hit.end = view.span(hit.start, hit.end)
        hit.view = "normal" if hit.view == "raw" else hit.view
    return hits


def _led_out(hit: Hit, layers: Sequence[Decoded]) -> bool:
    """Move ``hit`` to where the outermost of ``layers`` stands; return whether it may count.

    A value that takes more characters than a stream can hold back does not. Of a private key so much is marked as can be.
    """
    longest = LONGEST_ENCODED
    for decoded in reversed(layers):
        coding = decoded.coding(hit.start)
        longest = min(longest, coding.longest)
        hit.view = coding.name
        extent = decoded.span(hit.start, hit.extent)[1]
        hit.start, hit.end = decoded.span(hit.start, hit.end)
        hit.extent = extent
    if hit.extent - hit.start > longest and hit.rule == "private_key":
        hit.end = hit.extent = hit.start + longest
    return hit.extent - hit.start <= longest


def merge(hits: Iterable[Hit]) -> list[Hit]:
    """Return hits that do not overlap, in order.

    Overlapping ones become one that covers them all, under the label of the highest priority, with the other labels
    beside it: dropping the lesser would leave its ends uncovered and keep its label from policy. The result depends on the hits alone, not on the order they were found in.
    """
    merged: list[Hit] = []
    for hit in sorted(hits, key=lambda h: (h.start, -h.end, -h.priority, h.rule)):
        last = merged[-1] if merged else None
        if last is None or hit.start >= last.end:
            merged.append(hit)
            continue
        last.also |= {last.label, hit.label}
        if (hit.priority, hit.end - hit.start) > (last.priority, last.end - last.start):
            last.label, last.rule, last.priority = hit.label, hit.rule, hit.priority
            last.score, last.view = hit.score, hit.view
        last.end = max(last.end, hit.end)
    return merged


def _search(rule: Rule) -> Search:
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


def _database(triggers: Sequence[str]) -> hyperscan.Database:
    """Return a database of one's own; compiling takes a third of a second, copying what was compiled a millisecond."""
    database: hyperscan.Database = hyperscan.loadb(_compiled(tuple(triggers)), hyperscan.HS_MODE_BLOCK)
    return database


@lru_cache(maxsize=4)
def _compiled(triggers: tuple[str, ...]) -> bytes:
    database = hyperscan.Database()
    flags = hyperscan.HS_FLAG_CASELESS | hyperscan.HS_FLAG_DOTALL
    exact = hyperscan.HS_FLAG_DOTALL | hyperscan.HS_FLAG_SINGLEMATCH
    database.compile(
        expressions=[trigger.encode() for trigger in triggers],
        ids=list(range(len(triggers))),
        flags=[exact if trigger == RUN_TRIGGER else flags for trigger in triggers],
    )
    return bytes(hyperscan.dumpb(database))


def _version(rules: Sequence[Rule], triggers: Sequence[str], matchers: Sequence[Matcher]) -> str:
    total = hashlib.sha256(b"always-on/2\0")
    for rule, trigger in zip(rules, triggers, strict=False):
        check = " ".join(each.__name__ for each in (rule.validate, rule.judge) if each)
        total.update(
            f"{rule.id}\0{rule.label}\0{trigger}\0{rule.pattern}\0{check}\0{rule.priority}\n".encode()
        )
    for matcher in matchers:
        total.update(f"{matcher.id}\0{matcher.version}\n".encode())
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
