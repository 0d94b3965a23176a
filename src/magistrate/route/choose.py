"""``choose``: the order in which lawful endpoints are tried, and why the others are not."""

from collections.abc import Sequence

from magistrate.exchange.decision import Decision, Effect, EndpointVerdict, ObligationKind
from magistrate.exchange.endpoint import Eligibility, Endpoint, Route
from magistrate.route.health import Health


def choose(
    candidates: Sequence[Endpoint],
    decision: Decision,
    health: Health,
    operation: str,
    *,
    draw: float,
    now_us: int,
) -> Route:
    """Return the route of one call.

    ``operation`` is ``dialect:operation``; ``draw`` in [0, 1) spreads load by weight. Law and language come first: an
    endpoint that policy does not allow or that does not speak the operation is never in the order. Health only
    reorders: when every lawful endpoint is ejected they are tried all the same, because refusing would not heal them.
    """
    verdicts = {verdict.endpoint: verdict for verdict in decision.endpoints}
    eligibility: list[Eligibility] = []
    healthy: list[Endpoint] = []
    ejected: list[Endpoint] = []
    for endpoint in candidates:
        reason = _unlawful(endpoint, verdicts.get(endpoint.id), operation)
        until = 0 if reason else health.ejected_until(endpoint.id, now_us)
        if until:
            ejected.append(endpoint)
        elif not reason:
            healthy.append(endpoint)
        note = reason or (
            f"ejected for {(until - now_us) // 1000} ms after repeated failures" if until else ""
        )
        eligibility.append(Eligibility(endpoint.id, not note, note))
    if ejected and not healthy:
        lawful = {endpoint.id for endpoint in ejected}
        eligibility = [
            Eligibility(e.endpoint, eligible=True) if e.endpoint in lawful else e for e in eligibility
        ]
        healthy = ejected
    order = _ordered(healthy, verdicts, draw)
    return Route(order, tuple(eligibility))


def _unlawful(endpoint: Endpoint, verdict: EndpointVerdict | None, operation: str) -> str:
    if verdict is None:
        return "policy was not asked about it"
    if verdict.effect is not Effect.ALLOW:
        return verdict.reason or f"policy says {verdict.effect.value}"
    if operation not in endpoint.operations:
        return f"it does not serve `{operation}`"
    return ""


def _ordered(
    endpoints: list[Endpoint], verdicts: dict[str, EndpointVerdict], draw: float
) -> tuple[Endpoint, ...]:
    tiers: dict[tuple[bool, int], list[Endpoint]] = {}
    for endpoint in endpoints:
        preferred = _preferred(endpoint, verdicts[endpoint.id])
        tiers.setdefault((not preferred, endpoint.priority), []).append(endpoint)
    return tuple(endpoint for tier in sorted(tiers) for endpoint in _by_weight(tiers[tier], draw))


def _by_weight(tier: list[Endpoint], draw: float) -> list[Endpoint]:
    """Return ``tier`` with the drawn endpoint first and the others after it, heaviest first.

    A weight of 0 is never drawn while another has some: it is a reserve.
    """
    total = sum(endpoint.weight for endpoint in tier)
    rest = sorted(tier, key=lambda endpoint: -endpoint.weight)
    mark = draw * total
    for endpoint in tier:
        if mark < endpoint.weight:
            return [endpoint, *(other for other in rest if other is not endpoint)]
        mark -= endpoint.weight
    return rest


def _preferred(endpoint: Endpoint, verdict: EndpointVerdict) -> bool:
    for obligation in verdict.obligations:
        if obligation.kind is ObligationKind.ROUTE:
            kind, _, value = dict(obligation.params).get("prefer", "").partition(":")
            if value in {
                "region": (endpoint.region,),
                "provider": (endpoint.provider,),
                "certification": endpoint.certifications,
            }.get(kind, ()):
                return True
    return False
