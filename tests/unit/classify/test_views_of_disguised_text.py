"""A disguised value is read as a person would read it, and the finding points at the original characters."""

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from magistrate.classify.scanner import Scanner
from magistrate.classify.views import FOLDED, view_of

SCANNER = Scanner()
CARD = "4111 1111 1111 1111"
EMAIL = "ada@analytical.org"

DISGUISES = {
    "zero-width between characters": (lambda v: "\u200b".join(v), "pci.pan", CARD),
    "soft hyphens": (lambda v: "\u00ad".join(v), "pii.email", EMAIL),
    "full-width forms": (lambda v: "".join(chr(ord(c) + 0xFEE0) if c != " " else c for c in v), "pci.pan", CARD),
    "Arabic-Indic digits": (lambda v: v.translate({48 + n: 0x660 + n for n in range(10)}), "pci.pan", CARD),
    "mathematical digits": (lambda v: v.translate({48 + n: 0x1D7CE + n for n in range(10)}), "pci.pan", CARD),
    "Cyrillic letters": (lambda v: v.replace("a", "а").replace("o", "о"), "pii.email", EMAIL),
    "tag characters": (lambda v: "".join(chr(0xE0000 + ord(c)) for c in v), "pci.pan", CARD),
    "no-break spaces": (lambda v: v.replace(" ", "\u00a0"), "pci.pan", CARD),
    "bidirectional marks": (lambda v: "\u202e".join(v), "pii.email", EMAIL),
}  # fmt: skip


@pytest.mark.requirement("P3")
@pytest.mark.parametrize("name", DISGUISES)
@pytest.mark.parametrize(
    "around", [("", ""), ("see ", " now"), ("漢字 \U0001f642 ", " é"), ("\ufeff\r\n", "\x00 \ud800")]
)
def test_a_disguised_value_is_found_where_it_stands(name, around):
    """Offsets count original characters, whatever stands around it."""
    disguise, label, value = DISGUISES[name]
    hidden = disguise(value)
    (found,) = SCANNER.scan_text(around[0] + hidden + around[1])
    assert (found.label, found.view) == (label, "normal")
    assert (found.start, found.end) == (len(around[0]), len(around[0]) + len(hidden))


texts = st.text(
    st.sampled_from([*list(FOLDED)[:400:7], "\u200b", "\U000e0041", *"ab 19é漢—\ud800\x00"]), max_size=60
)


@settings(deadline=None)
@given(texts)
@example("\u200b")
@example("a\u200b\u200bb")
def test_a_view_equals_folding_one_character_at_a_time(text):
    """The obvious way: each character by itself, with a list of where each came from."""
    origin = [n for n, c in enumerate(text) for _ in FOLDED.get(c, c)]
    spelled = "".join(FOLDED.get(c, c) for c in text)
    view = view_of(text)
    assert (text if view is None else view.text) == spelled
    if view is not None:
        spans = {
            (a, b): (origin[a], origin[b - 1] + 1)
            for a in range(len(origin))
            for b in range(a + 1, len(origin) + 1)
        }
        assert {span: view.span(*span) for span in spans} == spans


def test_one_dash_does_not_make_a_long_text_expensive():
    """A class of scattered characters once cost `re` a microsecond for each character of the text: 25 ms here."""
    text = "The committee met on Tuesday to discuss the plan for the new library. " * 350 + "—"
    took = []
    for _ in range(5):
        began = time.perf_counter()
        SCANNER.scan_text(text)
        took.append(time.perf_counter() - began)
    assert min(took) < 0.008
