"""Carrying out what policy demands: redact, tokenise by each method, cap.

`route` is routing's matter; `warn` is told in a header.
"""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import TypeAlias

from magistrate.classify.redact import mask, token
from magistrate.classify.restorer import Piece
from magistrate.classify.sinks import IMAGE, LINK
from magistrate.classify.surrogates import surrogate
from magistrate.classify.tokens import Echoes, Table
from magistrate.exchange.content import Part, PartKind
from magistrate.exchange.decision import Obligation, ObligationKind, TokenMethod
from magistrate.exchange.errors import Refused
from magistrate.exchange.finding import Finding, FindingStatus
from magistrate.exchange.outcome import Code

Change: TypeAlias = tuple[int, int, str]
"""From, to, and what stands there instead."""

SINKS = frozenset({LINK, IMAGE})

DROPPED = ""
"""What a forwarded header that must be rewritten becomes: it stays behind."""

METHODS = (TokenMethod.PSEUDONYM, TokenMethod.FORMAT_PRESERVING, TokenMethod.REVERSIBLE)
"""Where several apply to a label the first wins: what leaves the least way back."""

EVERYWHERE = frozenset({"text", "tools"})


class Rewriter:
    """What a set of obligations does to text. Redaction wins over tokenisation where both apply.

    ``key`` belongs to the tenant. ``table`` is the conversation's; without one (an answer, an embedding) there is no way
    back, and what was to be reversible is a pseudonym.
    """

    def __init__(self, obligations: Iterable[Obligation], key: bytes, table: Table | None = None) -> None:
        duties = tuple(obligations)
        self._redact = _patterns(duties, ObligationKind.REDACT)
        self._tokenise = _methods(duties)
        self._key = key
        self._table = table
        self.echoed: dict[str, int] = {}
        """Label to number of places where a value was replaced that no detector saw there."""

    def applies(self, finding: Finding) -> bool:
        labels = finding.labels
        return any(_matches(label, self._redact) for label in labels) or self._method(labels) is not None

    def text(self, text: str, findings: Iterable[Finding]) -> str:
        """Return ``text`` with the spans that obligations name replaced."""
        return "".join(piece.text for piece in self.pieces(text, findings))

    def pieces(self, text: str, findings: Iterable[Finding]) -> list[Piece]:
        """Return the same in pieces, open where a token may be put back: not in what was written here, nor in a sink."""
        changes: list[Change] = []
        closed: list[tuple[int, int]] = []
        for finding in findings:
            if finding.status is not FindingStatus.FOUND or finding.end <= finding.start:
                continue
            if self.applies(finding):
                new = self._replacement(finding, text[finding.start : finding.end])
                changes.append((finding.start, finding.end, new))
            elif not SINKS.isdisjoint(finding.labels):
                closed.append((finding.start, finding.end))
        return _apply(text, changes, closed)

    def parts(self, parts: Sequence[Part], findings: Iterable[Finding]) -> dict[int, str]:
        """Return part index to new text, for the parts that change.

        Raises:
            Refused: a finding stands where nothing can be rewritten: a field's name.
        """
        changes: dict[int, list[Change]] = {}
        for finding in findings:
            if finding.part >= 0 and finding.end > finding.start and self.applies(finding):
                value = parts[finding.part].text[finding.start : finding.end]
                _require_rewritable(parts[finding.part], finding.label)
                new = self._replacement(finding, value)
                changes.setdefault(finding.part, []).append((finding.start, finding.end, new))
        self._echo(parts, changes)
        return {
            index: DROPPED if parts[index].path[:1] == ("@header",) else _joined(parts[index].text, found)
            for index, found in changes.items()
        }

    def _echo(self, parts: Sequence[Part], changes: dict[int, list[Change]]) -> None:
        """Replace the table's values also where nothing was found: without the words around it, or after a restore."""
        if self._table is None or not self._table.entries:
            return
        echoes = Echoes(self._table)
        for index, part in enumerate(parts):
            taken = changes.get(index, ())
            for start, end, name in echoes.find(part.text):
                if any(low < end and start < high for low, high, _ in taken):
                    continue
                label = self._table.entries[name].label
                _require_rewritable(part, label)
                changes.setdefault(index, []).append((start, end, name))
                self.echoed[label] = self.echoed.get(label, 0) + 1

    def _method(self, labels: Iterable[str]) -> tuple[TokenMethod, frozenset[str]] | None:
        for method, patterns, places in self._tokenise:
            if any(_matches(label, patterns) for label in labels):
                return method, places
        return None

    def _replacement(self, finding: Finding, value: str) -> str:
        label = finding.label
        if any(_matches(one, self._redact) for one in finding.labels):
            return mask(label)
        found = self._method(finding.labels)
        assert found is not None
        method, places = found
        if method is TokenMethod.FORMAT_PRESERVING:
            return surrogate(label, value, self._key)
        if method is TokenMethod.REVERSIBLE and self._table is not None:
            return self._table.token_for(label, value, places) or mask(label)
        return token(label, value, self._key)


def _require_rewritable(part: Part, label: str) -> None:
    if part.kind is PartKind.KEY:
        message = f"a field's name holds `{label}`, which cannot be rewritten there"
        raise Refused(Code.POLICY_DENIED, message, param=".".join(map(str, part.path[:-1])))


def _joined(text: str, changes: Iterable[Change]) -> str:
    return "".join(piece.text for piece in _apply(text, changes, ()))


def _apply(text: str, changes: Iterable[Change], closed: Iterable[tuple[int, int]]) -> list[Piece]:
    """Return ``text`` in pieces with ``changes`` made. Where two overlap, the first and longer one covers the other."""
    edges = sorted({edge for span in closed for edge in span})
    shut = sorted(closed)
    pieces: list[Piece] = []

    def keep(start: int, end: int) -> None:
        for stop in [*(edge for edge in edges if start < edge < end), end]:
            if stop > start:
                pieces.append(
                    Piece(text[start:stop], open=not any(low <= start < high for low, high in shut))
                )
                start = stop

    at = 0
    for start, end, new in sorted(changes, key=lambda change: (change[0], -change[1])):
        if end <= at:
            continue
        keep(at, max(start, at))
        pieces.append(Piece(new, open=False))
        at = end
    keep(at, len(text))
    return pieces


def count(findings: Iterable[Finding], rewriter: Rewriter, into: dict[str, int]) -> None:
    """Add to ``into`` how many places of each label ``rewriter`` changes."""
    for finding in findings:
        if rewriter.applies(finding):
            into[finding.label] = into.get(finding.label, 0) + 1


def cap(obligations: Iterable[Obligation]) -> int | None:
    """Return the lowest output-token limit demanded, or None."""
    limits = [
        int(value)
        for o in obligations
        if o.kind is ObligationKind.CAP
        for name, value in o.params
        if name == "max_output_tokens"
    ]
    return min(limits, default=None)


def spares_restored(obligation: Obligation) -> bool:
    return "except" in dict(obligation.params)


def is_reversible(obligation: Obligation) -> bool:
    return dict(obligation.params).get("method") == TokenMethod.REVERSIBLE


def _methods(obligations: Iterable[Obligation]) -> list[tuple[TokenMethod, tuple[str, ...], frozenset[str]]]:
    """Return how each tokenise replaces which labels and where it is put back, the strictest first."""
    found = []
    for obligation in obligations:
        if obligation.kind is ObligationKind.TOKENISE:
            params = dict(obligation.params)
            method = TokenMethod(params.get("method", TokenMethod.PSEUDONYM))
            named = frozenset(place.strip() for place in params.get("restore", "").split(",")) - {""}
            found.append((method, obligation.labels or ("*",), named or EVERYWHERE))
    return sorted(found, key=lambda duty: (METHODS.index(duty[0]), len(duty[2])))


def _patterns(obligations: Iterable[Obligation], kind: ObligationKind) -> tuple[str, ...]:
    return tuple(pattern for o in obligations if o.kind is kind for pattern in o.labels or ("*",))


def _matches(label: str, patterns: tuple[str, ...]) -> bool:
    # `pii` names the whole family: a pattern without a wildcard also covers its descendants.
    return any(fnmatchcase(label, p) or label.startswith(p + ".") for p in patterns)
