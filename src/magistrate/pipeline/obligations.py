"""Carrying out what policy demands: redact, tokenise, cap.

`route` is routing's matter; `warn` is told in a header.
"""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from magistrate.classify.redact import mask, rewrite, token
from magistrate.exchange.content import Part, PartKind
from magistrate.exchange.decision import Obligation, ObligationKind
from magistrate.exchange.errors import Refused
from magistrate.exchange.finding import Finding
from magistrate.exchange.outcome import Code

DROPPED = ""
"""What a forwarded header that must be rewritten becomes: it stays behind."""


class Rewriter:
    """What a set of obligations does to text. Redaction wins over tokenisation where both apply."""

    def __init__(self, obligations: Iterable[Obligation], token_key: bytes) -> None:
        self._redact = _patterns(obligations, ObligationKind.REDACT)
        self._tokenise = _patterns(obligations, ObligationKind.TOKENISE)
        self._key = token_key

    def applies(self, finding: Finding) -> bool:
        return any(_matches(label, self._redact + self._tokenise) for label in finding.labels)

    def text(self, text: str, findings: Sequence[Finding]) -> str:
        """Return ``text`` with the spans that obligations name replaced."""
        return rewrite(
            text, [(f, self._replacement(f, text[f.start : f.end])) for f in findings if self.applies(f)]
        )

    def parts(self, parts: Sequence[Part], findings: Iterable[Finding]) -> dict[int, str]:
        """Return part index to new text, for the parts that change.

        Raises:
            Refused: a finding stands where nothing can be rewritten: a field's name.
        """
        by_part: dict[int, list[Finding]] = {}
        for finding in findings:
            if finding.part >= 0 and finding.end > finding.start and self.applies(finding):
                by_part.setdefault(finding.part, []).append(finding)
        rewrites: dict[int, str] = {}
        for index, found in by_part.items():
            part = parts[index]
            if part.kind is PartKind.KEY:
                message = f"a field's name holds `{found[0].label}`, which cannot be rewritten there"
                raise Refused(Code.POLICY_DENIED, message, param=".".join(map(str, part.path[:-1])))
            header = part.path[:1] == ("@header",)
            rewrites[index] = DROPPED if header else self.text(part.text, found)
        return rewrites

    def _replacement(self, finding: Finding, value: str) -> str:
        if any(_matches(label, self._redact) for label in finding.labels):
            return mask(finding.label)
        return token(finding.label, value, self._key)


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


def _patterns(obligations: Iterable[Obligation], kind: ObligationKind) -> tuple[str, ...]:
    return tuple(pattern for o in obligations if o.kind is kind for pattern in o.labels or ("*",))


def _matches(label: str, patterns: tuple[str, ...]) -> bool:
    # `pii` names the whole family: a pattern without a wildcard also covers its descendants.
    return any(fnmatchcase(label, p) or label.startswith(p + ".") for p in patterns)
