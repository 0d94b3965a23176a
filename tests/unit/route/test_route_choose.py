"""Routes: only lawful endpoints, in order of preference, priority and weight, with a reason for every other."""

from collections import Counter

import msgspec
import pytest

from magistrate.exchange.decision import Decision, Effect, EndpointVerdict, Obligation, ObligationKind
from magistrate.exchange.endpoint import Endpoint
from magistrate.route.choose import choose
from magistrate.route.health import Health, Mark

CHAT = "openai.chat:chat"
A, B, C = (Endpoint(f"{name}/m", name, "openai", "m", "m", (CHAT,), region=name) for name in ("a", "b", "c"))
NOW = 1_000_000_000


def _decision(*verdicts: EndpointVerdict) -> Decision:
    return Decision(Effect.ALLOW, "hash", endpoints=verdicts)


def _allow(*endpoints: Endpoint, obligations: tuple[Obligation, ...] = ()) -> Decision:
    return _decision(*(EndpointVerdict(e.id, Effect.ALLOW, ("all",), obligations) for e in endpoints))


def _names(endpoints: tuple[Endpoint, ...]) -> str:
    return "".join(endpoint.provider for endpoint in endpoints)


@pytest.mark.requirement("R5", "R2", "R7")
@pytest.mark.parametrize(
    ("verdict", "reason"),
    [
        (EndpointVerdict("a/m", Effect.DENY, ("no",), reason="forbidden by no"), "forbidden by no"),
        (EndpointVerdict("a/m", Effect.ESCALATE, ("ask",)), "policy says escalate"),
        (EndpointVerdict("a/m", Effect.INDETERMINATE), "policy says indeterminate"),
        (EndpointVerdict("other/m", Effect.ALLOW), "policy was not asked about it"),
    ],
)
def test_what_policy_does_not_allow_is_never_in_the_order(verdict: EndpointVerdict, reason: str) -> None:
    """Not first, not as a fallback; and the reason is kept."""
    route = choose([A, B], _decision(verdict, *_allow(B).endpoints), Health(), CHAT, draw=0.0, now_us=NOW)
    assert route.order == (B,)
    assert [(e.endpoint, e.eligible, e.reason) for e in route.eligibility] == [
        ("a/m", False, reason),
        ("b/m", True, ""),
    ]


@pytest.mark.requirement("R5")
def test_an_endpoint_that_does_not_speak_the_operation_is_not_eligible() -> None:
    """A chat is not sent where only embeddings are served."""
    deaf = msgspec.structs.replace(A, operations=("openai.embeddings:embeddings",))
    route = choose([deaf], _allow(deaf), Health(), CHAT, draw=0.0, now_us=NOW)
    assert route.order == ()
    assert route.eligibility[0].reason == f"it does not serve `{CHAT}`"


def test_order_is_preference_then_priority() -> None:
    """A route obligation says which of the lawful endpoints come first; the others stay as fallbacks."""
    first = msgspec.structs.replace(B, priority=-1)
    prefer = (Obligation(ObligationKind.ROUTE, "near", params=(("prefer", "region:c"),)),)
    plain = choose([A, first, C], _allow(A, first, C), Health(), CHAT, draw=0.0, now_us=NOW)
    assert _names(plain.order)[0] == "b"
    near = choose(
        [A, first, C], _allow(A, first, C, obligations=prefer), Health(), CHAT, draw=0.0, now_us=NOW
    )
    assert _names(near.order) == "cba"


@pytest.mark.parametrize(
    ("prefer", "first"),
    [("provider:b", "b"), ("certification:soc2", "c"), ("region:a", "a"), ("region:nowhere", "a")],
)
def test_a_preference_names_region_provider_or_certification(prefer: str, first: str) -> None:
    """One that nobody meets changes nothing."""
    certified = msgspec.structs.replace(C, certifications=("soc2",))
    wish = (Obligation(ObligationKind.ROUTE, "r", params=(("prefer", prefer),)),)
    route = choose(
        [A, B, certified], _allow(A, B, certified, obligations=wish), Health(), CHAT, draw=0.0, now_us=NOW
    )
    assert route.order[0].provider == first


@pytest.mark.requirement("R6")
def test_load_is_spread_by_weight_and_a_zero_is_a_reserve() -> None:
    """Every hundredth of the draw, counted."""
    heavy, light = msgspec.structs.replace(A, weight=3), msgspec.structs.replace(B, weight=1)
    reserve = msgspec.structs.replace(C, weight=0)
    endpoints = [reserve, heavy, light]
    firsts = Counter(
        choose(endpoints, _allow(*endpoints), Health(), CHAT, draw=n / 100, now_us=NOW).order[0].provider
        for n in range(100)
    )
    assert firsts == {"a": 75, "b": 25}
    assert choose([reserve], _allow(reserve), Health(), CHAT, draw=0.99, now_us=NOW).order == (reserve,)


@pytest.mark.requirement("R6")
def test_an_ejected_endpoint_is_left_out_and_says_until_when() -> None:
    """Until the ejection passes; then it may be tried again."""
    ill = Health({"a/m": Mark(5, 1, NOW + 4_000_000)})
    route = choose([A, B], _allow(A, B), ill, CHAT, draw=0.0, now_us=NOW)
    assert route.order == (B,)
    assert route.eligibility[0].reason == "ejected for 4000 ms after repeated failures"
    later = choose([A, B], _allow(A, B), ill, CHAT, draw=0.0, now_us=NOW + 4_000_000)
    assert _names(later.order) == "ab"


@pytest.mark.requirement("R6", "R2")
def test_the_last_lawful_endpoint_is_tried_although_it_is_ejected() -> None:
    """Refusing would not heal it. An unlawful one that is well is no way out."""
    ill = Health({"a/m": Mark(5, 1, NOW + 4_000_000)})
    only = _decision(
        *_allow(A).endpoints, EndpointVerdict("b/m", Effect.DENY, ("no",), reason="forbidden by no")
    )
    route = choose([A, B], only, ill, CHAT, draw=0.0, now_us=NOW)
    assert route.order == (A,)
    assert [e.eligible for e in route.eligibility] == [True, False]
