"""Whether recorded costs follow from recorded tokens and recorded prices.

A gateway records the prices it works with before any call (``prices`` of a `config.change`: version to numbers, in
nano-units of a currency per token); each outcome names the version its cost was reckoned with (``usage.prices``).
"""

from typing import Any

from magistrate.evidence.noted import Noted
from magistrate.evidence.said import Said

MOST_VERSIONS = 100_000


class Costs:
    """Takes what every record says, in the log's order. What no price is known for is not checked.

    ``before``: those of the shard before this one, whose prices stay in force.
    """

    def __init__(self, noted: Noted, before: "Costs | None" = None) -> None:
        self._noted = noted
        self.prices: dict[str, dict[str, Any]] = dict(before.prices) if before else {}

    def add(self, place: str, record: Said) -> None:
        if record.prices is not None:
            self._learn(place, record.prices)
        elif record.usage is not None and record.usage["prices"] in self.prices:
            self._check(place, record.usage, self.prices[record.usage["prices"]])

    def _learn(self, place: str, prices: dict[str, Any]) -> None:
        for version, numbers in prices.items():
            if type(numbers) is not dict or len(self.prices) >= MOST_VERSIONS:
                continue
            if self.prices.setdefault(version, numbers) != numbers:
                self._noted.remark(place, f"gives the prices `{version}` other numbers than before")

    def _check(self, place: str, usage: dict[str, Any], price: dict[str, Any]) -> None:
        cost = cost_nano(usage, price)
        if cost is not None and usage.get("cost_nano") != cost:
            said = usage.get("cost_nano")
            self._noted.remark(
                place, f"says a cost of {said} nano-units; its tokens at its prices make {cost}"
            )


def cost_nano(usage: dict[str, Any], price: dict[str, Any]) -> int | None:
    """Return what ``usage`` costs at ``price``, or None if a number is missing.

    A cached token has a price of its own, or that of any other.
    """
    tokens, fresh_price, out_price = usage.get("in"), price.get("input"), price.get("output")
    if type(tokens) is not int or type(fresh_price) is not int or type(out_price) is not int:
        return None
    cached, out = (value if type(value := usage.get(name)) is int else 0 for name in ("cached", "out"))
    cached_price = value if type(value := price.get("cached")) is int else fresh_price
    return max(tokens - cached, 0) * fresh_price + cached * cached_price + out * out_price
