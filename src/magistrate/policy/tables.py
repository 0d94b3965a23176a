"""Table tests: questions to policy with the answers they must get, as data."""

from collections.abc import Iterable, Mapping

import msgspec

from magistrate.exchange.decision import Action, Effect, Facts
from magistrate.exchange.endpoint import Endpoint
from magistrate.exchange.principal import Principal
from magistrate.policy.bundle import Bundle
from magistrate.policy.decide import decide


class Asker(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    user: str = "somebody"
    groups: tuple[str, ...] = ()
    application: str = ""
    key: str = "key"
    tenant: str = "default"
    models: tuple[str, ...] = ()


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    model: str = "model"
    dialect: str = "openai.chat"
    operation: str = "chat"
    stream: bool = False
    opaque: bool = False
    labels: tuple[str, ...] = ()
    """Their ancestors are added, as they are for real content."""
    tools: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str = "endpoint"
    provider: str = "provider"
    api: str = "openai"
    model: str = ""
    region: str = ""
    certifications: tuple[str, ...] = ()


class Expected(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is not named is not checked. ``obligations`` are rule ids at any allowed endpoint."""

    effect: Effect
    rules: tuple[str, ...] | None = None
    obligations: tuple[str, ...] | None = None
    eligible: tuple[str, ...] | None = None
    would: Effect | None = None


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One question and its answer."""

    name: str
    expect: Expected
    principal: Asker = Asker()
    request: Request = Request()
    action: Action = Action.CALL
    endpoint: Place | None = None
    endpoints: tuple[Place, ...] = ()
    configured: tuple[str, ...] = ()
    """Ids of endpoints in the configuration, in place of endpoints written out here."""


class Result(msgspec.Struct, frozen=True):
    """``wrong`` is empty when the case passed."""

    name: str
    wrong: tuple[str, ...]


def run(bundle: Bundle, cases: Iterable[Case], configured: Mapping[str, Endpoint]) -> tuple[Result, ...]:
    """Ask every question; return what was wrong with each answer.

    ``configured`` is the catalogue by endpoint id, for cases that name endpoints of the real configuration.
    """
    return tuple(Result(case.name, _wrong(bundle, case, configured)) for case in cases)


def _wrong(bundle: Bundle, case: Case, configured: Mapping[str, Endpoint]) -> tuple[str, ...]:
    if (case.endpoint is not None) + bool(case.endpoints) + bool(case.configured) > 1:
        return ("write one of `endpoint`, `endpoints` and `configured`, not several",)
    absent = [name for name in case.configured if name not in configured]
    if absent:
        return (f"the configuration has no endpoint {', '.join(f'`{name}`' for name in absent)}",)
    expect = case.expect
    endpoints = tuple(configured[name] for name in case.configured) or _endpoints(case)
    decision = decide(bundle, _principal(case.principal), _facts(case), endpoints)
    allowed = [verdict for verdict in decision.endpoints if verdict.effect is Effect.ALLOW]
    would = decision.would.effect.value if decision.would else None
    checks: list[tuple[str, object, object]] = [("effect", expect.effect.value, decision.effect.value)]
    for what, want, got in (
        ("rules", expect.rules, set(decision.rules)),
        ("obligations", expect.obligations, {o.rule for verdict in allowed for o in verdict.obligations}),
        ("eligible", expect.eligible, {verdict.endpoint for verdict in allowed}),
    ):
        if want is not None:
            checks.append((what, sorted(set(want)), sorted(got)))
    if expect.would is not None:
        checks.append(("would", expect.would.value, would))
    return tuple(f"{what}: expected {want}, got {got}" for what, want, got in checks if want != got)


def _principal(asker: Asker) -> Principal:
    return Principal(
        key=asker.key,
        user=asker.user,
        tenant=asker.tenant,
        groups=asker.groups,
        application=asker.application,
        models=asker.models,
    )


def _facts(case: Case) -> Facts:
    request = case.request
    labels = {
        ".".join(label.split(".")[:n]) for label in request.labels for n in range(1, label.count(".") + 2)
    }
    return Facts(
        action=case.action,
        dialect=request.dialect,
        operation=request.operation,
        model=request.model,
        stream=request.stream,
        labels=tuple(sorted(labels)),
        tools=tuple(sorted(request.tools)),
        tags=tuple(sorted(request.tags)),
        opaque=request.opaque,
    )


def _endpoints(case: Case) -> tuple[Endpoint, ...]:
    places = case.endpoints or (case.endpoint or Place(),)
    return tuple(
        Endpoint(
            id=place.id,
            provider=place.provider,
            api=place.api,
            model=place.model or case.request.model,
            upstream_model=place.model or case.request.model,
            region=place.region,
            certifications=place.certifications,
        )
        for place in places
    )
