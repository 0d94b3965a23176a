"""Every rule finds what it says it finds, and nothing where it says nothing stands."""

import re
import time

import pytest

from magistrate.classify.rule import VALUE_GROUPS
from magistrate.classify.rules import CARD_TRIGGER, LONGEST_VALUE, RULES, Rule
from magistrate.classify.scanner import Scanner
from magistrate.classify.taxonomy import TAXONOMY, mask_of
from magistrate.classify.views import view_of

SCANNER = Scanner()
GOOD = [pytest.param(rule, text, id=f"{rule.id}-{n}") for rule in RULES for n, text in enumerate(rule.good)]
BAD = [pytest.param(rule, text, id=f"{rule.id}-{n}") for rule in RULES for n, text in enumerate(rule.bad)]


def unmarked(text: str) -> tuple[str, str]:
    """Return the example without its marks, and the value that stood between them."""
    before, _, rest = text.partition("«")
    value, _, after = rest.partition("»")
    return before + value + after, value


@pytest.mark.parametrize(("rule", "text"), GOOD)
def test_a_value_is_found_exactly_where_it_stands(rule: Rule, text: str) -> None:
    """Not a character more and not one less, under the rule's own label."""
    plain, value = unmarked(text)
    found = SCANNER.scan_text(plain)
    assert [(f.label, plain[f.start : f.end]) for f in found] == [(rule.label, value)]
    assert found[0].detail == rule.id
    assert found[0].detector == "always-on"


@pytest.mark.parametrize(("rule", "text"), BAD)
def test_a_look_alike_is_not_taken_for_a_value(rule: Rule, text: str) -> None:
    """The label of the rule is not given to what merely looks like its values."""
    assert rule.label not in {finding.label for finding in SCANNER.scan_text(text)}


@pytest.mark.parametrize(("rule", "text"), GOOD)
def test_a_trigger_is_never_narrower_than_its_pattern(rule: Rule, text: str) -> None:
    """What the pattern finds, the automaton announces within the rule's reach; else the rule would sleep through it."""
    plain, _ = unmarked(text)
    (match,) = [m for m in re.finditer(rule.pattern, plain) if rule.holds(m, group_of(m))]
    ends = [m.end() for m in re.finditer(f"(?is){rule.trigger}", plain)]
    assert any(end - rule.reach <= match.start() <= end for end in ends)


def group_of(match: re.Match[str]) -> str | int:
    named = match.groupdict()
    return next((name for name in VALUE_GROUPS if named.get(name) is not None), 0)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_every_rule_carries_examples_a_label_and_bounds(rule: Rule) -> None:
    """Three examples to find; a known label; values no longer than the inspector holds back."""
    assert len(rule.good) >= 3
    assert all(text.count("«") == text.count("»") == 1 for text in rule.good)
    assert rule.label in TAXONOMY or rule.label.split(".")[0] in TAXONOMY
    assert mask_of(rule.label).startswith("[")
    if rule.id != "private_key":
        assert all(len(unmarked(text)[1]) <= LONGEST_VALUE for text in rule.good)


def test_rule_ids_are_unique() -> None:
    """Records name rules by id."""
    assert len({rule.id for rule in RULES}) == len(RULES)


CARDS = [
    ("pay with 4111 1111 1111 1111 now", "4111 1111 1111 1111"),
    ("4111111111111111", "4111111111111111"),
    ("card:5555-5555-5555-4444.", "5555-5555-5555-4444"),
    ("378282246310005", "378282246310005"),
    ("3782 822463 10005", "3782 822463 10005"),
    ("6011.1111.1111.1117", "6011.1111.1111.1117"),
    ("30569309025904", "30569309025904"),
    ("3530111333300000", "3530111333300000"),
    ("4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"),
    ("order 12 4111 1111 1111 1111", "4111 1111 1111 1111"),
    ("4111 1111 1111 1111 12/27 123", "4111 1111 1111 1111"),
]
NOT_CARDS = [
    "4111 1111 1111 1112",  # check digit
    "1234567890123452",  # no issuer
    "0000 0000 0000 0000",
    "x" + "41111111111111112222222222" + "y",  # longer than any card
    "3.14159265358979323846",
    "2024-01-01 12:00:00 2024-01-02",
]


@pytest.mark.parametrize(("text", "value"), CARDS)
def test_a_card_is_found_however_it_is_grouped(text: str, value: str) -> None:
    """Groups of four, of an issuer's habit, one digit at a time, or none."""
    assert [(f.label, text[f.start : f.end]) for f in SCANNER.scan_text(text)] == [("pci.pan", value)]


@pytest.mark.parametrize("text", NOT_CARDS)
def test_digits_without_issuer_length_and_check_digit_are_no_card(text: str) -> None:
    """Nine of ten digit runs fail the check digit alone."""
    assert "pci.pan" not in {f.label for f in SCANNER.scan_text(text)}


HOSTILE_SIZE = 100_000
SEEDS = sorted(
    {"a", "1", " ", "1 ", "a@", "a.", "+1 ", "(1)", "-----BEGIN ", "-----BEGIN PRIVATE KEY-----", "eyJ", "eyJa.eyJ", "aB3"}
    | {"password=", 'password = "', "passport ", "://", "x://a:", "a1-", "DE89 ", "driver's license ", "mrn ", "aws key "}
    | {"4111 ", "４", "е", "\u200b", "sk-", "9-", "''", "=", "/", "\n", "\x00", "ssn ", "phone: 1 "}
)  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS, ids=[repr(seed) for seed in SEEDS])
def test_no_text_takes_longer_than_its_length_deserves(seed: str) -> None:
    """100 KB of a repeated morsel costs a bounded time: an answer's author chooses it, and must not stop us."""
    text = (seed * (HOSTILE_SIZE // len(seed) + 1))[:HOSTILE_SIZE]
    began = time.thread_time()
    SCANNER.scan_text(text)
    assert time.thread_time() - began < 2.0


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_every_rule_is_linear_on_its_own_beginnings(rule: Rule) -> None:
    """Each good example cut short and repeated to 100 KB: the worst that the rule's own shape offers."""
    for example in rule.good:
        plain, _ = unmarked(example)
        for cut in (len(plain), len(plain) - 1, len(plain) // 2):
            text = (plain[:cut] * (HOSTILE_SIZE // max(cut, 1) + 1))[:HOSTILE_SIZE]
            began = time.thread_time()
            SCANNER.scan_text(text)
            assert time.thread_time() - began < 2.0, (rule.id, cut)


def test_the_card_trigger_announces_every_card() -> None:
    """The one rule without a pattern is behind the automaton as well."""
    for text, _ in CARDS:
        assert re.search(CARD_TRIGGER, text), text


def test_a_normal_text_has_no_view_of_its_own() -> None:
    """Plain ASCII is read once."""
    assert view_of("plain text, 123") is None
