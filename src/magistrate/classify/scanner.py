"""Scanner: all rules over all parts in one pass.

The automaton says which rules could match anywhere; only those rules' patterns are run. Nothing triggers in most traffic, so
most traffic pays for one linear pass, and a second one for the few expressions that would make the first one slow.
"""

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Protocol

from magistrate.classify.automaton import Automaton, Expression
from magistrate.classify.encodings import HINTING_RULES, LAYERS, READERS, Decoded
from magistrate.classify.hit import Hit, led_back, led_out, merge
from magistrate.classify.rules import CARD_TRIGGER, RULES, Rule
from magistrate.classify.search import Search, characters, search_cards, search_for
from magistrate.classify.views import view_of
from magistrate.exchange.content import Part, PartKind
from magistrate.exchange.finding import Finding, incomplete

SEPARATOR = "\x00"
"""Stands between parts that are scanned together. No pattern matches across it."""

DETECTOR = "always-on"


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

    def search(self, text: str) -> Iterable[Hit]: ...


class Scanner:
    """The compiled rules. One scanner serves one thread, as its automata do."""

    def __init__(
        self,
        rules: Sequence[Rule] = RULES,
        detectors: Sequence[Detector] = (),
        matchers: Sequence[Matcher] = (),
    ) -> None:
        self._searches: list[tuple[str, Search]] = [(rule.id, search_for(rule)) for rule in rules]
        self._searches.append(("card", search_cards))
        self._hint = len(self._searches)
        self._hinting = {number for number, rule in enumerate(rules) if rule.id in HINTING_RULES} | {
            self._hint
        }
        together = [Expression(n, rule.trigger) for n, rule in enumerate(rules) if not rule.apart]
        together.append(Expression(len(rules), CARD_TRIGGER))
        apart = [Expression(n, rule.trigger) for n, rule in enumerate(rules) if rule.apart]
        self._automata = (
            Automaton(
                together + [Expression(self._hint, h, hint=True) for reader in READERS for h in reader.hints]
            ),
            Automaton(
                apart + [Expression(self._hint, h, hint=True) for reader in READERS for h in reader.apart]
            ),
        )
        self._runs = Automaton([Expression(n, each.trigger, hint=True) for n, each in enumerate(READERS)])
        self._detectors = tuple(detectors)
        self._matchers = tuple(matchers)
        self.phrase = max((matcher.phrase for matcher in matchers), default=0)
        self.version = _version(rules, matchers)

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
            hits += led_back(also, view)
            broken += also_broken
        if encoded:
            also, also_broken = self._decoded(text if view is None else view.text, encoded)
            hits += also if view is None else led_back(also, view)
            broken += also_broken
        if not hits and not broken:
            return ()
        findings = [self._finding(hit, starts) for hit in merge(hits)]
        findings += [incomplete(DETECTOR, self.version, rule) for rule in dict.fromkeys(broken)]
        return tuple(findings)

    def _decoded(self, text: str, readers: list[int]) -> tuple[list[Hit], list[str]]:
        """Return what is found in the encoded runs of ``text``, and in those of what they spell."""
        hits: list[Hit] = []
        broken: list[str] = []
        layers: list[Decoded] = []
        for _ in range(LAYERS):
            decoded = Decoded(layers[-1].text if layers else text, readers)
            if not decoded.text:
                break
            layers.append(decoded)
            also, also_broken, readers = self._hits(decoded.text)
            broken += also_broken
            hits += [hit for hit in also if led_out(hit, layers)]
            if not readers:
                break
        return hits, broken

    def _hits(self, text: str) -> tuple[list[Hit], list[str], list[int]]:
        """Return what is found in one spelling, which rules failed, and which readers may find something encoded in it."""
        triggered: dict[int, list[int]] = {}
        raw = text.encode("utf-8", "surrogatepass")
        for automaton in self._automata:
            automaton.scan(raw, triggered)
        hits: list[Hit] = []
        broken: list[str] = []
        readers = [] if self._hinting.isdisjoint(triggered) else self._readers(raw)
        triggered.pop(self._hint, None)
        for index in sorted(triggered):
            rule, search = self._searches[index]
            try:
                hits += search(text, characters(raw, text, triggered[index]))
            except Exception:  # noqa: BLE001  because one rule's failure is a finding, not an end
                broken.append(rule)
        for matcher in self._matchers:
            try:
                hits += matcher.search(text)
            except Exception:  # noqa: BLE001  because the same holds for a rule of the reader's own
                broken.append(matcher.id)
        return hits, broken, readers

    def _readers(self, raw: bytes) -> list[int]:
        found: dict[int, list[int]] = {}
        self._runs.scan(raw, found)
        return sorted(found)

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


def _version(rules: Sequence[Rule], matchers: Sequence[Matcher]) -> str:
    total = hashlib.sha256(b"always-on/3\0")
    for reader in READERS:
        total.update(f"{reader.trigger}\n".encode())
    for rule in rules:
        check = " ".join(each.__name__ for each in (rule.validate, rule.judge) if each)
        total.update(
            f"{rule.id}\0{rule.label}\0{rule.trigger}\0{rule.pattern}\0{check}\0{rule.priority}\n".encode()
        )
    for matcher in matchers:
        total.update(f"{matcher.id}\0{matcher.version}\n".encode())
    return total.hexdigest()[:16]


def _run(detector: Detector, parts: Sequence[Part]) -> tuple[Finding, ...]:
    try:
        return tuple(detector.scan(parts))
    except Exception as error:  # noqa: BLE001  because one detector's failure is a finding, not an end
        return (incomplete(detector.id, detector.version, type(error).__name__),)
