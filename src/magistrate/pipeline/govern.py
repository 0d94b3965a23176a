"""The line, on one screen."""

from magistrate.exchange.errors import Refused
from magistrate.exchange.outcome import Code, Ending, Refusal
from magistrate.pipeline import headers
from magistrate.pipeline.calling import call, choose_route
from magistrate.pipeline.case import Case
from magistrate.pipeline.inspecting import JSON, inspect
from magistrate.pipeline.judging import classify, decide
from magistrate.pipeline.observing import observe
from magistrate.pipeline.ports import Disconnected, Reply
from magistrate.pipeline.reading import identify, read
from magistrate.pipeline.recording import UNAVAILABLE, close_record, open_record


async def govern(case: Case, reply: Reply) -> None:
    """Govern one exchange.

    1 read   2 identify   3 classify   4 decide   5 open record
    6 route  7 call       8 inspect    9 close record

    The numbers are the `step` of `Server-Timing` and of evidence. Nothing leaves before 5 is durable, and 6 is done
    while the recorder works; no answer completes before 9 is. Every way out, a refusal at any step included, passes 9.
    """
    try:
        read(case)
        case.mark(1)
        identify(case)
        case.mark(2)
        await classify(case)
        case.mark(3)
        decide(case)
        case.mark(4)
        durable = open_record(case)
        try:
            choose_route(case)
            case.mark(6)
        finally:
            await durable
            case.mark(5)
        received = await call(case, reply)
        case.mark(7)
        last = await inspect(case, received, reply)
        case.mark(8)
    except Refused as refused:
        last = refuse(case, refused)
    except Disconnected:
        last = abandon(case)
    await conclude(case, reply, last)


async def conclude(case: Case, reply: Reply, last: bytes | Refused) -> None:
    """Close the record (9), then send what was held for it. Also the way out of a failure of our own."""
    if isinstance(last, Refused):
        last = refuse(case, last)
    if not await close_record(case) and not (case.refusal and case.refusal.code is Code.EVIDENCE_UNAVAILABLE):
        last = refuse(case, Refused(Code.EVIDENCE_UNAVAILABLE, UNAVAILABLE))
    case.mark(9)
    try:
        await deliver(case, reply, last)
    except Disconnected:
        case.detail = case.detail or "the client went away before the end"
    observe(case)


def refuse(case: Case, refused: Refused) -> bytes:
    """Turn a refusal into the client's own format: an error body, or the end of a stream that began."""
    answered = case.relay is not None or case.answer is not None
    if refused.code in {Code.UPSTREAM_ERROR, Code.UPSTREAM_TIMEOUT}:
        case.ending = Ending.UPSTREAM_FAILED
    elif refused.code in {Code.EVIDENCE_UNAVAILABLE, Code.INTERNAL}:
        case.ending = Ending.FAILED
    else:
        case.ending = Ending.WITHHELD if answered else Ending.REFUSED
    case.detail = case.detail or refused.message[:500]
    refusal = Refusal(
        refused.code, refused.message, rules=refused.rules, record=case.record, param=refused.param
    )
    case.refusal = refusal
    dialect = case.line.dialects[case.dialect]
    if case.relay is not None:
        last = case.relay.abandon(dialect.refuse_in_stream(refusal, case.relay.seen))
        case.delivered = case.relay.delivered
        return last
    case.status = refusal.http_status
    body = dialect.refuse(refusal)
    case.delivered = body if answered else None
    return body


def abandon(case: Case) -> bytes:
    """Note that the client went away; what was under way at the endpoint has been cancelled."""
    case.ending = Ending.DISCONNECTED
    case.status = 499
    case.detail = "the client went away"
    return b""


async def deliver(case: Case, reply: Reply, last: bytes) -> None:
    """Send what was held until the outcome was on record."""
    if case.ending is Ending.DISCONNECTED:
        return
    if not reply.started:
        told = [("content-type", JSON), ("content-length", str(len(last))), *headers.ours(case)]
        if case.refusal and case.refusal.http_status == 401:
            told.append(("www-authenticate", 'Bearer realm="magistrate"'))
        await reply.start(case.status, told + headers.returned(case.returned_headers))
    await reply.end(last)
