"""The simulator: what clients' own types accept, steered by the last user message."""

import json
from collections.abc import Iterable

import orjson
import pytest
from anthropic.types import Message, RawMessageStreamEvent
from openai import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from magistrate.adapters.upstreams.simulator import Simulator
from magistrate.adapters.upstreams.simulator.script import Script, read_script
from magistrate.exchange.endpoint import Endpoint
from magistrate.exchange.errors import UpstreamError
from magistrate.pipeline.ports import UpstreamRequest

ENDPOINT = Endpoint(id="sim/m", provider="sim", api="simulator", model="m", upstream_model="m")
DIALECTS = ("chat", "responses", "messages", "gemini")
EVERYTHING = (
    'reason: hmm, let me see now\nsay: all is well that ends\ncall tool look {"where": "here"}\nchunk size: 5'
)


def ask(dialect: str, text: str, *, stream: bool = False, choices: int = 1) -> UpstreamRequest:
    """Return a request of ``dialect`` whose only message is ``text``."""
    turn = [{"role": "user", "content": text}]
    path, body = {
        "chat": ("/v1/chat/completions", {"messages": turn, "n": choices}),
        "responses": ("/v1/responses", {"input": turn}),
        "messages": ("/v1/messages", {"messages": turn, "max_tokens": 9}),
        "gemini": (
            f"/v1beta/models/m:{'streamGenerateContent?alt=sse' if stream else 'generateContent'}",
            {"contents": [{"parts": [{"text": text}]}], "generationConfig": {"candidateCount": choices}},
        ),
    }[dialect]
    if dialect != "gemini":
        body |= {"model": "m", "stream": stream}
        if dialect == "chat":
            body["stream_options"] = {"include_usage": True}
    return UpstreamRequest(method="POST", path=path, headers=(), body=orjson.dumps(body), stream=stream)


async def send(request: UpstreamRequest) -> tuple[int, bytes]:
    answer = await Simulator().call(ENDPOINT, request)
    return answer.status, await answer.read(10**7)


async def answered(dialect: str, text: str, *, stream: bool = False, choices: int = 1) -> bytes:
    status, body = await send(ask(dialect, text, stream=stream, choices=choices))
    assert status == 200
    return body


def events(stream: bytes) -> list[dict]:
    """Return the data of a stream's events, the obvious way."""
    lines = [line[6:] for line in stream.decode().split("\n") if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def text_in(dialect: str, body: dict, choice: int = 0) -> str:
    """Return the spoken text of a whole answer."""
    if dialect == "chat":
        return body["choices"][choice]["message"]["content"]
    if dialect == "gemini":
        parts = body["candidates"][choice]["content"]["parts"]
        return "".join(part["text"] for part in parts if "text" in part and not part.get("thought"))
    if dialect == "messages":
        return "".join(block["text"] for block in body["content"] if block["type"] == "text")
    return Response.model_validate(body).output_text


def streamed_text(dialect: str, arrived: Iterable[dict], choice: int = 0) -> str:
    """Join what a stream said."""
    found = []
    for event in arrived:
        if dialect == "chat":
            found += [c["delta"].get("content") or "" for c in event["choices"] if c["index"] == choice]
        elif dialect == "gemini":
            for candidate in event["candidates"]:
                if candidate["index"] == choice:
                    parts = candidate["content"]["parts"]
                    found += [p.get("text", "") for p in parts if not p.get("thought")]
        elif dialect == "messages":
            found.append(event.get("delta", {}).get("text", ""))
        elif event["type"] == "response.output_text.delta":
            found.append(event["delta"])
    return "".join(found)


@pytest.mark.requirement("P1")
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_it_says_that_it_is_a_simulator_and_repeats_the_user(dialect):
    """Nobody can take the default answer for a model's, in text or in the model's name."""
    body = json.loads(await answered(dialect, "hello there"))
    assert text_in(dialect, body) == "[simulator] you said: hello there"
    assert body.get("model", body.get("modelVersion")) == "m-simulator"


@pytest.mark.requirement("P1")
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_stream_says_what_a_whole_answer_says(dialect):
    """Pieces join to the whole text, however they are cut."""
    for cut in ("chunk size: 1", "chunk size: 7", "chunks: 3", "chunks: 1"):
        text = f"say: first line\nsay: zweite Zeile ☃\n{cut}"
        assert (
            streamed_text(dialect, events(await answered(dialect, text, stream=True)))
            == "first line\nzweite Zeile ☃"
        )


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_the_same_request_gets_the_same_bytes(dialect):
    """No clock and no randomness: a recorded run can be replayed."""
    for stream in (False, True):
        assert await answered(dialect, EVERYTHING, stream=stream) == await answered(
            dialect, EVERYTHING, stream=stream
        )


@pytest.mark.requirement("P1")
async def test_chat_answers_are_what_the_openai_sdk_reads():
    """The SDK's own types validate a whole answer and every chunk."""
    whole = ChatCompletion.model_validate(json.loads(await answered("chat", EVERYTHING, choices=2)))
    assert len(whole.choices) == 2
    assert whole.choices[1].message.tool_calls[0].function.arguments == '{"where": "here"}'
    assert whole.choices[1].finish_reason == "tool_calls"
    chunks = [
        ChatCompletionChunk.model_validate(e)
        for e in events(await answered("chat", EVERYTHING, stream=True, choices=2))
    ]
    assert chunks[-1].usage == whole.usage.model_copy(
        update={
            "prompt_tokens": chunks[-1].usage.prompt_tokens,
            "total_tokens": chunks[-1].usage.total_tokens,
        }
    )
    for index in (0, 1):
        assert streamed_text("chat", [c.model_dump() for c in chunks], index) == "all is well that ends"
    assert {c.choices[0].finish_reason for c in chunks[:-1]} == {None, "tool_calls"}


@pytest.mark.requirement("P1")
async def test_responses_are_what_the_openai_sdk_reads():
    """The SDK's strict types validate the answer and each event, and its accumulator ends with the same response."""
    whole = Response.model_validate(json.loads(await answered("responses", EVERYTHING)), strict=False)
    kinds = [item.type for item in whole.output]
    assert kinds == ["reasoning", "message", "function_call"]
    adapter = TypeAdapter(ResponseStreamEvent)
    arrived = [
        adapter.validate_python(e) for e in events(await answered("responses", EVERYTHING, stream=True))
    ]
    assert [event.sequence_number for event in arrived] == list(range(len(arrived)))
    state = ResponseStreamState(input_tools=[], text_format=omit)
    for event in arrived:
        state.handle_event(event)
    assert state._completed_response.output_text == whole.output_text == "all is well that ends"
    assert [item.type for item in state._completed_response.output] == kinds


@pytest.mark.requirement("P1")
async def test_messages_are_what_the_anthropic_sdk_reads():
    """The SDK's types validate the answer and each event."""
    whole = Message.model_validate(json.loads(await answered("messages", EVERYTHING)))
    assert [block.type for block in whole.content] == ["thinking", "text", "tool_use"]
    assert whole.content[2].input == {"where": "here"}
    assert whole.stop_reason == "tool_use"
    adapter = TypeAdapter(RawMessageStreamEvent)
    arrived = [e for e in events(await answered("messages", EVERYTHING, stream=True)) if e["type"] != "ping"]
    kinds = [adapter.validate_python(event).type for event in arrived]
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]
    assert kinds.count("content_block_start") == kinds.count("content_block_stop") == 3


@pytest.mark.requirement("P1")
async def test_gemini_calls_tools_thinks_and_counts():
    """Thought, text, a function call with an object, and every candidate."""
    whole = json.loads(await answered("gemini", EVERYTHING, choices=2))
    assert [c["index"] for c in whole["candidates"]] == [0, 1]
    parts = whole["candidates"][1]["content"]["parts"]
    assert parts[0] == {"text": "hmm, let me see now", "thought": True}
    assert parts[2]["functionCall"]["args"] == {"where": "here"}
    arrived = events(await answered("gemini", EVERYTHING, stream=True, choices=2))
    assert streamed_text("gemini", arrived, 1) == "all is well that ends"
    assert arrived[-1]["candidates"][0]["finishReason"] == "STOP"
    usage = arrived[-1]["usageMetadata"]
    assert usage["totalTokenCount"] == sum(
        usage[k] for k in ("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount")
    )


TOOL_TURNS = {
    "chat": {"messages": [
        {"role": "user", "content": "call tool look {}"},
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "tool", "tool_call_id": "1", "content": "found it"},
    ]},
    "responses": {"input": [
        {"role": "user", "content": [{"type": "input_text", "text": "call tool look {}"}]},
        {"type": "function_call", "call_id": "1", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "1", "output": "found it"},
    ]},
    "messages": {"messages": [
        {"role": "user", "content": "call tool look {}"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "look", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": "found it"}]},
    ]},
    "gemini": {"contents": [
        {"role": "user", "parts": [{"text": "call tool look {}"}]},
        {"role": "model", "parts": [{"functionCall": {"name": "look", "args": {}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "look", "response": {"r": "found it"}}}]},
    ]},
}  # fmt: skip


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_tool_loop_ends_once_results_have_come_back(dialect):
    """The directive that called the tool does not call it again."""
    path = ask(dialect, "").path
    request = UpstreamRequest(
        "POST", path, (), orjson.dumps({"model": "m", **TOOL_TURNS[dialect]}), stream=False
    )
    _, body = await send(request)
    text = text_in(dialect, json.loads(body))
    assert text.startswith("[simulator] the tool returned: ")
    assert "found it" in text


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("status", [429, 500, 503])
async def test_failures_have_the_native_shape(dialect, status):
    """An ordered failure has its status and an error object that says who failed."""
    got, body = await send(ask(dialect, f"fail: {status}"))
    assert got == status
    assert json.loads(body)["error"]["message"].startswith("[simulator]")


async def test_a_failure_can_be_ordered_at_one_endpoint_only():
    """Failover can be shown: the first endpoint fails, the next answers."""
    assert (await send(ask("chat", "fail: 503 at sim/m")))[0] == 503
    assert (await send(ask("chat", "fail: 503 at other/m")))[0] == 200


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_cut_stream_breaks_off_after_n_events(dialect):
    """The road breaks: what came is whole events, and the end never comes."""
    answer = await Simulator().call(
        ENDPOINT, ask(dialect, "say: one two three\ncut after 2 chunks", stream=True)
    )
    chunks = answer.chunks()
    pieces = [await anext(chunks), await anext(chunks)]
    with pytest.raises(UpstreamError) as caught:
        await anext(chunks)
    assert caught.value.sent
    assert events(b"".join(pieces))
    with pytest.raises(UpstreamError):
        await send(ask(dialect, "cut after 0 chunks"))


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_malformed_answers_are_no_json(dialect):
    """Whole or streamed, a parser must trip."""
    with pytest.raises(json.JSONDecodeError):
        json.loads(await answered(dialect, "malformed"))
    with pytest.raises(json.JSONDecodeError):
        events(await answered(dialect, "malformed", stream=True))


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_it_can_decline(dialect):
    """Each dialect has its own way to refuse, and the text is in it."""
    assert b"I would rather not" in await answered(dialect, "refuse: I would rather not")
    arrived = events(await answered(dialect, "refuse: no", stream=True))
    assert any(word in json.dumps(arrived) for word in ('"refusal": "no"', '"refusal"', '"SAFETY"'))


@pytest.mark.requirement("P1")
@pytest.mark.parametrize("encoding", ["float", "base64"])
async def test_embeddings_are_unit_vectors_that_depend_on_the_text(encoding):
    """Equal texts have equal vectors, others differ; base64 holds the same floats."""
    body = {"model": "m", "input": ["a", "b", "a"], "dimensions": 32, "encoding_format": encoding}
    _, raw = await send(UpstreamRequest("POST", "/v1/embeddings", (), orjson.dumps(body), stream=False))
    first, second, third = (item["embedding"] for item in json.loads(raw)["data"])
    assert first == third != second
    if encoding == "float":
        CreateEmbeddingResponse.model_validate_json(raw)
        assert len(first) == 32
        assert sum(x * x for x in first) == pytest.approx(1.0)


async def test_tokens_can_be_counted():
    """Both APIs that count tokens get a number that grows with the request."""
    counts = []
    for text in ("a", "a" * 400):
        message = ask("messages", text)
        _, raw = await send(
            UpstreamRequest("POST", message.path + "/count_tokens", (), message.body, stream=False)
        )
        counts.append(json.loads(raw)["input_tokens"])
        asked = ask("gemini", text)
        _, raw = await send(
            UpstreamRequest("POST", "/v1beta/models/m:countTokens", (), asked.body, stream=False)
        )
        counts.append(json.loads(raw)["totalTokens"])
    assert counts[2] > counts[0] + 50
    assert counts[3] > counts[1] + 50


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [("/v1/nowhere", b"{}", 404), ("/v1/messages", b"[]", 400), ("/v1/responses", b"nonsense", 400)],
)
async def test_what_it_cannot_read_it_refuses(path, body, status):
    """Unknown paths and bodies that are no object are errors, not crashes."""
    got, raw = await send(UpstreamRequest("POST", path, (), body, stream=False))
    assert got == status
    assert "error" in json.loads(raw)


@pytest.mark.parametrize(
    ("message", "script"),
    [
        ("tell me: what is it?", Script()),
        ("say:", Script(say="")),
        ("  say: a: b  ", Script(say="a: b")),
        ("then say: done", Script(then_say="done")),
        ("call tool f", Script(calls=(("f", "{}"),))),
        ('call tool f {"a": 1}\ncall tool g nonsense', Script(calls=(("f", '{"a": 1}'), ("g", "nonsense")))),
        ("hang: 0.5\npause: 2", Script(hang_s=0.5, pause_s=2.0)),
        ("hang: on", Script()),
        ("chunk size: 0", Script(size=1)),
        ("chunks: 4\ncut after 1 chunk", Script(pieces=4, cut_after=1)),
        ("fail: 200", Script()),
        ("fail: 429 at openai-eu", Script(fail=429, fail_at="openai-eu")),
        ("usage: 12 34\nfinish: length", Script(usage=(12, 34), truncated=True)),
        ("this is malformed\nnot a line", Script()),
        ("malformed", Script(malformed=True)),
        ('backwards\nsay: cba\ncall tool f }1:"a"{', Script(say="abc", calls=(("f", '{"a":1}'),))),
        ("a step backwards\nsay: cba\ncall tool f", Script(say="cba", calls=(("f", "{}"),))),
    ],
)  # fmt: skip
def test_directives_are_whole_lines(message, script):
    """A line that is not exactly a directive is text."""
    assert read_script(message) == script
