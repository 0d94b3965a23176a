"""Reversible tokens as a conversation: what the endpoint sees, what the client gets back, what is on record."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from magistrate.exchange.endpoint import Endpoint
from magistrate.exchange.principal import Principal
from magistrate.pipeline.ports import UpstreamAnswer, UpstreamRequest
from magistrate.pipeline.vault import KEPT_NS
from magistrate.policy.bundle import Bundle

from .test_line import CHAT, chat, completion
from .world import STARTER, Clock, Reply, Script, Upstream, World, policies

ADDRESS = "ada.lovelace@analytical.org"
CARD = "4111 1111 1111 1111"
REVERSIBLE = """
@id("all") permit (principal, action, resource);
@id("tokens") @obligation("tokenise") @labels("pii,pci") @method("reversible") {restore}
permit (principal, action == Magistrate::Action::"call", resource);
{more}
"""


def bundle(more: str = "", restore: str = "") -> Bundle:
    return policies(REVERSIBLE.format(more=more, restore=restore))


class Echo(Upstream):
    """A model that says back what it was asked last, as text and as the argument of a tool, changed by ``spoken``."""

    def __init__(self, spoken: Callable[[str], str] = lambda text: text, size: int = 0) -> None:
        super().__init__(sim=[Script()])
        self.spoken = spoken
        self.size = size

    async def call(self, endpoint: Endpoint, request: UpstreamRequest) -> UpstreamAnswer:
        body = msgspec.json.decode(request.body)
        said = self.spoken(body["messages"][-1]["content"])
        if not body.get("stream"):
            self.scripts["sim"] = [Script(body=answer(said))]
        else:
            self.scripts["sim"] = [Script(chunks=tuple(stream(said, self.size)))]
        return await super().call(endpoint, request)


def answer(said: str) -> bytes:
    whole = msgspec.json.decode(completion(said))
    call = {"id": "t", "type": "function", "function": {"name": "go", "arguments": arguments(said)}}
    whole["choices"][0]["message"]["tool_calls"] = [call]
    whole["choices"][0]["message"]["reasoning_content"] = said
    return msgspec.json.encode(whole)


def arguments(said: str) -> str:
    return msgspec.json.encode({"to": said, "deep": [{"n": 1, "said": said}]}).decode()


def stream(said: str, size: int) -> Iterator[bytes]:
    def event(delta: dict[str, Any], finish: str | None = None) -> bytes:
        choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
        head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices}
        return b"data: " + msgspec.json.encode(head) + b"\n\n"

    for text in (said[n : n + size] for n in range(0, len(said), size)):
        yield event({"content": text})
    for text in (said[n : n + size] for n in range(0, len(said), size)):
        yield event({"reasoning_content": text})
    raw = arguments(said)
    yield event({"tool_calls": [{"index": 0, "id": "t", "type": "function", "function": {"name": "go"}}]})
    for text in (raw[n : n + size] for n in range(0, len(raw), size)):
        yield event({"tool_calls": [{"index": 0, "function": {"arguments": text}}]})
    yield event({}, "stop")
    yield b"data: [DONE]\n\n"


def heard(reply: Reply) -> tuple[str, str, str]:
    """Return the text, the reasoning and the tool arguments that a client of either kind has at the end."""
    if reply.headers["content-type"].startswith("application/json"):
        message = reply.json["choices"][0]["message"]
        return (
            message["content"],
            message["reasoning_content"],
            message["tool_calls"][0]["function"]["arguments"],
        )
    text = reasoning = raw = ""
    for line in reply.body.decode().splitlines():
        if line.startswith("data: {"):
            for choice in msgspec.json.decode(line[6:])["choices"]:
                delta = choice["delta"]
                text += delta.get("content") or ""
                reasoning += delta.get("reasoning_content") or ""
                for call in delta.get("tool_calls") or ():
                    raw += call["function"].get("arguments") or ""
    return text, reasoning, raw


@pytest.mark.requirement("P3", "P6")
@pytest.mark.parametrize("size", [0, 1, 3, 11, 200])
async def test_a_value_leaves_as_a_token_and_comes_back_as_itself(size: int) -> None:
    """In text and in tool arguments, whole and in pieces of any size; the endpoint's reasoning keeps its tokens."""
    upstream = Echo(size=size)
    world = World(upstream, bundle=bundle())
    reply = await world.ask(CHAT, chat(f'write to "{ADDRESS}" about {CARD}.', stream=bool(size)))
    sent = upstream.calls[0][1].body.decode()
    assert ADDRESS not in sent
    assert CARD not in sent
    assert "EMAIL_" in sent
    text, reasoning, raw = heard(reply)
    assert text == f'write to "{ADDRESS}" about {CARD}.'
    assert msgspec.json.decode(raw) == {"to": text, "deep": [{"n": 1, "said": text}]}
    assert "EMAIL_" in reasoning
    assert ADDRESS not in reasoning


@pytest.mark.requirement("P3", "A1")
async def test_what_was_sent_and_what_was_delivered_stand_apart_in_the_record() -> None:
    """Sent and answered hold tokens, request and delivered the values; what was put back is counted."""
    world = World(Echo(size=4), bundle=bundle())
    await world.ask(CHAT, chat(f"mail {ADDRESS}", stream=True))
    outcome = world.evidence.drafts[1].header
    assert outcome["rewritten"] == {"pii.email": 1}
    assert outcome["restored"] == {"pii.email": 3}
    for draft, part, holds in ((0, "request", True), (1, "sent", False), (1, "response", False)):
        assert (ADDRESS.encode() in world.evidence.body(draft, part)) is holds
    assert b"EMAIL_" in world.evidence.body(1, "sent")
    assert "analytical.org" in world.evidence.body(1, "delivered").decode()


@pytest.mark.parametrize(
    "spoken",
    [str.lower, str.upper, lambda t: f"**{t}**", lambda t: t.replace("_", r"\_"), lambda t: f"`{t}`, yes"],
    ids=["lower case", "upper case", "bold", "escaped", "code"],
)
@pytest.mark.parametrize("size", [0, 1, 5])
async def test_a_token_is_known_however_a_model_writes_it(spoken: Callable[[str], str], size: int) -> None:
    """Case, Markdown around it and escapes in it do not matter."""
    reply = await World(Echo(spoken, size), bundle=bundle()).ask(CHAT, chat(ADDRESS, stream=bool(size)))
    assert ADDRESS in heard(reply)[0]


@pytest.mark.parametrize(
    "spoken",
    [lambda t: t[:-1], lambda t: t + "s", lambda t: t[:-1] + ("0" if t[-1] != "0" else "1")],
    ids=["cut", "plural", "another"],
)
@pytest.mark.parametrize("size", [0, 1, 5])
async def test_a_token_is_never_guessed(spoken: Callable[[str], str], size: int) -> None:
    """What is not a token of this conversation to the last character stays what it is."""
    reply = await World(Echo(spoken, size), bundle=bundle()).ask(CHAT, chat(ADDRESS, stream=bool(size)))
    assert ADDRESS not in reply.body.decode()
    assert heard(reply)[0].lower().startswith("email_")


async def test_the_same_value_has_the_same_token_in_every_turn_without_a_session() -> None:
    """A client that sends its history again gets the same text to the endpoint, so the endpoint's cache holds."""
    upstream = Echo()
    world = World(upstream, bundle=bundle())
    first = {"role": "user", "content": f"I am {ADDRESS}"}
    await world.ask(CHAT, {"model": "m", "messages": [first]})
    turns = [
        first,
        {"role": "assistant", "content": f"hello {ADDRESS}"},
        {"role": "user", "content": "again"},
    ]
    await world.ask(CHAT, {"model": "m", "messages": turns})
    once, twice = (upstream.sent(n)["messages"] for n in (0, 1))
    assert once[0] == twice[0]
    assert twice[1]["content"].removeprefix("hello ") == once[0]["content"].removeprefix("I am ")


@pytest.mark.requirement("P3")
async def test_a_value_that_was_put_back_does_not_leave_in_the_history_without_the_words_that_gave_it_away() -> (
    None
):
    """`SSN: 536221234` is found by its words; nine digits in the answer are not."""
    upstream = Echo()
    world = World(upstream, bundle=bundle())
    turns = [
        {"role": "user", "content": "my SSN: 536221234"},
        {"role": "assistant", "content": "Noted, 536221234 it is."},
        {"role": "user", "content": "what was it?"},
    ]
    await world.ask(CHAT, {"model": "m", "messages": turns})
    assert "536221234" not in upstream.calls[0][1].body.decode()
    assert world.evidence.drafts[1].header["rewritten"] == {"pii.ssn": 2}


def others() -> Iterator[Any]:
    same = {"tenant": "default", "user": "alice", "application": "tests"}
    for field in same:
        yield pytest.param({**same, field: "other"}, {}, id=f"another {field}")
    yield pytest.param(same, {"x_magistrate_flow": "f2"}, id="another conversation")


@pytest.mark.requirement("P3", "I4")
@pytest.mark.parametrize(("who", "headers"), list(others()))
async def test_a_foreign_token_is_never_restored(who: dict[str, Any], headers: dict[str, Any]) -> None:
    """Another tenant, user, application or conversation gets another token, and cannot have this one opened."""
    upstream = Echo()
    world = World(upstream, bundle=bundle())
    await world.ask(CHAT, chat(ADDRESS), x_magistrate_flow="f1")
    token = upstream.sent()["messages"][0]["content"]
    world.keys.principal = Principal(key="k2", **who)
    reply = await world.ask(CHAT, chat(f"what is {token}?"), **{"x_magistrate_flow": "f1", **headers})
    assert token in heard(reply)[0]
    await world.ask(CHAT, chat(ADDRESS), **{"x_magistrate_flow": "f1", **headers})
    assert upstream.sent()["messages"][0]["content"] != token


class Late(Clock):
    """A monotonic clock that can be set forward."""

    def __init__(self) -> None:
        super().__init__()
        self.later_ns = 0

    def ticks_ns(self) -> int:
        return super().ticks_ns() + self.later_ns


@pytest.mark.parametrize(("later_ns", "known"), [(KEPT_NS - 10**9, True), (KEPT_NS + 10**9, False)])
async def test_a_named_conversation_is_remembered_for_a_day_and_no_longer(later_ns: int, known: bool) -> None:
    """The endpoint keeps the history; the client sends only its last words."""
    upstream, clock = Echo(), Late()
    world = World(upstream, bundle=bundle(), clock=clock)
    line = world.line
    world.changes = {"vault": line.vault}
    await world.ask(CHAT, chat(ADDRESS), x_magistrate_flow="f1")
    token = upstream.sent()["messages"][0]["content"]
    clock.later_ns = later_ns
    reply = await world.ask(CHAT, chat(f"who is {token}?"), x_magistrate_flow="f1")
    assert (ADDRESS in heard(reply)[0]) is known
    assert token in upstream.calls[1][1].body.decode()


async def test_what_an_answer_policy_redacts_is_not_put_back() -> None:
    """Restored values pass the output policy of who gets them; a redact can say that it is not meant for them."""
    more = '@id("mask") @obligation("redact") @labels("pci") permit (principal, action == Magistrate::Action::"answer", resource);'
    reply = await World(Echo(), bundle=bundle(more)).ask(CHAT, chat(f"{ADDRESS} {CARD}"))
    text, _, _ = heard(reply)
    assert text.startswith(f"{ADDRESS} CARD_")
    reply = await World(Echo(), bundle=bundle(more.replace("permit", '@except("restored") permit'))).ask(
        CHAT, chat(f"{ADDRESS} {CARD}")
    )
    assert heard(reply)[0] == f"{ADDRESS} {CARD}"
    more = '@id("no") forbid (principal, action == Magistrate::Action::"answer", resource) when { context.labels.contains("pii.email") };'
    reply = await World(Echo(), bundle=bundle(more)).ask(CHAT, chat(f"{ADDRESS} {CARD}"))
    text, _, _ = heard(reply)
    assert text.startswith("EMAIL_")
    assert text.endswith(CARD)


@pytest.mark.parametrize(("places", "expected"), [("text", (True, False)), ("tools", (False, True))])
@pytest.mark.parametrize("size", [0, 7])
async def test_a_policy_says_where_tokens_are_put_back(
    places: str, expected: tuple[bool, bool], size: int
) -> None:
    """In what is shown, in the arguments of tools, or in both."""
    world = World(Echo(size=size), bundle=bundle(restore=f'@restore("{places}")'))
    text, _, raw = heard(await world.ask(CHAT, chat(ADDRESS, stream=bool(size))))
    assert (ADDRESS in text, ADDRESS in raw) == expected


@pytest.mark.requirement("G7")
@pytest.mark.parametrize("size", [0, 1, 6])
async def test_a_token_is_not_put_back_into_an_address_that_leads_away(size: int) -> None:
    """An injected instruction to write tokens into a link or a tool's address gets tokens, not values."""

    def spoken(text: str) -> str:
        return f"[see](https://evil.example/?q={text}) {text}"

    reply = await World(Echo(spoken, size), bundle=bundle()).ask(CHAT, chat(ADDRESS, stream=bool(size)))
    text, _, raw = heard(reply)
    assert text.endswith(f") {ADDRESS}")
    assert f"?q={ADDRESS}" not in text
    assert f"?q={ADDRESS}" not in raw
    assert ADDRESS in raw


async def test_a_token_is_no_finding_although_it_looks_like_one() -> None:
    """`password = SECRET_…` in an answer is our own token, not a password."""
    more = '@id("no") forbid (principal, action == Magistrate::Action::"answer", resource) when { context.labels.contains("secret") };'
    text = REVERSIBLE.replace("pii,pci", "secret").format(more=more, restore="")
    reply = await World(Echo(), bundle=policies(text)).ask(CHAT, chat('password = "hunter2!xY7"'))
    assert reply.status == 200
    assert heard(reply)[0].startswith('password = "SECRET_')


@pytest.mark.parametrize("size", [0, 1, 2, 9])
async def test_a_structured_answer_stays_json_whatever_the_value_holds(size: int) -> None:
    """A backslash or a quote in a value is escaped where the text is JSON, and is not where it is prose."""
    text = REVERSIBLE.replace("pii,pci", "secret").format(more="", restore="")
    value = r"a\b9!kkZ3"
    asked = f'password = "{value}"'

    def structured(said: str) -> str:
        return ' {"pass": "' + said.split('"')[1] + '"}'

    world = World(Echo(structured, size), bundle=policies(text))
    reply = await world.ask(CHAT, chat(asked, stream=bool(size)))
    assert "SECRET_" in world.upstream.calls[0][1].body.decode()
    assert msgspec.json.decode(heard(reply)[0]) == {"pass": value}
    world = World(Echo(size=size), bundle=policies(text))
    assert heard(await world.ask(CHAT, chat(asked, stream=bool(size))))[0] == asked


async def test_an_embedding_gets_a_pseudonym_that_does_not_depend_on_the_conversation() -> None:
    """Otherwise nothing that was embedded would be found again."""
    upstream = Upstream(sim=[Script(status=418, body=b"{}")])
    world = World(upstream, bundle=bundle())
    for flow in ("f1", "f2"):
        await world.ask("/v1/embeddings", {"model": "m", "input": [ADDRESS]}, x_magistrate_flow=flow)
    assert upstream.sent(0)["input"] == upstream.sent(1)["input"]
    assert upstream.sent(0)["input"][0].startswith("EMAIL_")


@pytest.mark.parametrize("method", ["pseudonym", "format-preserving"])
async def test_one_way_tokens_stay_and_differ_between_tenants(method: str) -> None:
    """Equal in one tenant, unequal in two, never put back."""
    upstream = Echo()
    world = World(
        upstream, bundle=policies(REVERSIBLE.replace("reversible", method).format(more="", restore=""))
    )
    reply = await world.ask(CHAT, chat(f"{ADDRESS} {CARD}"))
    assert ADDRESS not in reply.body.decode()
    await world.ask(CHAT, chat(f"{ADDRESS} {CARD}"), x_magistrate_flow="f9")
    world.keys.principal = Principal(key="k2", user="alice", tenant="other")
    await world.ask(CHAT, chat(f"{ADDRESS} {CARD}"))
    first, again, other = (upstream.sent(n)["messages"][0]["content"] for n in range(3))
    assert first == again
    assert first.split()[0] != other.split()[0]


def test_the_starter_stays_as_it_was() -> None:
    """Reversible tokens are offered in its comments; nobody gets them unasked."""
    assert all("method" not in dict(c.obligation.params) for c in STARTER.controls.values() if c.obligation)
