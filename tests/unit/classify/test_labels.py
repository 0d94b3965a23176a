"""The taxonomy: every label that is given is in it, with its clauses, and the page is the one that the code makes."""

import importlib.util
from pathlib import Path

from magistrate.classify.rules import RULES
from magistrate.classify.taxonomy import TAXONOMY, ancestors, regulations_of

ROOT = Path(__file__).parents[3]


def test_the_page_of_labels_is_the_one_that_the_code_makes():
    """`make labels` writes it."""
    spec = importlib.util.spec_from_file_location("labels_writer", ROOT / "tools" / "labels.py")
    writer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(writer)
    assert writer.PAGE.read_text("utf-8") == writer.page()


def test_every_label_that_a_rule_gives_has_an_entry_and_so_have_its_families():
    """And what a rule gives is not called reserved."""
    for rule in RULES:
        assert not TAXONOMY[rule.label].reserved, rule.id
        assert all(name in TAXONOMY for name in ancestors(rule.label))


def test_the_eighteen_identifiers_of_hipaa_have_labels():
    """45 CFR 164.514(b)(2)(i)(A) to (R)."""
    clauses = " ".join(clause for name in TAXONOMY for clause in regulations_of(name))
    assert [c for c in "ABCDEFGHIJKLMNOPQR" if f"({c})" not in clauses] == []


def test_special_categories_and_criminal_data_are_mapped_to_their_articles():
    """GDPR Articles 9 and 10."""
    special = [name for name in TAXONOMY if name.startswith("special.")]
    assert len(special) == 9
    assert all({"GDPR Art. 9", "GDPR Art. 10"} & set(regulations_of(name)) for name in special)
