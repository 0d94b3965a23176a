"""``decide``: a function of values. Cedar says which policies match each endpoint; here they are combined."""

import json
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, Final, NamedTuple

import cedarpy

from magistrate.exchange.decision import (
    Decision,
    Effect,
    EndpointVerdict,
    Facts,
    Mode,
    Would,
)
from magistrate.exchange.endpoint import Endpoint
from magistrate.exchange.principal import Principal
from magistrate.policy.bundle import Bundle, Does

OUT_OF_SCOPE = "the key is not scoped to this model"
NO_PERMIT = "no policy permits it"
UNKNOWN: Final = "unknown"
"""Stands for the policy in errors that name none: the question itself could not be put."""

ENFORCED = frozenset({Mode.ENFORCE})
SHADOWED = frozenset({Mode.ENFORCE, Mode.SHADOW})

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
    makes its endpoints INDETERMINATE, because Cedar skips it and a skipped forbid would be a permission. The whole is
    ALLOW if any endpoint is allowed, else INDETERMINATE if any is: a person is not asked to approve, and a client is
    not told of a denial, that policy might have decided otherwise.
    ``mode`` caps every policy: in observe and shadow nothing acts, and what would have happened is in ``would``.
    """
    return bundle.remember(_decide)(principal, facts, tuple(endpoints), mode)


def _decide(
    bundle: Bundle, principal: Principal, facts: Facts, endpoints: tuple[Endpoint, ...], mode: Mode
) -> Decision:
    found = _ask(bundle, principal, facts, endpoints)
    verdicts = tuple(_verdict(bundle, principal, each, ENFORCED) for each in found)
    would: Would | None = None
    if mode is not Mode.ENFORCE or bundle.has_shadow:
        would = _would(tuple(_verdict(bundle, principal, each, SHADOWED) for each in found))
    observed = _observed(bundle, found, mode)
    errors = tuple(sorted({name for each in found for name in each.broken}))
    if mode is not Mode.ENFORCE:
        verdicts = tuple(_lifted(verdict, mode) for verdict in verdicts)
    effect, rules = _overall(verdicts)
    code, message = _told(bundle, rules) if effect is not Effect.ALLOW else ("", "")
    if effect is Effect.DENY and verdicts and all(v.reason == OUT_OF_SCOPE for v in verdicts):
        message = OUT_OF_SCOPE
    return Decision(effect, bundle.digest, rules, verdicts, code, message, would, observed, errors)


class Found(NamedTuple):
    """What Cedar said of one endpoint: the policies that match it, and those that could not be evaluated."""

    endpoint: Endpoint
    matched: tuple[str, ...]
    broken: tuple[str, ...]


def _ask(
    bundle: Bundle, principal: Principal, facts: Facts, endpoints: tuple[Endpoint, ...]
) -> tuple[Found, ...]:
    try:
        entities = _entities(principal, endpoints)
    except ValueError:
        # A name that is no Unicode text (a lone surrogate): nobody can say which policies it would match.
        return tuple(Found(endpoint, (), (UNKNOWN,)) for endpoint in endpoints)
    context = _context(facts)
    requests = [_request(principal, facts, endpoint, context) for endpoint in endpoints]
    answers = cedarpy.is_authorized_batch(requests, bundle.compiled, entities)
    return tuple(
        Found(
            endpoint,
            tuple(sorted(answer.diagnostics.reasons)),
            tuple(_policy_in(bundle, text) for text in answer.diagnostics.errors),
        )
        for endpoint, answer in zip(endpoints, answers, strict=True)
    )


def _verdict(bundle: Bundle, principal: Principal, found: Found, modes: frozenset[Mode]) -> EndpointVerdict:
    """Combine what matched: out of scope, then deny, then broken, then escalate, then allow.

    A denial stands although another policy is broken: whatever that one would have said, it could not lift it.
    """
    name = found.endpoint.id
    if principal.models and not any(fnmatchcase(found.endpoint.model, p) for p in principal.models):
        return EndpointVerdict(name, Effect.DENY, reason=OUT_OF_SCOPE)
    by: dict[Does, list[str]] = {does: [] for does in Does}
    for rule in found.matched:
        control = bundle.controls[rule]
        if control.mode in modes:
            by[control.does].append(rule)
    if by[Does.DENY]:
        return _no(name, Effect.DENY, by[Does.DENY], "forbidden by")
    broken = [b for b in found.broken if b == UNKNOWN or bundle.controls[b].mode in modes]
    if broken:
        return _no(name, Effect.INDETERMINATE, broken, "could not be evaluated:")
    if not by[Does.PERMIT]:
        # Escalating what nothing permits would ask a person for a right that policy does not give.
        return EndpointVerdict(name, Effect.DENY, reason=NO_PERMIT)
    if by[Does.ESCALATE]:
        return _no(name, Effect.ESCALATE, by[Does.ESCALATE], "a person must decide:")
    duties = (bundle.controls[rule].obligation for rule in by[Does.OBLIGE])
    return EndpointVerdict(name, Effect.ALLOW, tuple(by[Does.PERMIT]), tuple(o for o in duties if o))


def _no(endpoint: str, effect: Effect, rules: list[str], why: str) -> EndpointVerdict:
    return EndpointVerdict(endpoint, effect, tuple(rules), reason=f"{why} {', '.join(rules)}")


def _lifted(verdict: EndpointVerdict, mode: Mode) -> EndpointVerdict:
    # A key's own ceiling is a property of the credential, like its expiry: no mode of policy lifts it.
    if verdict.reason == OUT_OF_SCOPE:
        return verdict
    return EndpointVerdict(verdict.endpoint, Effect.ALLOW, reason=f"{mode.value} mode")


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


def _observed(bundle: Bundle, found: tuple[Found, ...], mode: Mode) -> tuple[str, ...]:
    matched = {rule for each in found for rule in each.matched}
    return tuple(
        sorted(r for r in matched if mode is Mode.OBSERVE or bundle.controls[r].mode is Mode.OBSERVE)
    )


def _told(bundle: Bundle, rules: tuple[str, ...]) -> tuple[str, str]:
    """Return the code and message of the first determining policy that has one."""
    for rule in rules:
        statement = bundle.statements.get(rule)
        if statement and ("message" in statement.annotations or "code" in statement.annotations):
            return statement.annotations.get("code", ""), statement.annotations.get("message", "")
    return "", ""


def _policy_in(bundle: Bundle, text: str) -> str:
    # Cedar: "error while evaluating policy `ID`: …". What names no policy of ours counts against all of them.
    named = _NAMED.search(text)
    return named[1] if named and named[1] in bundle.controls else UNKNOWN


def _uid(kind: str, name: str) -> dict[str, str]:
    return {"type": f"Magistrate::{kind}", "id": name}


def _context(facts: Facts) -> str:
    return json.dumps(
        {
            "dialect": facts.dialect,
            "operation": facts.operation,
            "model": facts.model,
            "stream": facts.stream,
            "opaque": facts.opaque,
            "labels": facts.labels,
            "tools": facts.tools,
            "tags": facts.tags,
        }
    )


def _request(principal: Principal, facts: Facts, endpoint: Endpoint, context: str) -> dict[str, Any]:
    return {
        "principal": _uid("User", principal.user),
        "action": _uid("Action", facts.action.value),
        "resource": _uid("Endpoint", endpoint.id),
        "context": context,
    }


@lru_cache(maxsize=512)
def _entities(principal: Principal, endpoints: tuple[Endpoint, ...]) -> cedarpy.Entities:
    """Return Cedar's handle on who asks and what is asked for. Equal values give an equal handle, so it is kept.

    Raises:
        ValueError: a name cannot be written as Unicode text.
    """
    return cedarpy.Entities.from_json_str(json.dumps(entities(principal, endpoints)))


def entities(principal: Principal, endpoints: tuple[Endpoint, ...]) -> list[dict[str, Any]]:
    """Return principal and endpoints as Cedar's JSON entities, in the shape of the schema."""
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
