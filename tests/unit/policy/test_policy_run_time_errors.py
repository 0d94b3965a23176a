"""A policy can pass every check and still fail when it is asked: then nobody knows, and nothing is permitted."""

import pytest

from magistrate.app.bundles import PolicySource
from magistrate.exchange.decision import Action, Effect, Facts
from magistrate.exchange.endpoint import Endpoint
from magistrate.exchange.principal import Principal
from magistrate.policy.bundle import load
from magistrate.policy.decide import decide

SCHEMA = PolicySource(None).files()["schema.cedarschema"]
EVERYBODY = b'@id("everybody") permit (principal, action, resource);\n'
WHO = Principal(key="k", user="ada")
WHAT = Facts(Action.CALL, "openai.chat", "chat", "m", stream=False)
WHERE = Endpoint("sim/m", "sim", "openai", "m", "m")


@pytest.mark.requirement("P2")
@pytest.mark.parametrize(
    "condition",
    [
        "9223372036854775807 + 1 > 0",
        "9223372036854775807 * 2 > 0",
        "-(-9223372036854775807 - 1) > 0",
        "context.stream || 0 - 9223372036854775807 - 2 < 0",
    ],
)
@pytest.mark.parametrize(
    "kind", ["forbid", '@verdict("escalate") forbid', "permit", '@obligation("warn") permit']
)
def test_an_overflow_that_no_check_can_see_leaves_the_call_undecided(condition: str, kind: str) -> None:
    """Cedar's integers have 64 bits and its validator knows types, not sizes; the shipped schema lets these through."""
    text = f'@id("overflows") {kind} (principal, action, resource) when {{ {condition} }};'
    decision = decide(
        load({"schema.cedarschema": SCHEMA, "p.cedar": EVERYBODY + text.encode()}), WHO, WHAT, [WHERE]
    )
    assert decision.effect is Effect.INDETERMINATE
    assert decision.errors == ("overflows",)
    assert decision.endpoints[0].effect is Effect.INDETERMINATE
    assert decision.endpoints[0].obligations == ()


def test_what_is_not_reached_does_not_overflow() -> None:
    """Conditions are read from the left: a guard that fails keeps the rest from being asked."""
    text = b'@id("guarded") forbid (principal, action, resource) when { context.stream && 9223372036854775807 + 1 > 0 };'
    decision = decide(load({"schema.cedarschema": SCHEMA, "p.cedar": EVERYBODY + text}), WHO, WHAT, [WHERE])
    assert (decision.effect, decision.errors) == (Effect.ALLOW, ())
