"""Decisions: deny over escalate over allow, closed by default, for each endpoint on its own."""

import msgspec
import pytest

from magistrate.exchange.decision import Action, Effect, Facts, Mode, ObligationKind
from magistrate.policy.decide import NO_PERMIT, OUT_OF_SCOPE, decide

from .world import ADA, EU, EVERYBODY, GHOSTLY, PLAIN, bundle, facts

DENY = '@id("deny") @message("not here") @code("stop") forbid (principal, action, resource) when {{ {} }};\n'
ESCALATE = '@id("ask") @verdict("escalate") forbid (principal, action, resource) when {{ {} }};\n'
BROKEN = '@id("broken") forbid (principal, action, resource) when { context.ghost };\n'
PII = 'context.labels.contains("pii")'


@pytest.mark.requirement("P2", "R5")
@pytest.mark.parametrize(
    ("text", "effect", "rules"),
    [
        (EVERYBODY, Effect.ALLOW, ("everybody",)),
        (DENY.format("true"), Effect.DENY, ("deny",)),
        (EVERYBODY + DENY.format(PII), Effect.DENY, ("deny",)),
        (EVERYBODY + DENY.format('context.labels.contains("pii.email")'), Effect.DENY, ("deny",)),
        (EVERYBODY + DENY.format('context.labels.contains("pci")'), Effect.ALLOW, ("everybody",)),
        (EVERYBODY + ESCALATE.format(PII), Effect.ESCALATE, ("ask",)),
        (EVERYBODY + ESCALATE.format(PII) + DENY.format(PII), Effect.DENY, ("deny",)),
        (ESCALATE.format(PII), Effect.DENY, ()),
        (
            '@id("g") permit (principal in Magistrate::Group::"care", action, resource);',
            Effect.ALLOW,
            ("g",),
        ),
        ('@id("g") permit (principal in Magistrate::Group::"other", action, resource);', Effect.DENY, ()),
        ('@id("m") permit (principal, action, resource in Magistrate::Model::"m");', Effect.ALLOW, ("m",)),
        (
            '@id("a") permit (principal, action, resource) when { principal.application == Magistrate::Application::"ward" };',
            Effect.ALLOW,
            ("a",),
        ),
    ],
)
def test_deny_stands_over_escalate_over_allow_and_nothing_is_a_denial(
    text: str, effect: Effect, rules: tuple[str, ...]
) -> None:
    """A person is never asked for what no policy would permit."""
    decision = decide(bundle(text), ADA, facts("pii.email"), [PLAIN])
    assert (decision.effect, decision.rules) == (effect, rules)
    assert [verdict.effect for verdict in decision.endpoints] == [effect]
    assert decision.endpoints[0].rules == rules


@pytest.mark.requirement("R2", "R5", "R7")
def test_each_endpoint_has_its_own_verdict_and_reason() -> None:
    """The call is allowed if any endpoint is; who is not says why."""
    text = EVERYBODY + DENY.format(f'{PII} && !resource.certifications.contains("gdpr-dpa")')
    decision = decide(bundle(text), ADA, facts("pii"), [PLAIN, EU])
    assert decision.effect is Effect.ALLOW
    assert decision.rules == ("everybody",)
    assert [(v.endpoint, v.effect, v.reason) for v in decision.endpoints] == [
        ("sim/m", Effect.DENY, "forbidden by deny"),
        ("eu/m", Effect.ALLOW, ""),
    ]


def test_a_denied_client_is_told_the_policy_s_own_words() -> None:
    """Of the first determining policy that has any."""
    decision = decide(bundle(EVERYBODY + DENY.format(PII)), ADA, facts("pii"), [PLAIN])
    assert (decision.code, decision.message) == ("stop", "not here")
    assert decide(bundle(EVERYBODY), ADA, facts("pii"), [PLAIN]).message == ""


@pytest.mark.requirement("P2")
def test_a_policy_that_cannot_be_evaluated_is_no_permission() -> None:
    """Cedar skips a forbid whose condition fails; skipped, it would have been a permission."""
    decision = decide(bundle(EVERYBODY + BROKEN, GHOSTLY), ADA, facts(), [PLAIN])
    assert decision.effect is Effect.INDETERMINATE
    assert decision.errors == ("broken",)
    assert decision.endpoints[0].effect is Effect.INDETERMINATE
    assert decision.endpoints[0].reason == "could not be evaluated: broken"


def test_a_denial_stands_beside_a_broken_policy() -> None:
    """Whatever the broken one would have said could not have lifted it, and no fail-mode table may."""
    decision = decide(bundle(EVERYBODY + BROKEN + DENY.format(PII), GHOSTLY), ADA, facts("pii"), [PLAIN])
    assert decision.effect is Effect.DENY
    assert decision.errors == ("broken",)


def test_an_endpoint_that_no_broken_policy_concerns_is_still_allowed() -> None:
    """A broken policy makes its own endpoints indeterminate, not others."""
    text = (
        EVERYBODY
        + '@id("b") forbid (principal, action, resource in Magistrate::Provider::"sim") when { context.ghost };'
    )
    decision = decide(bundle(text, GHOSTLY), ADA, facts(), [PLAIN, EU])
    assert decision.effect is Effect.ALLOW
    assert [v.effect for v in decision.endpoints] == [Effect.INDETERMINATE, Effect.ALLOW]


def test_a_broken_obligation_is_no_permission_either() -> None:
    """What must be done cannot be known, so nothing is."""
    text = (
        EVERYBODY
        + '@id("o") @obligation("redact") permit (principal, action, resource) when { context.ghost };'
    )
    assert decide(bundle(text, GHOSTLY), ADA, facts(), [PLAIN]).effect is Effect.INDETERMINATE


@pytest.mark.requirement("P7")
@pytest.mark.parametrize("mode", ["shadow", "observe"])
def test_a_broken_policy_that_does_not_act_is_told_and_does_not_act(mode: str) -> None:
    """Trying a policy out must not be able to stop traffic."""
    text = EVERYBODY + BROKEN.replace("forbid", f'@mode("{mode}") forbid')
    decision = decide(bundle(text, GHOSTLY), ADA, facts(), [PLAIN])
    assert decision.effect is Effect.ALLOW
    assert decision.errors == ("broken",)


@pytest.mark.parametrize(
    ("principal", "asked"),
    [
        (msgspec.structs.replace(ADA, user="\ud800"), facts()),
        (ADA, msgspec.structs.replace(facts(), tools=("\ud800",))),
    ],
)
def test_names_that_are_no_text_are_no_permission(principal: object, asked: Facts) -> None:
    """A lone surrogate cannot be asked about; it is an answer, not a crash."""
    decision = decide(bundle(EVERYBODY), principal, asked, [PLAIN])  # type: ignore[arg-type]
    assert decision.effect is Effect.INDETERMINATE
    assert decision.errors == ("unknown",)


@pytest.mark.requirement("P3")
def test_every_obligation_that_applies_is_known_at_each_endpoint() -> None:
    """Not only those that Cedar would name as determining."""
    text = EVERYBODY + (
        '@id("r") @obligation("redact") @labels("pii.*, pci") permit (principal, action, resource)'
        ' unless { resource.certifications.contains("gdpr-dpa") };'
        '@id("c") @obligation("cap") @max_output_tokens("100") permit (principal, action, resource);'
        '@id("p") @obligation("route") @prefer("region:eu") permit (principal, action, resource);'
        '@id("w") @obligation("warn") @message("careful") permit (principal, action, resource) when { context.stream };'
    )
    plain, eu = decide(bundle(text), ADA, facts("pii"), [PLAIN, EU]).endpoints
    assert [(o.kind, o.rule, o.labels, o.params) for o in plain.obligations] == [
        (ObligationKind.CAP, "c", (), (("max_output_tokens", "100"),)),
        (ObligationKind.ROUTE, "p", (), (("prefer", "region:eu"),)),
        (ObligationKind.REDACT, "r", ("pii.*", "pci"), ()),
    ]
    assert [o.rule for o in eu.obligations] == ["c", "p"]
    streamed = decide(bundle(text), ADA, facts("pii", stream=True), [PLAIN]).endpoints[0]
    assert streamed.obligations[-1].params == (("message", "careful"),)


def test_an_obligation_permits_nothing_by_itself() -> None:
    """Though it is written as a permit."""
    text = '@id("r") @obligation("redact") permit (principal, action, resource);'
    (verdict,) = decide(bundle(text), ADA, facts(), [PLAIN]).endpoints
    assert (verdict.effect, verdict.reason, verdict.obligations) == (Effect.DENY, NO_PERMIT, ())


@pytest.mark.requirement("I2")
@pytest.mark.parametrize("mode", Mode)
def test_a_key_s_own_ceiling_holds_in_every_mode(mode: Mode) -> None:
    """It belongs to the credential, like its expiry; policy and modes can only narrow it."""
    scoped = msgspec.structs.replace(ADA, models=("gpt-*",))
    decision = decide(bundle(EVERYBODY), scoped, facts(), [PLAIN], mode=mode)
    assert (decision.effect, decision.message) == (Effect.DENY, OUT_OF_SCOPE)
    named = msgspec.structs.replace(PLAIN, id="sim/gpt-5", model="gpt-5")
    decision = decide(bundle(EVERYBODY), scoped, facts(), [PLAIN, named], mode=mode)
    assert [v.effect for v in decision.endpoints] == [Effect.DENY, Effect.ALLOW]


@pytest.mark.requirement("P7")
def test_a_shadow_policy_is_decided_in_full_and_does_not_act() -> None:
    """Denials and obligations alike."""
    text = (
        EVERYBODY
        + DENY.format('context.labels.contains("phi")').replace("forbid", '@mode("shadow") forbid')
        + '@id("r") @mode("shadow") @obligation("redact") permit (principal, action, resource);'
    )
    quiet = decide(bundle(text), ADA, facts(), [PLAIN])
    assert quiet.effect is Effect.ALLOW
    assert quiet.endpoints[0].obligations == ()
    assert quiet.would is not None
    assert [o.rule for o in quiet.would.obligations] == ["r"]
    loud = decide(bundle(text), ADA, facts("phi"), [PLAIN])
    assert loud.effect is Effect.ALLOW
    assert loud.would is not None
    assert (loud.would.effect, loud.would.rules) == (Effect.DENY, ("deny",))


@pytest.mark.requirement("P7")
def test_an_observed_policy_is_noted_and_nothing_else() -> None:
    """Not even in what would have happened."""
    text = EVERYBODY + DENY.format(PII).replace("forbid", '@mode("observe") forbid')
    decision = decide(bundle(text), ADA, facts("pii"), [PLAIN])
    assert (decision.effect, decision.would, decision.observed) == (Effect.ALLOW, None, ("deny",))
    assert decide(bundle(text), ADA, facts(), [PLAIN]).observed == ()


@pytest.mark.requirement("P7")
@pytest.mark.parametrize("mode", [Mode.OBSERVE, Mode.SHADOW])
def test_the_whole_mode_caps_every_policy(mode: Mode) -> None:
    """Nothing is refused or changed; what enforcing would have done is told."""
    text = (
        EVERYBODY + DENY.format(PII) + '@id("r") @obligation("redact") permit (principal, action, resource);'
    )
    denied = decide(bundle(text), ADA, facts("pii"), [PLAIN], mode=mode)
    assert denied.effect is Effect.ALLOW
    assert denied.would is not None
    assert (denied.would.effect, denied.would.rules) == (Effect.DENY, ("deny",))
    free = decide(bundle(text), ADA, facts(), [PLAIN], mode=mode)
    assert free.endpoints[0].obligations == ()
    assert free.would is not None
    assert [o.rule for o in free.would.obligations] == ["r"]
    assert free.observed == (("everybody", "r") if mode is Mode.OBSERVE else ())


def test_calls_and_answers_are_two_questions() -> None:
    """A policy on one says nothing of the other."""
    text = (
        EVERYBODY + '@id("no-answers") forbid (principal, action == Magistrate::Action::"answer", resource);'
    )
    assert decide(bundle(text), ADA, facts(), [PLAIN]).effect is Effect.ALLOW
    assert decide(bundle(text), ADA, facts(action=Action.ANSWER), [PLAIN]).effect is Effect.DENY


@pytest.mark.requirement("P2")
def test_equal_questions_are_answered_once() -> None:
    """The answer is remembered by value, per bundle."""
    policies = bundle(EVERYBODY)
    first = decide(policies, ADA, facts("pii"), [PLAIN])
    again = decide(policies, msgspec.structs.replace(ADA), facts("pii"), [msgspec.structs.replace(PLAIN)])
    assert again is first
    assert decide(policies, ADA, facts("pci"), [PLAIN]) is not first
    assert decide(bundle(EVERYBODY), ADA, facts("pii"), [PLAIN]) == first
