"""The official OpenAI SDK, unmodified: only its base URL and key are ours."""

import base64
from collections.abc import Iterator

import openai
import pytest
from pydantic import BaseModel

from tests.e2e.answers import Answer, Tool
from tests.e2e.gateway import Governed

pytestmark = pytest.mark.requirement("P1", "X3")

PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(40)).decode()
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "the weather at a place",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"place": {"type": "string"}},
            "required": ["place"],
            "additionalProperties": False,
        },
    },
}
FLAT_WEATHER = {"type": "function", **WEATHER["function"]}
ASK = [{"role": "user", "content": "how is the sea?"}]


@pytest.fixture
def client(governed: Governed) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{governed.url}/v1", api_key=governed.key, max_retries=0) as made:
        yield made


def test_a_chat_answer_arrives_whole(client: openai.OpenAI, governed: Governed) -> None:
    """Text, model version, fingerprint and usage come back; the question arrived as it was asked."""
    governed.upstream.say("openai.chat", Answer("the sea is calm"))
    answer = client.chat.completions.create(model="gpt-test", messages=ASK, temperature=0.2, seed=7)
    assert answer.choices[0].message.content == "the sea is calm"
    assert (answer.model, answer.system_fingerprint) == ("gpt-test-2026-08-07", "fp_scripted")
    assert answer.usage is not None
    assert answer.usage.total_tokens == 10
    (arrived,) = governed.upstream.of("openai.chat")
    assert arrived.json == {"model": "gpt-test", "messages": ASK, "temperature": 0.2, "seed": 7}


def test_a_chat_streams(client: openai.OpenAI, governed: Governed) -> None:
    """The pieces concatenate to the whole text and usage comes at the end when asked for."""
    governed.upstream.say("openai.chat", Answer("the sea is calm and the wind is low"))
    options = {"include_usage": True}
    stream = client.chat.completions.create(
        model="gpt-test", messages=ASK, stream=True, stream_options=options
    )
    chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == "the sea is calm and the wind is low"
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].usage is not None
    assert governed.upstream.of("openai.chat")[0].json["stream_options"] == options


def test_several_choices_come_back(client: openai.OpenAI, governed: Governed) -> None:
    """With n = 3, whole and streamed, each choice has its own text."""
    governed.upstream.always("openai.chat", Answer("one of three"))
    whole = client.chat.completions.create(model="gpt-test", messages=ASK, n=3)
    assert [c.message.content for c in whole.choices] == ["one of three"] * 3
    texts = {0: "", 1: "", 2: ""}
    for chunk in client.chat.completions.create(model="gpt-test", messages=ASK, n=3, stream=True):
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    assert set(texts.values()) == {"one of three"}


@pytest.mark.parametrize("stream", [False, True])
def test_parallel_tool_calls_come_back_and_their_results_arrive(
    client: openai.OpenAI, governed: Governed, stream: bool
) -> None:
    """Two calls in one answer keep ids, order and arguments; the history with both results arrives unchanged."""
    calls = (Tool("weather", {"place": "Brest"}, "call_a"), Tool("weather", {"place": 'Bôrd "o"'}, "call_b"))
    governed.upstream.say("openai.chat", Answer(tools=calls), Answer("calm in both"))
    if stream:
        with client.chat.completions.stream(model="gpt-test", messages=ASK, tools=[WEATHER]) as events:
            events.until_done()
            message = events.get_final_completion().choices[0].message
    else:
        message = (
            client.chat.completions.create(model="gpt-test", messages=ASK, tools=[WEATHER]).choices[0].message
        )
    assert message.tool_calls is not None
    assert [c.id for c in message.tool_calls] == ["call_a", "call_b"]
    assert '"Brest"' in message.tool_calls[0].function.arguments
    spoken = [
        {
            "id": c.id,
            "type": "function",
            "function": {"name": c.function.name, "arguments": c.function.arguments},
        }
        for c in message.tool_calls
    ]
    history = [
        *ASK,
        {"role": "assistant", "content": None, "tool_calls": spoken},
        {"role": "tool", "tool_call_id": "call_a", "content": "calm"},
        {"role": "tool", "tool_call_id": "call_b", "content": '{"sky": "clear"}'},
    ]
    final = client.chat.completions.create(model="gpt-test", messages=history, tools=[WEATHER])
    assert final.choices[0].message.content == "calm in both"
    assert governed.upstream.of("openai.chat")[-1].json["messages"] == history


class Sea(BaseModel):
    calm: bool
    height_m: float


def test_structured_outputs_are_parsed(client: openai.OpenAI, governed: Governed) -> None:
    """The JSON schema arrives and the answer is read into the client's class."""
    governed.upstream.say("openai.chat", Answer('{"calm": true, "height_m": 0.5}'))
    answer = client.chat.completions.parse(model="gpt-test", messages=ASK, response_format=Sea)
    assert answer.choices[0].message.parsed == Sea(calm=True, height_m=0.5)
    asked = governed.upstream.of("openai.chat")[0].json["response_format"]["json_schema"]
    assert (asked["name"], asked["strict"]) == ("Sea", True)


def test_images_arrive_unchanged(client: openai.OpenAI, governed: Governed) -> None:
    """A picture and its detail setting stand in the request exactly as the client put them."""
    content = [
        {"type": "text", "text": "what is this?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}", "detail": "low"}},
    ]
    client.chat.completions.create(model="gpt-test", messages=[{"role": "user", "content": content}])
    assert governed.upstream.of("openai.chat")[0].json["messages"][0]["content"] == content


def test_fields_that_nobody_knows_yet_travel_both_ways(client: openai.OpenAI, governed: Governed) -> None:
    """A new option goes up and a new field comes down without anyone teaching the gateway."""
    governed.upstream.say("openai.chat", Answer("fine", extra={"tide_table": {"high": [6, 18]}}))
    future = {"tide": {"prediction": [1, 2.5, None], "kept": True}}
    answer = client.chat.completions.create(model="gpt-test", messages=ASK, extra_body=future)
    assert governed.upstream.of("openai.chat")[0].json["tide"] == future["tide"]
    assert answer.model_extra is not None
    assert answer.model_extra["tide_table"] == {"high": [6, 18]}


def test_a_response_arrives_whole(client: openai.OpenAI, governed: Governed) -> None:
    """The Responses API: instructions, text, usage."""
    governed.upstream.say("openai.responses", Answer("the sea is calm"))
    answer = client.responses.create(
        model="gpt-test", input="how is the sea?", instructions="be brief", store=False
    )
    assert answer.output_text == "the sea is calm"
    assert answer.usage is not None
    assert answer.usage.input_tokens == 7
    assert governed.upstream.of("openai.responses")[0].json == {
        "model": "gpt-test",
        "input": "how is the sea?",
        "instructions": "be brief",
        "store": False,
    }


def test_a_response_streams_with_a_tool_call(client: openai.OpenAI, governed: Governed) -> None:
    """Text and arguments come in pieces, and the final object repeats both."""
    governed.upstream.say(
        "openai.responses", Answer("let me look", tools=(Tool("weather", {"place": "Brest"}, "call_a"),))
    )
    text = arguments = ""
    final = None
    for event in client.responses.create(
        model="gpt-test", input="how is the sea?", tools=[FLAT_WEATHER], stream=True
    ):
        if event.type == "response.output_text.delta":
            text += event.delta
        elif event.type == "response.function_call_arguments.delta":
            arguments += event.delta
        elif event.type == "response.completed":
            final = event.response
    assert (text, arguments) == ("let me look", '{"place": "Brest"}')
    assert final is not None
    assert [item.type for item in final.output] == ["message", "function_call"]
    assert governed.upstream.of("openai.responses")[0].json["tools"] == [FLAT_WEATHER]


def test_a_tools_output_arrives_over_responses(client: openai.OpenAI, governed: Governed) -> None:
    """The items of a second turn, pictures included, arrive as they were sent."""
    items = [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "what is this?"},
                {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}", "detail": "auto"},
            ],
        },
        {"type": "function_call", "call_id": "call_a", "name": "weather", "arguments": '{"place":"Brest"}'},
        {"type": "function_call_output", "call_id": "call_a", "output": "calm"},
    ]
    client.responses.create(model="gpt-test", input=items, tools=[FLAT_WEATHER])
    assert governed.upstream.of("openai.responses")[0].json["input"] == items


def test_a_response_is_parsed(client: openai.OpenAI, governed: Governed) -> None:
    """Structured outputs over the Responses API."""
    governed.upstream.say("openai.responses", Answer('{"calm": true, "height_m": 0.5}'))
    answer = client.responses.parse(model="gpt-test", input="how is the sea?", text_format=Sea)
    assert answer.output_parsed == Sea(calm=True, height_m=0.5)


@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_embeddings_come_back(client: openai.OpenAI, governed: Governed, encoding: str) -> None:
    """A batch of texts gives as many vectors, in order; the encoding asked for is the one that arrives."""
    answer = client.embeddings.create(
        model="text-embedding-test", input=["one", "two"], encoding_format=encoding
    )
    assert [len(item.embedding) for item in answer.data] == [8, 8]
    assert governed.upstream.of("openai.embeddings")[0].json["input"] == ["one", "two"]
    assert governed.upstream.of("openai.embeddings")[0].json["encoding_format"] == encoding


def test_models_are_listed(client: openai.OpenAI) -> None:
    """The list reads as OpenAI's."""
    assert all(model.object == "model" and model.id for model in client.models.list())


def test_an_endpoints_own_error_reaches_the_client_as_such(client: openai.OpenAI, governed: Governed) -> None:
    """A rate limit stays a rate limit, with the time to wait."""
    governed.upstream.say("openai.chat", Answer(status=429, headers=(("retry-after", "3"),)))
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model="gpt-test", messages=ASK)
    assert caught.value.response.headers["retry-after"] == "3"


async def test_the_asynchronous_client_streams(governed: Governed) -> None:
    """The same over asyncio."""
    governed.upstream.say("openai.chat", Answer("calm as ever"))
    async with openai.AsyncOpenAI(
        base_url=f"{governed.url}/v1", api_key=governed.key, max_retries=0
    ) as client:
        stream = await client.chat.completions.create(model="gpt-test", messages=ASK, stream=True)
        pieces = [c.choices[0].delta.content or "" async for c in stream if c.choices]
    assert "".join(pieces) == "calm as ever"
