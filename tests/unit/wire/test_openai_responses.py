"""OpenAI responses, whole and streamed, with the SDK's own types and accumulator as the judge."""

import json

import pytest
from openai import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from magistrate.exchange.content import PartKind, Role
from magistrate.exchange.errors import MalformedAnswer, Unreadable
from magistrate.exchange.outcome import Code, Refusal
from magistrate.wire.openai_responses import OpenAIResponses

RESPONSES = OpenAIResponses()
EVENT = TypeAdapter(ResponseStreamEvent)
VERDICT = Refusal(Code.OUTPUT_WITHHELD, "a secret was withheld", record="018f-rec")
MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": []}
CALL = {"id": "fc_1", "type": "function_call", "status": "completed", "call_id": "call_1", "name": "send"}
RESPONSE = {
    "id": "resp_1", "object": "response", "created_at": 5, "status": "completed", "error": None,
    "incomplete_details": None, "instructions": None, "metadata": {}, "model": "gpt-5-2026", "output": [],
    "parallel_tool_calls": True, "temperature": 1.0, "tool_choice": "auto", "tools": [], "top_p": 1.0,
    "usage": {"input_tokens": 3, "input_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 0},
              "output_tokens": 4, "output_tokens_details": {"reasoning_tokens": 2}, "total_tokens": 7},
}  # fmt: skip


def ask(**changes):
    return RESPONSES.read_request(json.dumps({"model": "gpt-5", "input": "hello", **changes}).encode(), {})


def spoken(text, **more):
    return {**MESSAGE, "content": [{"type": "output_text", "text": text, "annotations": [], **more}]}


def numbered(*trees):
    return [{"sequence_number": number, **tree} for number, tree in enumerate(trees)]


def answer_stream(text="Hello Ada", arguments='{"to": "ada@example.org"}', size=3):
    """A whole stream: a message and a call, cut into pieces of ``size``."""
    at_text = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    at_call = {"item_id": "fc_1", "output_index": 1}
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    pieces = lambda whole: [whole[i : i + size] for i in range(0, len(whole), size)]  # noqa: E731
    return numbered(
        {"type": "response.created", "response": {**RESPONSE, "status": "in_progress", "usage": None}},
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {**MESSAGE, "status": "in_progress"},
        },
        {"type": "response.content_part.added", **at_text, "part": {**part, "text": ""}},
        *(
            {"type": "response.output_text.delta", **at_text, "delta": p, "logprobs": []}
            for p in pieces(text)
        ),
        {"type": "response.output_text.done", **at_text, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **at_text, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": {**MESSAGE, "content": [part]}},
        {"type": "response.output_item.added", "output_index": 1, "item": {**CALL, "arguments": ""}},
        *(
            {"type": "response.function_call_arguments.delta", **at_call, "delta": p}
            for p in pieces(arguments)
        ),
        {"type": "response.function_call_arguments.done", **at_call, "arguments": arguments},
        {"type": "response.output_item.done", "output_index": 1, "item": {**CALL, "arguments": arguments}},
        {
            "type": "response.completed",
            "response": {
                **RESPONSE,
                "output": [{**MESSAGE, "content": [part]}, {**CALL, "arguments": arguments}],
            },
        },
    )


def sse(tree):
    return f"event: {tree['type']}\ndata: {json.dumps(tree)}\n\n".encode()


def events(*trees):
    reader = RESPONSES.open_stream()
    return [event for tree in trees for event in reader.feed(sse(tree))]


def sent(raw):
    blocks = [block.split(b"\n", 1) for block in raw.split(b"\n\n") if block]
    trees = [json.loads(data.removeprefix(b"data: ")) for _, data in blocks]
    assert [name for name, _ in blocks] == [b"event: " + tree["type"].encode() for tree in trees]
    return trees


def accumulated(trees):
    """Feed events to the SDK's accumulator; return its state."""
    state = ResponseStreamState(input_tools=[], text_format=omit)
    for tree in trees:
        state.handle_event(EVENT.validate_python(tree))
    return state


def held_until_closed(trees):
    """Relay a stream that holds back every text until its channel closes, as the strictest inspector would."""
    held, last, out = {}, {}, b""
    for event in events(*trees):
        closing = [c for c in held if event.closes_all or c in event.closes]
        for channel in closing:
            out += RESPONSES.carry(*last.pop(channel), held.pop(channel))
        for delta in event.deltas:
            held[delta.channel] = held.get(delta.channel, "") + delta.text
            last[delta.channel] = (event, delta)
        out += RESPONSES.write_event(event, dict.fromkeys(range(len(event.deltas)), ""), {})
    return out


# --- requests ---------------------------------------------------------------------------------------------------


@pytest.mark.requirement("P9")
def test_a_plain_string_is_the_users_words():
    parts = {part.path: part for part in ask(instructions="be kind").parts}
    assert parts["input",].role is Role.USER
    assert parts["instructions",].role is Role.SYSTEM


REFUSED = {
    "no model": ({"model": None}, "model"),
    "input as a number": ({"input": 5}, "input"),
    "an item as a string": ({"input": ["hello"]}, "input.0"),
    "a role nobody knows": ({"input": [{"role": "oracle", "content": "x"}]}, "input.0.role"),
    "a role that is no string": ({"input": [{"role": {}, "content": "x"}]}, "input.0.role"),
    "a message without content": ({"input": [{"role": "user"}]}, "input.0.content"),
    "a text as a list": ({"input": [{"role": "user", "content": [{"type": "input_text", "text": []}]}]},
                         "input.0.content.0.text"),
    "arguments as an object": ({"input": [{**CALL, "arguments": {}}]}, "input.0.arguments"),
    "arguments that parsers read differently": ({"input": [{**CALL, "arguments": '{"a":1,"a":2}'}]},
                                                "input.0.arguments"),
    "tools as an object": ({"tools": {}}, "tools"),
    "stream as a word": ({"stream": "yes"}, "stream"),
    "a limit as a word": ({"max_output_tokens": "9"}, "max_output_tokens"),
}  # fmt: skip


@pytest.mark.requirement("P9")
@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_refused_with_its_place(case):
    changes, place = REFUSED[case]
    with pytest.raises(Unreadable) as caught:
        ask(**changes)
    assert caught.value.param == place


def test_encrypted_reasoning_travels_byte_for_byte_and_is_told_as_opaque():
    sealed = "gAAAAABo-_9x=="
    exchange = ask(input=[{"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": sealed}])
    (part,) = [part for part in exchange.parts if part.kind is PartKind.OPAQUE]
    assert part.path == ("input", 0, "encrypted_content")
    written = json.loads(RESPONSES.write_request(exchange, {}, model="m"))
    assert written["input"][0]["encrypted_content"] == sealed


@pytest.mark.parametrize(("asked", "cap", "sent_on"), [(None, 9, 9), (5, 9, 5), (50, 9, 9), (50, None, 50)])
def test_the_lower_output_limit_and_the_endpoints_model_go_on(asked, cap, sent_on):
    exchange = ask(max_output_tokens=asked)
    written = json.loads(RESPONSES.write_request(exchange, {}, model="the-endpoints-name", cap=cap))
    assert written["max_output_tokens"] == sent_on
    assert written["model"] == "the-endpoints-name"


# --- answers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"output": {}}', b'{"output": ["x"]}', b"not json"])
def test_what_is_no_response_is_malformed(body):
    with pytest.raises(MalformedAnswer):
        RESPONSES.read_answer(body)


def test_usage_and_ending_are_read():
    answer = RESPONSES.read_answer(json.dumps(RESPONSE).encode())
    assert (answer.usage.input_tokens, answer.usage.cached_tokens) == (3, 1)
    assert (answer.usage.output_tokens, answer.usage.reasoning_tokens) == (4, 2)
    cut = {**RESPONSE, "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    assert RESPONSES.read_answer(json.dumps(cut).encode()).finish == "max_output_tokens"


TRUE_TOKENS = [{"token": "my ", "logprob": -1}, {"token": "secret", "logprob": -2}]


@pytest.mark.requirement("P9")
@pytest.mark.parametrize(
    ("tokens", "kept"),
    [
        (TRUE_TOKENS, True),
        (TRUE_TOKENS[:1], False),
        ([{"token": "other"}], False),
        ([{"token": "my secret", "note": "hidden"}], False),
        ("my secret", False),
        ({"a": "b"}, False),
    ],
)
def test_token_texts_stay_only_where_they_repeat_the_text(tokens, kept):
    """A text cut into tokens is one that no detector can read."""
    body = {**RESPONSE, "output": [spoken("my secret", logprobs=tokens)]}
    answer = RESPONSES.read_answer(json.dumps(body).encode())
    written = json.loads(RESPONSES.write_answer(answer, {}))
    assert written["output"][0]["content"][0]["logprobs"] == (tokens if kept else [])


@pytest.mark.requirement("P9")
def test_a_rewritten_text_loses_its_token_texts():
    body = {**RESPONSE, "output": [spoken("my secret", logprobs=TRUE_TOKENS)]}
    answer = RESPONSES.read_answer(json.dumps(body).encode())
    (index,) = [i for i, part in enumerate(answer.parts) if part.text == "my secret"]
    written = RESPONSES.write_answer(answer, {index: "[redacted]"})
    assert b"secret" not in written
    assert Response.model_validate_json(written).output_text == "[redacted]"
    assert answer.body["output"][0]["content"][0]["logprobs"] == TRUE_TOKENS


# --- streams ----------------------------------------------------------------------------------------------------


@pytest.mark.requirement("P1", "X3")
def test_an_untouched_stream_accumulates_to_the_endpoints_response():
    out = b"".join(RESPONSES.write_event(event, {}, {}) for event in events(*answer_stream()))
    assert sent(out) == answer_stream()
    assert accumulated(sent(out))._completed_response.output_text == "Hello Ada"


@pytest.mark.requirement("P6", "X3")
@pytest.mark.parametrize("size", [1, 4, 100])
def test_a_stream_held_back_whole_still_accumulates_in_the_sdk(size):
    """Inserted events carry what was held; the SDK's running snapshot and its final response both are right."""
    trees = sent(held_until_closed(answer_stream(size=size)))
    state = accumulated(trees)
    snapshot = state._ResponseStreamState__current_snapshot
    assert snapshot.output[0].content[0].text == "Hello Ada"
    assert json.loads(snapshot.output[1].arguments) == {"to": "ada@example.org"}
    assert state._completed_response.output_text == "Hello Ada"
    numbers = [tree["sequence_number"] for tree in trees]
    assert numbers == sorted(numbers)


@pytest.mark.requirement("P6")
def test_text_that_stands_in_the_opening_event_already_is_part_of_the_channel():
    """A secret cannot hide by standing half in ``added`` and half in the first delta."""
    opened = {"type": "response.content_part.added", "output_index": 0, "content_index": 0,
              "part": {"type": "output_text", "text": "AKIA", "annotations": []}}  # fmt: skip
    more = {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "IOSF"}
    item = {"type": "response.output_item.added", "output_index": 1, "item": {**CALL, "arguments": '{"a'}}
    first, second, third = events(opened, more, item)
    assert first.deltas[0].channel == second.deltas[0].channel
    assert not any("AKIA" in part.text for part in first.parts)
    assert (third.deltas[0].text, third.deltas[0].kind) == ('{"a', PartKind.TOOL_ARGUMENTS)
    carried = json.loads(RESPONSES.carry(first, first.deltas[0], "AK").split(b"data: ")[1])
    assert carried == {"type": "response.output_text.delta", "output_index": 0, "content_index": 0,
                       "delta": "AK", "logprobs": []}  # fmt: skip


@pytest.mark.requirement("P6")
@pytest.mark.parametrize(
    "end",
    [
        {"type": "response.output_text.done", "output_index": 0, "content_index": 0, "text": "a"},
        {"type": "response.output_item.done", "output_index": 0, "item": spoken("a")},
    ],
)
def test_a_text_that_goes_on_after_its_end_is_malformed(end):
    """What a client would join, nobody may judge apart."""
    piece = {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "a"}
    with pytest.raises(MalformedAnswer, match="after its end"):
        events(piece, end, piece)


TROUBLE = {
    "a delta without its item": {"type": "response.output_text.delta", "content_index": 0, "delta": "x"},
    "an index that is a word": {"type": "response.output_text.delta", "output_index": "0", "content_index": 0,
                                "delta": "x"},
    "a delta that is an object": {"type": "response.output_text.delta", "output_index": 0, "content_index": 0,
                                  "delta": {"x": 1}},
    "whole arguments that parsers read differently": {"type": "response.function_call_arguments.done",
                                                      "output_index": 0, "arguments": '{"a":1,"a":2}'},
    "a response that is a word": {"type": "response.completed", "response": "x"},
}  # fmt: skip


@pytest.mark.parametrize("case", TROUBLE)
def test_an_event_that_cannot_be_read_is_malformed(case):
    with pytest.raises(MalformedAnswer):
        events(TROUBLE[case])


def test_an_event_whose_name_and_type_differ_is_malformed():
    """Clients that go by the name and clients that go by the type would see different events."""
    with pytest.raises(MalformedAnswer):
        RESPONSES.open_stream().feed(b'event: response.created\ndata: {"type":"response.queued"}\n\n')


def test_a_stream_without_its_last_event_was_cut():
    reader = RESPONSES.open_stream()
    reader.feed(b"".join(map(sse, answer_stream()[:-1])))
    with pytest.raises(MalformedAnswer, match="cut"):
        reader.finish()


def test_a_changed_piece_loses_its_token_texts():
    piece = {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "secret",
             "logprobs": [{"token": "secret", "logprob": -1}]}  # fmt: skip
    (event,) = events(piece)
    assert sent(RESPONSES.write_event(event, {}, {})) == [piece]
    assert b"secret" not in RESPONSES.write_event(event, {0: "*"}, {})


@pytest.mark.requirement("P9")
def test_tokens_not_chosen_are_dropped_from_pieces():
    """Over a stream, the alternatives could spell what the text does not say."""
    piece = {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "a",
             "logprobs": [{"token": "a", "logprob": -1, "top_logprobs": [{"token": "s3", "logprob": -2}]}]}  # fmt: skip
    (event,) = events(piece)
    assert b"s3" not in RESPONSES.write_event(event, {}, {})


# --- refusals ---------------------------------------------------------------------------------------------------


def test_a_refusal_has_openais_error_shape():
    told = json.loads(RESPONSES.refuse(VERDICT))["error"]
    assert told["code"] == "output_withheld"
    assert "018f-rec" in told["message"]


@pytest.mark.requirement("P6", "X3")
@pytest.mark.parametrize("passed", range(1, 8))
def test_a_refused_stream_ends_as_a_failed_response_that_codex_does_not_repeat(passed):
    """The SDK accepts the end at any point; the code is one that agents take for final."""
    before = answer_stream()[:passed]
    ending = sent(RESPONSES.refuse_in_stream(VERDICT, events(*before)[-4:]))
    assert [tree["type"] for tree in ending] == ["response.failed"]
    accumulated([*before, *ending])
    failed = EVENT.validate_python(ending[0]).response
    assert (failed.id, failed.status, failed.output) == ("resp_1", "failed", [])
    assert failed.error.code == "invalid_prompt"
    assert ending[0]["response"]["magistrate"]["record"] == "018f-rec"
    assert ending[0]["sequence_number"] == before[-1]["sequence_number"] + 1


def test_a_refusal_before_the_first_event_opens_the_response_that_it_ends():
    """SDKs read nothing before ``response.created``."""
    ending = sent(RESPONSES.refuse_in_stream(VERDICT, []))
    assert [tree["type"] for tree in ending] == ["response.created", "response.failed"]
    accumulated(ending)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (Code.POLICY_DENIED, "invalid_prompt"),
        (Code.UPSTREAM_ERROR, "server_error"),
        (Code.EVIDENCE_UNAVAILABLE, "server_error"),
    ],
)
def test_a_fault_may_be_tried_again_and_a_verdict_may_not(code, told):
    ending = sent(RESPONSES.refuse_in_stream(Refusal(code, "no"), events(*answer_stream()[:3])))
    assert ending[-1]["response"]["error"]["code"] == told


def test_an_endpoints_error_in_the_stream_ends_it():
    (event,) = events({"type": "error", "code": "server_error", "message": "out of luck", "param": None})
    assert event.error
    assert event.terminal
    assert "out of luck" in [part.text for part in event.parts]
