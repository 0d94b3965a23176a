"""Anthropic messages, whole and streamed."""

import json

import pytest

from magistrate.exchange.content import PartKind
from magistrate.exchange.errors import MalformedAnswer, Unreadable
from magistrate.exchange.outcome import Code, Refusal
from magistrate.wire.anthropic_messages import AnthropicMessages

MESSAGES = AnthropicMessages()
HELLO = {"model": "claude", "max_tokens": 100, "messages": [{"role": "user", "content": "hello"}]}
REFUSAL = Refusal(Code.OUTPUT_WITHHELD, "a secret was withheld", record="018f-rec")
START = {
    "type": "message_start",
    "message": {"id": "m", "model": "claude", "content": [], "usage": {"output_tokens": 1}},
}


def ask(verb="messages", **changes):
    return MESSAGES.read_request(json.dumps({**HELLO, **changes}).encode(), {"verb": verb})


def sse(tree):
    return f"event: {tree['type']}\ndata: {json.dumps(tree)}\n\n".encode()


def events(*trees):
    reader = MESSAGES.open_stream()
    return [event for tree in trees for event in reader.feed(sse(tree))]


def delta(index, **fields):
    return {"type": "content_block_delta", "index": index, "delta": fields}


def sent(raw):
    blocks = [block.split(b"\n", 1) for block in raw.split(b"\n\n") if block]
    trees = [json.loads(data.removeprefix(b"data: ")) for _, data in blocks]
    assert [name for name, _ in blocks] == [b"event: " + tree["type"].encode() for tree in trees]
    return trees


REFUSED = {
    "messages as an object": ({"messages": {}}, "messages"),
    "no content": ({"messages": [{"role": "user"}]}, "messages.0.content"),
    "content null": ({"messages": [{"role": "user", "content": None}]}, "messages.0.content"),
    "content as an object": ({"messages": [{"role": "user", "content": {}}]}, "messages.0.content"),
    "a role nobody knows": ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
    "system as a number": ({"system": 5}, "system"),
    "text null": (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": None}]}]},
        "messages.0.content.0.text",
    ),
    "bytes as an object": (
        {
            "messages": [
                {"role": "user", "content": [{"type": "image", "source": {"type": "base64", "data": {}}}]}
            ]
        },
        "messages.0.content.0.source.data",
    ),
    "max_tokens as text": ({"max_tokens": "9"}, "max_tokens"),
    "stream as a number": ({"stream": 1}, "stream"),
}


@pytest.mark.requirement("P9")
@pytest.mark.parametrize(("changes", "place"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_read_is_refused_with_its_place(changes, place):
    with pytest.raises(Unreadable) as caught:
        ask(**changes)
    assert caught.value.param == place


@pytest.mark.requirement("P1")
def test_a_count_is_the_same_body_with_another_verb():
    """features.md complaint 9: coding agents count before they ask."""
    exchange = ask("count_tokens", stream=True)
    assert (exchange.operation, exchange.stream) == ("count_tokens", False)
    assert "hello" in [part.text for part in exchange.parts]
    body = json.loads(MESSAGES.write_request(exchange, {}, model="up", cap=5))
    assert (body["model"], body["max_tokens"]) == ("up", 100)
    counted = MESSAGES.read_answer(b'{"input_tokens": 17}')
    assert (counted.parts, counted.usage.input_tokens) == ((), 17)
    assert json.loads(MESSAGES.write_answer(counted, {})) == {"input_tokens": 17}


def test_the_cap_lowers_and_never_raises():
    for cap, expected in [(None, 100), (50, 50), (500, 100)]:
        assert json.loads(MESSAGES.write_request(ask(), {}, model="m", cap=cap))["max_tokens"] == expected


@pytest.mark.requirement("P1")
def test_signatures_travel_byte_for_byte_beside_rewritten_text():
    """Thinking blocks whose signature changes are refused by the endpoint."""
    blocks = [
        {"type": "thinking", "thinking": "about ann@x.org", "signature": "Eq/oB+Ck=="},
        {"type": "redacted_thinking", "data": "EmwKAhgB"},
        {"type": "text", "text": "hi ann@x.org"},
    ]
    exchange = ask(messages=[{"role": "assistant", "content": blocks}])
    index = [p.text for p in exchange.parts].index("hi ann@x.org")
    out = json.loads(MESSAGES.write_request(exchange, {index: "hi [email]"}, model="m"))
    assert out["messages"][0]["content"] == [*blocks[:2], {"type": "text", "text": "hi [email]"}]
    sealed = [p for p in exchange.parts if p.kind is PartKind.OPAQUE]
    assert [p.path[-1] for p in sealed] == ["signature", "data"]


@pytest.mark.requirement("P9")
@pytest.mark.parametrize(
    "block",
    [
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": "my secret, in words"},
        },
        {"type": "thinking", "thinking": "", "signature": "my secret, in words"},
        {"type": "redacted_thinking", "data": "my secret, in words"},
    ],
)
def test_words_that_pose_as_bytes_are_read(block):
    """Only base64 goes unread."""
    exchange = ask(messages=[{"role": "assistant", "content": [block]}])
    (found,) = [p for p in exchange.parts if p.text == "my secret, in words"]
    assert found.kind is PartKind.TEXT


def test_cached_input_counts_as_input():
    usage = {
        "input_tokens": 1,
        "cache_read_input_tokens": 10,
        "cache_creation_input_tokens": 100,
        "output_tokens": 5,
    }
    read = MESSAGES.read_answer(json.dumps({"content": [], "usage": usage}).encode())
    assert (read.usage.input_tokens, read.usage.cached_tokens, read.usage.output_tokens) == (111, 10, 5)


@pytest.mark.parametrize("body", [b"x", b"{}", b'{"content":5}', b'{"content":[{"type":"text","text":5}]}'])
def test_an_answer_that_is_none_is_malformed(body):
    with pytest.raises(MalformedAnswer):
        MESSAGES.read_answer(body)


def test_a_block_may_begin_with_text_already():
    started, grown = events(
        {"type": "content_block_start", "index": 2, "content_block": {"type": "text", "text": "sec"}},
        delta(2, type="text_delta", text="ret"),
    )
    assert started.deltas[0].channel == grown.deltas[0].channel == (2, "text")
    assert sent(MESSAGES.write_event(started, {0: ""}, {}))[0]["content_block"]["text"] == ""


def test_tool_input_is_a_channel_that_closes_with_its_block():
    *_, last, stop = events(
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "tool_use", "id": "t", "name": "f", "input": {}},
        },
        delta(0, type="input_json_delta", partial_json='{"a":'),
        delta(0, type="input_json_delta", partial_json="1}"),
        {"type": "content_block_stop", "index": 0},
    )
    assert last.deltas[0].kind is PartKind.TOOL_ARGUMENTS
    assert stop.closes == (last.deltas[0].channel,)
    assert sent(MESSAGES.carry(stop, last.deltas[0], "all")) == [
        delta(0, type="input_json_delta", partial_json="all")
    ]


def test_unknown_growth_is_watched_and_carried():
    (event,) = events(delta(1, type="holo_delta", holo={"x": "y"}))
    assert event.deltas[0].channel == (1, "?", "holo", "x")
    assert sent(MESSAGES.carry(event, event.deltas[0], "z")) == [
        {"type": "content_block_delta", "index": 1, "delta": {"holo": {"x": "z"}}}
    ]
    (event,) = events({"type": "new_event", "note": "text"})
    assert {d.text for d in event.deltas} == {"new_event", "text"}


@pytest.mark.parametrize(
    "raw",
    [
        b"data: hello\n\n",
        b'event: ping\ndata: {"type":"message_stop"}\n\n',
        b'data: {"type":"content_block_stop"}\n\n',
        b'data: {"type":"content_block_delta","index":0}\n\n',
        b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":5}}\n\n',
        b'data: {"type":"content_block_start","index":0,"content_block":"x"}\n\n',
        b'data: {"type":"message_start"}\n\n',
        b'data: {"type":"ping","type":"message_stop"}\n\n',
    ],
)
def test_an_event_that_is_none_is_malformed(raw):
    with pytest.raises(MalformedAnswer):
        MESSAGES.open_stream().feed(raw)


def test_a_refused_stream_closes_its_block_and_stops_with_refusal():
    """Never a cut stream (features.md section 6)."""
    seen = events(
        START,
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        delta(0, type="text_delta", text="my"),
    )
    stop, ended, last = sent(MESSAGES.refuse_in_stream(REFUSAL, seen))
    assert stop == {"type": "content_block_stop", "index": 0}
    assert ended["delta"]["stop_reason"] == "refusal"
    assert "018f-rec" in ended["delta"]["stop_details"]["explanation"]
    assert ended["usage"] == {"output_tokens": 1}
    assert last == {"type": "message_stop"}


def test_a_refused_stream_closes_nothing_twice():
    seen = events(START, delta(0, type="text_delta", text="a"), {"type": "content_block_stop", "index": 0})
    assert [e["type"] for e in sent(MESSAGES.refuse_in_stream(REFUSAL, seen))] == [
        "message_delta",
        "message_stop",
    ]
    seen += events(
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}}
    )
    assert [e["type"] for e in sent(MESSAGES.refuse_in_stream(REFUSAL, seen))] == ["message_stop"]


def test_before_a_message_began_the_native_error_says_it():
    (error,) = sent(MESSAGES.refuse_in_stream(REFUSAL, events({"type": "ping"})))
    assert error["error"]["type"] == "permission_error"
    assert error["request_id"] == "018f-rec"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (405, "invalid_request_error"),
        (413, "request_too_large"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (503, "overloaded_error"),
    ],
)
def test_a_refusal_has_the_type_that_fits_its_status(status, kind):
    refusal = Refusal(Code.POLICY_DENIED, "no", record="r1", status=status)
    body = json.loads(MESSAGES.refuse(refusal))
    assert body == {
        "type": "error",
        "error": {"type": kind, "message": "no (record r1)", "code": "policy_denied"},
        "request_id": "r1",
    }


@pytest.mark.parametrize(
    ("status", "body", "summary", "message"),
    [
        (529, b'{"type":"error","error":{"type":"overloaded_error","message":"busy"},"request_id":"req_1"}',
         "529 overloaded_error", "busy"),
        (401, b'{"type":"error","error":{"type":"authentication_error","message":"bad x-api-key sk-1"}}',
         "401 authentication_error", "the endpoint refused the gateway's credential"),
        (502, b"<html>", "502", "the endpoint answered 502 without saying why"),
    ],
)  # fmt: skip
def test_an_endpoints_error_is_put_in_shape(status, body, summary, message):
    told, native = MESSAGES.read_error(status, body)
    error = json.loads(native)
    assert (told, error["error"]["message"], error["type"]) == (summary, message, "error")
