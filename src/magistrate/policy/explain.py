"""A judgement on paper, and the same judgement made again."""

from typing import Any

import msgspec

from magistrate.exchange.decision import Decision, Effect, EndpointVerdict, Facts, Mode, Would
from magistrate.exchange.endpoint import Endpoint
from magistrate.exchange.principal import Principal
from magistrate.policy.bundle import Bundle
from magistrate.policy.decide import decide


class Judgement(msgspec.Struct, frozen=True):
    """Everything a decision was made from, and the decision: what a record keeps."""

    principal: Principal
    facts: Facts
    endpoints: tuple[Endpoint, ...]
    decision: Decision
    mode: Mode


class Rule(msgspec.Struct, frozen=True):
    """A policy that determined something, and where it stands."""

    id: str
    place: str
    description: str
    text: str


class Explanation(msgspec.Struct, frozen=True):
    """A recorded judgement, decided again by ``bundle``."""

    same: bool
    """The effect, the rules and every endpoint's verdict and obligations came out as recorded."""
    same_bundle: bool
    recorded: Decision
    again: Decision
    facts: Facts
    principal: Principal
    rules: tuple[Rule, ...]
    differences: tuple[str, ...]


def read_judgement(plain: dict[str, Any]) -> Judgement:
    """Return the judgement that a record keeps as plain JSON values.

    Raises:
        msgspec.ValidationError: they are none.
    """
    return msgspec.convert(plain, Judgement)


def explain(bundle: Bundle, recorded: Judgement) -> Explanation:
    """Decide ``recorded`` again by ``bundle`` and say what came out alike and what did not."""
    again = decide(bundle, recorded.principal, recorded.facts, recorded.endpoints, mode=recorded.mode)
    differences = _differences(recorded.decision, again)
    return Explanation(
        same=not differences,
        same_bundle=recorded.decision.bundle == bundle.digest,
        recorded=recorded.decision,
        again=again,
        facts=recorded.facts,
        principal=recorded.principal,
        rules=tuple(_rule(bundle, name) for name in _named(again) if name in bundle.statements),
        differences=differences,
    )


def _rule(bundle: Bundle, name: str) -> Rule:
    statement = bundle.statements[name]
    return Rule(
        name,
        f"{statement.file}:{statement.line}",
        statement.annotations.get("description", ""),
        statement.text,
    )


def _named(decision: Decision) -> tuple[str, ...]:
    names = dict.fromkeys(decision.rules)
    for verdict in decision.endpoints:
        names.update(dict.fromkeys(verdict.rules))
        names.update(dict.fromkeys(obligation.rule for obligation in verdict.obligations))
    if decision.would:
        names.update(dict.fromkeys(decision.would.rules))
    names.update(dict.fromkeys(decision.observed))
    return tuple(names)


def _differences(before: Decision, after: Decision) -> tuple[str, ...]:
    found: list[str] = []
    # A recorded effect may be what the fail-mode table made of INDETERMINATE; the verdicts per endpoint say more.
    settled = after.effect is Effect.INDETERMINATE or before.rules == ("failmode",)
    if before.effect is not after.effect and not settled:
        found.append(f"the effect was {before.effect.value} and is {after.effect.value}")
    if before.rules != after.rules and not settled:
        found.append(f"the rules were {list(before.rules)} and are {list(after.rules)}")
    old, new = ({v.endpoint: v for v in decision.endpoints} for decision in (before, after))
    for endpoint in dict.fromkeys((*old, *new)):
        found += _moved(endpoint, old.get(endpoint), new.get(endpoint))
    if before.would != after.would:
        found.append(
            f"under shadow it would have been {_told(before.would)} and would be {_told(after.would)}"
        )
    for what in ("observed", "errors"):
        was, now = getattr(before, what), getattr(after, what)
        if was != now:
            found.append(f"the policies {what} were {list(was)} and are {list(now)}")
    return tuple(found)


def _moved(endpoint: str, was: EndpointVerdict | None, now: EndpointVerdict | None) -> list[str]:
    if was is None or now is None:
        return [f"{endpoint} {'had' if was is None else 'has'} no verdict"]
    found = []
    if (was.effect, was.rules) != (now.effect, now.rules):
        found.append(
            f"{endpoint} was {was.effect.value} by {list(was.rules)} and is {now.effect.value} by {list(now.rules)}"
        )
    if was.obligations != now.obligations:
        rules = ([o.rule for o in was.obligations], [o.rule for o in now.obligations])
        found.append(f"the obligations at {endpoint} were {rules[0]} and are {rules[1]}")
    return found


def _told(would: Would | None) -> str:
    return f"{would.effect.value} by {list(would.rules)}" if would else "nothing else"
