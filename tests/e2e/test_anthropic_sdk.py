"""The official Anthropic SDK, unmodified: only its base URL and key are ours."""

import base64
from collections.abc import Iterator

import anthropic
import pytest

from tests.e2e.answers import Answer, Tool
from tests.e2e.gateway import Governed

pytestmark = pytest.mark.requirement("P1", "X3")

PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(40)).decode()
ASK = [{"role": "user", "content": "how is the sea?"}]
WEATHER = {
    "name": "weather",
    "description": "the weather at a place",
    "input_schema": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
}
SIGNATURE = "EqQBCkYIBxgCKkDsigned/opaque+bytes=="


@pytest.fixture
def client(governed: Governed) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=governed.url, api_key=governed.key, max_retries=0) as made:
        yield made


def test_a_message_arrives_whole(client: anthropic.Anthropic, governed: Governed) -> None:
    """Text, model, stop reason and usage come back; the question arrived as it was asked."""
    governed.upstream.say("anthropic.messages", Answer("the sea is calm"))
    answer = client.messages.create(
        model="claude-test", max_tokens=64, system="be brief", messages=ASK, stop_sequences=["END"]
    )
    assert answer.content[0].text == "the sea is calm"
    assert (answer.model, answer.stop_reason, answer.usage.input_tokens) == ("claude-test", "end_turn", 7)
    (arrived,) = governed.upstream.of("anthropic.messages")
    assert arrived.json == {
        "model": "claude-test",
        "max_tokens": 64,
        "system": "be brief",
        "messages": ASK,
        "stop_sequences": ["END"],
    }


def test_a_bearer_token_is_a_key_too(governed: Governed) -> None:
    """What Claude Code uses: ANTHROPIC_AUTH_TOKEN."""
    governed.upstream.say("anthropic.messages", Answer("calm"))
    with anthropic.Anthropic(
        base_url=governed.url, api_key=None, auth_token=governed.key, max_retries=0
    ) as client:
        assert (
            client.messages.create(model="claude-test", max_tokens=8, messages=ASK).content[0].text == "calm"
        )


def test_a_message_streams_with_thinking_text_and_a_tool(
    client: anthropic.Anthropic, governed: Governed
) -> None:
    """All three kinds of block come through in order; the signature and the arguments are whole."""
    governed.upstream.say(
        "anthropic.messages",
        Answer(
            "let me look",
            thinking="the user asks about the sea",
            signature=SIGNATURE,
            tools=(Tool("weather", {"place": "Brest", "days": [1, 2]}, "toolu_a"),),
        ),
    )
    with client.messages.stream(
        model="claude-test",
        max_tokens=2048,
        messages=ASK,
        tools=[WEATHER],
        thinking={"type": "enabled", "budget_tokens": 1024},
    ) as stream:
        final = stream.get_final_message()
    thinking, text, tool = final.content
    assert (thinking.type, thinking.thinking.strip()) == ("thinking", "the user asks about the sea")
    assert thinking.signature == SIGNATURE
    assert text.text == "let me look"
    assert (tool.id, tool.name, tool.input) == ("toolu_a", "weather", {"place": "Brest", "days": [1, 2]})
    assert final.stop_reason == "tool_use"
    arrived = governed.upstream.of("anthropic.messages")[0].json
    assert arrived["thinking"] == {"type": "enabled", "budget_tokens": 1024}
    assert arrived["tools"] == [WEATHER]


def test_a_history_with_signed_thinking_images_and_parallel_results_arrives_unchanged(
    client: anthropic.Anthropic, governed: Governed
) -> None:
    """Signatures are over exact content: not one character of the history may differ."""
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "two places, please"}, image]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "two calls — at once", "signature": SIGNATURE},
                {"type": "redacted_thinking", "data": "EmwKAhgBEgy3va3pzix"},
                {"type": "tool_use", "id": "toolu_a", "name": "weather", "input": {"place": "Brest"}},
                {"type": "tool_use", "id": "toolu_b", "name": "weather", "input": {"place": "Nantes"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_a", "content": "calm"},
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_b",
                    "is_error": True,
                    "content": [{"type": "text", "text": "no answer"}, image],
                },
            ],
        },
    ]
    client.messages.create(model="claude-test", max_tokens=64, messages=messages, tools=[WEATHER])
    assert governed.upstream.of("anthropic.messages")[0].json["messages"] == messages


def test_cache_marks_arrive_where_they_were_set(client: anthropic.Anthropic, governed: Governed) -> None:
    """On the system prompt, on a tool and inside a message, with their time to live."""
    mark = {"type": "ephemeral", "ttl": "1h"}
    system = [{"type": "text", "text": "a long and stable preface", "cache_control": mark}]
    tools = [{**WEATHER, "cache_control": mark}]
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "how is the sea?", "cache_control": mark}]}
    ]
    client.messages.create(model="claude-test", max_tokens=64, system=system, tools=tools, messages=messages)
    arrived = governed.upstream.of("anthropic.messages")[0].json
    assert (arrived["system"], arrived["tools"], arrived["messages"]) == (system, tools, messages)


def test_version_and_beta_headers_arrive_as_they_are(client: anthropic.Anthropic, governed: Governed) -> None:
    """Both are the client's contract with the model's maker; the key is not: it stays here."""
    betas = ["context-management-2025-06-27", "effort-2025-11-24"]
    client.beta.messages.create(
        model="claude-test",
        max_tokens=64,
        messages=ASK,
        betas=betas,
        extra_headers={"anthropic-version": "2023-06-01"},
        extra_query={"beta": "true"},
    )
    headers = governed.upstream.of("anthropic.messages")[0].headers
    assert headers["anthropic-beta"] == ",".join(betas)
    assert headers["anthropic-version"] == "2023-06-01"
    assert governed.upstream.of("anthropic.messages")[0].query == "beta=true"


def test_fields_that_nobody_knows_yet_travel_both_ways(
    client: anthropic.Anthropic, governed: Governed
) -> None:
    """A new option goes up and a new field comes down without anyone teaching the gateway."""
    governed.upstream.say("anthropic.messages", Answer("fine", extra={"tide_table": {"high": [6, 18]}}))
    future = {"context_management": {"edits": [{"type": "clear_tide_2027", "keep": "all"}]}}
    answer = client.messages.create(model="claude-test", max_tokens=64, messages=ASK, extra_body=future)
    arrived = governed.upstream.of("anthropic.messages")[0].json
    assert arrived["context_management"] == future["context_management"]
    assert answer.model_extra == {"tide_table": {"high": [6, 18]}}


def test_tokens_are_counted(client: anthropic.Anthropic, governed: Governed) -> None:
    """`count_tokens` is answered by the endpoint that would answer the message."""
    counted = client.messages.count_tokens(model="claude-test", messages=ASK, system="be brief")
    assert counted.input_tokens > 0
    (arrived,) = governed.upstream.of("anthropic.count_tokens")
    assert arrived.json == {"model": "claude-test", "messages": ASK, "system": "be brief"}


def test_an_overloaded_endpoint_says_so_in_its_own_words(
    client: anthropic.Anthropic, governed: Governed
) -> None:
    """529 is Anthropic's own status; the SDK knows what to do with it, once the gateway's own second try failed."""
    governed.upstream.always("anthropic.messages", Answer(status=529))
    with pytest.raises(anthropic.APIStatusError) as caught:
        client.messages.create(model="claude-test", max_tokens=8, messages=ASK)
    assert caught.value.status_code == 529
    assert caught.value.body["error"]["type"] == "overloaded_error"


async def test_the_asynchronous_client_streams(governed: Governed) -> None:
    """The same over asyncio."""
    governed.upstream.say("anthropic.messages", Answer("calm as ever"))
    async with (
        anthropic.AsyncAnthropic(base_url=governed.url, api_key=governed.key, max_retries=0) as client,
        client.messages.stream(model="claude-test", max_tokens=64, messages=ASK) as stream,
    ):
        assert "".join([piece async for piece in stream.text_stream]) == "calm as ever"
