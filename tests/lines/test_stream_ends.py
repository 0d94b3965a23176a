"""How a stream goes on and ends on the line, when what must be withheld and what may be said arrive together."""

import msgspec
import pytest

from .test_line import CHAT, DONE, chat, chunk, streamed
from .world import Script, Upstream, World

SECRET = "AKIAQ3XK7LMN2PWZ5RTV"


def call_chunk(index: int, arguments: str = "", **named: str) -> bytes:
    function = {"name": "weather", "arguments": arguments} if named else {"arguments": arguments}
    call = {"index": index, "function": function, **named}
    choice = {"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": None}
    data = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return b"data: " + msgspec.json.encode(data) + b"\n\n"


def calls_in_order(body: bytes) -> list[tuple[int, str]]:
    """The tool-call pieces a client sees, in their order: (index, arguments), empty ones for a call's beginning."""
    seen = []
    for line in body.decode().splitlines():
        if line.startswith("data: {"):
            for choice in msgspec.json.decode(line[6:])["choices"]:
                seen += [
                    (c["index"], c["function"]["arguments"]) for c in choice["delta"].get("tool_calls", ())
                ]
    return seen


async def asked(*chunks: bytes) -> tuple[World, bytes]:
    world = World(Upstream(sim=[Script(chunks=chunks)]))
    reply = await world.ask(CHAT, chat(stream=True))
    return world, reply.body


@pytest.mark.requirement("P6", "A1")
async def test_what_was_judged_before_a_refusal_is_delivered_though_it_came_in_the_same_packet() -> None:
    """How the network cuts a stream changes nothing of what a client gets; the record holds exactly that."""
    packet = (
        chunk("all is well. the key is ") + chunk(SECRET) + chunk(" and so on") + chunk(finish="stop") + DONE
    )
    world, body = await asked(packet)
    assert streamed(body).startswith("all is well.")
    assert SECRET.encode() not in body
    assert world.evidence.body(1, "delivered") == body
    assert world.evidence.body(1, "response") == packet


@pytest.mark.requirement("P1")
async def test_a_tool_call_is_complete_before_the_next_one_begins() -> None:
    """SDKs read a call's arguments as soon as the next call begins, so they are not held until the end."""
    first, second = '{"place": "Brest"}', '{"place": "Brno"}'
    _, body = await asked(
        call_chunk(0, id="a", type="function"),
        call_chunk(0, first[:7]),
        call_chunk(0, first[7:]),
        call_chunk(1, id="b", type="function"),
        call_chunk(1, second),
        chunk(finish="tool_calls"),
        DONE,
    )
    seen = calls_in_order(body)
    assert [piece for piece in seen if piece[1]] == [(0, first), (1, second)]
    assert seen.index((0, first)) < seen.index((1, ""))


@pytest.mark.requirement("P6")
async def test_calls_that_take_turns_are_held_until_each_is_whole() -> None:
    """Half an argument is no JSON, so nothing of it goes out, whoever speaks in between."""
    first, second = '{"place": "Brest"}', '{"place": "Brno"}'
    _, body = await asked(
        call_chunk(0, first[:9]), call_chunk(1, second[:9]), call_chunk(0, first[9:]), call_chunk(1, second[9:]),
        chunk(finish="tool_calls"), DONE,
    )  # fmt: skip
    assert sorted(piece for piece in calls_in_order(body) if piece[1]) == [(0, first), (1, second)]


@pytest.mark.requirement("P6")
async def test_arguments_that_go_on_behind_their_end_are_not_passed_on() -> None:
    """What a released call says later could not be judged with what went before it."""
    _, body = await asked(
        call_chunk(0, '{"a": "41111111"}'), call_chunk(1, "{}"), call_chunk(0, '{"b": "11111111"}'), DONE
    )
    assert b'\\"b\\"' not in body
    assert b"upstream_error" in body
