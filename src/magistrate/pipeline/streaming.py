"""The stream, judged piece by piece: what a whole text would be refused for, no split of it gets through.

*Relay*: fed an endpoint's bytes in any cut, returns the client's bytes as far as they are judged. It holds back what
may still become part of a finding, sentences that somebody reads for what they mean until they were read, whole tool
arguments (they are judged as the JSON values they are), and the terminal event, which goes out only when the outcome is
on record.
"""

from collections.abc import Iterable, Sequence

import msgspec

from magistrate.classify.by_sentence import placed, places
from magistrate.classify.inspector import Ready
from magistrate.classify.sentence_watch import SentenceWatch
from magistrate.classify.sink_watch import SinkWatch
from magistrate.exchange.content import Part, PartKind, Usage
from magistrate.exchange.decision import Decision
from magistrate.exchange.errors import MalformedAnswer, Refused, Unreadable
from magistrate.exchange.finding import Finding
from magistrate.exchange.outcome import Code
from magistrate.exchange.stream import Channel, Delta, StreamEvent
from magistrate.pipeline.case import Case
from magistrate.pipeline.conversation import tenant_key
from magistrate.pipeline.judging import judge_answer, labels_of, obligations_for, require_allowed
from magistrate.pipeline.obligations import Rewriter, count
from magistrate.pipeline.restoring import Restoration
from magistrate.wire.tree import argument_parts, is_whole, rewrite, rewrite_arguments

REMEMBERED_EVENTS = 4
"""How many of the last events a refusal may look at to continue ids and indexes."""

LONGEST_ARGUMENTS = 4 * 1024 * 1024
"""Characters of one tool call's arguments that may be held. Longer ones cannot be judged, so they are refused."""


class Relay:
    """One stream on its way from an endpoint to a client."""

    def __init__(self, case: Case) -> None:
        assert case.exchange is not None
        self._case = case
        self._dialect = case.line.dialects[case.exchange.dialect]
        self._reader = self._dialect.open_stream()
        self._inspector = SinkWatch(case.line.classifier.open_inspector(), case.line.sinks.hosts)
        self._sentences = case.line.classifier.open_reader()
        self._watch: SentenceWatch[Channel] = SentenceWatch()
        self._restoration = Restoration(case)
        self._last: dict[Channel, tuple[StreamEvent, Delta]] = {}
        self._arguments: dict[Channel, list[str]] = {}
        self._held_arguments = 0
        self._settled: set[Channel] = set()
        self._clean: set[str] = set()
        self._findings: list[Finding] = []
        self._labels: frozenset[str] = frozenset()
        self._decision: Decision = judge_answer(case, (), ())
        self._rewriter = self._rewriter_of(self._decision)
        require_allowed(self._decision)
        self._raw: list[bytes] = []
        self._raw_length = 0
        self._ready: list[bytes] = []
        self._out: list[bytes] = []
        self._altered = False
        self._ended = False
        self._tail = b""
        self.seen: list[StreamEvent] = []

    @property
    def raw(self) -> bytes:
        """What the endpoint sent so far."""
        return b"".join(self._raw)

    @property
    def delivered(self) -> bytes | None:
        """What the client got, when it differs from what the endpoint sent."""
        return b"".join(self._out) if self._altered or self._case.restored else None

    async def feed(self, data: bytes) -> bytes:
        """Take the endpoint's next bytes; return what may go to the client.

        Raises:
            Refused: policy withholds the rest.
            MalformedAnswer: the bytes cannot be read, so they cannot be judged.
        """
        self._raw.append(data)
        self._raw_length += len(data)
        if self._raw_length > self._case.line.limits.answer_bytes:
            raise MalformedAnswer(f"the answer is longer than {self._case.line.limits.answer_bytes} bytes")
        await self._relay(self._reader.feed(data))
        return self._take()

    async def finish(self) -> bytes:
        """Return the end of the stream, to be sent when the outcome is on record.

        Raises:
            MalformedAnswer: the stream was cut before its terminal event.
        """
        await self._relay(self._reader.finish())
        self._ready.append(self._tail)
        return self._take()

    def abandon(self, ending: bytes) -> bytes:
        """Return what was judged before the stream was given up, and ``ending`` instead of the endpoint's own end."""
        self._altered = True
        self._ready.append(ending)
        return self._take()

    def _take(self) -> bytes:
        data = b"".join(self._ready)
        self._ready.clear()
        self._out.append(data)
        return data

    async def _relay(self, events: Iterable[StreamEvent]) -> None:
        for event in events:
            self._note(event)
            piece = await self._judge(event)
            if event.terminal or self._ended:
                # Nothing of the end goes out before the outcome is durable.
                self._ended = True
                self._tail += piece
            else:
                self._ready.append(piece)

    async def _judge(self, event: StreamEvent) -> bytes:
        parts = await self._parts(event.parts) if event.parts else {}
        clean = event
        if parts and event.data is not None:
            # Whatever is later written like this event must not bring back what was taken out of it.
            self._altered = True
            clean = msgspec.structs.replace(event, data=rewrite(event.data, event.parts, parts))
        before = await self._settle(clean) if clean.settles else b""
        if self._last and (clean.closes_all or clean.closes):
            before += await self._close_others(clean)
        texts = {index: await self._delta(clean, delta) for index, delta in enumerate(event.deltas)}
        changed = {i: text for i, text in texts.items() if text != event.deltas[i].text}
        self.seen = [*self.seen[1 - REMEMBERED_EVENTS :], clean]
        if event.data is None:
            return before + event.raw
        return before + self._dialect.write_event(event, changed, parts)

    async def _delta(self, event: StreamEvent, delta: Delta) -> str:
        """Return the text that may stand in this event for ``delta``'s channel."""
        channel = delta.channel
        if channel in self._settled:
            return _behind_the_end(delta.text)
        self._last[channel] = (event, delta)
        closing = event.closes_all or channel in event.closes
        if delta.kind is PartKind.TOOL_ARGUMENTS:
            self._hold_arguments(channel, delta.text)
            return await self._release_arguments(channel) if closing else ""
        text = await self._text(delta, delta.text, self._inspector.feed(channel, delta.text))
        if closing:
            text += await self._rest(delta)
            self._last.pop(channel, None)
        return text

    async def _settle(self, event: StreamEvent) -> bytes:
        """Release what is held of the channels that ``event`` settles, as far as it is whole."""
        pieces = []
        for channel in event.settles:
            if is_whole("".join(self._arguments.get(channel, ()))):
                template, delta = self._last[channel]
                text = await self._release_arguments(channel)
                self._settled.add(channel)
                pieces.append(self._dialect.carry(template, delta, text))
        return b"".join(pieces)

    async def _close_others(self, event: StreamEvent) -> bytes:
        """Release what is held of the channels that end with ``event`` and have no delta in it."""
        here = {delta.channel for delta in event.deltas}
        closing = [c for c in self._last if (event.closes_all or c in event.closes) and c not in here]
        pieces = []
        for channel in closing:
            template, delta = self._last[channel]
            if delta.kind is PartKind.TOOL_ARGUMENTS:
                text = await self._release_arguments(channel)
            else:
                text = await self._rest(delta)
                del self._last[channel]
            if text:
                pieces.append(self._dialect.carry(template, delta, text))
        return b"".join(pieces)

    async def _text(self, delta: Delta, said: str, ready: Ready, *, final: bool = False) -> str:
        """Return what goes out of ``delta``'s channel, of which the endpoint ``said`` more and ``ready`` is judged by the rules."""
        reader = self._sentences
        if reader is not None and reader.wants(delta.role, delta.kind):
            read = self._watch.take(delta.channel, said, ready, delta.role, delta.kind, final=final)
            verdicts = await reader.read([passage for _, passage in read]) if read else ()
            ready = self._watch.release(delta.channel, read, verdicts, final=final)
        findings = ready.findings
        if findings:
            findings = self._restoration.foreign(findings, lambda _: ready.text)
            self._admit(findings)
        return self._restoration.piece(delta.channel, delta.kind, ready.text, findings, self._rewriter)

    async def _rest(self, delta: Delta) -> str:
        text = await self._text(delta, "", self._inspector.close(delta.channel), final=True)
        return text + self._restoration.rest(delta.channel, delta.kind)

    async def _parts(self, parts: Sequence[Part]) -> dict[int, str]:
        """Judge complete texts; return those that must change. Texts seen clean before are not read again."""
        fresh = [index for index, part in enumerate(parts) if part.text not in self._clean]
        if not fresh:
            return {}
        judged = [parts[index] for index in fresh]
        rewrites, clean = await self._judged(judged, self._case.line.sinks.findings(judged))
        if clean:
            self._clean.update(part.text for part in judged if len(part.text) <= 200)
        return {fresh[index]: text for index, text in rewrites.items()}

    async def _judged(
        self, parts: Sequence[Part], sinks: tuple[Finding, ...] = ()
    ) -> tuple[dict[int, str], bool]:
        """Judge complete texts; return those that must change, and whether there is nothing in any of them."""
        seen = self._case.line.classifier.classify_now(parts) + sinks
        if self._sentences is not None:
            read = places(parts, self._sentences.wants)
            if read:
                verdicts = await self._sentences.read([place.passage for place in read])
                seen += placed(read, verdicts, seen)
        findings = self._restoration.foreign(seen, lambda index: parts[index].text)
        self._admit(findings)
        rewrites = self._restoration.parts(parts, findings, self._rewriter)
        return rewrites, not rewrites and not findings

    def _hold_arguments(self, channel: Channel, text: str) -> None:
        self._held_arguments += len(text)
        if self._held_arguments > LONGEST_ARGUMENTS:
            raise Refused(Code.OUTPUT_WITHHELD, "tool arguments are too long to be judged")
        self._arguments.setdefault(channel, []).append(text)

    async def _release_arguments(self, channel: Channel) -> str:
        text = "".join(self._arguments.pop(channel, ()))
        self._held_arguments -= len(text)
        self._last.pop(channel, None)
        try:
            parts = argument_parts(text)
        except Unreadable as error:
            raise MalformedAnswer(f"tool arguments cannot be read: {error}") from error
        rewrites, _ = await self._judged(parts)
        return rewrite_arguments(text, parts, rewrites) if rewrites else text

    def _admit(self, findings: Sequence[Finding]) -> None:
        """Ask policy again when the answer shows a label it had not shown before; count what is to be rewritten."""
        if not findings:
            return
        self._ask_again(findings)
        count(findings, self._rewriter, self._case.rewritten)
        self._altered = self._altered or any(map(self._rewriter.applies, findings))

    def _ask_again(self, findings: Sequence[Finding]) -> None:
        self._findings.extend(findings)
        labels = self._labels.union(labels_of(tuple(findings)))
        indeterminate = any(finding.status.value == "indeterminate" for finding in findings)
        if labels == self._labels and not indeterminate:
            return
        self._labels = labels
        self._decision = judge_answer(self._case, findings, tuple(sorted(labels)))
        self._rewriter = self._rewriter_of(self._decision)
        require_allowed(self._decision)

    def _rewriter_of(self, decision: Decision) -> Rewriter:
        assert self._case.endpoint is not None
        return Rewriter(obligations_for(decision, self._case.endpoint.id), tenant_key(self._case))

    def _note(self, event: StreamEvent) -> None:
        case = self._case
        case.model_version = event.model or case.model_version
        case.fingerprint = event.fingerprint or case.fingerprint
        case.finish = event.finish or case.finish
        if event.usage is not None:
            case.usage = _merged(case.usage, event.usage)


def _behind_the_end(text: str) -> str:
    if text.strip(" \t\r\n"):
        raise MalformedAnswer("tool arguments go on behind their end")
    return text


def _merged(old: Usage, new: Usage) -> Usage:
    """A stream may count in several events; the last word on each figure stands."""
    return Usage(
        input_tokens=old.input_tokens if new.input_tokens is None else new.input_tokens,
        output_tokens=old.output_tokens if new.output_tokens is None else new.output_tokens,
        cached_tokens=old.cached_tokens if new.cached_tokens is None else new.cached_tokens,
        reasoning_tokens=old.reasoning_tokens if new.reasoning_tokens is None else new.reasoning_tokens,
    )
