"""``decide``: a function of values. Cedar is asked once per level and set, for all endpoints together."""

import json
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

import cedarpy

from magistrate.exchange.decision import (
    Decision,
    Effect,
    EndpointVerdict,
    Facts,
    Mode,
    Obligation,
    Would,
)
from magistrate.exchange.endpoint import Endpoint
from magistrate.exchange.principal import Principal
from magistrate.policy.bundle import Bundle, Sets

OUT_OF_SCOPE = "the key is not scoped to this model"
NO_PERMIT = "no policy permits it"

_NAMED = re.compile(r"`([^`]+)`")


def decide(
    bundle: Bundle,
    principal: Principal,
    facts: Facts,
    endpoints: Sequence[Endpoint],
    *,
    mode: Mode = Mode.ENFORCE,
) -> Decision:
    """Return the verdict on one exchange for every endpoint it could concern.

    Deny over escalate over allow; what no policy permits is denied; a policy whose condition cannot be evaluated
    makes its endpoints INDETERMINATE, because Cedar skips it and a skipped forbid would be a permission.
    ``mode`` caps every policy: in observe and shadow nothing acts, and what would have happened is in ``would``.
    """
    return bundle.remember(_decide)(principal, facts, tuple(endpoints), mode)


def may_call(bundle: Bundle, principal: Principal, facts: Facts, endpoint: Endpoint) -> bool:
    """Return whether ``principal`` may use ``endpoint`` at all, for lists of models."""
    return decide(bundle, principal, facts, (endpoint,)).effect is Effect.ALLOW


def _decide(
    bundle: Bundle, principal: Principal, facts: Facts, endpoints: tuple[Endpoint, ...], mode: Mode
) -> Decision:
    requests = [_request(principal, facts, endpoint) for endpoint in endpoints]
    entities = cedarpy.Entities.from_json_str(json.dumps(_entities(principal, endpoints)))
    enforced = _ask(bundle, bundle.enforced, principal, endpoints, requests, entities)
    would: Would | None = None
    if mode is not Mode.ENFORCE or bundle.has_shadow:
        verdicts, _ = _ask(bundle, bundle.shadowed, principal, endpoints, requests, entities)
        would = _would(verdicts)
    observed = _observed(bundle, requests, entities)
    verdicts, errors = enforced
    if mode is not Mode.ENFORCE:
        allowed = tuple(
            EndpointVerdict(v.endpoint, Effect.ALLOW, reason=f"{mode.value} mode") for v in verdicts
        )
        return Decision(
            Effect.ALLOW, bundle.digest, endpoints=allowed, would=would, observed=observed, errors=errors
        )
    effect, rules = _overall(verdicts)
    code, message = _told(bundle, rules) if effect is not Effect.ALLOW else ("", "")
    if not message and effect is Effect.DENY and verdicts and all(v.reason == OUT_OF_SCOPE for v in verdicts):
        message = OUT_OF_SCOPE
    return Decision(effect, bundle.digest, rules, verdicts, code, message, would, observed, errors)


def _ask(
    bundle: Bundle,
    sets: Sets,
    principal: Principal,
    endpoints: tuple[Endpoint, ...],
    requests: list[dict[str, Any]],
    entities: cedarpy.Entities,
) -> tuple[tuple[EndpointVerdict, ...], tuple[str, ...]]:
    access = cedarpy.is_authorized_batch(requests, sets.access, entities)
    duties = cedarpy.is_authorized_batch(requests, sets.obligations, entities)
    verdicts: list[EndpointVerdict] = []
    errors: set[str] = set()
    for endpoint, permission, duty in zip(endpoints, access, duties, strict=True):
        broken = (*permission.diagnostics.errors, *duty.diagnostics.errors)
        if broken:
            errors.update(_policy_in(text) for text in broken)
            reason = "a policy could not be evaluated"
            verdicts.append(EndpointVerdict(endpoint.id, Effect.INDETERMINATE, reason=reason))
            continue
        verdicts.append(_verdict(bundle, principal, endpoint, permission, duty))
    return tuple(verdicts), tuple(sorted(errors))


def _verdict(
    bundle: Bundle,
    principal: Principal,
    endpoint: Endpoint,
    permission: cedarpy.AuthzResult,
    duty: cedarpy.AuthzResult,
) -> EndpointVerdict:
    rules = tuple(sorted(permission.diagnostics.reasons))
    if principal.models and not any(fnmatchcase(endpoint.model, pattern) for pattern in principal.models):
        return EndpointVerdict(endpoint.id, Effect.DENY, reason=OUT_OF_SCOPE)
    if permission.allowed:
        obligations = tuple(_obligation(bundle, rule) for rule in sorted(duty.diagnostics.reasons))
        return EndpointVerdict(endpoint.id, Effect.ALLOW, rules, obligations)
    if not rules:
        return EndpointVerdict(endpoint.id, Effect.DENY, reason=NO_PERMIT)
    denying = tuple(r for r in rules if bundle.statements[r].annotations.get("verdict", "deny") == "deny")
    if denying:
        return EndpointVerdict(endpoint.id, Effect.DENY, denying, reason=f"forbidden by {', '.join(denying)}")
    return EndpointVerdict(
        endpoint.id, Effect.ESCALATE, rules, reason=f"a person must decide: {', '.join(rules)}"
    )


def _overall(verdicts: tuple[EndpointVerdict, ...]) -> tuple[Effect, tuple[str, ...]]:
    for effect in (Effect.ALLOW, Effect.INDETERMINATE, Effect.ESCALATE):
        if any(verdict.effect is effect for verdict in verdicts):
            return effect, _rules(verdicts, effect)
    return Effect.DENY, _rules(verdicts, Effect.DENY)


def _rules(verdicts: tuple[EndpointVerdict, ...], effect: Effect) -> tuple[str, ...]:
    return tuple(sorted({rule for verdict in verdicts if verdict.effect is effect for rule in verdict.rules}))


def _would(verdicts: tuple[EndpointVerdict, ...]) -> Would:
    effect, rules = _overall(verdicts)
    obligations = dict.fromkeys(o for v in verdicts if v.effect is Effect.ALLOW for o in v.obligations)
    return Would(effect, rules, tuple(obligations))


def _observed(bundle: Bundle, requests: list[dict[str, Any]], entities: cedarpy.Entities) -> tuple[str, ...]:
    matched: set[str] = set()
    for policies in bundle.observed:
        for answer in cedarpy.is_authorized_batch(requests, policies, entities):
            matched.update(answer.diagnostics.reasons)
    return tuple(sorted(matched))


def _obligation(bundle: Bundle, rule: str) -> Obligation:
    statement = bundle.statements[rule]
    kind = statement.obligation
    assert kind is not None
    notes = statement.annotations
    labels = tuple(label.strip() for label in notes.get("labels", "").split(",") if label.strip())
    params = tuple(
        (name, value)
        for name, value in sorted(notes.items())
        if name in {"max_output_tokens", "prefer", "message"}
    )
    return Obligation(kind, rule, labels, params)


def _told(bundle: Bundle, rules: tuple[str, ...]) -> tuple[str, str]:
    """Return the code and message of the first determining policy that has one."""
    for rule in rules:
        notes = bundle.statements[rule].annotations
        if "message" in notes or "code" in notes:
            return notes.get("code", ""), notes.get("message", "")
    return "", ""


def _policy_in(text: str) -> str:
    # Cedar: "error while evaluating policy `ID`: …". What cannot be told apart is still an error.
    named = _NAMED.search(text)
    return named[1] if named else "unknown"


def _uid(kind: str, name: str) -> dict[str, str]:
    return {"type": f"Magistrate::{kind}", "id": name}


def _request(principal: Principal, facts: Facts, endpoint: Endpoint) -> dict[str, Any]:
    return {
        "principal": _uid("User", principal.user),
        "action": _uid("Action", facts.action.value),
        "resource": _uid("Endpoint", endpoint.id),
        "context": {
            "dialect": facts.dialect,
            "operation": facts.operation,
            "model": facts.model,
            "stream": facts.stream,
            "opaque": facts.opaque,
            "labels": list(facts.labels),
            "tools": list(facts.tools),
            "tags": list(facts.tags),
        },
    }


def _entities(principal: Principal, endpoints: tuple[Endpoint, ...]) -> list[dict[str, Any]]:
    user = {
        "uid": _uid("User", principal.user),
        "attrs": {
            "tenant": principal.tenant,
            "application": {"__entity": _uid("Application", principal.application)},
            "key": {"__entity": _uid("Key", principal.key)},
        },
        "parents": [_uid("Group", group) for group in principal.groups],
    }
    places = {
        endpoint.id: {
            "uid": _uid("Endpoint", endpoint.id),
            "attrs": {
                "provider": endpoint.provider,
                "region": endpoint.region,
                "api": endpoint.api,
                "model": endpoint.model,
                "certifications": list(endpoint.certifications),
            },
            "parents": [_uid("Model", endpoint.model), _uid("Provider", endpoint.provider)],
        }
        for endpoint in endpoints
    }
    return [user, *places.values()]
