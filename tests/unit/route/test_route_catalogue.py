"""Which endpoints serve a name."""

import pytest

from magistrate.exchange.endpoint import Endpoint
from magistrate.route.catalogue import LONGEST_MODEL_NAME, Catalogue

EXACT = Endpoint("eu/gpt-5", "eu", "openai", "gpt-5", "gpt-5-2026")
ANY = Endpoint("any/*", "any", "openai", "*", "*")
FAMILY = Endpoint("us/gpt-*", "us", "openai", "gpt-*", "gpt-*")
CATALOGUE = Catalogue([ANY, EXACT, FAMILY])


@pytest.mark.requirement("R5")
@pytest.mark.parametrize(
    ("name", "served"),
    [
        ("gpt-5", ["eu/gpt-5"]),
        ("gpt-6", ["any/gpt-6", "us/gpt-6"]),
        ("claude", ["any/claude"]),
        ("", []),
        ("x" * (LONGEST_MODEL_NAME + 1), []),
        ("two\nlines", []),
        ("\ud800", []),
    ],
)
def test_a_name_placed_on_purpose_is_not_taken_over_by_a_catch_all(name: str, served: list[str]) -> None:
    """A pattern serves the names that nobody lists; the client's own name goes upstream."""
    found = CATALOGUE.candidates(name)
    assert [endpoint.id for endpoint in found] == served
    assert all(endpoint.model == name for endpoint in found)


def test_patterns_are_not_listed_as_models() -> None:
    """Nobody could call a model named `gpt-*`."""
    assert CATALOGUE.names() == ("gpt-5",)
    assert Catalogue([ANY]).candidates("*")[0].id == "any/*"
