"""What stands around a card number neither hides it nor makes one of what is none."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magistrate.classify.digits import cards
from magistrate.classify.scanner import Scanner

SCANNER = Scanner()
CARD = "4111111111111111"
behind = st.sampled_from(["", " 5", " 12/27", " 1111", ".", ", 3", " x", "\n7"])


@pytest.mark.requirement("P3")
@settings(deadline=None)
@given(
    st.permutations([4, 4, 4, 4])
    | st.sampled_from([[5, 5, 6], [2, 2, 4, 8], [3, 3, 3, 3, 4], [8, 8], [1, 15]]),
    behind,
)
def test_what_follows_a_card_does_not_hide_it(sizes, after):
    """However it is grouped, and whatever number stands behind it."""
    groups, at = [], 0
    for size in sizes:
        groups.append(CARD[at : at + size])
        at += size
    written = " ".join(groups)
    found = [(f.start, f.end) for f in SCANNER.scan_text("pay: " + written + after) if f.label == "pci.pan"]
    assert found
    assert found[0][0] == 5
    assert found[0][1] >= 5 + len(written)


@pytest.mark.parametrize(
    "text", ["0.4111111111111111", "[-0.4111111111111111, 12.378282246310005]", "x=1.5555555555554444"]
)
def test_the_digits_of_a_fraction_are_no_card(text):
    """Embeddings are lists of such numbers."""
    assert list(cards(text)) == []


def test_a_list_of_ten_thousand_fractions_holds_no_card():
    """One in forty passed for one."""
    draw = random.Random(7)
    text = ", ".join(repr(draw.random()) for _ in range(10_000))
    assert [f for f in SCANNER.scan_text(text) if f.label == "pci.pan"] == []


def test_a_card_at_the_end_of_a_sentence_or_after_a_number_and_a_dot_is_found():
    """Only a digit and a dot before a long group make a fraction."""
    for text in (f"No.{CARD}", f"{CARD}.", "4111.1111.1111.1111", f"1. {CARD}", "v.4111.1111.1111.1111"):
        assert list(cards(text)), text
