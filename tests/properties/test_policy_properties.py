"""Policy equals the obvious model, and Cedar's own verdict, over a generated family of policies."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import cedarpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magistrate.app.bundles import PolicySource
from magistrate.exchange.decision import Action, Effect, Facts, Mode
from magistrate.exchange.endpoint import Endpoint
from magistrate.exchange.principal import Principal
from magistrate.policy.bundle import load
from magistrate.policy.decide import _context, _request, decide, entities

SCHEMA = (
    PolicySource(None)
    .files()["schema.cedarschema"]
    .replace(b"type Content = {", b"type Content = {\n ghost: Bool,")
)
calm = settings(deadline=None, max_examples=200)

Ask = tuple[Principal, Facts, Endpoint]


class Broken(Exception):
    """The obvious model's way of saying that a condition reads what is not there."""


class Piece(NamedTuple):
    """A scope or condition, as Cedar and as Python."""

    cedar: str
    python: Callable[[Ask], bool]


def _ghost(_: Ask) -> bool:
    raise Broken


PRINCIPALS = [
    Piece("principal", lambda _: True),
    Piece('principal == Magistrate::User::"ada"', lambda a: a[0].user == "ada"),
    Piece('principal in Magistrate::Group::"care"', lambda a: "care" in a[0].groups),
]
ACTIONS = [
    Piece("action", lambda _: True),
    Piece('action == Magistrate::Action::"call"', lambda a: a[1].action is Action.CALL),
    Piece('action == Magistrate::Action::"answer"', lambda a: a[1].action is Action.ANSWER),
]
RESOURCES = [
    Piece("resource", lambda _: True),
    Piece('resource in Magistrate::Model::"m1"', lambda a: a[2].model == "m1"),
    Piece('resource in Magistrate::Provider::"p1"', lambda a: a[2].provider == "p1"),
    Piece('resource == Magistrate::Endpoint::"p0/m0"', lambda a: a[2].id == "p0/m0"),
]
CONDITIONS = [
    Piece("true", lambda _: True),
    Piece('context.labels.contains("pii")', lambda a: "pii" in a[1].labels),
    Piece('context.labels.containsAny(["pci", "phi"])', lambda a: bool({"pci", "phi"} & set(a[1].labels))),
    Piece('context.tools.contains("send")', lambda a: "send" in a[1].tools),
    Piece('context.tags.contains("test")', lambda a: "test" in a[1].tags),
    Piece("context.stream", lambda a: a[1].stream),
    Piece("context.opaque", lambda a: a[1].opaque),
    Piece('resource.region == "eu"', lambda a: a[2].region == "eu"),
    Piece('resource.certifications.contains("soc2")', lambda a: "soc2" in a[2].certifications),
    Piece('principal.tenant == "acme"', lambda a: a[0].tenant == "acme"),
    Piece('context.model like "m*"', lambda a: a[1].model.startswith("m")),
    Piece("context.ghost", _ghost),
]


class Policy(NamedTuple):
    does: str
    mode: Mode
    pieces: tuple[Piece, Piece, Piece]
    when: Piece
    unless: Piece | None

    def cedar(self, name: str) -> str:
        notes = f'@id("{name}") @mode("{self.mode.value}")'
        notes += {
            "permit": "",
            "deny": '@verdict("deny")',
            "escalate": '@verdict("escalate")',
            "oblige": '@obligation("redact")',
        }[self.does]
        effect = "permit" if self.does in {"permit", "oblige"} else "forbid"
        unless = f" unless {{ {self.unless.cedar} }}" if self.unless else ""
        scope = ", ".join(piece.cedar for piece in self.pieces)
        return f"{notes} {effect} ({scope}) when {{ {self.when.cedar} }}{unless};"

    def matches(self, ask: Ask) -> bool:
        return (
            all(piece.python(ask) for piece in self.pieces)
            and self.when.python(ask)
            and not (self.unless and self.unless.python(ask))
        )


policies = st.builds(
    Policy,
    st.sampled_from(["permit", "permit", "deny", "escalate", "oblige"]),
    st.sampled_from([Mode.ENFORCE, Mode.ENFORCE, Mode.SHADOW, Mode.OBSERVE]),
    st.tuples(st.sampled_from(PRINCIPALS), st.sampled_from(ACTIONS), st.sampled_from(RESOURCES)),
    st.sampled_from(CONDITIONS),
    st.none() | st.sampled_from(CONDITIONS),
)
principals = st.builds(
    Principal,
    key=st.just("k"),
    user=st.sampled_from(["ada", "bob"]),
    tenant=st.sampled_from(["acme", "other"]),
    groups=st.sampled_from([(), ("care",), ("care", "eu")]),
    models=st.sampled_from([(), (), ("m1",), ("m*",), ("x",)]),
)
names = st.lists(st.sampled_from(["pii", "pci", "phi", "send", "test"]), unique=True, max_size=4).map(tuple)
facts = st.builds(
    Facts,
    action=st.sampled_from(Action),
    dialect=st.just("openai.chat"),
    operation=st.just("chat"),
    model=st.sampled_from(["m1", "other"]),
    stream=st.booleans(),
    labels=names,
    tools=names,
    tags=names,
    opaque=st.booleans(),
)
endpoints = st.lists(
    st.builds(
        lambda number, region, certified: Endpoint(
            f"p{number}/m{number}",
            f"p{number}",
            "openai",
            f"m{number}",
            "x",
            region=region,
            certifications=certified,
        ),
        st.integers(0, 2),
        st.sampled_from(["eu", "us"]),
        st.sampled_from([(), ("soc2",), ("soc2", "gdpr-dpa")]),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda endpoint: endpoint.id,
)


def _obvious(
    rules: dict[str, Policy], modes: set[Mode], ask: Ask
) -> tuple[Effect, tuple[str, ...], tuple[str, ...]]:
    """One endpoint's effect, rules and obligations, policy by policy."""
    principal, _, endpoint = ask
    if principal.models and not any(p in {endpoint.model, "m*"} for p in principal.models):
        return Effect.DENY, (), ()
    by: dict[str, list[str]] = {"permit": [], "deny": [], "escalate": [], "oblige": [], "broken": []}
    for name, rule in sorted(rules.items()):
        if rule.mode not in modes:
            continue
        try:
            if rule.matches(ask):
                by[rule.does].append(name)
        except Broken:
            by["broken"].append(name)
    for kind, effect in (("deny", Effect.DENY), ("broken", Effect.INDETERMINATE)):
        if by[kind]:
            return effect, tuple(by[kind]), ()
    if not by["permit"]:
        return Effect.DENY, (), ()
    if by["escalate"]:
        return Effect.ESCALATE, tuple(by["escalate"]), ()
    return Effect.ALLOW, tuple(by["permit"]), tuple(by["oblige"])


def _all(effects: list[Effect]) -> Effect:
    order = (Effect.ALLOW, Effect.INDETERMINATE, Effect.ESCALATE, Effect.DENY)
    return next(effect for effect in order if effect in effects)


def _noticed(rules: dict[str, Policy], asks: list[Ask]) -> Iterator[str]:
    for name, rule in rules.items():
        for ask in asks:
            try:
                if rule.mode is Mode.OBSERVE and rule.matches(ask):
                    yield name
            except Broken:
                continue


@pytest.mark.requirement("P2", "P7", "R5")
@calm
@given(st.lists(policies, min_size=1, max_size=8), principals, facts, endpoints)
def test_a_decision_equals_the_obvious_model(
    written: list[Policy], principal: Principal, asked: Facts, places: list[Endpoint]
) -> None:
    """Effect, rules and obligations of each endpoint; the whole; what shadow would do; what observing saw."""
    rules = {f"r{number}": policy for number, policy in enumerate(written)}
    text = "\n".join(policy.cedar(name) for name, policy in rules.items())
    bundle = load({"schema.cedarschema": SCHEMA, "p.cedar": text.encode()})
    decision = decide(bundle, principal, asked, places)
    asks = [(principal, asked, place) for place in places]
    expected = [_obvious(rules, {Mode.ENFORCE}, ask) for ask in asks]
    got = [(v.effect, v.rules, tuple(o.rule for o in v.obligations)) for v in decision.endpoints]
    assert got == expected
    assert decision.effect is _all([effect for effect, _, _ in expected])
    assert set(decision.observed) == set(_noticed(rules, asks))
    if any(rule.mode is Mode.SHADOW for rule in written):
        shadow = [_obvious(rules, {Mode.ENFORCE, Mode.SHADOW}, ask) for ask in asks]
        assert decision.would is not None
        assert decision.would.effect is _all([effect for effect, _, _ in shadow])
    else:
        assert decision.would is None


@pytest.mark.requirement("P2")
@calm
@given(st.lists(policies, min_size=1, max_size=8), principals, facts, endpoints)
def test_what_we_allow_cedar_allows(
    written: list[Policy], principal: Principal, asked: Facts, places: list[Endpoint]
) -> None:
    """Cedar is asked the ordinary way: the access policies as they are written, its own allow and deny.

    We answer no where it says yes only for a key's own ceiling and for what could not be evaluated.
    """
    rules = {f"r{number}": policy for number, policy in enumerate(written)}
    text = "\n".join(policy.cedar(name) for name, policy in rules.items())
    bundle = load({"schema.cedarschema": SCHEMA, "p.cedar": text.encode()})
    ordinary = "\n".join(
        policy.cedar(name)
        for name, policy in rules.items()
        if policy.mode is Mode.ENFORCE and policy.does != "oblige"
    )
    everything: list[dict[str, Any]] = entities(principal, tuple(places))
    for verdict, place in zip(decide(bundle, principal, asked, places).endpoints, places, strict=True):
        question = _request(principal, asked, place, _context(asked))
        cedar = cedarpy.is_authorized(question, ordinary, everything)
        scoped = not principal.models or any(p in {place.model, "m*"} for p in principal.models)
        if verdict.effect is Effect.ALLOW:
            assert cedar.allowed
        elif scoped and verdict.effect is not Effect.INDETERMINATE:
            assert not cedar.allowed
