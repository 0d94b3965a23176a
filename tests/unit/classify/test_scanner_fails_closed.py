"""What goes wrong in one rule or one detector is a finding that says so, and the others go on."""

from collections.abc import Iterable, Sequence

import pytest

from magistrate.classify.inspector import Inspector
from magistrate.classify.rules import RULES, Rule
from magistrate.classify.scanner import Scanner
from magistrate.exchange.content import Part, PartKind, Role
from magistrate.exchange.finding import Finding, FindingStatus


def failing(value: str) -> bool:
    raise RuntimeError(f"no idea about {value}")


BROKEN = Rule("broken", "secret.broken", "needle", "needle[0-9]+", failing)
TEXT = "needle42 belongs to ada@example.org"


class Raising:
    id = "own"
    version = "1"

    def scan(self, parts: Sequence[Part]) -> Iterable[Finding]:
        yield Finding("own.label", self.id, self.version)
        raise ValueError(f"cannot read {len(parts)} parts")


def parts(*texts: str, kind: PartKind = PartKind.TEXT) -> list[Part]:
    return [Part((n,), Role.USER, kind, text) for n, text in enumerate(texts)]


@pytest.mark.requirement("P6")
def test_a_rule_that_raises_is_an_indeterminate_finding_and_the_others_go_on() -> None:
    """It names the rule and repeats nothing of the text."""
    found = Scanner((*RULES, BROKEN)).scan_text(TEXT)
    assert [(f.label, f.status) for f in found] == [
        ("pii.email", FindingStatus.FOUND),
        ("inspection.incomplete", FindingStatus.INDETERMINATE),
    ]
    assert found[1].detail == "broken"
    assert "needle" not in repr(found[1])


def test_a_rule_that_raises_in_a_stream_is_told_with_the_stretch_it_kept_from_judging() -> None:
    """Not later: the text it stands in is not released as if it were clean."""
    inspector: Inspector[str] = Inspector(Scanner((*RULES, BROKEN)))
    first = inspector.feed("c", "needle42 and on it goes")
    assert "needle42" in first.text
    assert [f.status for f in first.findings] == [FindingStatus.INDETERMINATE]


def test_a_detector_that_raises_is_an_indeterminate_finding() -> None:
    """Nothing of what it yielded before counts: nobody knows what it would have said."""
    found = Scanner(detectors=(Raising(),)).scan(parts(TEXT))
    assert [(f.label, f.detector, f.status, f.detail) for f in found if f.detector == "own"] == [
        ("inspection.incomplete", "own", FindingStatus.INDETERMINATE, "ValueError")
    ]
    assert "pii.email" in {f.label for f in found}


def test_opaque_parts_are_not_read_and_move_nothing() -> None:
    """Spans and part numbers are those of the parts as given."""
    mixed = [*parts("hello"), Part((9,), Role.USER, PartKind.OPAQUE, ""), *parts("ada@example.org")]
    assert [(f.part, f.start, f.end) for f in Scanner().scan(mixed)] == [(2, 0, 15)]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("4111 1111", "1111 1111"),
        ("ada@", "example.org"),
        ("AKIAQ3XK7LMN", "2PWZ5RTV"),
        ("phone:", "4155552671"),
    ],
)
def test_nothing_matches_across_two_parts(first: str, second: str) -> None:
    """They are scanned together for speed and judged apart."""
    scanner = Scanner()
    assert scanner.scan_text(first + second) or scanner.scan_text(f"{first} {second}")
    assert scanner.scan(parts(first, second)) == ()


@pytest.mark.parametrize(
    "text", ["", "\x00", "\ud800", "\ufeff\r\n", "\U0010ffff" * 100, "\x00" * 1000 + "a@b.co"]
)
def test_any_text_is_judged(text: str) -> None:
    """Empty, NUL, half a surrogate pair, byte-order mark, the last character there is."""
    found = Scanner().scan_text(text)
    assert [f.label for f in found] == (["pii.email"] if "@" in text else [])


def test_a_value_behind_half_a_surrogate_pair_is_found_in_its_place() -> None:
    """Such a character is one in the text and three bytes for the automaton."""
    text = "\ud800" * 400 + " AKIAQ3XK7LMN2PWZ5RTV"
    (finding,) = Scanner().scan_text(text)
    assert text[finding.start : finding.end] == "AKIAQ3XK7LMN2PWZ5RTV"


def test_the_version_changes_with_any_rule() -> None:
    """Records name it, so two sets of rules are never taken for one."""
    assert Scanner().version == Scanner().version
    assert len({Scanner().version, Scanner(RULES[1:]).version, Scanner((*RULES, BROKEN)).version}) == 3
