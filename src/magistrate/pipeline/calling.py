"""Steps 6 and 7: choose where the call goes, and call; elsewhere if need be, as long as nothing has been answered."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from magistrate.exchange.endpoint import Endpoint
from magistrate.exchange.errors import MalformedAnswer, Refused, UpstreamError
from magistrate.exchange.outcome import Code
from magistrate.pipeline import headers
from magistrate.pipeline.case import Attempt, Case
from magistrate.pipeline.conversation import tenant_key
from magistrate.pipeline.judging import obligations_for, require_allowed
from magistrate.pipeline.obligations import Rewriter, cap, count
from magistrate.pipeline.ports import Reply, UpstreamAnswer, UpstreamRequest
from magistrate.pipeline.restoring import keep_table, open_table
from magistrate.route.choose import choose
from magistrate.wire.models import list_models

TRY_ELSEWHERE = frozenset({408, 429, 500, 502, 503, 504, 529})
"""Statuses that say the endpoint, not the request, is at fault. 529 is Anthropic's overload."""

TRY_AGAIN = TRY_ELSEWHERE - {429}
"""Where there is no elsewhere: a rate limit is the client's to wait out, with the endpoint's own `retry-after`."""


@dataclass(slots=True)
class Received:
    """An endpoint's answer: whole in ``body``, or, for a stream, ``first`` and whatever ``rest`` yields."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    first: bytes = b""
    rest: AsyncIterator[bytes] | None = None
    upstream: UpstreamAnswer | None = None

    async def aclose(self) -> None:
        if self.upstream is not None:
            await self.upstream.aclose()


def choose_route(case: Case) -> None:
    """Order the endpoints that policy allows, note why each candidate is or is not eligible, and write what the first is asked.

    Raises:
        Refused: what policy says, or NO_ELIGIBLE_ENDPOINT.
    """
    exchange, decision, line = case.exchange, case.decision, case.line
    assert exchange is not None
    assert decision is not None
    require_allowed(decision)
    if exchange.operation == "models":
        return
    operation = f"{exchange.dialect}:{exchange.operation}"
    case.route = choose(
        case.candidates,
        decision,
        line.health.now,
        operation,
        draw=line.draw(),
        now_us=case.inbound.received_us,
    )
    if not case.route.order:
        reasons = "; ".join(f"{e.endpoint}: {e.reason}" for e in case.route.eligibility[:5])
        raise Refused(Code.NO_ELIGIBLE_ENDPOINT, f"no endpoint is eligible for this call ({reasons})")
    case.prepared = _prepare(case, case.route.order[0])


async def call(case: Case, reply: Reply) -> Received:
    """Call the endpoints in order until one answers.

    Raises:
        Refused: UPSTREAM_ERROR or UPSTREAM_TIMEOUT when none did.
        Disconnected: the client went away; what was under way has been cancelled.
    """
    if case.route is None:
        return _models(case)
    order = case.route.order[: case.line.limits.attempts]
    plan = order if len(order) > 1 else order * 2
    failure: UpstreamError | MalformedAnswer | None = None
    for number, endpoint in enumerate(plan):
        last = number == len(plan) - 1
        try:
            received = await _attempt(case, endpoint, reply)
        except (UpstreamError, MalformedAnswer) as error:
            _note(case, endpoint, str(error), success=False)
            failure = error
            if len(order) == 1 and getattr(error, "sent", True):
                break  # the same endpoint may have begun; a second try would be charged twice
            continue
        retry = TRY_AGAIN if len(order) == 1 else TRY_ELSEWHERE
        _note(
            case, endpoint, "answered", success=received.status not in TRY_ELSEWHERE, status=received.status
        )
        if last or received.status not in retry:
            return received
        await received.aclose()
    assert failure is not None
    timed_out = isinstance(failure, UpstreamError) and failure.timed_out
    code = Code.UPSTREAM_TIMEOUT if timed_out else Code.UPSTREAM_ERROR
    raise Refused(code, f"the endpoint did not answer: {failure}") from failure


async def _attempt(case: Case, endpoint: Endpoint, reply: Reply) -> Received:
    request, case.prepared = case.prepared or _prepare(case, endpoint), None
    with reply.while_connected():
        answer = await case.line.upstream.call(endpoint, request)
    received = Received(answer.status, answer.headers, upstream=answer)
    try:
        if request.stream and answer.status < 400:
            received.rest = answer.chunks()
            with reply.while_connected():
                received.first = await _first(received.rest)
            return received
        with reply.while_connected():
            received.body = await answer.read(case.line.limits.answer_bytes)
        case.received = received.body
        if answer.status < 400:
            assert case.exchange is not None
            case.answer = case.line.dialects[case.exchange.dialect].read_answer(received.body)
    except BaseException:  # because a cancelled call must be stopped at the endpoint too; always re-raised
        await answer.aclose()
        raise
    return received


async def _first(chunks: AsyncIterator[bytes]) -> bytes:
    async for chunk in chunks:
        return chunk
    raise MalformedAnswer("the stream ended before it began")


def _prepare(case: Case, endpoint: Endpoint) -> UpstreamRequest:
    exchange, decision, wire = case.exchange, case.decision, case.wire
    assert exchange is not None
    assert decision is not None
    assert wire is not None
    case.endpoint = endpoint
    case.obligations = obligations_for(decision, endpoint.id)
    table = open_table(case)
    rewriter = Rewriter(case.obligations, tenant_key(case), table)
    rewrites = rewriter.parts(case.parts, case.findings)
    case.tokens = table
    if table is not None:
        keep_table(case, table)
    case.rewritten = dict(rewriter.echoed)
    count(case.findings, rewriter, case.rewritten)
    body_parts = len(exchange.parts)
    in_body = {index: text for index, text in rewrites.items() if index < body_parts}
    dropped = {case.parts[index].path[1] for index in rewrites if index >= body_parts}
    dialect = case.line.dialects[exchange.dialect]
    limit = cap(case.obligations)
    body = dialect.write_request(exchange, in_body, model=endpoint.upstream_model, cap=limit)
    case.sent = body if in_body or limit is not None else None
    travelling = tuple((k, v) for k, v in headers.forwarded(case.inbound.headers) if k not in dropped)
    return UpstreamRequest(
        method="POST",
        path=wire.upstream_path(case.params, endpoint.upstream_model) + headers.query(case.inbound.query),
        headers=travelling,
        body=body,
        stream=exchange.stream,
    )


def _note(case: Case, endpoint: Endpoint, result: str, *, success: bool, status: int = 0) -> None:
    case.attempts.append(Attempt(endpoint.id, result, status))
    case.line.health.note(endpoint, success=success, now_us=case.inbound.received_us)


def _models(case: Case) -> Received:
    """Answer a models list from the catalogue: what this principal may call, and nothing else."""
    decision = case.decision
    assert decision is not None
    allowed = {verdict.endpoint for verdict in decision.endpoints if verdict.effect.value == "allow"}
    names = dict.fromkeys(
        e.model for e in case.candidates if e.id in allowed and not set("*?[") & set(e.model)
    )
    anthropic = "anthropic-version" in case.inbound.headers
    body = list_models(tuple(names), anthropic=anthropic, created_s=case.inbound.received_us // 1_000_000)
    case.received = body
    return Received(200, {}, body=body)
