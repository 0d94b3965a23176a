"""Format-preserving tokens: the same shape, nobody's value, the same for the same value."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magistrate.classify.digits import cards
from magistrate.classify.scanner import Scanner
from magistrate.classify.surrogates import surrogate
from magistrate.classify.validators import iban, luhn

KEY = b"k" * 32
SCANNER = Scanner()


@pytest.mark.requirement("P3")
@pytest.mark.parametrize(
    ("label", "value", "shape"),
    [
        ("pci.pan", "4111 1111 1111 1111", r"9999 99\d\d \d{4} \d{4}"),
        ("pci.pan", "378282246310005", r"999999\d{9}"),
        ("pii.email", "ada@analytical.org", r"[a-z][0-9a-f]{11}@example\.com"),
        ("pii.ip", "8.8.8.8", r"192\.0\.2\.\d{1,3}"),
        ("pii.ip", "2a00::1", r"2001:db8::[0-9a-f]{4}:[0-9a-f]{4}"),
        ("pii.ssn", "536-22-1234", r"000-\d\d-\d{4}"),
        ("fin.iban", "DE89 3704 0044 0532 0130 00", r"XX\d\d (\d{4} ){4}\d\d"),
        ("pii.phone", "+49 (30) 1234567", r"\+99 \(9\d\) \d{7}"),
        ("pii.phone", "212-555-0199", r"555-\d{3}-\d{4}"),
        ("pii.passport", "C01X0006h", r"[A-Z]\d\d[A-Z]\d{4}[a-z]"),
    ],
)
def test_a_surrogate_keeps_its_format_and_stands_where_nobody_does(label, value, shape):
    """From a reserved range where the format has one."""
    new = surrogate(label, value, KEY)
    assert re.fullmatch(shape, new)
    assert new == surrogate(label, value, KEY)
    assert new != surrogate(label, value, b"x" * 32)


@given(st.from_regex(r"4[0-9]{12,18}", fullmatch=True))
def test_a_surrogate_of_a_card_passes_the_check_digit(value):
    """What validates shapes behind the model takes it; no network issued it."""
    assert luhn(surrogate("pci.pan", value, KEY))


@given(st.from_regex(r"DE[0-9]{20}", fullmatch=True))
def test_a_surrogate_of_an_account_has_right_check_digits(value):
    """ISO 7064 MOD 97-10, as for any IBAN."""
    new = surrogate("fin.iban", value, KEY)
    assert int("".join(str(int(c, 36)) for c in new[4:] + new[:4])) % 97 == 1
    assert not iban(new)  # no country XX


def test_grouping_does_not_make_another_card_but_punctuation_makes_another_address():
    """Equal values, equal surrogates."""
    joined = surrogate("pci.pan", "4111111111111111", KEY)
    assert surrogate("pci.pan", "4111-1111-1111-1111", KEY).replace("-", "") == joined
    assert surrogate("pii.email", "a.b@x.org", KEY) != surrogate("pii.email", "ab@x.org", KEY)


@given(st.text(max_size=60))
def test_any_text_has_a_surrogate_of_its_length(value):
    """Digits for digits, letters for letters, all else as it is."""
    new = surrogate("phi.mrn", value, KEY)
    assert [c.isdigit() for c in new] == [c.isdigit() for c in value]
    assert [c for c in new if not c.isalnum()] == [c for c in value if not c.isalnum()]


def test_a_surrogate_is_no_card_of_a_network():
    """So a surrogate that comes back is not redacted as if it were one."""
    assert not list(cards(surrogate("pci.pan", "4111 1111 1111 1111", KEY)))
