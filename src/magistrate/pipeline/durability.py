"""Which calls may go ahead before their intent is durable, and which may not whatever the configuration says.

*Before effect*: nothing leaves before the intent is durable. *Bounded async*: the recorder process holds the intent, and
only so much that is not durable yet may have gone ahead (`docs/evidence.md` says what can then be lost). Outcomes
are durable before their answers complete, always.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from magistrate.exchange.content import Exchange
from magistrate.exchange.decision import Decision, Effect
from magistrate.wire.plain import is_plain


class Durability(StrEnum):
    BEFORE_EFFECT = "before-effect"
    BOUNDED_ASYNC = "bounded-async"


@dataclass(frozen=True, slots=True)
class DurableRoute:
    """What calls of a model (a name or a pattern, as clients ask for it) and an operation are promised; empty: any."""

    model: str
    operation: str
    durability: Durability

    def covers(self, exchange: Exchange) -> bool:
        return self.operation in {"", exchange.operation} and fnmatchcase(exchange.model, self.model or "*")


@dataclass(frozen=True, slots=True)
class Durabilities:
    """The promise of every route: the first that covers a call counts, else ``default``."""

    routes: Sequence[DurableRoute] = ()
    default: Durability = Durability.BEFORE_EFFECT

    def of(self, exchange: Exchange | None, decision: Decision | None) -> Durability:
        """Return how durable the intent of a call must be before the call goes ahead.

        Whatever is not simply allowed waits: refusals, what needs a person, and what would be refused if policy were
        enforced. So does whatever has, or could have, to do with tools.
        """
        if exchange is None or decision is None or decision.effect is not Effect.ALLOW:
            return Durability.BEFORE_EFFECT
        if decision.would is not None and decision.would.effect is not Effect.ALLOW:
            return Durability.BEFORE_EFFECT
        promised = next((route.durability for route in self.routes if route.covers(exchange)), self.default)
        if promised is Durability.BOUNDED_ASYNC and not is_plain(exchange):
            return Durability.BEFORE_EFFECT
        return promised
