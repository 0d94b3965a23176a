"""The fail-mode table: what an indeterminate stage does. One table decides; its default row is deny.

| stage | becomes indeterminate when |
|---|---|
| identify | the key store cannot be read |
| classify | a detector raises, runs out of time, or meets more than it may read |
| decide | a policy's condition cannot be evaluated |
| open_record | the decision cannot be made durable before the effect |
| inspect | an answer cannot be inspected, or its policy cannot be evaluated |
| close_record | the outcome cannot be made durable before the answer is complete |
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from magistrate.exchange.decision import Effect


class Stage(StrEnum):
    IDENTIFY = "identify"
    CLASSIFY = "classify"
    DECIDE = "decide"
    OPEN_RECORD = "open_record"
    INSPECT = "inspect"
    CLOSE_RECORD = "close_record"


ALWAYS_CLOSED = frozenset({Stage.IDENTIFY, Stage.OPEN_RECORD, Stage.CLOSE_RECORD})
"""Nobody may configure these open: a call without a principal or without a record is not governed."""

FailModes = Mapping[Stage, Effect]

CLOSED: FailModes = MappingProxyType(dict.fromkeys(Stage, Effect.DENY))


def fail_modes(overrides: Mapping[str, str]) -> FailModes:
    """Return the table with ``overrides`` (stage name to ``deny``, ``allow`` or ``escalate``).

    Raises:
        ValueError: an unknown stage or effect, or a stage that must stay closed.
    """
    table = dict(CLOSED)
    for name, effect in overrides.items():
        stage = Stage(name)
        if stage in ALWAYS_CLOSED and Effect(effect) is not Effect.DENY:
            raise ValueError(f"`{name}` always fails closed")
        if Effect(effect) is Effect.INDETERMINATE:
            raise ValueError(f"`{name}` must become allow, deny or escalate")
        table[stage] = Effect(effect)
    return MappingProxyType(table)


def settle(stage: Stage, effect: Effect, table: FailModes) -> Effect:
    """Return ``effect``, or what the table makes of INDETERMINATE."""
    return table.get(stage, Effect.DENY) if effect is Effect.INDETERMINATE else effect
