"""Reversible tokens on the line: given on the way to an endpoint, put back on the way home.

What is put back went out in this conversation, came from this principal, and is something that policy would let come
back to them: a label that an answer policy redacts, tokenises or forbids stays a token. It is not put back into the
endpoint's reasoning (which is signed, and wanted back byte for byte) nor into a link or an address that is not allowed.
"""

import json
from collections.abc import Callable, Iterable, Sequence

from magistrate.classify.restorer import Restorer
from magistrate.classify.tokens import Entry, Table
from magistrate.exchange.content import Part, PartKind
from magistrate.exchange.finding import Finding
from magistrate.exchange.stream import Channel
from magistrate.pipeline.case import Case
from magistrate.pipeline.conversation import conversation_of
from magistrate.pipeline.judging import lets_back
from magistrate.pipeline.obligations import Rewriter, is_reversible

PLACES = {
    PartKind.TEXT: "text",
    PartKind.REFUSAL: "text",
    PartKind.CITATION: "text",
    PartKind.TOOL_ARGUMENTS: "tools",
}
"""Kinds of answer in which tokens are put back, and what `@restore` calls them."""

WITHOUT_ANSWERS = frozenset({"embeddings"})
"""Operations from which no text returns: there a stable pseudonym serves better than a conversation's token."""

_WHOLE: Channel = ("whole",)

LONGEST_INDENT = 64
"""Characters of the first piece of a text among which its first two are looked for."""

_JSON_BEGINS = frozenset({'{"', "{}", "[{", '["', "[[", "[]"})


def open_table(case: Case) -> Table | None:
    """Return the table for what goes to the endpoint; None where nothing is to be reversible."""
    exchange = case.exchange
    assert exchange is not None
    if exchange.operation in WITHOUT_ANSWERS:
        return None
    wanted = any(is_reversible(obligation) for obligation in case.obligations)
    if not wanted and not case.line.vault:
        return None
    conversation = conversation_of(case)
    known = case.line.vault.recall(conversation, case.inbound.started_ns) if conversation.named else {}
    return Table(conversation.key, known) if wanted or known else None


def keep_table(case: Case, table: Table) -> None:
    """Remember ``table`` for the next turn, if the client may not bring it along."""
    conversation = conversation_of(case)
    if conversation.named and table.entries:
        case.line.vault.keep(conversation, table.fresh, case.inbound.started_ns)


class Restoration:
    """What is put back into one answer."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._entries: dict[str, Entry] = case.tokens.entries if case.tokens else {}
        self._restorer: Restorer[Channel] | None = None
        if self._entries:
            self._restorer = Restorer(self._entries, self._value_of)
        self._may: dict[str, bool] = {}
        self._place = ""
        self._beginnings: dict[Channel, str] = {}
        self._in_json = False

    def foreign(self, findings: Sequence[Finding], text_of: Callable[[int], str]) -> tuple[Finding, ...]:
        """Return ``findings`` without those that lie inside a token of ours: what stands for a value is none."""
        if self._restorer is None or not findings:
            return tuple(findings)
        spans = {
            part: self._restorer.spans(text_of(part)) for part in {f.part for f in findings if f.part >= 0}
        }
        return tuple(
            finding
            for finding in findings
            if not any(a <= finding.start < finding.end <= b for a, b in spans.get(finding.part, ()))
        )

    def piece(
        self, channel: Channel, kind: PartKind, text: str, findings: Iterable[Finding], rewriter: Rewriter
    ) -> str:
        """Return what goes out for the next piece of a streamed text."""
        place = PLACES.get(kind)
        if self._restorer is None or place is None:
            return rewriter.text(text, findings) if findings else text
        self._place = place
        self._begin(channel, text)
        return self._restorer.feed(channel, rewriter.pieces(text, findings))

    def rest(self, channel: Channel, kind: PartKind) -> str:
        """Return what is held of a streamed text that ends."""
        if self._restorer is None:
            return ""
        self._place = PLACES.get(kind, "")
        self._begin(channel, "")
        return self._restorer.close(channel)

    def parts(self, parts: Sequence[Part], findings: Sequence[Finding], rewriter: Rewriter) -> dict[int, str]:
        """Return part index to new text, for the complete texts that change.

        Raises:
            Refused: as `Rewriter.parts`.
        """
        rewrites = rewriter.parts(parts, findings) if findings else {}
        if self._restorer is None:
            return rewrites
        for index, part in enumerate(parts):
            place = PLACES.get(part.kind)
            if place is None or not self._restorer.spans(part.text):
                continue
            here = [finding for finding in findings if finding.part == index]
            if part.kind is PartKind.TOOL_ARGUMENTS:
                # No page shows it, but a tool may fetch it.
                here += self._case.line.sinks.marked(part.text, index)
            self._place = place
            self._beginnings.pop(_WHOLE, None)
            # A string inside arguments is escaped when it is put back; a text that is JSON itself is not.
            self._begin(_WHOLE, "" if part.inner is not None else part.text)
            text = self._restorer.feed(_WHOLE, rewriter.pieces(part.text, here))
            text += self._restorer.close(_WHOLE)
            if text != part.text:
                rewrites[index] = text
        return rewrites

    def _begin(self, channel: Channel, text: str) -> None:
        """Note how the channel's text begins: an answer in JSON (a structured output) gets values that are escaped."""
        begun = self._beginnings.get(channel, "")
        if len(begun) < 2 and text:
            begun = self._beginnings[channel] = (begun + "".join(text[:LONGEST_INDENT].split()))[:2]
        self._in_json = begun in _JSON_BEGINS

    def _value_of(self, token: str) -> str | None:
        entry = self._entries.get(token)
        if entry is None or self._place not in entry.places or not self._lets_back(entry.label):
            return None
        restored = self._case.restored
        restored[entry.label] = restored.get(entry.label, 0) + 1
        return json.dumps(entry.value, ensure_ascii=False)[1:-1] if self._in_json else entry.value

    def _lets_back(self, label: str) -> bool:
        if label not in self._may:
            self._may[label] = lets_back(self._case, label)
        return self._may[label]
