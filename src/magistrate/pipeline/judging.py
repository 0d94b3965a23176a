"""Steps 3 and 4, and the same judgement on the way back: labels, then policy, then the fail-mode table."""

from collections.abc import Iterable, Sequence

import msgspec

from magistrate.classify.taxonomy import ancestors
from magistrate.exchange.content import Part, PartKind, Role
from magistrate.exchange.decision import Action, Decision, Effect, Facts, Mode, Obligation
from magistrate.exchange.errors import Refused
from magistrate.exchange.finding import Finding, FindingStatus
from magistrate.exchange.outcome import Code
from magistrate.pipeline import headers
from magistrate.pipeline.case import Case
from magistrate.pipeline.failmode import Stage, settle
from magistrate.pipeline.obligations import Rewriter, spares_restored
from magistrate.policy.decide import decide as ask_policy

NOT_INSPECTED = "content could not be inspected; it is refused because inspection fails closed"


async def classify(case: Case) -> None:
    """Label everything that would travel: the body's parts and the forwarded headers."""
    exchange = case.exchange
    assert exchange is not None
    case.parts = exchange.parts + headers.as_parts(headers.forwarded(case.inbound.headers))
    case.findings = await case.line.classifier.classify(case.parts)
    case.labels = labels_of(case.findings)


def decide(case: Case) -> None:
    """Ask policy about every endpoint the call could go to.

    Raises:
        Refused: MODEL_NOT_FOUND. A denial is a decision, not an exception: it is recorded first.
    """
    exchange, catalogue = case.exchange, case.line.catalogue
    assert exchange is not None
    if exchange.operation == "models":
        case.candidates = catalogue.endpoints
    else:
        case.candidates = catalogue.candidates(exchange.model)
        if not case.candidates:
            raise Refused(
                Code.MODEL_NOT_FOUND,
                f"no endpoint serves the model `{exchange.model[:200]}`; see /v1/models for those that do",
                param="model",
            )
    opaque = unread(case.parts)
    case.facts = _facts(case, Action.CALL, case.labels, opaque=opaque)
    decision = ask_policy(
        case.line.bundle,
        case.principal,
        case.facts,
        case.candidates,
        mode=case.line.mode,
    )
    case.decision = _settled(case, decision, Stage.DECIDE, Stage.CLASSIFY, case.findings)


def judge_answer(
    case: Case, findings: Iterable[Finding], labels: tuple[str, ...], *, opaque: bool = False
) -> Decision:
    """Return what policy says of content with these labels going back to the principal."""
    assert case.endpoint is not None
    decision = ask_policy(
        case.line.bundle,
        case.principal,
        _facts(case, Action.ANSWER, labels, opaque=opaque),
        (case.endpoint,),
        mode=case.line.mode,
    )
    decision = _settled(case, decision, Stage.INSPECT, Stage.INSPECT, findings)
    case.answer_decision = decision
    case.answer_labels = labels
    return decision


def lets_back(case: Case, label: str) -> bool:
    """Return whether policy would let a value of ``label`` come back to this principal as it is."""
    assert case.endpoint is not None
    labels = tuple(sorted((label, *ancestors(label))))
    facts = _facts(case, Action.ANSWER, labels, opaque=False)
    decision = ask_policy(case.line.bundle, case.principal, facts, (case.endpoint,), mode=case.line.mode)
    duties = [o for o in obligations_for(decision, case.endpoint.id) if not spares_restored(o)]
    return decision.effect is Effect.ALLOW and not Rewriter(duties, b"").applies(Finding(label, "", ""))


def require_allowed(decision: Decision) -> None:
    """Raise the refusal that ``decision`` calls for, if it calls for one."""
    if decision.effect is Effect.ALLOW:
        return
    if decision.effect is Effect.ESCALATE:
        message = decision.message or "this call needs a person's approval"
        raise Refused(Code.APPROVAL_REQUIRED, message, rules=decision.rules)
    raise Refused(
        Code.POLICY_DENIED, decision.message or "policy does not allow this call", rules=decision.rules
    )


def unread(parts: Sequence[Part]) -> bool:
    """Return whether some content cannot be read by any detector.

    Signatures and encrypted state of the endpoint's own (role METADATA) are no content.
    """
    return any(part.kind is PartKind.OPAQUE and part.role is not Role.METADATA for part in parts)


def labels_of(findings: Sequence[Finding]) -> tuple[str, ...]:
    """Return the distinct labels with all their ancestors, sorted."""
    if not findings:
        return ()
    labels: set[str] = set()
    for label in {label for finding in findings for label in finding.labels}:
        labels.add(label)
        family = label
        while "." in family:
            family = family.rpartition(".")[0]
            labels.add(family)
    return tuple(sorted(labels))


def obligations_for(decision: Decision, endpoint: str) -> tuple[Obligation, ...]:
    """Return what must be done if the exchange concerns ``endpoint``."""
    for verdict in decision.endpoints:
        if verdict.endpoint == endpoint:
            return verdict.obligations
    return ()


def _facts(case: Case, action: Action, labels: tuple[str, ...], *, opaque: bool) -> Facts:
    exchange = case.exchange
    assert exchange is not None
    return Facts(
        action=action,
        dialect=exchange.dialect,
        operation=exchange.operation,
        model=exchange.model,
        stream=exchange.stream,
        labels=labels,
        tools=exchange.tools,
        tags=headers.tags(case.inbound.headers),
        opaque=opaque,
    )


def _settled(
    case: Case, decision: Decision, policy_stage: Stage, content_stage: Stage, findings: Iterable[Finding]
) -> Decision:
    # In observe and shadow mode nothing acts, and neither does the table: what went wrong is on record.
    if case.line.mode is not Mode.ENFORCE:
        return decision
    table = case.line.fail_modes
    if decision.effect is Effect.INDETERMINATE:
        effect = settle(policy_stage, decision.effect, table)
        message = "policy could not be evaluated; the call is refused because policy fails closed"
        return msgspec.structs.replace(decision, effect=effect, message=message)
    if decision.effect is Effect.ALLOW and any(f.status is FindingStatus.INDETERMINATE for f in findings):
        effect = settle(content_stage, Effect.INDETERMINATE, table)
        if effect is not Effect.ALLOW:
            return msgspec.structs.replace(
                decision, effect=effect, message=NOT_INSPECTED, rules=("failmode",)
            )
    return decision
