"""A recorded cost follows from recorded tokens and the prices that were on record before; if not, it is remarked on."""

from typing import Any

import pytest
from tests.published import Published
from tests.unit.evidence.test_completeness import verified

from magistrate.app.catalogue import catalogue
from magistrate.app.config import load
from magistrate.app.prices import price_tables
from magistrate.evidence.costs import cost_nano
from magistrate.evidence.report import Verdict

PRICES = {"p1": {"input": 250, "output": 2000, "cached": 25, "currency": "USD"}}


@pytest.mark.requirement("A1")
@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        ({"in": 10, "out": 3, "cached": 4}, 6 * 250 + 4 * 25 + 3 * 2000),
        ({"in": 10, "out": None, "cached": None}, 2500),
        ({"in": 1, "out": 0, "cached": 5}, 125),
        ({"in": None, "out": 3}, None),
    ],
)
def test_a_cost_is_tokens_times_prices(usage: dict[str, Any], cost: int | None) -> None:
    assert cost_nano(usage, PRICES["p1"]) == cost


@pytest.mark.requirement("A1")
@pytest.mark.parametrize(
    ("version", "cost", "told"),
    [("p1", 2500, 0), ("p1", 2499, 1), ("p1", None, 1), ("p2", 7, 0)],
)
def test_a_cost_that_does_not_follow_is_remarked_on(version: str, cost: int | None, told: int) -> None:
    """Whoever computed it wrongly did not falsify the log, so it is no tampering; prices nobody knows are not checked."""
    log = Published()
    log.add(log.header("config.change", "note", prices=PRICES))
    log.call("a" * 32)
    log.headers[-1]["usage"] = {"in": 10, "out": 0, "cached": 0, "cost_nano": cost, "prices": version}
    report = verified(log)
    assert report.verdict is Verdict.VALID
    assert len(report.remarks) == told


def test_one_version_has_one_set_of_numbers() -> None:
    log = Published()
    log.add(log.header("config.change", "note", prices=PRICES))
    log.add(log.header("config.change", "note", prices={"p1": PRICES["p1"] | {"input": 1}}))
    assert "other numbers" in verified(log).remarks[0].what


@pytest.mark.requirement("A1")
def test_the_prices_of_a_configuration_go_on_record_under_the_version_that_outcomes_name(
    tmp_path: Any,
) -> None:
    """Equal prices once; as many records as it takes."""
    models = ", ".join(f"{{name: m{n}, price: {{input: {n % 400}, output: 2, per: 1M}}}}" for n in range(800))
    path = tmp_path / "magistrate.yaml"
    path.write_text(f"providers:\n  - {{name: s, api: simulator, models: [{models}]}}\n")
    endpoints = catalogue(load(path, {}))
    tables = list(price_tables(endpoints))
    assert [len(table) for table in tables] == [300, 100]
    for each in endpoints:
        assert each.price is not None
        (numbers,) = (table[each.price.version] for table in tables if each.price.version in table)
        assert (numbers["input"], numbers["currency"]) == (each.price.input_nano, "USD")
