"""Patterns and dictionaries of one's own: found everywhere, linear, and refused when a stream could not hold them back."""

import time

import msgspec
import pytest

from magistrate.classify.custom import Pattern, PatternMatcher
from magistrate.classify.dictionary import DictionaryMatcher, make, normal, opens, problem, read
from magistrate.classify.redact import redact
from magistrate.classify.scanner import Scanner
from magistrate.exchange.decision import Obligation, ObligationKind
from magistrate.exchange.errors import ConfigurationError
from magistrate.exchange.finding import FindingStatus
from magistrate.pipeline.judging import labels_of
from magistrate.pipeline.obligations import Rewriter

KEY = b"a key of thirty-two characters!!"


def patterns(*expressions, **more):
    return PatternMatcher([Pattern(f"own{n}", "custom.own", e, **more) for n, e in enumerate(expressions)])


def dictionary(*values):
    return DictionaryMatcher("customers", "custom.customer", make(map(normal, values), KEY), KEY)


def found(matcher, text):
    return [
        text[f.start : f.end]
        for f in Scanner(matchers=[matcher]).scan_text(text)
        if f.label.startswith("custom")
    ]


@pytest.mark.requirement("P3")
@pytest.mark.parametrize(
    ("expression", "text", "values"),
    [
        ("PRJ-[0-9]{4,6}", "see PRJ-12345, PRJ-1234567 and XPRJ-1", ["PRJ-12345", "PRJ-123456"]),
        (r"\bop [a-z]{3,8} [0-9]{2}\b", "op falcon 12 and coop falcon 13", ["op falcon 12"]),
        ("(?:red|green)-team", "a green-team, a red-team", ["green-team", "red-team"]),
        ("Müller|É{3}", "Müller, ÉÉÉ, muller", ["Müller", "ÉÉÉ"]),
        ("[^ ]{3}XY", "漢字日XY and é—éXY", ["漢字日XY", "é—éXY"]),
    ],
)
def test_a_pattern_finds_its_leftmost_longest_matches(expression, text, values):
    """Offsets are characters of the text, whatever bytes they have."""
    assert found(patterns(expression), text) == values


def test_a_pattern_is_found_in_disguise_and_in_codes():
    """It sees the same spellings as the built-in rules."""
    matcher = patterns("PRJ-[0-9]{6}")
    assert found(matcher, "P\u200bR\u200bJ-１２３456") == ["P\u200bR\u200bJ-１２３456"]
    assert found(matcher, "to %50RJ-123456") == ["%50RJ-123456"]
    assert found(patterns("prj-[0-9]{6}", ignore_case=True), "PRJ-123456") == ["PRJ-123456"]


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("PRJ-[0-9]+", "may match more than 1024 characters"),
        ("PRJ .{0,120}", "white space|too large"),
        (r"(?:PRJ [a-z]{1,32} ){3}", "because it may hold white space"),
        ("PRJ [^0-9]{0,94}", "because it may hold white space|too large"),
        (r"(?<=x)PRJ-1", "linear time"),
        (r"(PRJ)-\1", "linear time"),
        ("[0-9]{2}", "matches everywhere"),
        ("(unclosed", "linear time"),
    ],
)
def test_a_pattern_that_could_not_be_kept_is_refused(expression, reason):
    """The reason says what to write instead; the place is its id."""
    with pytest.raises(ConfigurationError, match=reason) as refused:
        patterns(expression)
    assert refused.value.place == "own0"


@pytest.mark.parametrize("seed", ["a", "ab", "PRJ-", "x@", "1 ", "(("])
def test_a_pattern_that_ruins_others_costs_linear_time(seed):
    """`(a|a)*b` and its like take exponential time in most engines."""
    matcher = patterns("(?:a|a){1,30}bb", "(?:x?){1,30}x{3}", "(?:[a-z]{1,5}){2,5}[0-9]")
    text = (seed * 100_000)[:100_000]
    began = time.perf_counter()
    list(matcher.search(text))
    assert time.perf_counter() - began < 1.0


@pytest.mark.requirement("P3")
@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("Ada Lovelace called", ["Ada Lovelace"]),
        ("ADA  LOVELACE, ada\nlovelace", ["ADA  LOVELACE", "ada\nlovelace"]),
        ("Аdа Lovelace and O'Brien-Smith", ["Аdа Lovelace", "O'Brien-Smith"]),
        ("account ACC/12-345.", ["ACC/12-345"]),
        ("Adam Lovelace, Ada Lovelaces, ada-lovelace", []),
        ("Jean-Luc Picard and Picard", ["Jean-Luc Picard"]),
    ],
)
def test_a_dictionary_finds_its_values_as_people_write_them(text, values):
    """Whole words in any case, spacing and look-alike letters; the longest from each place."""
    assert (
        found(
            dictionary(
                "Ada Lovelace",
                "O’Brien-Smith".replace("’", "'"),
                " ACC/12-345 ",
                "Jean-Luc Picard",
                "Jean-Luc",
            ),
            text,
        )
        == values
    )


def test_a_dictionary_keeps_no_value():
    """Not in the file, not in memory, and a finding names the dictionary only."""
    made = make([normal("Ada Lovelace")], KEY)
    kept = msgspec.json.encode(made).decode().lower() + repr(
        vars(DictionaryMatcher("c", "custom.c", made, KEY))
    )
    assert "lovelace" not in kept
    assert read(msgspec.json.encode(made), "f") == made
    (finding,) = Scanner(matchers=[dictionary("Ada Lovelace")]).scan_text("Ada Lovelace")
    assert "Ada" not in repr(finding)


def test_a_wrong_key_is_told():
    """Instead of finding nothing for ever."""
    made = make([normal("Ada Lovelace")], KEY)
    assert opens(made, KEY)
    assert not opens(made, KEY[::-1])
    assert list(DictionaryMatcher("c", "custom.c", made, KEY[::-1]).search("Ada Lovelace")) == []


@pytest.mark.parametrize(
    ("value", "reason"),
    [("abc", "fewer than 4"), ("x" * 300, "more than 256"), ("ab " * 40, "more than 80"), ("a b c d e f g h i", "8 words"),
     ("a ----- bcd", "between two words"), ("", "fewer than 4"), ("…", "fewer than 4")],
)  # fmt: skip
def test_a_value_that_could_not_be_found_well_is_refused(value, reason):
    """Before it is hashed: afterwards nobody could say why it is not found."""
    assert reason in problem(normal(value))


@pytest.mark.parametrize("data", [b"", b"{}", b'{"format":"x"}', b"values\n"])
def test_what_is_no_dictionary_is_not_read(data):
    """With the file's name."""
    with pytest.raises(ConfigurationError, match="customers.dict: is not a"):
        read(data, "customers.dict")


def test_a_matcher_that_raises_is_an_indeterminate_finding():
    """Like any rule."""

    class Broken:
        id, version, phrase = "broken", "1", 0

        def search(self, text):
            raise ValueError(text)

    (finding,) = Scanner(matchers=[Broken()]).scan_text("anything")
    assert (finding.status, finding.detail) == (FindingStatus.INDETERMINATE, "broken")


def test_the_version_names_patterns_and_dictionaries():
    """A8: a record tells which were in force."""
    versions = {
        Scanner().version,
        Scanner(matchers=[patterns("PRJ-[0-9]{6}")]).version,
        Scanner(matchers=[patterns("PRJ-[0-9]{5}")]).version,
        Scanner(matchers=[dictionary("Ada Lovelace")]).version,
        Scanner(matchers=[dictionary("Ada Byron")]).version,
    }
    assert len(versions) == 5


@pytest.mark.requirement("P3")
def test_a_detector_of_ones_own_keeps_no_built_in_label_from_policy():
    """A customer's address in a dictionary is still an e-mail address: redaction of `pii` must see it."""
    (finding,) = Scanner(matchers=[dictionary("ada@analytical.org")]).scan_text("to ada@analytical.org")
    assert finding.labels == ("custom.customer", "pii.email")
    assert labels_of([finding]) == ("custom", "custom.customer", "pii", "pii.email")
    rewriter = Rewriter([Obligation(ObligationKind.REDACT, "r", labels=("pii.*",))], b"k")
    assert rewriter.text("to ada@analytical.org", [finding]) == "to [CUSTOM]"
    assert redact("to ada@analytical.org", [finding], ["pii"]) == "to [CUSTOM]"
