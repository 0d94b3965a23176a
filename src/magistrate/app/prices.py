"""The prices in force, as they go on record before any call is priced by them."""

from collections.abc import Iterable, Iterator

from magistrate.exchange.endpoint import Endpoint

IN_A_RECORD = 300
"""So many prices fit a record's header whatever their numbers are."""

Numbers = dict[str, object]


def price_tables(endpoints: Iterable[Endpoint]) -> Iterator[dict[str, Numbers]]:
    """Yield version to numbers (nano-units per token, and the currency), in pieces that fit one record each."""
    prices = {each.price.version: each.price for each in endpoints if each.price is not None}
    table = sorted(prices.items())
    for at in range(0, len(table), IN_A_RECORD):
        yield {
            version: {
                "input": price.input_nano,
                "output": price.output_nano,
                "cached": price.cached_nano,
                "currency": price.currency,
            }
            for version, price in table[at : at + IN_A_RECORD]
        }
