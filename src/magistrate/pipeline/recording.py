"""Steps 5 and 9: the decision on record before any effect, the outcome on record before the answer is complete.

On a route that its owner made `bounded-async` the recorder holds the decision before the effect and makes it durable
beside it, within a bound; outcomes, refusals and calls that bear tools always wait.
"""

import asyncio
from collections.abc import Awaitable

import msgspec

from magistrate.classify.sinks import DETECTOR
from magistrate.evidence.draft import Body, Draft
from magistrate.evidence.record import ONE_CALL
from magistrate.exchange.content import PartKind
from magistrate.exchange.decision import Decision
from magistrate.exchange.errors import EvidenceUnavailable, Refused
from magistrate.exchange.outcome import Code
from magistrate.pipeline import headers
from magistrate.pipeline.case import Case
from magistrate.pipeline.durability import Durability
from magistrate.policy.explain import Judgement

RECORD_VERSION = 1

_encode = msgspec.json.Encoder().encode

UNAVAILABLE = "the evidence log cannot make a record durable; nothing goes ahead without one"


def open_record(case: Case) -> Awaitable[None]:
    """Hand the decision to the recorder. Awaited, it is durable, or as durable as its route promises.

    The recorder works while the caller goes on with what has no effect. Nothing leaves before it has been awaited.

    Raises, when awaited:
        Refused: EVIDENCE_UNAVAILABLE, whatever the fail-mode table says: this row is always closed.
    """
    line = case.line
    ahead = line.durability.of(case.exchange, case.decision) is Durability.BOUNDED_ASYNC
    log = line.evidence
    return _opened(case, log.hand_over(_intent(case)) if ahead else log.append(_intent(case)))


async def _opened(case: Case, handed: Awaitable[object]) -> None:
    try:
        await handed
    except EvidenceUnavailable as error:
        case.evidence_down = True
        case.detail = str(error)
        raise Refused(Code.EVIDENCE_UNAVAILABLE, UNAVAILABLE) from error
    case.opened = True


async def close_record(case: Case) -> bool:
    """Make the outcome durable, and the intent too where the call was refused before step 5.

    Returns False when it could not be: the answer must then not complete.
    """
    if case.evidence_down:
        return False
    log = case.line.evidence
    try:
        if case.opened:
            await log.append(_outcome(case))
        else:
            await asyncio.gather(log.append(_intent(case)), log.append(_outcome(case)))
    except EvidenceUnavailable as error:
        case.evidence_down = True
        case.detail = str(error)
        return False
    return True


def _intent(case: Case) -> Draft:
    exchange, decision, refusal = case.exchange, case.decision, case.refusal
    header = _header(case, "llm.request", "intent", case.record, case.inbound.received_us)
    if exchange:
        header["route"] = {
            "dialect": exchange.dialect,
            "operation": exchange.operation,
            "stream": exchange.stream,
        }
        header["model"] = {"name": exchange.model[:200]}
    if case.datasets:
        header["data"] = list(case.datasets)
    header["labels"] = list(case.labels)
    if decision:
        header["verdict"] = _verdict(decision)
        header["endpoints"] = [
            {"id": v.endpoint, "effect": v.effect.value, "rules": list(v.rules)} for v in decision.endpoints
        ]
    else:
        header["verdict"] = {
            "effect": "deny",
            "rules": [],
            "code": refusal.code.value if refusal else "internal_error",
        }
    bodies = [Body("judgement", "application/json", _judgement(case))]
    if case.body or case.inbound.body:
        bodies.insert(0, Body("request", "application/json", case.body or case.inbound.body))
    return _draft(case, header, bodies)


def _outcome(case: Case) -> Draft:
    outcome = case.outcome()
    header = _header(case, "llm.response", "outcome", case.line.ids.record(), case.line.clock.now_us())
    header["cause"] = [case.record]
    if case.begins_trace:
        header["closes"] = ONE_CALL
    header["outcome"] = {
        "ending": outcome.ending.value,
        "status": outcome.status,
        "code": outcome.code.value if outcome.code else "",
        "rules": list(outcome.rules),
        "detail": outcome.detail[:500],
    }
    if case.exchange:
        header["model"] = {
            "name": case.exchange.model[:200],
            "endpoint": outcome.endpoint,
            "version": outcome.model_version[:200],
            "fingerprint": outcome.fingerprint[:200],
        }
    usage, price = outcome.usage, case.endpoint.price if case.endpoint else None
    header["usage"] = {
        "in": usage.input_tokens,
        "out": usage.output_tokens,
        "cached": usage.cached_tokens,
        "reasoning": usage.reasoning_tokens,
        "cost_nano": outcome.cost_nano,
        "currency": price.currency if price else "",
        "prices": price.version if price else "",
    }
    if case.route:
        header["eligibility"] = [
            {"id": e.endpoint, "ok": e.eligible, "why": e.reason[:200]} for e in case.route.eligibility
        ]
    header["attempts"] = [
        {"id": a.endpoint, "result": a.result[:200], "status": a.status} for a in case.attempts
    ]
    header["labels"] = list(case.answer_labels)
    if case.answer_decision:
        header["verdict"] = _verdict(case.answer_decision)
    header["rewritten"] = case.rewritten
    header["restored"] = case.restored
    header["steps_us"] = [[name, us] for name, us in case.marks]
    bodies = [
        Body(part, "application/octet-stream", content)
        for part, content in (("sent", case.sent), ("response", case.received), ("delivered", case.delivered))
        if content
    ]
    return _draft(case, header, bodies)


def _header(case: Case, kind: str, phase: str, eid: str, ts: int) -> dict[str, object]:
    principal, line = case.principal, case.line
    return {
        "v": RECORD_VERSION,
        "eid": eid,
        "t": kind,
        "phase": phase,
        "ts": ts,
        "clk": line.clock.standing(),
        "trace": case.trace,
        "parent": case.parent,
        "tenant": principal.tenant,
        "app": principal.application,
        "actor": {"kind": principal.method, "handle": principal.key},
        "policy": {"bundle": line.bundle.digest, "mode": line.mode.value},
        "detectors": {**line.classifier.versions, DETECTOR: line.sinks.version},
    }


def _draft(case: Case, header: dict[str, object], bodies: list[Body]) -> Draft:
    # An outcome is kept as long as its request asks for, too: the one is not evidence without the other.
    retention = case.line.retention.class_of((*case.labels, *case.answer_labels))
    principal = case.principal
    return Draft(header, tuple(bodies), tenant=principal.tenant, subject=principal.user, retention=retention)


def _verdict(decision: Decision) -> dict[str, object]:
    verdict: dict[str, object] = {"effect": decision.effect.value, "rules": list(decision.rules)}
    if decision.code:
        verdict["code"] = decision.code
    if decision.observed:
        verdict["observed"] = list(decision.observed)
    if decision.errors:
        verdict["errors"] = list(decision.errors)
    if decision.would:
        verdict["would"] = {"effect": decision.would.effect.value, "rules": list(decision.would.rules)}
    return verdict


def _judgement(case: Case) -> bytes:
    """Everything the decision was made from that names a person or came from the client: encrypted with the body."""
    inbound = case.inbound
    document: dict[str, object] = {
        "request": {
            "method": inbound.method,
            "path": inbound.path[:2000],
            "peer": inbound.peer,
            "user_agent": inbound.headers.get("user-agent", "")[:500],
            "request_id": inbound.headers.get("x-request-id", "")[:200],
            "flow": headers.flow(inbound.headers),
        },
        "findings": [
            {
                "label": f.label,
                "also": f.also,
                "detector": f.detector,
                "status": f.status.value,
                "where": ".".join(map(str, case.parts[f.part].path)) if 0 <= f.part < len(case.parts) else "",
                "start": f.start,
                "end": f.end,
                "score": f.score_milli,
                "detail": f.detail,
            }
            for f in case.findings[:1000]
        ],
        "not_inspected": [part.kind for part in case.parts].count(PartKind.OPAQUE),
    }
    if case.facts and case.decision:
        document["judgement"] = Judgement(
            case.principal, case.facts, case.candidates, case.decision, case.line.mode
        )
    return _encode(document)
