"""Patterns and dictionaries obey the inspector's laws: a text in pieces is judged as it is whole."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from magistrate.classify.custom import Pattern, PatternMatcher
from magistrate.classify.dictionary import DictionaryMatcher, make, normal
from magistrate.classify.inspector import Inspector
from magistrate.classify.scanner import Scanner

KEY = b"a key of thirty-two characters!!"
NAMES = ["Ada Lovelace", "Ada", "Jean-Luc Picard van der Berg", "ACC/12-345", "Müller & Söhne", "x" * 200]
SCANNER = Scanner(
    matchers=[
        PatternMatcher(
            [
                Pattern("project", "custom.project", r"\bPRJ-[0-9]{2,6}\b"),
                Pattern("operation", "custom.operation", r"op [a-z]{1,20} [0-9]{1,8}", ignore_case=True),
                Pattern("long", "custom.long", r"L[a-z]{2,900}Z"),
            ]
        ),
        DictionaryMatcher("names", "custom.name", make(map(normal, NAMES), KEY), KEY),
    ]
)
calm = settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
pieces = st.sampled_from(
    [*NAMES, "PRJ-1234", "PRJ-12", "op falcon 12", "OP x 1", "L" + "a" * 500 + "Z", "ada  lovelace", "Ada\n", "Lovelace", "op ", "falcon",
     " 12", "the", "4111 1111 1111 1111", "a@b.co", "\u200b", "é", "&#65;da Lovelace", "-", "/", "PRJ%2d99", "van der", "Jean-Luc Picard"]
)  # fmt: skip
texts = st.lists(st.tuples(pieces, st.sampled_from(["", " ", "  ", "\n", ", ", "."])), max_size=9).map(
    lambda pairs: "".join(a + b for a, b in pairs)
)


def seen(findings, base=0):
    return [(f.label, f.start + base, f.end + base, f.detail) for f in findings]


@pytest.mark.requirement("P6")
@calm
@given(texts, st.lists(st.integers(0, 400), max_size=9) | st.just("each"))
def test_a_text_in_pieces_is_judged_as_it_is_whole(text, cuts):
    """Released texts concatenate, their findings are those of the whole, and no value is cut in two."""
    places = list(range(len(text))) if cuts == "each" else sorted(min(c, len(text)) for c in cuts)
    whole = seen(SCANNER.scan_text(text))
    inspector = Inspector(SCANNER)
    out, found = 0, []
    for a, b in zip([0, *places], [*places, len(text)], strict=True):
        ready = inspector.feed("c", text[a:b])
        found += seen(ready.findings, out)
        out += len(ready.text)
        assert not [each for each in whole if each[1] < out < each[2]]
    ready = inspector.close("c")
    found += seen(ready.findings, out)
    assert out + len(ready.text) == len(text)
    assert found == whole


def test_what_is_held_back_is_bounded_by_the_longest_phrase():
    """Whoever configures no phrase pays nothing; whoever does pays for the longest."""
    prose = "the quick brown fox jumps over the lazy dog again and again " * 20
    for scanner, most in ((Scanner(), 12), (SCANNER, SCANNER.phrase)):
        inspector = Inspector(scanner)
        out = held = 0
        for n, character in enumerate(prose, 1):
            out += len(inspector.feed("c", character).text)
            held = max(held, n - out)
        assert held <= most
