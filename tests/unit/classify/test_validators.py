"""What a pattern cannot say: check digits, issued ranges, lengths."""

import pytest

from magistrate.classify import validators as valid

TABLE = [
    # ISO/IEC 7812: issuer, length, check digit
    (valid.card, "4111111111111111", True),
    (valid.card, "4222222222222", True),
    (valid.card, "5555555555554444", True),
    (valid.card, "2223003122003222", True),
    (valid.card, "378282246310005", True),
    (valid.card, "6011111111111117", True),
    (valid.card, "3530111333300000", True),
    (valid.card, "30569309025904", True),
    (valid.card, "4111111111111112", False),
    (valid.card, "411111111111111", False),  # a Visa number has 13, 16 or 19 digits
    (valid.card, "0000000000000000", False),
    (valid.card, "9999999999999995", False),
    (valid.card, "", False),
    (valid.luhn, "79927398713", True),  # the standard's own example
    (valid.luhn, "79927398710", False),
    # ISO 13616, SWIFT registry
    (valid.iban, "GB29NWBK60161331926819", True),
    (valid.iban, "GB29 NWBK 6016 1331 9268 19", True),
    (valid.iban, "gb29nwbk60161331926819", True),
    (valid.iban, "NO9386011117947", True),
    (valid.iban, "MT84MALT011000012345MTLCAST001S", True),
    (valid.iban, "GB28NWBK60161331926819", False),
    (valid.iban, "GB29NWBK6016133192681", False),
    (valid.iban, "XX29NWBK60161331926819", False),
    (valid.iban, "", False),
    # SSA
    (valid.ssn, "536-90-4399", True),
    (valid.ssn, "536904399", True),
    (valid.ssn, "000-12-3456", False),
    (valid.ssn, "666-12-3456", False),
    (valid.ssn, "900-12-3456", False),
    (valid.ssn, "536-00-4399", False),
    (valid.ssn, "536-90-0000", False),
    (valid.ssn, "078-05-1120", False),  # printed in wallets in 1938
    # IRS
    (valid.itin, "912-50-1234", True),
    (valid.itin, "912-70-1234", True),
    (valid.itin, "912-88-1234", True),
    (valid.itin, "912-49-1234", False),
    (valid.itin, "912-66-1234", False),
    (valid.itin, "912-89-1234", False),
    (valid.itin, "912-93-1234", False),
    (valid.itin, "812-70-1234", False),
    # RFC 5321
    (valid.email, "a@b.co", True),
    (valid.email, "a" * 64 + "@b.co", True),
    (valid.email, "a" * 65 + "@b.co", False),
    (valid.email, "a..b@c.de", False),
    (valid.email, ".a@c.de", False),
    (valid.email, "a.@c.de", False),
    (valid.email, "icon@2x.png", False),
    (valid.not_placeholder, "sk-live-8f3kQ", True),
    (valid.not_placeholder, "your_api_key_here", False),
    (valid.not_placeholder, "${API_KEY}", False),
    (valid.not_placeholder, "xxxxxxxxxxxx", False),
]  # fmt: skip


@pytest.mark.parametrize(("check", "value", "good"), TABLE)
def test_a_validator_tells_a_value_from_its_look_alike(check: object, value: str, good: bool) -> None:
    """Published examples and the borders of each range."""
    assert callable(check)
    assert check(value) is good


@pytest.mark.parametrize("digits", ["4111111111111111", "378282246310005", "6011111111111117"])
def test_luhn_sees_every_wrong_digit_and_nearly_every_swap(digits: str) -> None:
    """Annex B promises all single errors and all swaps of neighbours but 09 and 90."""
    for at, digit in enumerate(digits):
        for other in set("0123456789") - {digit}:
            assert not valid.luhn(digits[:at] + other + digits[at + 1 :])
    for at in range(len(digits) - 1):
        pair = digits[at : at + 2]
        if pair[0] != pair[1] and pair not in {"09", "90"}:
            assert not valid.luhn(digits[:at] + pair[::-1] + digits[at + 2 :])


def test_iban_sees_every_wrong_character_and_swap() -> None:
    """Modulo 97 finds all single errors and all swaps of neighbours."""
    value = "GB29NWBK60161331926819"
    for at in range(4, len(value)):
        for other in "0123456789":
            assert valid.iban(value[:at] + other + value[at + 1 :]) is (other == value[at])


def test_entropy_is_that_of_its_characters() -> None:
    """Bits a character: nothing, one of two, one of sixteen."""
    assert valid.entropy("") == 0.0
    assert valid.entropy("aaaa") == 0.0
    assert valid.entropy("abababab") == pytest.approx(1.0)
    assert valid.entropy("0123456789abcdef") == pytest.approx(4.0)
