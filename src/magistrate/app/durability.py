"""Which routes the configuration promises what, as the line asks for it and as people are told."""

from magistrate.app.settings import Config
from magistrate.pipeline.durability import Durabilities, Durability, DurableRoute


def durabilities(config: Config) -> Durabilities:
    """Return what the configuration promises each route."""
    evidence = config.evidence
    return Durabilities(
        tuple(DurableRoute(one.model, one.operation, Durability(one.durability)) for one in evidence.routes),
        Durability(evidence.durability),
    )


def weaker(config: Config) -> list[str]:
    """Return the routes, in words, whose calls may go ahead before their record is durable."""
    evidence, ahead = config.evidence, Durability.BOUNDED_ASYNC.value
    named = [
        f"model `{one.model}`" + (f", operation `{one.operation}`" if one.operation else "")
        for one in evidence.routes
        if one.durability == ahead
    ]
    return named + (["every other route"] if evidence.durability == ahead else [])
