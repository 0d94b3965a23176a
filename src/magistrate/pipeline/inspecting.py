"""Step 8: judge what came back before the client sees it."""

import asyncio
from collections.abc import Sequence

import msgspec

from magistrate.exchange.content import Part, PartKind, Role
from magistrate.exchange.errors import MalformedAnswer, Refused, UpstreamError
from magistrate.exchange.finding import Finding
from magistrate.exchange.outcome import Code, Ending, Refusal
from magistrate.pipeline import headers
from magistrate.pipeline.calling import Received
from magistrate.pipeline.case import Case
from magistrate.pipeline.conversation import tenant_key
from magistrate.pipeline.judging import judge_answer, labels_of, obligations_for, require_allowed, unread
from magistrate.pipeline.obligations import Rewriter, count
from magistrate.pipeline.ports import Reply
from magistrate.pipeline.restoring import Restoration
from magistrate.pipeline.streaming import Relay

READ_AT_ONCE = 50_000
"""Characters of an answer whose links are read on the spot: about a millisecond."""

EVENT_STREAM = "text/event-stream; charset=utf-8"
JSON = "application/json"


async def inspect(case: Case, received: Received, reply: Reply) -> bytes:
    """Judge the answer; send a stream as far as it is judged.

    Return what is still to be sent once the outcome is on record: a whole answer, or the end of a stream.

    Raises:
        Refused: policy withholds the answer, or it cannot be read.
        Disconnected: the client went away.
    """
    case.status, case.returned_headers = received.status, received.headers
    if received.rest is not None:
        return await _stream(case, received, reply)
    if received.status >= 400:
        return await _error(case, received)
    return await _whole(case, received)


async def _whole(case: Case, received: Received) -> bytes:
    answer = case.answer
    if answer is None:  # a models list: written here, from the catalogue
        case.ending = Ending.COMPLETED
        return received.body
    case.model_version, case.fingerprint = answer.model, answer.fingerprint
    case.finish, case.usage = answer.finish, answer.usage
    restoration = Restoration(case)
    seen = await case.line.classifier.classify_answer(answer.parts) + await _sinks(case, answer.parts)
    findings = restoration.foreign(seen, lambda index: answer.parts[index].text)
    decision = judge_answer(case, findings, labels_of(findings), opaque=unread(answer.parts))
    require_allowed(decision)
    assert case.endpoint is not None
    assert case.exchange is not None
    rewriter = Rewriter(obligations_for(decision, case.endpoint.id), tenant_key(case))
    rewrites = restoration.parts(answer.parts, findings, rewriter)
    case.ending = Ending.COMPLETED
    if not rewrites and msgspec.json.decode(received.body) == answer.body:
        return received.body
    # Rewritten, or a dialect left out what no detector can read, such as token texts that say more than the text.
    count(findings, rewriter, case.rewritten)
    case.delivered = case.line.dialects[case.exchange.dialect].write_answer(answer, rewrites)
    return case.delivered


async def _sinks(case: Case, parts: Sequence[Part]) -> tuple[Finding, ...]:
    """Find the sinks of an answer; a large one in a thread, so that others are not kept waiting."""
    if sum(len(part.text) for part in parts) <= READ_AT_ONCE:
        return case.line.sinks.findings(parts)
    return await asyncio.to_thread(case.line.sinks.findings, parts)


async def _error(case: Case, received: Received) -> bytes:
    """Pass an endpoint's error on in the client's format, unless it repeats what policy protects."""
    assert case.exchange is not None
    dialect = case.line.dialects[case.exchange.dialect]
    # The summary may quote the prompt, so the body's inspection decides whether even the record repeats it.
    summary, body = dialect.read_error(received.status, received.body)
    case.ending = Ending.UPSTREAM_FAILED
    part = Part((), Role.ASSISTANT, PartKind.TEXT, body.decode("utf-8", "replace"))
    findings: tuple[Finding, ...] = await case.line.classifier.classify_answer((part,))
    case.detail = f"the endpoint answered {received.status}"
    if not findings:
        case.detail += f": {summary}"
        return body
    case.answer_labels = labels_of(findings)
    refusal = Refusal(
        Code.UPSTREAM_ERROR,
        "the endpoint reported an error whose text is withheld",
        record=case.record,
        status=received.status,
    )
    case.delivered = dialect.refuse(refusal)
    return case.delivered


async def _stream(case: Case, received: Received, reply: Reply) -> bytes:
    relay = Relay(case)
    case.relay = relay
    await _start(case, reply)
    try:
        assert received.rest is not None
        chunk = received.first
        with reply.while_connected():
            piece = await relay.feed(chunk)
        while chunk:
            if piece:
                await reply.send(piece)
            with reply.while_connected():
                chunk = await anext(received.rest, b"")
                piece = await (relay.feed(chunk) if chunk else relay.finish())
    except (UpstreamError, MalformedAnswer) as error:
        raise Refused(Code.UPSTREAM_ERROR, f"the endpoint's stream broke off: {error}") from error
    finally:
        case.received = relay.raw
        case.delivered = relay.delivered
        await received.aclose()
    case.ending = Ending.COMPLETED
    return piece


async def _start(case: Case, reply: Reply) -> None:
    case.mark(7)
    await reply.start(
        200,
        [
            ("content-type", EVENT_STREAM),
            ("cache-control", "no-cache"),
            ("x-accel-buffering", "no"),
            *headers.ours(case),
            *headers.returned(case.returned_headers),
        ],
    )
