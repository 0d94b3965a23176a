"""The bypass matrix: route x field x stream x control, generated. A canary stands in every place where text can stand,
one place at a time; each cell shows that the control acted there.

``MAGISTRATE_REGENERATE=1`` writes ``docs/bypass-matrix.md`` anew; otherwise the page must equal what is generated.
"""

import copy
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from magistrate.wire.routes import ROUTES, match
from tests.lines.world import Script, Upstream, World

from .examples import ANSWERS, PNG, REQUESTS, STREAMS, spell_stream

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "bypass-matrix.md"

SECRET = "AKIAQ3XK7LMN2PWZ5RTV"
EMAIL = "ada.lovelace@analytical.org"
CARD = "4111 1111 1111 1111"

REQUEST_CONTROLS = {"secret: block": SECRET, "e-mail: redact": EMAIL}
ANSWER_CONTROLS = {"secret: withhold": SECRET, "card: redact": CARD}

Place = tuple[str | int, ...]
Cell = tuple[str, str, str, str]


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


REQUEST_CELLS = [
    pytest.param(row, place, control, id=f"{row} | {named(place)} | {control}")
    for row, (_, body) in REQUESTS.items()
    for place, _ in places(body)
    for control in REQUEST_CONTROLS
]
ANSWER_CELLS = [
    pytest.param(row, place, control, id=f"{row} | {named(place)} | {control}")
    for row, body in ANSWERS.items()
    for place, _ in places(body)
    for control in ANSWER_CONTROLS
]
STREAM_CELLS = [
    pytest.param(row, number, place, control, id=f"{row} | {number}.{named(place)} | {control}")
    for row, events in STREAMS.items()
    for number, (_, data) in enumerate(events)
    for place, _ in places(data)
    for control in ANSWER_CONTROLS
]


def test_every_route_that_takes_a_body_has_a_row() -> None:
    """A route that is added without a row fails here."""
    covered = {match("POST", path)[0].path for path, _ in REQUESTS.values()}  # type: ignore[index]
    assert covered == {route.path for route in ROUTES if route.method == "POST"}


@pytest.mark.requirement("P9", "P3")
@pytest.mark.parametrize(("row", "place", "control"), REQUEST_CELLS)
async def test_nothing_protected_reaches_an_endpoint(row: str, place: Place, control: str) -> None:
    """Blocked: nothing is sent. Redacted: what is sent does not hold it. Never: it went through."""
    path, body = REQUESTS[row]
    canary = REQUEST_CONTROLS[control]
    world = World(Upstream(sim=[Script(status=418, body=b"{}")]))
    reply = await world.ask(path, put(body, place, canary))
    sent = b"".join(request.body for _, request in world.upstream.calls)
    assert canary.encode() not in sent
    if control == "secret: block":
        assert not world.upstream.calls
        assert reply.status in {400, 403, 404}
    assert world.evidence.phases == ["intent", "outcome"]


@pytest.mark.requirement("P9", "P3")
@pytest.mark.parametrize(("row", "place", "control"), ANSWER_CELLS)
async def test_nothing_protected_comes_back_in_a_whole_answer(row: str, place: Place, control: str) -> None:
    """Withheld or redacted, in every field of an answer."""
    canary = ANSWER_CONTROLS[control]
    answer = msgspec.json.encode(put(ANSWERS[row], place, canary))
    world = World(Upstream(sim=[Script(body=answer)]))
    path, body = REQUESTS[row]
    reply = await world.ask(path, body)
    assert canary.encode() not in reply.body
    assert canary not in str(reply.headers)
    assert world.evidence.phases == ["intent", "outcome"]


@pytest.mark.requirement("P9", "P6")
@pytest.mark.parametrize(("row", "number", "place", "control"), STREAM_CELLS)
async def test_nothing_protected_comes_back_in_a_stream(
    row: str, number: int, place: Place, control: str
) -> None:
    """Withheld or redacted, in every field of every event."""
    canary = ANSWER_CONTROLS[control]
    events = copy.deepcopy(STREAMS[row])
    name, data = events[number]
    events[number] = (name, put(data, place, canary))
    world = World(Upstream(sim=[Script(chunks=spell_stream(row, events))]))
    path, body = REQUESTS[row]
    reply = await world.ask(path, body)
    assert canary.encode() not in reply.body
    assert reply.ended
    assert world.evidence.phases == ["intent", "outcome"]


def page() -> str:
    """The published matrix: one row a route, one column a control, the number of places in each cell."""
    lines = [
        "# The bypass matrix",
        "",
        "Generated by `tests/bypass`, which puts a canary into every place where text can stand, one at a time, and",
        "asserts that the control acts there. A number is how many places were tried; all of them held, or the build fails.",
        "Opaque bytes (images, files in base64) are not read by any detector: policy is told so (`context.opaque`).",
        "",
    ]
    for title, cells, controls in (
        ("Requests", REQUEST_CELLS, REQUEST_CONTROLS),
        ("Whole answers", ANSWER_CELLS, ANSWER_CONTROLS),
        ("Streams", STREAM_CELLS, ANSWER_CONTROLS),
    ):
        lines += [
            f"## {title}",
            "",
            f"| route | {' | '.join(controls)} |",
            "|---" * (len(controls) + 1) + "|",
        ]
        rows = dict.fromkeys(str(cell.values[0]) for cell in cells)
        for row in rows:
            counts = [
                sum(c.values[0] == row and c.values[-1] == control for c in cells) for control in controls
            ]
            lines.append(f"| {row} | {' | '.join(map(str, counts))} |")
        lines.append("")
        lines += ["<details><summary>places</summary>", ""]
        for row in rows:
            found = dict.fromkeys(named(c.values[-2]) for c in cells if c.values[0] == row)  # type: ignore[arg-type]
            lines += [f"**{row}**: " + ", ".join(f"`{name}`" for name in found), ""]
        lines += ["</details>", ""]
    return "\n".join(lines)


def test_the_published_matrix_is_the_generated_one() -> None:
    """Documents about guarantees are generated, so that they cannot drift."""
    if os.environ.get("MAGISTRATE_REGENERATE"):
        PAGE.write_text(page())
    assert PAGE.read_text() == page()
