"""Dates in figures and in words of seven languages, and ages above 89, with what announces them.

HIPAA 45 CFR 164.514(b)(2)(i)(C): all elements of dates (but the year) that are directly related to a person, and ages over 89. A
date alone is nobody's; a word before it (admitted, born, died) or a person near it makes it somebody's.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

LONGEST_BEFORE = 48
"""Characters before a date in which a word may announce it."""

_MONTH = (
    r"(?:jan(?:uary|uar|vier|eiro)?|enero|gennaio|januari|styczni[ae]|feb(?:ruary|ruar|brero|braio|ruari)?|fév(?:rier)?|fevereiro|lut(?:y|ego)|"
    r"mar(?:ch|s|zo|ço|ca)?|märz|maart|apr(?:il|ile)?|avr(?:il)?|abr(?:il)?|kwietnia|may|mai|mayo|maggio|maio|mei|maj[a]?|jun[ie]?|juin|giugno|junho|"
    r"czerwca|jul[iy]?|juil(?:let)?|julio|luglio|julho|lipca|aug(?:ust|usti|ustus)?|août|ago(?:sto)?|sierpnia|sep(?:t|tember|tembre|tiembre)?|"
    r"set(?:tembre|embro)?|września|oct(?:ober|obre|ubre)?|okt(?:ober)?|ott(?:obre)?|out(?:ubro)?|października|nov(?:ember|embre|iembre|embro)?|"
    r"listopada|dec(?:ember)?|dez(?:ember|embro)?|dic(?:iembre|embre)?|déc(?:embre)?|grudnia)"
)
_DAY = r"(?:3[01]|[12]\d|0?[1-9])"
_YEAR = r"(?:1[89]\d\d|20\d\d)"
_TH = r"(?:st|nd|rd|th|er|\.|º)?"
_DATE = re.compile(
    rf"(?<![\w./-])(?:(?P<iso>{_YEAR})(?P<s>[-/.])(?:0?[1-9]|1[0-2])(?P=s){_DAY}(?=T\d|[^\w./-]|[./-](?!\w)|\Z)"
    rf"|{_DAY}(?P<t>[-/.]){_DAY}(?P=t)(?:{_YEAR}|(?<=/)\d\d)(?![\w/-]|\.\d)"
    rf"|{_DAY}{_TH}(?:[ -]| of | de | di )(?P<m>{_MONTH})\.?(?:(?:,? | de |-){_YEAR})?(?!\w)"
    rf"|(?P<n>{_MONTH})\.? {_DAY}{_TH}(?:,? {_YEAR})?(?![\w/-]|[.:,]\d)"
    rf"|(?P<o>{_MONTH})\.?,? {_YEAR}(?![\w-]))",
    re.IGNORECASE,
)
_BIRTH = re.compile(
    r"(?i)\b(?:d\.?o\.?b\.?|born|birth\w*|geb(?:oren|\.|urts\w+)|née? le|naissance|nacid[oa]|nacimiento|nat[oa] (?:a|il)|nascita|nascid[oa]|"
    r"nascimento|geboorte\w*|urodz\w+|född|födelse\w*)\b"
)
_EVENT = re.compile(
    r"(?i)\b(?:admi(?:tted|ssion)|discharged?|died|deceased|death|expired|d\.?o\.?d\.?|d\.?o\.?s\.?|hospitali[sz]ed|seen|visit(?:ed)?|appointment|"
    r"surgery|operat(?:ion|ed)|procedure|biopsy|diagnosed|onset|transferred|delivered|follow[ -]?up|service date|date of service|"
    r"aufgenommen|aufnahme|entlass\w+|verst(?:arb|orb)\w*|operiert|termin|admise?|hospitalisée?|sortie|décédée?|ingres\w+|alta|falleci\w+|"
    r"ricover\w+|dimess\w+|decedut\w+|internad[oa]|óbito|opgenomen|ontslagen|overleden|przyjęt\w+|wypisan\w+|zmarł\w*|inlagd|utskriven|avled)\b"
)
_TIME = re.compile(r"[T ]\d\d:\d\d:\d\d")
_LONGEST_SUBJECT = 96
"""Characters before an age in which it is told whose it is."""
_NAME = re.compile(
    rf"(?<!\w)(?!(?i:{_MONTH}|(?:mon|tues|wednes|thurs|fri|satur|sun)day)\b)[A-Z][a-z]+(?! \d)"
)
"""A capital that may begin somebody's name: not that of a month, of a day or of what is numbered."""
_STOP = re.compile(r"[.!?;]\s|\n\s*\n")
_AGE = re.compile(
    r"(?i)(?<![\w.,$€£-])(?:(?P<v>9\d|1[01]\d)(?=[ -]?(?:years?[ -]olds?\b|y/?o\b|yrs?[ -]old\b|jahre alt\b|-?jährig|ans\b|años\b|anni\b|anos de idade\b))"
    r"|(?<!\w)(?<=aged )(?P<w>9\d|1[01]\d)(?![\w%-]|[.,]\d)|(?<=age )(?P<x>9\d|1[01]\d)(?![\w%-]|[.,]\d)|(?<=age: )(?P<y>9\d|1[01]\d)(?![\w%-]|[.,]\d))"
)

_TURNED = re.compile(
    r"\b(?i:turned|turns|turning) (?P<v>9\d|1[01]\d)(?=\Z|[.,;:!?)]|\s(?:(?i:on|in|last|this|next|today|yesterday|tomorrow|and|when|while|years?)\b|\Z))(?![.,]\d)"
)
_THING = re.compile(
    r"(?i)\b(?:bridges?|houses?|buildings?|church(?:es)?|cathedral|castle|towers?|trees?|oaks?|ships?|boats?|cars?|trains?|locomotives?|railways?|stations?|roads?|"
    r"streets?|tunnels?|dams?|walls?|roofs?|pipes?|schools?|hotels?|clubs?|teams?|compan(?:y|ies)|firms?|banks?|newspapers?|laws?|treat(?:y|ies)|parks?|gardens?|"
    r"theatres?|theaters?|museums?|librar(?:y|ies)|factor(?:y|ies)|mills?|clocks?|pianos?|violins?|paintings?|books?|wines?|bottles?|tortoises?|temperatures?|"
    r"indexe?s?|shares?|scores?|dials?|institutions?|universit(?:y|ies)|festivals?|cit(?:y|ies)|villages?|monuments?|statues?|engines?|machines?)\b"
)
"""What grows old and is nobody."""
_SOMEBODY = re.compile(
    r"(?i)\b(?:he|she|i|we|who|him|her|his|my|mr|mrs|ms|dr|man|men|woman|women|lady|gentleman|patients?|residents?|widow(?:er)?|mother|father|mum|mom|dad|"
    r"grand\w+|aunt|uncle|sister|brother|husband|wife|neighbou?r|veteran|pensioner|people|person|client|survivor)\b"
)

PATTERNS = tuple(
    each.pattern for each in (_DATE, _BIRTH, _EVENT, _TIME, _STOP, _AGE, _TURNED, _THING, _SOMEBODY, _NAME)
)


class Date(NamedTuple):
    """A date and where it stands."""

    start: int
    end: int
    announced: bool
    """A word before it says whose it is."""
    birth: bool
    """It is a birth's."""
    stamp: bool
    """A time to the second follows, as in logs: it is the line's and not a person's."""


def dates(text: str) -> Iterator[Date]:
    """Yield the dates in ``text``, in order."""
    for match in _DATE.finditer(text):
        if match["o"] in {"may", "mar", "mars"}:
            continue
        before = text[max(0, match.start() - LONGEST_BEFORE) : match.start()]
        stops = [stop.end() for stop in _STOP.finditer(before)]
        before = before[stops[-1] :] if stops else before
        birth = _BIRTH.search(before) is not None
        stamp = _TIME.match(text, match.end()) is not None
        yield Date(match.start(), match.end(), birth or _EVENT.search(before) is not None, birth, stamp)


def ages(text: str) -> Iterator[tuple[int, int]]:
    """Yield where ages above 89 stand that are not those of a thing."""
    found = [match.span() for match in _AGE.finditer(text)] + [m.span("v") for m in _TURNED.finditer(text)]
    for start, end in sorted(found):
        if not _of_a_thing(text, start):
            yield start, end


def _of_a_thing(text: str, start: int) -> bool:
    """Return whether the sentence up to ``start`` tells of a thing, and of nobody since."""
    before = text[max(0, start - _LONGEST_SUBJECT) : start]
    stops = [stop.end() for stop in _STOP.finditer(before)]
    before = before[stops[-1] :] if stops else before
    things = [thing.end() for thing in _THING.finditer(before)]
    return bool(things) and _SOMEBODY.search(before) is None and _NAME.search(before, things[-1]) is None
