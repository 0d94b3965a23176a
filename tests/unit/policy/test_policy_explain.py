"""A recorded judgement can be made again, years later, from JSON."""

import json

import msgspec
import pytest

from magistrate.exchange.decision import Effect, Mode
from magistrate.policy.decide import decide
from magistrate.policy.explain import Judgement, explain, read_judgement

from .world import ADA, EU, EVERYBODY, PLAIN, bundle, facts

RULES = EVERYBODY + (
    '@id("no-phi")\n@description("health data stays here")\n'
    'forbid (principal, action, resource in Magistrate::Provider::"sim")\nwhen { context.labels.contains("phi") };\n'
    '@id("r") @obligation("redact") permit (principal, action, resource);'
)


def _recorded(text: str = RULES, *labels: str) -> dict[str, object]:
    decision = decide(bundle(text), ADA, facts(*labels), [PLAIN, EU])
    return msgspec.to_builtins(Judgement(ADA, facts(*labels), (PLAIN, EU), decision, Mode.ENFORCE))


@pytest.mark.requirement("P8", "R5")
def test_a_judgement_survives_json_and_is_decided_alike() -> None:
    """With the same policies it must come out the same, and the rules are named with file, line and text."""
    plain = json.loads(json.dumps(_recorded(RULES, "phi.mrn"), allow_nan=False))
    told = explain(bundle(RULES), read_judgement(plain))
    assert (told.same, told.same_bundle, told.differences) == (True, True, ())
    rules = {rule.id: rule for rule in told.rules}
    assert rules["no-phi"].place == "test.cedar:2"
    assert rules["no-phi"].description == "health data stays here"
    assert rules["no-phi"].text.endswith('contains("phi") };')
    assert set(rules) == {"everybody", "no-phi", "r"}
    assert [v.effect for v in told.again.endpoints] == [Effect.DENY, Effect.ALLOW]


def test_a_judgement_has_ascii_keys_and_no_floats() -> None:
    """So that it can stand in any canonical form."""

    def walk(value: object) -> None:
        assert not isinstance(value, float)
        if isinstance(value, dict):
            assert all(isinstance(key, str) and key.isascii() for key in value)
            for each in value.values():
                walk(each)
        elif isinstance(value, list | tuple):
            for each in value:
                walk(each)

    plain = _recorded(RULES, "phi")
    walk(plain)
    assert plain["decision"]["bundle"] == bundle(RULES).digest  # type: ignore[index]


@pytest.mark.requirement("P8")
@pytest.mark.parametrize(
    ("candidate", "told"),
    [
        (RULES.replace('"phi"', '"pii"'), "sim/m was deny by ['no-phi'] and is allow by ['everybody']"),
        (RULES.replace("everybody", "all"), "the rules were ['everybody'] and are ['all']"),
        (RULES.replace("permit (principal, action, resource);\n", "forbid (principal, action, resource);\n"),
         "the effect was allow and is deny"),
        (RULES.replace('@id("r")', '@id("r2")'), "the obligations at eu/m were ['r'] and are ['r2']"),
        (RULES.replace("@description", '@mode("shadow") @description'), "under shadow it would have been nothing else"),
    ],
)  # fmt: skip
def test_what_other_policies_would_say_is_told_as_differences(candidate: str, told: str) -> None:
    """What-if: the same facts, other rules."""
    found = explain(bundle(candidate), read_judgement(_recorded(RULES, "phi")))
    assert not found.same
    assert not found.same_bundle
    assert any(difference.startswith(told) for difference in found.differences), found.differences


def test_a_verdict_that_is_missing_from_the_record_is_a_difference() -> None:
    """Nobody can make a record agree by leaving something out."""
    recorded = read_judgement(_recorded())
    shorter = msgspec.structs.replace(recorded.decision, endpoints=recorded.decision.endpoints[:1])
    told = explain(bundle(RULES), msgspec.structs.replace(recorded, decision=shorter))
    assert told.differences == ("eu/m had no verdict",)


def test_what_the_fail_mode_table_settled_is_not_called_a_difference() -> None:
    """The record holds what the table made of it; policy's own part is compared endpoint by endpoint."""
    recorded = read_judgement(_recorded())
    settled = msgspec.structs.replace(recorded.decision, effect=Effect.DENY, rules=("failmode",))
    assert explain(bundle(RULES), msgspec.structs.replace(recorded, decision=settled)).same


def test_what_is_no_judgement_is_refused() -> None:
    """Rather than half understood."""
    with pytest.raises(msgspec.ValidationError):
        read_judgement({"principal": {}})
