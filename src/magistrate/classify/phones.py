"""Telephone numbers of the world: candidates by form and by the words before them, numbering plans behind them.

The plans are Google's libphonenumber data (package ``phonenumberslite``); a candidate without a country code is tried
against the plans of `HOMES`. What merely has enough digits is no number.
"""

import re

import phonenumbers

from magistrate.classify.rule import Rule

HOMES = (
    "US", "GB", "DE", "FR", "ES", "IT", "NL", "BE", "CH", "AT", "IE", "PT", "DK", "SE", "NO", "FI", "PL", "CZ", "HU",
    "GR", "RO", "TR", "IN", "AU", "NZ", "ZA", "BR", "MX", "AR", "CL", "CO", "JP", "KR", "CN", "HK", "TW", "SG", "MY",
    "PH", "TH", "ID", "IL", "AE", "SA", "EG", "NG", "KE", "EE", "SI", "HR", "BG", "UY", "CY", "IS", "LT", "LV", "SK",
)  # fmt: skip
"""Whose plans are asked when no country is named, the most spoken about first."""

_PREFIXES = ("", "0", "1", "06")
"""What is dialled before a national number: nowhere, most of the world, North America, Hungary."""


def _plan(home: str) -> str:
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(home)
    assert metadata is not None
    assert metadata.general_desc is not None
    return str(metadata.general_desc.national_number_pattern)


_PLANS = re.compile("|".join(dict.fromkeys(map(_plan, HOMES))))
_EXTENDED = re.compile(r"(?: ?x| ?ext\.? ?|#)[0-9]+\Z")
_DAY = re.compile(r"(?:19|20)[0-9]{2}[-. ]?[0-9]{2}[-. ]?[0-9]{2}")
_EXTENSION = r"(?:(?: ?x| ?ext\.? ?|#)[0-9]{1,6})?"
_SAYS = (
    r"phones?|\btel|mobile|\bcell(?:ular)?|\bfax|whats ?app|\bcall(?: me| us| him| her| them)?|\bcontact|\breach|\bdial|\btext (?:me|us|him|her|them)|\bring"
    r"|\bsms|messages? to|answering at|\bdesk|\boffice|\bhome|hotline|\bnumbers?|telefon(?:o|e|nummer)?|\bt[eé]l(?:[eé]phone)?|\bhandy|m[oó]vil|celular|portable"
)
_BEGINS = (
    "phone|tel|tél|mobile|cell|fax|whats|call|contact|reach|dial|text|ring|sms|message|answering|desk|office|home|hotline|number|handy"
    "|movil|móvil|portable"
)
_HEARD = _SAYS.replace("[eé]", "(?:é|e)").replace("[oó]", "(?:ó|o)")
_UP_TO = r"[^0-9\x00]{0,48}"
_BETWEEN = r"(?:[ \t]{0,2}(?:number|no|nr|num|is|was|at|on|to|by|via|me|us|my|registered|or|to me)\b\.?){0,3}[\s\"':#=.(-]{0,4}"
_NATIONAL = r"(?:\([0-9]{1,4}\)[ -]?)?[0-9]{1,5}(?:[ .-]?[0-9]{2,5}){1,4}"


def international(value: str) -> bool:
    """A number of its own country's plan (ITU-T E.164), or at least of a length that the plan has, when made up."""
    return _possible(value, None)


def national(value: str) -> bool:
    """A number that the plan of some country in `HOMES` knows, with or without what is dialled before it."""
    digits = re.sub(r"\D", "", _EXTENDED.sub("", value))
    if not 7 <= len(digits) <= 12 or len(set(digits)) < 3 or _DAY.fullmatch(value):
        return False
    return any(_PLANS.fullmatch(digits[len(prefix) :]) for prefix in _PREFIXES if digits.startswith(prefix))


def north_american(value: str) -> bool:
    """A number of the North American plan."""
    return _possible(value, "US")


def _possible(value: str, home: str | None) -> bool:
    if home is None and value.startswith("00"):
        value = f"+{value[2:]}"
    try:
        return phonenumbers.is_possible_number(phonenumbers.parse(value, home)) and len(set(value)) > 3
    except phonenumbers.NumberParseException:
        return False


PHONES: tuple[Rule, ...] = (
    Rule(
        "phone.international",
        "pii.phone",
        r"(?:\+|00)[0-9][0-9 .()-]{5}",
        r"(?<![\w+])(?:\+|00(?=[1-9]))[1-9](?:[ .-]?\(?[0-9]|\)[ .-]?[0-9]){6,14}(?![\w])",
        international,
        priority=20,
        good=("call «+44 20 7946 0958» now", "«+14155552671»", "tel:«+49 (30) 901820»", "oder «0049 30 901820»"),
        bad=("1+2 345", "x = +12", "a+123456789b", "+999 123 456 789"),
    ),
    Rule(
        "phone.us",
        "pii.phone",
        r"[2-9][0-9]{2}\)?[ .-]{0,2}[2-9][0-9]{2}[ .-][0-9]{4}",
        r"(?<![\w.+-])(?:1[ .-])?(?:\([2-9][0-9]{2}\)[ -]?|[2-9][0-9]{2}[ .-])[2-9][0-9]{2}[ .-][0-9]{4}" + _EXTENSION + r"(?![\w-])",
        north_american,
        priority=20,
        good=("reach me at «(415) 555-2671»", "«415-555-2671» is mine", "«415.555.2671»", "«345-899-3560x4587»"),
        bad=("version 415.555.26712", "2024-555-2671", "order 1415-555-26711"),
    ),
    Rule(
        "phone.context",
        "pii.phone",
        rf"(?:{_HEARD}){_UP_TO}[0-9]",
        rf"(?i)(?:{_SAYS})s?{_BETWEEN}(?P<v>{_NATIONAL}{_EXTENSION})(?![\w-]|[./][0-9])",
        national,
        priority=10,
        begins=_BEGINS,
        reach=96,
        ahead=128,
        good=("phone: «4155552671»", "Mobile number «07911 123456»", "fax «030 901820»", "call me on «01.84.17.61.18» please", "Phone:\n«0393 1144137»"),
        bad=("telephone 12", "cell 5", "phone: none", "call 2024-03-12", "contact section 10.2.3", "phone 1111111111", '{"text": "91480041"}'),
    ),
)  # fmt: skip
