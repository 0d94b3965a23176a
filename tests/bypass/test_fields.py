"""The bypass matrix by the dialects' own tables: every field that a table knows, in every object of a body that is full already.

Where the matrix puts a canary into every place that an example uses, this puts one where an example does not: each word of
the API, known to a table of shapes, is tried as a field of each object, holding a text and holding a list of parts.
Whether it belongs there or not, what it holds must not pass.
"""

import copy
from collections.abc import Iterator
from importlib import import_module
from types import FunctionType
from typing import Any

import msgspec
import pytest

from tests.lines.world import Script, Upstream, World

from .examples import ANSWERS, REQUESTS, STREAMS, spell_stream

SECRET = "AKIAQ3XK7LMN2PWZ5RTV"
TABLES = {
    "openai.chat": ("openai_chat_shapes",),
    "openai.responses": ("openai_responses_shapes", "openai_responses_items", "openai_responses_events"),
    "openai.embeddings": ("openai_embeddings",),
    "anthropic.messages": ("anthropic_shapes", "anthropic_blocks"),
    "anthropic.count_tokens": ("anthropic_shapes", "anthropic_blocks"),
    "gemini": ("gemini_shapes",),
    "gemini.count_tokens": ("gemini_shapes",),
}
"""Where the tables of shapes of each row stand."""

STEERING = frozenset({"stream", "model"})
"""Fields that choose another route or stream; the matrix has rows for both."""


def fields(row: str) -> list[str]:
    """Every field that a table of the dialect knows, from the tables themselves."""
    found: set[str] = set()
    for name in TABLES[row]:
        for value in vars(import_module(f"magistrate.wire.{name}")).values():
            for each in value.values() if isinstance(value, dict) else (value,):
                found |= _of(each, set())
    return sorted(found - STEERING)


def _of(visit: object, seen: set[int]) -> set[str]:
    if not isinstance(visit, FunctionType) or id(visit) in seen:
        return set()
    seen.add(id(visit))
    found: set[str] = set()
    for cell in visit.__closure__ or ():
        held = cell.cell_contents
        if isinstance(held, dict) and visit.__qualname__.startswith(("record.", "message.")):
            found |= {key for key in held if isinstance(key, str)}
        for each in held.values() if isinstance(held, dict) else (held,):
            found |= _of(each, seen)
    return found


def objects(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path of every object in a body."""
    if isinstance(value, dict):
        yield path
        for key, member in value.items():
            yield from objects(member, (*path, key))
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from objects(member, (*path, index))


TEXT = f"x {SECRET} x"
PARTS = [{"type": "text", "text": TEXT}]


def planted(body: Any, names: list[str], *forms: Any) -> Iterator[Any]:
    """The body with one more field: each name that an object does not have, in each form."""
    for path in objects(body):
        for name in names:
            for held in forms:
                tree = copy.deepcopy(body)
                place = tree
                for step in path:
                    place = place[step]
                if name not in place:
                    place[name] = held
                    yield tree


@pytest.mark.requirement("P9")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("row", [row for row in REQUESTS if not row.endswith(" stream")])
async def test_no_field_that_a_table_knows_carries_a_secret_up(row: str) -> None:
    """Blocked by policy, or refused as unreadable where a text cannot stand, or (token texts that say more than their text)
    left out; the first more often than not."""
    path, body = REQUESTS[row]
    world = World(Upstream(sim=[Script(status=418, body=b"{}")]))
    statuses: dict[int, int] = {}
    for tree in planted(body, fields(row), TEXT, PARTS):
        reply = await world.ask(path, tree)
        statuses[reply.status] = statuses.get(reply.status, 0) + 1
        assert not any(SECRET.encode() in call.body for _, call in world.upstream.calls), tree
        world.upstream.calls.clear()
    assert set(statuses) <= {400, 403, 418}
    assert statuses[403] > 0.5 * sum(statuses.values())
    assert statuses.get(418, 0) < 0.01 * sum(statuses.values())


@pytest.mark.requirement("P9", "P6")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("row", ANSWERS)
async def test_no_field_that_a_table_knows_carries_a_secret_back(row: str) -> None:
    """The same for whole answers: withheld, refused as an answer that cannot be read, or delivered without it."""
    path, body = REQUESTS[row]
    statuses: dict[int, int] = {}
    for tree in planted(ANSWERS[row], fields(row), TEXT, PARTS):
        world = World(Upstream(sim=[Script(body=msgspec.json.encode(tree))]))
        reply = await world.ask(path, body)
        statuses[reply.status] = statuses.get(reply.status, 0) + 1
        assert SECRET.encode() not in reply.body, f"{row}: {reply.body!r}"
    assert set(statuses) <= {200, 403, 502}
    assert statuses[403] > 0.5 * sum(statuses.values())
    assert statuses.get(200, 0) < 0.01 * sum(statuses.values())


@pytest.mark.requirement("P9", "P6")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("row", STREAMS)
async def test_no_field_that_a_table_knows_carries_a_secret_back_in_a_stream(row: str) -> None:
    """The same in every event of a stream, at the event's own level and below."""
    path, body = REQUESTS[row]
    events = STREAMS[row]
    names = fields(row.removesuffix(" stream"))
    for number, (name, data) in enumerate(events):
        if not isinstance(data, dict):
            continue
        for tree in planted(data, names, TEXT):
            changed = [*events[:number], (name, tree), *events[number + 1 :]]
            world = World(Upstream(sim=[Script(chunks=spell_stream(row, changed))]))
            reply = await world.ask(path, body)
            assert SECRET.encode() not in reply.body, f"{row}, event {number}: {tree}"
