"""What a whole answer would be refused for, no split of it lets through: every dialect, on the line itself."""

import asyncio
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.lines.world import World

from magistrate.adapters.upstreams.simulator import Simulator

SECRET = "dapi4e07a91bc3d852f64e07a91bc3d852f6"
"""Of a vendor whose tokens are not looked for backwards, which is how the question holds it."""
CARD = "4111 1111 1111 1111"
calm = settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])

PATHS = {
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
    "gemini": "/v1beta/models/m:",
}


def ask(dialect, directives, *, stream):
    """Send a message down the line to the simulator; return what the client gets."""
    turn = [{"role": "user", "content": directives}]
    body = {
        "chat": {"model": "m", "messages": turn, "stream": stream},
        "responses": {"model": "m", "input": turn, "stream": stream},
        "messages": {"model": "m", "messages": turn, "max_tokens": 99, "stream": stream},
        "gemini": {"contents": [{"parts": [{"text": directives}]}]},
    }[dialect]
    verb = ("streamGenerateContent" if stream else "generateContent") if dialect == "gemini" else ""
    return asyncio.run(World(upstream=Simulator()).ask(PATHS[dialect] + verb, body))


def texts(raw):
    """Join the pieces of text in a stream's events, field by field, as clients do."""
    joined = {}

    def walk(value, name):
        if isinstance(value, str):
            joined[name] = joined.get(name, "") + value
        elif isinstance(value, dict):
            for key, member in value.items():
                walk(member, key)
        elif isinstance(value, list):
            for member in value:
                walk(member, name)

    for line in raw.decode().split("\n"):
        if line.startswith("data: {"):
            walk(json.loads(line[6:]), "")
    return joined


WAYS = {
    "text": "say: {}",
    "thoughts": "say: fine\nreason: {}",
    "a refusal": "refuse: {}",
    "tool arguments": 'call tool send {{"to": "{}"}}',
}


@pytest.mark.requirement("P6", "P9")
@pytest.mark.parametrize("dialect", PATHS)
@pytest.mark.parametrize("way", WAYS)
@calm
@given(size=st.integers(1, 40), before=st.text("ab ", max_size=12))
def test_no_split_of_a_secret_reaches_the_client(dialect, way, size, before):
    """Whole it is refused; streamed in pieces of any size, the client never holds it."""
    said = WAYS[way].format(f"{before} {SECRET} after")
    # The simulator turns it round, so that the question does not hold what the answer must not.
    field, _, rest = said.rpartition(": " if way != "tool arguments" else "send ")
    mark = ": " if way != "tool arguments" else "send "
    directives = f"backwards\n{field}{mark}{rest[::-1]}\nchunk size: {size}"
    assert ask(dialect, directives, stream=False).status == 403
    reply = ask(dialect, directives, stream=True)
    assert SECRET.encode() not in reply.body
    assert not any(SECRET in text for text in texts(reply.body).values())
    assert b"magistrate" in reply.body


@pytest.mark.requirement("P6", "P3")
@pytest.mark.parametrize("dialect", PATHS)
@calm
@given(size=st.integers(1, 40))
def test_what_is_redacted_in_a_whole_answer_is_redacted_in_every_split(dialect, size):
    """The client of a stream reads exactly what the client of a whole answer reads."""
    directives = f"backwards\nsay: {f'pay with {CARD} today'[::-1]}\nchunk size: {size}"
    whole = ask(dialect, directives, stream=False)
    assert whole.status == 200
    assert CARD.encode() not in whole.body
    streamed = ask(dialect, directives, stream=True)
    assert not any(CARD in text for text in texts(streamed.body).values())
    field = {"chat": "content", "responses": "delta"}.get(dialect, "text")
    said = texts(streamed.body)[field]
    assert said.startswith("pay with ")
    assert said in json.dumps(json.loads(whole.body), ensure_ascii=False)
