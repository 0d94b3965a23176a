"""Whatever the draw and the health: a route holds lawful endpoints only, each once, and accounts for all."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magistrate.exchange.decision import Decision, Effect, EndpointVerdict
from magistrate.exchange.endpoint import Endpoint
from magistrate.route.choose import choose
from magistrate.route.health import Health, advance

OPERATIONS = ("openai.chat:chat", "openai.embeddings:embeddings")

endpoints = st.lists(
    st.builds(
        lambda number, operations, priority, weight: Endpoint(
            f"p{number}/m",
            f"p{number}",
            "openai",
            "m",
            "m",
            operations,
            priority=priority,
            weight=weight,
        ),
        st.integers(0, 9),
        st.sampled_from([(), OPERATIONS[:1], OPERATIONS]),
        st.integers(0, 2),
        st.integers(0, 3),
    ),
    max_size=6,
    unique_by=lambda endpoint: endpoint.id,
)
attempts = st.lists(st.tuples(st.integers(0, 9), st.booleans(), st.integers(0, 10**8)), max_size=60)


@pytest.mark.requirement("R2", "R5", "R6", "R7")
@settings(deadline=None, max_examples=300)
@given(
    endpoints,
    st.dictionaries(st.integers(0, 9), st.sampled_from(Effect)),
    attempts,
    st.floats(0, 1, exclude_max=True),
    st.sampled_from(OPERATIONS),
    st.integers(0, 10**9),
)
def test_a_route_never_holds_an_endpoint_that_is_not_eligible(
    candidates: list[Endpoint],
    said: dict[int, Effect],
    tried: list[tuple[int, bool, int]],
    draw: float,
    operation: str,
    now: int,
) -> None:
    """Fallbacks included; and while one endpoint is lawful the order is not empty."""
    health = Health()
    for number, success, at in tried:
        health = advance(health, f"p{number}/m", success=success, now_us=at)
    verdicts = {f"p{number}/m": effect for number, effect in said.items()}
    decision = Decision(
        Effect.ALLOW,
        "hash",
        endpoints=tuple(EndpointVerdict(name, effect) for name, effect in verdicts.items()),
    )
    route = choose(candidates, decision, health, operation, draw=draw, now_us=now)
    lawful = {
        endpoint.id
        for endpoint in candidates
        if verdicts.get(endpoint.id) is Effect.ALLOW and operation in endpoint.operations
    }
    order = [endpoint.id for endpoint in route.order]
    well = {name for name in lawful if not health.ejected_until(name, now)}
    assert set(order) == (well or lawful)
    assert len(order) == len(set(order))
    assert [endpoint.priority for endpoint in route.order] == sorted(e.priority for e in route.order)
    assert [e.endpoint for e in route.eligibility] == [endpoint.id for endpoint in candidates]
    assert {e.endpoint for e in route.eligibility if e.eligible} == set(order)
    assert all(bool(e.reason) != e.eligible for e in route.eligibility)
