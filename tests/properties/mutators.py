"""How a fuzzer changes inputs of which nearly every change of a byte is refused at the door: from within."""

import io
import random
import zipfile
from typing import Any

import atheris
import orjson

MOST_MEMBERS = 100
ODD = tuple(
    orjson.dumps(one)
    for one in (
        *(None, True, False, 0, 1, -1, 2**53 - 1, 2**53, 2**63 - 1, -(2**63), 4_102_444_800_000_000, 0.5),
        *("", "\0", "é", "\u202e", "x" * 300, "-1", "ab" * 32, "00000000-0000-7000-8000-000000000000"),
        *([], {}, [[]], {"": {}}, ["a", 1, None]),
    )
)
OTHERWISE = 0.3
"""How often the bytes themselves are changed all the same."""


def within_an_archive(data: bytes, most: int, seed: int) -> bytes:
    """Change one member of an archive."""
    chance = random.Random(seed)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [(name, archive.read(name)) for name in archive.namelist()[:MOST_MEMBERS]]
    except Exception:  # noqa: BLE001  because it is a damaged archive
        members = []
    if not members or chance.random() < OTHERWISE:
        return bytes(atheris.Mutate(data, most))
    at = chance.randrange(len(members))
    name, content = members[at]
    members[at] = name, bytes(atheris.Mutate(content, len(content) + 64))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    return packed.getvalue() if packed.tell() <= most else data


def within_a_value(data: bytes, most: int, seed: int) -> bytes:
    """Change what a JSON value says: put something odd in a place, take a place away, or copy one place to another."""
    chance = random.Random(seed)
    try:
        value = orjson.loads(data)
    except ValueError:
        return bytes(atheris.Mutate(data, most))
    if chance.random() < OTHERWISE:
        return bytes(atheris.Mutate(data, most))
    for _ in range(chance.randint(1, 3)):
        _change(value, chance)
    try:
        spelt = orjson.dumps(value)
    except orjson.JSONEncodeError:  # too deep by now
        return data
    return spelt if len(spelt) <= most else data


def _change(value: Any, chance: random.Random) -> None:
    places = _places(value)
    if not places:
        return
    inside, at = chance.choice(places)
    kind = chance.random()
    if kind < 0.15:
        del inside[at]
    elif kind < 0.4:
        elsewhere, there = chance.choice(places)
        inside[at] = orjson.loads(orjson.dumps(elsewhere[there]))
    elif kind < 0.6 and isinstance(inside[at], str):
        inside[at] = bytes(atheris.Mutate(inside[at].encode(), len(inside[at]) + 16)).decode(
            "utf-8", "replace"
        )
    else:
        inside[at] = orjson.loads(chance.choice(ODD))


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Return every place in a value: the list or object, and where in it."""
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        inside = waiting.pop()
        keys = (
            list(inside)
            if isinstance(inside, dict)
            else range(len(inside))
            if isinstance(inside, list)
            else ()
        )
        for at in keys:
            found.append((inside, at))
            waiting.append(inside[at])
    return found


MUTATORS = {
    "a bundle": within_an_archive,
    "a bundle's archive": within_an_archive,
    **dict.fromkeys(
        (
            *("a log that its operator signed", "an exported call that its operator signed"),
            *(
                "a beacon's description",
                "a beacon's answer",
                "a drand round",
                "a remote detector's answer",
                "a labelled text",
                "a dictionary",
            ),
        ),
        within_a_value,
    ),
}
