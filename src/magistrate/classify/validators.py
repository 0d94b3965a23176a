"""Validators: what a pattern cannot say. Each takes the matched value and answers whether it is one."""

import ipaddress
import re

from magistrate.classify.checksums import luhn
from magistrate.classify.wording import entropy

_IIN = re.compile(
    r"(?:4\d{12}(?:\d{3}){0,2}"  # Visa: 13, 16, 19
    r"|(?:5[1-5]\d{2}|222[1-9]|22[3-9]\d|2[3-6]\d{2}|27[01]\d|2720)\d{12}"  # Mastercard
    r"|3[47]\d{13}"  # American Express
    r"|(?:6011|65\d{2}|64[4-9]\d)\d{12,15}"  # Discover
    r"|35\d{14,17}|(?:1800|2131)\d{11}"  # JCB has 3528 to 3589; what is near is taken too
    r"|3(?:0[0-5]|[68]\d)\d{11,16}"  # Diners
    r"|62\d{14,17}"  # UnionPay
    r"|(?:5018|5020|5038|6304|6759|676[1-3])\d{8,15})"  # Maestro
)
"""Issuer ranges with their lengths, ISO/IEC 7812."""

IBAN_LENGTHS = {
    code: int(length)
    for code, length in re.findall(
        r"([A-Z]{2}):(\d\d)",
        "AD:24 AE:23 AL:28 AT:20 AZ:28 BA:20 BE:16 BG:22 BH:22 BI:27 BR:29 BY:28 CH:21 CR:22 CY:28 CZ:24 DE:22 DJ:27 DK:18 "
        "DO:28 EE:20 EG:29 ES:24 FI:18 FK:18 FO:18 FR:27 GB:22 GE:22 GI:23 GL:18 GR:27 GT:28 HR:21 HU:28 IE:22 IL:23 "
        "IQ:23 IS:26 IT:27 JO:30 KW:30 KZ:20 LB:28 LC:32 LI:21 LT:20 LU:20 LV:21 LY:25 MC:27 MD:24 ME:22 MK:19 MN:20 "
        "MR:27 MT:31 MU:30 NI:28 NL:18 NO:15 OM:23 PK:24 PL:28 PS:29 PT:25 QA:29 RO:24 RS:22 RU:33 SA:24 SC:31 SD:18 "
        "SE:24 SI:19 SK:24 SM:27 SO:23 ST:25 SV:28 TL:23 TN:24 TR:26 UA:29 VA:22 VG:24 XK:20 YE:30",
    )
}
"""Country code to length, SWIFT IBAN registry."""

_PLACEHOLDER = re.compile(
    r"(?i)example|sample|dummy|placeholder|change.?me|your[_-]|redacted|xxxx|\*\*\*|\.\.\.|<[^>]*>|\$\{|\{\{|os\.|"
    r"process\.env|environ|getenv|secrets?\.|config\.|settings\.|self\.|none$|null$|undefined|true$|false$|^test"
)


BARE_CODE = re.compile(
    r"://|^[A-Za-z_][A-Za-z0-9_]*\.[A-Za-z_]|^[0-9.,:-]+$|^0x|^[A-Za-z]+[0-9]{1,2}$|^[$%@&./]|[.:=]$"
)
"""An address, an attribute, a number, a version, a name with a number behind it, a variable, a path, half a sentence."""


def card(digits: str) -> bool:
    """An issuer's number with the issuer's length and a right check digit; not one repeated digit."""
    return _IIN.fullmatch(digits) is not None and len(set(digits)) > 1 and luhn(digits)


def iban(value: str) -> bool:
    """ISO 13616: the country's length, and mod 97 equals 1. A bank's code has four letters, so no group begins with more."""
    if any(len(group) > 4 and group[:5].isalpha() for group in re.split(r"[\s-]", value)):
        return False
    plain = re.sub(r"[\s.-]", "", value).upper()
    if IBAN_LENGTHS.get(plain[:2]) != len(plain):
        return False
    moved = plain[4:] + plain[:4]
    return int("".join(str(int(character, 36)) for character in moved)) % 97 == 1


def ssn(value: str) -> bool:
    """SSA: area not 000, 666 or 9xx; group not 00; serial not 0000; not one that was published in an advertisement."""
    digits = re.sub(r"\D", "", value)
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    valid = area not in {"000", "666"} and area[0] != "9" and group != "00" and serial != "0000"
    return valid and digits not in {"078051120", "219099999", "123456789", "111111111", "333333333"}


def itin(value: str) -> bool:
    """IRS: 9xx, and a group within the ranges that are issued."""
    digits = re.sub(r"\D", "", value)
    group = int(digits[3:5])
    return digits[0] == "9" and (
        50 <= group <= 65 or 70 <= group <= 88 or 90 <= group <= 92 or 94 <= group <= 99
    )


def nhs(value: str) -> bool:
    """NHS data dictionary: ten digits, weights 10 to 2, modulus 11."""
    digits = [int(c) for c in value if c.isdigit()]
    check = 11 - sum(d * w for d, w in zip(digits, range(10, 1, -1), strict=False)) % 11
    return len(digits) == 10 and check % 11 == digits[9] and check != 10 and len(set(digits)) > 2


def npi(value: str) -> bool:
    """CMS: ten digits beginning with 1 or 2, Luhn with the prefix 80840."""
    return value[0] in "12" and luhn("80840" + value)


def dea(value: str) -> bool:
    """DEA: the seventh digit is that of (d1+d3+d5) + 2(d2+d4+d6)."""
    d = [int(c) for c in value[2:]]
    return (d[0] + d[2] + d[4] + 2 * (d[1] + d[3] + d[5])) % 10 == d[6]


def public_ip(value: str) -> bool:
    """An IPv4 address that can point at somebody: global unicast, written without leading zeros (RFC 6890)."""
    try:
        return ipaddress.IPv4Address(value).is_global
    except ValueError:
        return False


def date(value: str) -> bool:
    """A day that can be one of birth: some order of year 1900 to 2029, month and day."""
    numbers = [int(n) for n in re.findall(r"[0-9]+", value)]
    years = [n for n in numbers if 1900 <= n <= 2029] or [n for n in numbers[-1:] if n <= 99]
    rest = [n for n in numbers if n not in years]
    return (
        len(numbers) == 3
        and bool(years)
        and all(1 <= n <= 31 for n in rest)
        and (not rest or min(rest) <= 12)
    )


def email(value: str) -> bool:
    """RFC 5321 lengths, no empty label; a file name such as ``icon@2x.png`` is none."""
    local, _, domain = value.rpartition("@")
    if len(local) > 64 or len(domain) > 253 or ".." in value or local.startswith(".") or local.endswith("."):
        return False
    return domain.rpartition(".")[2].lower() not in {"png", "jpg", "jpeg", "gif", "svg", "webp", "css", "js"}


def mac(value: str) -> bool:
    """IEEE 802: six octets, not all alike."""
    return len(set(value.lower()) - {":", "-"}) > 2


def public_ipv6(value: str) -> bool:
    """An IPv6 address that can point at somebody: global unicast (RFC 6890)."""
    try:
        return ipaddress.IPv6Address(value).is_global
    except ValueError:
        return False


def long_enough(value: str) -> bool:
    """Five digits at least among what is announced as a number, and not one over and over."""
    digits = [c for c in value if c.isdigit()]
    return len(digits) >= 5 and len(set(digits)) > 1


def random_looking(value: str) -> bool:
    """Entropy of a generated secret: at least three bits a character, and not a placeholder."""
    return entropy(value) >= 3.0 and not _PLACEHOLDER.search(value)


def not_placeholder(value: str) -> bool:
    return not _PLACEHOLDER.search(value)
