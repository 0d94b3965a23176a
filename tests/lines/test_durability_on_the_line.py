"""`bounded-async` is a promise per route: what may go ahead of its record does, and everything else waits as ever."""

import json
from typing import Any

import pytest

from magistrate.exchange.decision import Mode
from magistrate.pipeline.durability import Durabilities, Durability, DurableRoute

from .world import Reply, Script, Upstream, World, endpoint, policies

AHEAD, BEFORE = Durability.BOUNDED_ASYNC, Durability.BEFORE_EFFECT
ANSWER = json.dumps(
    {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "m-1",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
    }
).encode()
PLAIN: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
PATH = "/v1/chat/completions"
PERMIT = '@id("all") permit (principal, action, resource);'


def world(*routes: DurableRoute, default: Durability = BEFORE, policy: str = PERMIT, **changes: Any) -> World:
    changes["durability"] = Durabilities(routes, default)
    upstream = Upstream(sim=[Script(body=ANSWER)])
    return World(
        upstream, endpoints=(endpoint(), endpoint(model="other")), bundle=policies(policy), changes=changes
    )


@pytest.mark.requirement("A1")
async def test_a_plain_call_on_a_bounded_route_is_handed_over_and_its_outcome_waits() -> None:
    """The intent is in the recorder's hands before the call; the outcome is durable before the answer."""
    here = world(DurableRoute("m", "chat", AHEAD))
    reply = await here.ask(PATH, PLAIN)
    assert reply.status == 200
    assert [draft.header["phase"] for draft in here.evidence.handed] == ["intent"]
    assert here.evidence.phases == ["intent", "outcome"]


@pytest.mark.requirement("A1")
@pytest.mark.parametrize(
    "change",
    [
        {"tools": [{"type": "function", "function": {"name": "go", "parameters": {}}}]},
        {"tools": []},
        {"messages": [{"role": "tool", "tool_call_id": "t", "content": "sunny"}]},
        {"brand_new_field": True},
    ],
)
async def test_what_may_bear_tools_waits_whatever_its_route_promises(change: dict[str, Any]) -> None:
    here = world(default=AHEAD)
    await here.ask(PATH, PLAIN | change)
    assert here.evidence.phases[0] == "intent"
    assert not here.evidence.handed


@pytest.mark.requirement("A1")
@pytest.mark.parametrize("mode", [Mode.ENFORCE, Mode.SHADOW])
async def test_a_refusal_waits_and_so_does_what_would_be_one(mode: Mode) -> None:
    """In shadow mode the call goes on, but the record of what it would have met is durable first."""
    here = world(default=AHEAD, policy=PERMIT + '@id("no") forbid (principal, action, resource);', mode=mode)
    reply = await here.ask(PATH, PLAIN)
    assert reply.status == (403 if mode is Mode.ENFORCE else 200)
    assert not here.evidence.handed
    assert here.evidence.phases == ["intent", "outcome"]


async def test_the_first_route_that_covers_a_call_counts_and_the_default_is_the_stricter_one() -> None:
    """By model, pattern and operation, in the order of the file."""
    routes = (
        DurableRoute("other", "", BEFORE),
        DurableRoute("o*", "", AHEAD),
        DurableRoute("m", "responses", AHEAD),
    )
    here = world(*routes)
    for model in ("other", "m"):
        await here.ask(PATH, PLAIN | {"model": model})
    assert not here.evidence.handed
    here = world(DurableRoute("o*", "chat", AHEAD))
    await here.ask(PATH, PLAIN | {"model": "other"})
    assert len(here.evidence.handed) == 1


@pytest.mark.requirement("A1")
async def test_without_a_recorder_a_bounded_route_sends_nothing() -> None:
    """503, and nothing reached the endpoint: it fails closed like every other route."""
    here = world(default=AHEAD)
    here.evidence.down = 0
    reply = await here.ask(PATH, PLAIN)
    assert reply.status == 503
    assert not here.upstream.calls


@pytest.mark.requirement("A1")
async def test_an_outcome_that_cannot_be_durable_withholds_the_answer_on_a_bounded_route_too() -> None:
    here = world(default=AHEAD)
    here.evidence.down = 1
    reply = await here.ask(PATH, PLAIN, reply=Reply())
    assert reply.status == 503
    assert b"hello" not in reply.body
