"""Texts of our own that name people, places, addresses and organisations: letters, chats, forms, notes, records, logs.

Written for Magistrate. The names come from `lists.json.gz` (see `gather.py`) or are made of syllables, so that a name that
no list knows is learnt too. Templates stand in nine languages; a text takes all its names from one country.
"""

import gzip
import json
import random
import re
from pathlib import Path
from typing import Any, NamedTuple

import chronicle
from scenes import GROUPS, NOTHING, ORG_ENDS, ORG_WORDS, STREETS

LISTS = Path(__file__).parent / "lists.json.gz"
VOICES = (*GROUPS, (("en", chronicle.TEMPLATES),), (("en", chronicle.TEMPLATES),))
"""All groups of templates; encyclopaedias and news stand there twice, since they hold most kinds of organisations."""
MADE = 0.12
"""Share of names that are made up."""

COUNTRIES = {
    "en": ("US", "US", "US", "GB", "GB", "CA", "AU", "IE", "NZ", "IN", "ZA"), "de": ("DE", "DE", "AT", "CH"), "fr": ("FR", "FR", "BE", "CA"),
    "es": ("ES", "MX", "AR", "CO", "CL"), "it": ("IT",), "pt": ("BR", "BR", "PT"), "nl": ("NL", "BE"), "pl": ("PL",), "sv": ("SE",),
}  # fmt: skip
LOCALES = {
    "US": ("en_US",), "GB": ("en_GB",), "CA": ("en_US", "fr_CA"), "AU": ("en_US", "en_GB"), "IE": ("en_IE",), "NZ": ("en_NZ",),
    "IN": ("en_IN",), "ZA": ("en_GB", "zu_ZA"), "DE": ("de_DE",), "AT": ("de_AT",), "CH": ("de_CH", "fr_CH"), "FR": ("fr_FR",),
    "BE": ("nl_BE", "fr_BE"), "ES": ("es_ES",), "MX": ("es_MX",), "AR": ("es_AR",), "CO": ("es_CO",), "CL": ("es_CL",), "IT": ("it_IT",),
    "BR": ("pt_BR",), "PT": ("pt_PT",), "NL": ("nl_NL",), "PL": ("pl_PL",), "SE": ("sv_SE",),
}  # fmt: skip
ANYWHERE = (
    "en_KE", "en_NG", "en_PK", "tr_TR", "id_ID", "fi_FI", "da_DK", "no_NO", "cs_CZ", "hu_HU", "ro_RO", "hr_HR", "vi_VN", "ig_NG",
    "yo_NG", "tw_GH", "et_EE", "lt_LT", "sk_SK", "sl_SI", "es_ES", "en_IN",
)  # fmt: skip
SYLLABLES = (
    "ba be ka lo mi ra so ta vi no ren dal mar el an or is tho ver lin gar pe zu ya chi ko sha dra bel ton ham well ling worth "
    "ski vic sen ez ova dze pour nen quist bury mond ard ette ina"
).split()

_SLOT = re.compile(r"<([A-Z]+)>")


class Labelled(NamedTuple):
    """One text and what it names: start, end, kind."""

    text: str
    spans: tuple[tuple[int, int, str], ...]


class Names:
    """Draws names, places and the values that stand beside them."""

    def __init__(self, source: random.Random) -> None:
        lists: dict[str, Any] = json.loads(gzip.decompress(LISTS.read_bytes()))
        self._source = source
        self._given: dict[str, list[str]] = lists["given"]
        self._surnames: dict[str, list[str]] = {**lists["surnames"], "pl_PL": POLISH}
        self._census: list[str] = lists["census"]
        self._towns: dict[str, list[str]] = lists["towns"]
        self._brands: list[str] = lists["brands"]
        self._regions: list[str] = [one for one in lists["regions"] if len(one) > 3]

    def given(self, country: str) -> str:
        source = self._source
        if source.random() < MADE / 2:
            return self._made()
        locale = source.choice(LOCALES[country] if source.random() < 0.8 else ANYWHERE)
        return source.choice(self._given[locale])

    def surname(self, country: str) -> str:
        source, share = self._source, self._source.random()
        if share < MADE:
            return self._made()
        if share < 0.35:
            return self._census[int(len(self._census) * source.random() ** 2)]
        locale = source.choice(LOCALES[country] if share < 0.85 else ANYWHERE)
        return source.choice(self._surnames.get(locale) or self._census)

    def _made(self) -> str:
        return "".join(self._source.choice(SYLLABLES) for _ in range(self._source.randint(2, 3))).capitalize()

    def person(self, country: str) -> str:
        source, first, last = self._source, self.given(country), self.surname(country)
        form = source.random()
        if form < 0.14:
            return first
        if form < 0.20:
            return last
        if form < 0.27:
            return f"{first} {source.choice('ABCDEFGHJKLMNPRSTW')}{source.choice(('.', '.', ''))} {last}"
        if form < 0.34:
            return f"{last}, {first}"
        if form < 0.38:
            return f"{first[0]}. {last}"
        if form < 0.42:
            return f"{first} {last}-{self.surname(country)}"
        if form < 0.47:
            return f"{first} {self.given(country)} {last}"
        if form < 0.50 or (form < 0.70 and country in {"ES", "MX", "CO", "CL", "AR", "BR"}):
            return f"{first} {last} {self.surname(country)}"
        return f"{first} {last}"

    def town(self, country: str) -> str:
        source = self._source
        towns = self._towns[country]
        share = source.random()
        if share < 0.05:
            return self._made()
        if share < 0.2:
            towns = self._towns[source.choice(list(self._towns))]
        return towns[int(len(towns) * source.random() ** 2)]

    def place(self, country: str) -> str:
        share = self._source.random()
        if share < 0.6:
            return self.town(country)
        if share < 0.85:
            return self._source.choice(self._regions)
        return f"{self.town(country)}, {self._source.choice(self._regions)}"

    def address(self, country: str) -> str:
        source = self._source
        text = self._street(country)
        if source.random() < 0.75:
            text += source.choice((", ", ", ", "\n", " ")) + self._town_line(country)
        return text

    def _street(self, country: str) -> str:
        source = self._source
        number, way = self._number(), source.choice(STREETS.get(country) or STREETS["US"])
        name = self._street_name(country)
        text = way.replace("N", number).replace("*", name)
        if source.random() < 0.2:
            text += source.choice(
                (", Apt {}", " Apt. {}", ", Suite {}", ", Flat {}", " #{}", ", 2. OG", " Unit {}")
            ).format(source.randint(1, 99))
        return text

    def _number(self) -> str:
        source = self._source
        number = str(source.randint(1, 9999 if source.random() < 0.3 else 250))
        return number + source.choice("abcABC") if source.random() < 0.08 else number

    def _street_name(self, country: str) -> str:
        source, share = self._source, self._source.random()
        if share < 0.45:
            return self.surname(country)
        if share < 0.6:
            return f"{self.given(country)} {self.surname(country)}"
        if share < 0.75:
            return self.town(country)
        return source.choice(STREET_NAMES)

    def _town_line(self, country: str) -> str:
        source, town = self._source, self.town(country)
        digits = lambda many: "".join(source.choice("0123456789") for _ in range(many))  # noqa: E731
        letters = lambda many: "".join(source.choice("ABCDEFGHJKLMNPRSTUWXY") for _ in range(many))  # noqa: E731
        if country == "US":
            return source.choice(
                (
                    f"{town}, {letters(2)} {digits(5)}",
                    f"{town} {letters(2)} {digits(5)}",
                    f"{town}, {digits(5)}",
                )
            )
        if country in {"GB", "IE"}:
            return f"{town} {letters(source.randint(1, 2))}{digits(source.randint(1, 2))} {digits(1)}{letters(2)}"
        if country == "CA":
            return f"{town}, ON {letters(1)}{digits(1)}{letters(1)} {digits(1)}{letters(1)}{digits(1)}"
        if country == "NL":
            return f"{digits(4)} {letters(2)} {town}"
        if country == "PL":
            return f"{digits(2)}-{digits(3)} {town}"
        if country in {"BR", "PT"}:
            return (
                f"{town}, {digits(5)}-{digits(3)}"
                if source.random() < 0.5
                else f"{digits(4)}-{digits(3)} {town}"
            )
        if country in {"AU", "NZ", "ZA", "IN"}:
            return f"{town} {digits(4)}"
        return f"{digits(5 if country in {'DE', 'FR', 'IT', 'ES', 'SE', 'MX'} else 4)} {town}"

    def organisation(self, country: str) -> str:
        source, share = self._source, self._source.random()
        name = (
            self._made()
            if share < 0.2
            else self.surname(country)
            if share < 0.45
            else self.town(country)
            if share < 0.6
            else source.choice(ORG_WORDS)
        )
        form = source.random()
        if form < 0.08:
            return f"{name} & {self.surname(country)}"
        if form < 0.16:
            return f"{name} {source.choice(ORG_WORDS)} {source.choice(ORG_ENDS)}"
        if form < 0.22:
            return name if share >= 0.6 else f"{name} {source.choice(ORG_WORDS)}"
        if form < 0.28:
            return f"{source.choice(('University', 'Bank', 'Hospital', 'Ministry', 'Institute', 'Museum', 'Department'))} of {name}"
        return f"{name} {source.choice(ORG_ENDS)}"

    def body(self, kind: str, country: str) -> str:
        """Return an organisation of a kind that `chronicle` names."""
        source, town = self._source, self.town(country)
        pick, own = source.choice, self._made if source.random() < 0.3 else lambda: self.surname(country)
        if kind == "CLUB":
            return pick(
                (f"{town} {pick(chronicle.CLUB_ENDS)}",) * 5
                + (town, f"FC {town}", pick(chronicle.CLUB_ENDS), f"AC {town}")
            )
        if kind == "UNI":
            ends = (
                "University",
                "College",
                "State University",
                "High School",
                "School of Law",
                "Institute of Technology",
                "Academy",
            )
            return pick(
                (f"University of {self.place(country)}", f"{town} {pick(ends)}", f"{own()} {pick(ends)}")
            )
        if kind == "PARTY":
            return f"{pick(chronicle.PARTIES)} {pick(chronicle.PARTY_ENDS)}"
        if kind == "BODY":
            return pick((pick(chronicle.BODIES),) * 4 + (f"{town} {pick(chronicle.BODIES)}",))
        if kind == "PAPER":
            return (
                f"{town} {pick(chronicle.PAPERS)}"
                if source.random() < 0.7
                else f"{pick(('Daily', 'Sunday', 'Evening'))} {pick(chronicle.PAPERS)}"
            )
        if kind == "BAND":
            one, two = pick(chronicle.BAND_WORDS), pick(chronicle.BAND_WORDS)
            return pick(
                (f"The {one} {two}", f"The {one}", f"{one} {two}", f"{own()} and the {one}", self._made())
            )
        if kind == "ACR":
            return "".join(pick("ABCDEFGHIKLMNOPRSTUVW") for _ in range(source.randint(2, 5)))
        brand = pick(self._brands) if source.random() < 0.45 else own()
        return brand if source.random() < 0.5 else f"{brand} {pick(chronicle.FIRM_WORDS)}"

    def area(self, country: str) -> str:
        """Return a place that is no town."""
        source = self._source
        if source.random() < 0.75:
            return source.choice(chronicle.AREAS)
        ends = (
            "County",
            "Province",
            "District",
            "Region",
            "Island",
            "Islands",
            "Valley",
            "Bay",
            "Peninsula",
            "Mountains",
            "River",
            "State",
            "Lake",
        )
        return f"{self.town(country) if source.random() < 0.6 else self._made()} {source.choice(ends)}"

    def unlabelled(self, kind: str) -> str:
        """Return what has capitals and is none of what is learnt: a title of a work, a people, an event."""
        source = self._source
        if kind == "FOLK":
            return source.choice(chronicle.FOLK)
        if kind == "PRIZE":
            return source.choice(chronicle.PRIZES)
        one, two = source.choice(chronicle.WORK_WORDS), source.choice(chronicle.WORK_WORDS)
        form = source.choice(
            (
                f"The {one} {two}",
                f"{one} of the {two}",
                f"The {one}",
                f"{one} and {two}",
                f"A {one} {two}",
                one,
            )
        )
        return f'"{form}"' if source.random() < 0.3 else form

    def value(self, kind: str) -> str:
        """Return a number, date or other value that is no name."""
        source = self._source
        form = re.sub(r"[09A]", lambda match: source.choice(DIGITS[match[0]]), source.choice(VALUES[kind]))
        return form.replace("month", source.choice(MONTHS))


def drawn(count: int, seed: int, group: int | None = None) -> list[Labelled]:
    """Return ``count`` texts; of one group of templates only, or of all but one if ``group`` is ``~number``."""
    source = random.Random(seed)
    names = Names(source)
    chosen = (
        range(len(VOICES))
        if group is None
        else [group]
        if group >= 0
        else [n for n in range(len(VOICES)) if n != ~group]
    )
    found: list[Labelled] = []
    while len(found) < count:
        if source.random() < 0.16:
            found.append(_cased(_filled(source.choice(NOTHING), "en", names, source), source))
            continue
        language, templates = source.choice(VOICES[source.choice(list(chosen))])
        found.append(_cased(_filled(source.choice(templates), language, names, source), source))
    return found


def _filled(template: str, language: str, names: Names, source: random.Random) -> Labelled:
    country = source.choice(COUNTRIES[language])
    text, spans, at = "", [], 0
    for slot in _SLOT.finditer(template):
        text += template[at : slot.start()]
        kind = slot[1]
        if kind in VALUES:
            text += names.value(kind)
        elif kind in chronicle.UNLABELLED:
            text += names.unlabelled(kind)
        else:
            value, label = _named(kind, country, names)
            spans.append((len(text), len(text) + len(value), label))
            text += value
        at = slot.end()
    return Labelled(text + template[at:], tuple(spans))


def _named(kind: str, country: str, names: Names) -> tuple[str, str]:
    if kind == "PER":
        return names.person(country), "name"
    if kind == "FULL":
        return f"{names.given(country)} {names.surname(country)}", "name"
    if kind == "FIRST":
        return names.given(country), "name"
    if kind == "LAST":
        return names.surname(country), "name"
    if kind == "LOC":
        return names.place(country), "place"
    if kind == "TOWN":
        return names.town(country), "place"
    if kind == "ADR":
        return names.address(country), "address"
    if kind == "AREA":
        return names.area(country), "place"
    return names.body(kind, country) if kind in chronicle.SLOTS else names.organisation(country), "org"


def _cased(one: Labelled, source: random.Random) -> Labelled:
    share = source.random()
    text = one.text.lower() if share < 0.13 else one.text.upper() if share < 0.20 else one.text
    if 0.20 <= share < 0.24:
        text = _names_lowered(one)
    return one._replace(text=text) if len(text) == len(one.text) else one


def _names_lowered(one: Labelled) -> str:
    text = one.text
    for start, end, _ in one.spans:
        lower = text[start:end].lower()
        if len(lower) == end - start:
            text = text[:start] + lower + text[end:]
    return text


DIGITS = {"0": "0123456789", "9": "123456789", "A": "ABCDEFGHKLMNPRSTUVXYZ"}
MONTHS = (
    "January February March April May June July August September October November December Jan Feb Mar Apr Jun Jul Aug Sept Oct Nov Dec"
).split()
VALUES = {
    "DATE": ("1900-09-10", "1980-10-09", "2000-09-10", "10/09/2000", "9/10/90", "10.09.1900", "month 9, 2000", "9 month 2000", "month 10th", "9 month"),
    "TIME": ("10:00", "9:30 pm", "14:00", "9am", "00:00:00"), "PHONE": ("+1 (900) 900-0000", "090 0000 0000", "+44 9000 000000", "900-900-0000"),
    "ID": ("90000000", "AA900000", "A-90000", "9000-000", "AAA-9000", "#90000"), "NUM": ("9", "90", "900", "9,000", "9.5", "90.00"),
    "MONEY": ("$9,000.00", "EUR 900", "90 €", "£9.90", "USD 9000"), "AGE": ("90", "30", "45", "9"),
    "MAIL": ("a.b@example.org", "office90@example.com", "info@example.net"), "URL": ("https://example.org/a90", "www.example.com"),
}  # fmt: skip
STREET_NAMES = (
    "Main High Church Park Oak Elm Maple Cedar Pine Washington Lake Hill Station Market King Queen Victoria Mill Green North South "
    "Highland Sunset River Spring Forest Bahnhof Garten Linden Schul Berg Dorf Rosen Gare Liberté Victor Roma Garibaldi Mayor Sol Colón"
).split()
POLISH = (
    "Nowak Kowalski Kowalska Wiśniewski Wiśniewska Wójcik Kowalczyk Kamiński Kamińska Lewandowski Lewandowska Zieliński Zielińska Szymański "
    "Woźniak Dąbrowski Dąbrowska Kozłowski Jankowski Mazur Kwiatkowski Krawczyk Kaczmarek Piotrowski Grabowski Zając Pawłowski Michalski "
    "Król Wieczorek Jabłoński Wróbel Nowakowski Majewski Olszewski Stępień Malinowski Jaworski Adamczyk Dudek Nowicki Pawlak Górski Witkowski"
).split()
