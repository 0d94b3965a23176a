"""What lists say of words: given names, surnames, towns, countries, and words that are mostly written small."""

import gzip
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from chronicle import AREAS, CLUB_ENDS, FIRM_WORDS, PAPERS, PARTY_ENDS
from magistrate.classify.words import (
    COMMON,
    FIRM,
    GIVEN,
    GIVEN_OFTEN,
    REGION,
    STREET,
    SURNAME,
    SURNAME_OFTEN,
    TOWN,
    Lists,
    entry,
    words,
)
from people import LISTS, POLISH
from scenes import ORG_ENDS

LONGEST = 3
OFTEN_GIVEN = 3
OFTEN_SURNAME = 2
COMMON_SURNAMES = 3000
LEAST = 4
"""How often a word must be written small to be common, and twice as often as with a capital."""

STREETS = (
    "street st avenue ave road rd lane ln drive dr boulevard blvd court ct way place pl terrace circle parkway highway square close "
    "crescent gardens apt suite flat unit floor box straße strasse str weg platz gasse allee rue chemin impasse quai calle avenida "
    "avda av plaza paseo camino calzada carrera via piazza corso viale largo vicolo rua travessa straat laan plein gracht kade ul "
    "ulica al os gatan gata vägen postfach hauptstraße bahnhofstraße"
).split()


def known_words(texts: Iterable[str]) -> Lists:
    """Return the lists that ship; ``texts`` tell which words are common."""
    lists: dict[str, Any] = json.loads(gzip.decompress(LISTS.read_bytes()))
    flags: Counter[int] = Counter()

    def mark(name: Sequence[str], flag: int) -> None:
        flags[entry(name)] |= flag

    def each(name: str, flag: int) -> None:
        for word in words(name):
            if len(word.text) > 1 and word.text[0].isalpha():
                mark([word.text], flag)

    for name, count in Counter(one for every in lists["given"].values() for one in every).items():
        each(name, GIVEN | (GIVEN_OFTEN if count >= OFTEN_GIVEN else 0))
    surnames = Counter(one for every in lists["surnames"].values() for one in every) + Counter(POLISH)
    for name, count in surnames.items():
        each(name, SURNAME | (SURNAME_OFTEN if count >= OFTEN_SURNAME else 0))
    for rank, name in enumerate(lists["census"]):
        each(name, SURNAME | (SURNAME_OFTEN if rank < COMMON_SURNAMES else 0))
    places = [(name, TOWN) for towns in lists["towns"].values() for name in towns]
    for name, flag in (*places, *((name, REGION) for name in lists["regions"])):
        parts = [word.text for word in words(name)]
        if 1 <= len(parts) <= LONGEST:
            mark(parts, flag)
    for word in _common(texts):
        mark([word], COMMON)
    for word in STREETS:
        mark([word], STREET)
    for name in (*ORG_ENDS, *CLUB_ENDS, *FIRM_WORDS, *PARTY_ENDS, *PAPERS):
        each(name, FIRM)
    areas = (([word.text for word in words(name)]) for name in AREAS)
    for parts in areas:
        if len(parts) <= LONGEST:
            mark(parts, TOWN)
    hashes = np.array(sorted(flags), dtype=np.uint32)
    return Lists(hashes, np.array([flags[int(one)] for one in hashes], dtype=np.int16))


def _common(texts: Iterable[str]) -> list[str]:
    small: Counter[str] = Counter()
    capital: Counter[str] = Counter()
    for text in texts:
        before = "."
        for word in words(text):
            if word.text.isalpha() and len(word.text) > 1:
                if word.text.islower():
                    small[word.text] += 1
                elif word.text[0].isupper() and before not in ".!?\n:\"'-*#":
                    capital[word.text.lower()] += 1
            before = word.text
    return [word for word, count in small.items() if count >= LEAST and count >= 2 * capital[word]]
