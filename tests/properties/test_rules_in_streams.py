"""What any rule can match, made up from the rule itself, is found in a stream as it is found in the whole."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from magistrate.classify.inspector import Inspector
from magistrate.classify.rules import RULES
from magistrate.classify.scanner import Scanner

SCANNER = Scanner()
NOT_MADE_UP = {"vin", "bic"}
"""What these ask for by looking ahead is met by chance too seldom; their samples stand in the other laws."""

made_up = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))


def spans(findings):
    return [(finding.label, finding.start, finding.end) for finding in findings]


def streamed(pieces):
    inspector, out, found = Inspector(SCANNER), "", []
    for ready in [*(inspector.feed("c", piece) for piece in pieces), inspector.close("c")]:
        found += [(label, start + len(out), end + len(out)) for label, start, end in spans(ready.findings)]
        out += ready.text
    return out, found


@pytest.mark.requirement("P3", "P6")
@pytest.mark.parametrize(
    "rule", [rule for rule in RULES if rule.id not in NOT_MADE_UP], ids=lambda rule: rule.id
)
def test_whatever_a_rule_matches_is_found_for_every_cut_in_two(rule):
    """Behind the words that announce it, and with a word behind it."""
    announced = rule.good[0].split("«")[0]

    @made_up
    @given(st.from_regex(re.compile(rule.pattern)))
    def holds(value):
        text = f"{announced}{value[:300]} x"
        whole = spans(SCANNER.scan_text(text))
        if whole:
            for cut in range(1, len(text)):
                assert streamed([text[:cut], text[cut:]]) == (text, whole)
        assert streamed(text) == (text, whole)

    holds()
