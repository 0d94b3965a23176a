"""What stands in a value's place says its type and nothing else of it."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magistrate.classify.redact import matches, redact, rewrite, token, tokenise
from magistrate.classify.rules import RULES
from magistrate.classify.scanner import Scanner
from magistrate.classify.taxonomy import TAXONOMY, ancestors, mask_of, regulations_of
from magistrate.exchange.finding import Finding, FindingStatus

SCANNER = Scanner()
TEXT = 'Write "ada@analytical.org" or ADA@analytical.org, card 4111 1111 1111 1111.'
KEY = b"k" * 32


@pytest.mark.requirement("P3")
@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["pii.email"], 'Write "[EMAIL]" or [EMAIL], card 4111 1111 1111 1111.'),
        (["pci"], 'Write "ada@analytical.org" or ADA@analytical.org, card [CARD].'),
        (["pii.*", "pci.*"], 'Write "[EMAIL]" or [EMAIL], card [CARD].'),
        (["*"], 'Write "[EMAIL]" or [EMAIL], card [CARD].'),
        (["pii.phone", "secret"], TEXT),
        ([], TEXT),
    ],
)
def test_only_labels_that_a_pattern_names_are_masked(patterns, expected):
    """A pattern names a label, its family, or both with a star."""
    assert redact(TEXT, SCANNER.scan_text(TEXT), patterns) == expected


@pytest.mark.requirement("P3")
def test_the_same_value_becomes_the_same_token_under_one_key_and_another_under_another():
    """Case does not matter; type and key do."""
    found = SCANNER.scan_text(TEXT)
    spoken = tokenise(TEXT, found, ["pii.email"], KEY)
    name = token("pii.email", "ada@analytical.org", KEY)
    assert name.startswith("EMAIL_")
    assert spoken == f'Write "{name}" or {name}, card 4111 1111 1111 1111.'
    assert token("pii.email", "ada@analytical.org", b"x" * 32) != name
    assert token("pii.phone", "ada@analytical.org", KEY).partition("_")[2] != name.partition("_")[2]


def test_masks_and_tokens_need_no_escaping_in_json():
    """Inside a JSON string they are what they are."""
    for label in TAXONOMY:
        for new in (mask_of(label), token(label, "v", KEY)):
            assert json.dumps(new, ensure_ascii=True) == f'"{new}"'


def test_a_lone_surrogate_is_tokenised_like_any_value():
    """No text makes it raise."""
    assert token("pii.email", "\ud800", KEY) != token("pii.email", "\ud801", KEY)


def test_what_could_not_be_inspected_is_not_rewritten():
    """An indeterminate finding says nothing of where a value stands; the fail-mode table is for it."""
    unsure = Finding("inspection.incomplete", "d", "1", end=4, status=FindingStatus.INDETERMINATE)
    assert redact("text here", [unsure], ["*"]) == "text here"


@given(
    st.lists(
        st.tuples(
            st.text(max_size=4), st.text(min_size=1, max_size=4), st.sampled_from(["", "[X]", "longer"])
        )
    )
)
def test_rewriting_equals_joining_what_stays_and_what_is_new(pieces):
    """Longer, shorter and empty replacements leave every other character where it was."""
    text, expected, replacements = "", "", []
    for kept, value, new in pieces:
        start = len(text) + len(kept)
        replacements.append((Finding("pii", "d", "1", start=start, end=start + len(value)), new))
        text += kept + value
        expected += kept + new
    assert rewrite(text, reversed(replacements)) == expected


def test_every_rule_has_a_label_and_every_label_a_family():
    """The taxonomy knows each label by itself, and its ancestors."""
    for label in {rule.label for rule in RULES} | set(TAXONOMY):
        assert label in TAXONOMY
        assert all(name in TAXONOMY for name in ancestors(label))


def test_regulations_of_a_label_include_its_familys():
    """A card number is card data."""
    assert regulations_of("pci.pan")[-1] == "PCI DSS"
    assert ancestors("pii.email") == ("pii",)
    assert ancestors("a.b.c") == ("a.b", "a")
    assert mask_of("secret.of.a.new.kind") == "[SECRET]"
    assert mask_of("house.badge") == "[BADGE]"


def test_a_pattern_names_families_not_prefixes():
    """``pii.em`` is no family."""
    assert matches("pii.email", ["pii"])
    assert not matches("pii.email", ["pii.em", "PII", "email"])


@pytest.mark.requirement("P3")
@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 9)), max_size=6))
def test_spans_of_several_detectors_that_overlap_leave_no_character_uncovered(places):
    """Two detectors need not agree where a value ends; what either marks is gone, and the rest stands as it was."""
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 30)))
    findings = [Finding("pii.email", f"d{n}", "1", 0, at, at + size) for n, (at, size) in enumerate(places)]
    marked = {n for at, size in places for n in range(at, at + size)}
    left = [c for c in redact(text, findings, ["pii"]) if c in text]
    assert left == [c for n, c in enumerate(text) if n not in marked]
