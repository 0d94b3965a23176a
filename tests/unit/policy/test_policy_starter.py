"""The starter bundle: valid, tested, and safe for somebody who changed nothing."""

from pathlib import Path

import pytest

from magistrate.app.bundles import PolicySource, starter
from magistrate.app.catalogue import catalogue
from magistrate.app.config import embedded_default, load
from magistrate.app.policy_tests import run_directory
from magistrate.exchange.decision import Action, Effect
from magistrate.policy.decide import decide

from .world import ADA, facts

STARTER = PolicySource(None).load()
CONFIG = starter().parent / "magistrate.yaml"


@pytest.mark.requirement("P8", "R2")
def test_its_own_tests_pass() -> None:
    """Beside the embedded default and beside the configuration that ships with it."""
    for config in (embedded_default({}), load(CONFIG, {})):
        outcomes = run_directory(None, STARTER, config)
        assert len(outcomes) >= 12
        assert [outcome for outcome in outcomes if outcome.wrong] == []


def test_every_rule_of_it_is_named_by_a_test_of_it() -> None:
    """A rule without a test could be edited away unseen."""
    tests = "".join(path.read_text() for path in (starter() / "tests").glob("*.yaml"))
    assert [rule for rule in STARTER.statements if rule not in tests] == []


def test_its_configuration_is_the_simulator_and_its_policies() -> None:
    """What `init` writes runs without a network and without a key."""
    config = load(CONFIG, {})
    assert config.simulated
    assert Path(config.policies) == starter()
    assert all(endpoint.certifications == () for endpoint in catalogue(config))


@pytest.mark.requirement("P3", "R2")
@pytest.mark.parametrize(
    ("label", "action", "effect", "duties"),
    [
        ("pii.email", Action.CALL, Effect.ALLOW, {"pii"}),
        ("pci.pan", Action.CALL, Effect.ALLOW, {"pci"}),
        ("secret.aws_access_key", Action.CALL, Effect.DENY, set()),
        ("secret.aws_access_key", Action.ANSWER, Effect.DENY, set()),
        ("phi.mrn", Action.CALL, Effect.DENY, set()),
        ("pci.pan", Action.ANSWER, Effect.ALLOW, {"pci"}),
        ("pii.email", Action.ANSWER, Effect.ALLOW, set()),
    ],
)
def test_what_it_does_with_the_embedded_default(
    label: str, action: Action, effect: Effect, duties: set[str]
) -> None:
    """The simulator holds no certification, so nothing personal reaches it as it is."""
    (endpoint,) = catalogue(embedded_default({}))
    decision = decide(STARTER, ADA, facts(label, action=action), [endpoint])
    assert decision.effect is effect
    redacted = {
        pattern
        for verdict in decision.endpoints
        for obligation in verdict.obligations
        for pattern in obligation.labels
        if label.partition(".")[0] == pattern
    }
    assert redacted == duties
