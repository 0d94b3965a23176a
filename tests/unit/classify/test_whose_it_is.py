"""Ages and words of medicine count where they can be somebody's: not of markets, weather and things."""

import pytest

from magistrate.classify.dates import ages
from magistrate.classify.health import terms

SOMEBODYS_AGE = [
    "My grandmother turned 94 last week.",
    "Walter Simms turned 101 in May.",
    "He was 97 years old when the house was sold.",
    "In the old church, Edith Moore, 92 years old, lit a candle.",
    "the patient is a 91-year-old in a car accident",
]
THINGS_AGE = [
    "The tower by the harbour is 95 years old.",
    "The mill, rebuilt on 3 October, is now 98 years old.",
    "This oak is 110 years old and still grows.",
    "The company turned 100 in June.",
    "The dial turned 90 degrees.",
    "The temperature turned 93 on Tuesday.",
    "The index turned 98.6 again",
]
ILLNESS = [
    "Anna was treated for depression after the market crash.",
    "He suffers from severe depression.",
    "history of depression, takes sertraline",
    "depression and anxiety since the economy closed her shop",
]
NO_ILLNESS = [
    "Exports fell and the whole industry slid into a depression, said Anna Bell.",
    "A tropical depression formed west of the islands.",
    "The depression brings rain and gales by Friday, the forecast says.",
    "Water gathers in the depression behind the hill.",
]


@pytest.mark.parametrize("text", SOMEBODYS_AGE)
def test_an_age_of_somebody_is_found(text):
    """Also where a thing stands in the same sentence."""
    assert len(list(ages(text))) == 1


@pytest.mark.parametrize("text", THINGS_AGE)
def test_the_age_of_a_thing_is_nobodys(text):
    """And what turns by degrees has no age."""
    assert list(ages(text)) == []


@pytest.mark.parametrize("text", ILLNESS)
def test_a_depression_that_somebody_has_is_a_word_of_medicine(text):
    """Also beside a market."""
    assert "depression" in [text[start:end].lower() for start, end in terms(text)]


@pytest.mark.parametrize("text", NO_ILLNESS)
def test_a_depression_of_markets_weather_or_ground_is_none(text):
    """The sentence tells of which kind it is."""
    assert not [text[start:end] for start, end in terms(text)]
