"""OpenAI chat completions, whole and streamed."""

import json

import pytest

from magistrate.exchange.content import PartKind, Role
from magistrate.exchange.errors import MalformedAnswer, Unreadable
from magistrate.exchange.outcome import Code, Refusal
from magistrate.wire.openai_chat import OpenAIChat

CHAT = OpenAIChat()
HELLO = {"model": "gpt-5", "messages": [{"role": "user", "content": "hello"}]}
REFUSAL = Refusal(Code.POLICY_DENIED, "card numbers stay here", record="018f-rec")


def request(**changes):
    return json.dumps({**HELLO, **changes}).encode()


def ask(**changes):
    return CHAT.read_request(request(**changes), {})


def answer(*choices, **more):
    return CHAT.read_answer(json.dumps({"id": "c", "model": "m", "choices": choices, **more}).encode())


def chunks(*payloads):
    reader = CHAT.open_stream()
    return [e for p in payloads for e in reader.feed(b"data: " + json.dumps(p).encode() + b"\n\n")]


def chunk(delta, index=0, finish=None, **more):
    choice = {"index": index, "delta": delta, "finish_reason": finish, **more}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 7,
        "model": "m",
        "choices": [choice],
    }


def sent(raw):
    return [json.loads(line[6:]) for line in raw.decode().splitlines() if line.startswith("data: {")]


REFUSED = {
    "no model": ({"model": None}, "model"),
    "an empty model": ({"model": ""}, "model"),
    "messages as an object": ({"messages": {}}, "messages"),
    "a message as a string": ({"messages": ["hi"]}, "messages.0"),
    "no role": ({"messages": [{"content": "x"}]}, "messages.0.role"),
    "a role nobody knows": ({"messages": [{"role": "wizard", "content": "x"}]}, "messages.0.role"),
    "a role of another type": ({"messages": [{"role": ["user"], "content": "x"}]}, "messages.0.role"),
    "content as a number": ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
    "content as an object": ({"messages": [{"role": "user", "content": {"t": 1}}]}, "messages.0.content"),
    "a text part without text": (
        {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
        "messages.0.content.0.text",
    ),
    "text null": (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": None}]}]},
        "messages.0.content.0.text",
    ),
    "a part as a string": ({"messages": [{"role": "user", "content": ["x"]}]}, "messages.0.content.0"),
    "arguments as an object": (
        {"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]}]},
        "messages.0.tool_calls.0.function.arguments",
    ),
    "arguments read differently by parsers": (
        {"messages": [{"role": "assistant", "function_call": {"name": "f", "arguments": '{"a":1,"a":2}'}}]},
        "messages.0.function_call.arguments",
    ),
    "stream as a string": ({"stream": "true"}, "stream"),
    "a limit as a string": ({"max_tokens": "100"}, "max_tokens"),
    "a limit as true": ({"max_completion_tokens": True}, "max_completion_tokens"),
    "tools as an object": ({"tools": {}}, "tools"),
}


@pytest.mark.requirement("P9")
@pytest.mark.parametrize(("changes", "place"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_read_is_refused_with_its_place(changes, place):
    """P9: what cannot be parsed is refused."""
    with pytest.raises(Unreadable) as caught:
        ask(**changes)
    assert caught.value.param == place


def test_the_endpoint_gets_its_own_model_name_and_the_lower_limit():
    def limits(cap, **asked):
        tree = json.loads(CHAT.write_request(ask(**asked), {}, model="up", cap=cap))
        assert tree["model"] == "up"
        return tree.get("max_completion_tokens"), tree.get("max_tokens")

    assert limits(None) == (None, None)
    assert limits(50) == (50, None)
    assert limits(50, max_tokens=10) == (None, 10)
    assert limits(50, max_tokens=100) == (None, 50)
    assert limits(50, max_tokens=100, max_completion_tokens=20) == (20, 50)


def test_a_rewrite_lands_inside_tool_arguments_and_leaves_them_json():
    """features.md complaint 7."""
    call = {"id": "c", "type": "function", "function": {"name": "mail", "arguments": '{"to": "ann@x.org"}'}}
    exchange = ask(messages=[{"role": "assistant", "content": None, "tool_calls": [call]}])
    (index,) = [i for i, p in enumerate(exchange.parts) if p.text == "ann@x.org"]
    tree = json.loads(CHAT.write_request(exchange, {index: '[e"mail]'}, model="m"))
    assert json.loads(tree["messages"][0]["tool_calls"][0]["function"]["arguments"]) == {"to": '[e"mail]'}


def test_roles_decide_whose_words_they_are():
    names = ["system", "developer", "user", "assistant", "tool", "function"]
    exchange = ask(messages=[{"role": name, "content": name} for name in names])
    roles = {p.text: (p.role, p.kind) for p in exchange.parts if p.path[0] == "messages"}
    assert roles == {
        "system": (Role.SYSTEM, PartKind.TEXT),
        "developer": (Role.SYSTEM, PartKind.TEXT),
        "user": (Role.USER, PartKind.TEXT),
        "assistant": (Role.ASSISTANT, PartKind.TEXT),
        "tool": (Role.TOOL, PartKind.TOOL_RESULT),
        "function": (Role.TOOL, PartKind.TOOL_RESULT),
    }


@pytest.mark.requirement("P9")
@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_audio", "input_audio": {"data": "my secret, in words", "format": "wav"}},
        {"type": "file", "file": {"file_data": "my secret, in words"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,my secret, in words"}},
    ],
)
def test_words_that_pose_as_bytes_are_read(part):
    """Only base64 goes unread, so a lenient endpoint cannot be told in a field nobody looks at."""
    exchange = ask(messages=[{"role": "user", "content": [part]}])
    (found,) = [p for p in exchange.parts if "my secret, in words" in p.text]
    assert found.kind is PartKind.TEXT


def tokens(*texts, **more):
    return {"content": [{"token": t, "logprob": -1.0, "bytes": list(t.encode()), **more} for t in texts]}


def test_token_texts_go_when_the_text_is_rewritten():
    """They spell the answer once more, where no detector looks."""
    said = {
        "index": 0,
        "message": {"role": "assistant", "content": "my pin 1234"},
        "logprobs": tokens("my pin ", "1234"),
    }
    other = {"index": 1, "message": {"role": "assistant", "content": "ok"}, "logprobs": tokens("ok")}
    read = answer(said, other)
    untouched = json.loads(CHAT.write_answer(read, {}))
    assert untouched["choices"][0]["logprobs"] == said["logprobs"]
    (index,) = [i for i, p in enumerate(read.parts) if p.text == "my pin 1234"]
    masked = CHAT.write_answer(read, {index: "my pin [x]"})
    assert b"1234" not in masked
    assert json.loads(masked)["choices"][1]["logprobs"] == other["logprobs"]


@pytest.mark.requirement("P9")
@pytest.mark.parametrize(
    "logprobs",
    [
        tokens("another ", "secret"),
        {"content": [{"token": "hi", "logprob": -1, "bytes": list(b"secret")}]},
        {"content": [{"token": "hi", "logprob": -1, "note": "secret"}]},
        {"content": [{"token": "hi", "logprob": "secret"}]},
        {"secret": tokens("hi")["content"]},
        {"content": "secret"},
        "secret",
        ["secret"],
        tokens("hi", top_logprobs=[{"token": "hi", "logprob": -1, "top_logprobs": ["secret"]}]),
    ],
)
def test_token_texts_that_say_more_than_the_text_are_dropped(logprobs):
    read = answer({"index": 0, "message": {"role": "assistant", "content": "hi"}, "logprobs": logprobs})
    assert b"secret" not in CHAT.write_answer(read, {})
    event = chunks(chunk({"content": "hi"}, logprobs=logprobs))[0]
    assert b"secret" not in CHAT.write_event(event, {}, {})


def test_half_a_character_is_spelled_by_its_bytes():
    smile = "😀".encode()
    logprobs = {"content": [
        {"token": "bytes:\\xf0\\x9f", "logprob": -1, "bytes": list(smile[:2])},
        {"token": "\\x98\\x80", "logprob": -1, "bytes": list(smile[2:])},
    ]}  # fmt: skip
    read = answer({"index": 0, "message": {"role": "assistant", "content": "😀"}, "logprobs": logprobs})
    assert read.body["choices"][0]["logprobs"] == logprobs


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"[]",
        b"{}",
        b'{"choices":{}}',
        b'{"choices":[{"message":{"content":5}}]}',
        b'{"choices":[1]}',
    ],
)
def test_an_answer_that_is_none_is_malformed(body):
    with pytest.raises(MalformedAnswer):
        CHAT.read_answer(body)


def test_a_stream_ends_with_its_marker_and_only_then():
    reader = CHAT.open_stream()
    reader.feed(b'data: {"choices":[]}\n\n')
    with pytest.raises(MalformedAnswer, match="cut"):
        reader.finish()
    (end,) = reader.feed(b"data: [DONE]\n\n")
    assert (end.terminal, end.closes_all) == (True, True)
    assert CHAT.write_event(end, {}, {}) == b"data: [DONE]\n\n"
    assert reader.finish() == []


def test_a_finish_reason_closes_the_channels_of_its_choice_only():
    first, second, end = chunks(
        chunk({"content": "a"}), chunk({"reasoning": "b"}, index=1), chunk({}, finish="stop")
    )
    assert [d.channel for d in first.deltas + second.deltas] == [(0, "text"), (1, "reasoning")]
    assert end.closes == ((0, "text"),)
    assert end.finish == "stop"


def test_unknown_texts_of_a_delta_are_watched_as_they_grow():
    """A secret split over two unknown fields of two chunks would pass any look at single chunks."""
    one, two = chunks(chunk({"novel": {"x": ["sec"]}}), chunk({"novel": {"x": ["ret"]}}))
    assert one.deltas[0].channel == two.deltas[0].channel == (0, "novel", "x", 0)
    assert one.deltas[0].text + two.deltas[0].text == "secret"
    held = CHAT.write_event(one, {0: ""}, {})
    assert sent(held)[0]["choices"][0]["delta"] == {"novel": {"x": [""]}}


def test_parallel_tool_calls_are_channels_of_their_own():
    calls = [{"index": i, "function": {"arguments": f"{{{i}"}} for i in (0, 1)]
    (event,) = chunks(chunk({"tool_calls": calls}))
    assert [(d.channel, d.kind) for d in event.deltas] == [
        ((0, "tool", 0), PartKind.TOOL_ARGUMENTS),
        ((0, "tool", 1), PartKind.TOOL_ARGUMENTS),
    ]
    carried = sent(CHAT.carry(event, event.deltas[1], '{"a":1}'))[0]
    assert carried["choices"] == [
        {
            "index": 0,
            "delta": {"tool_calls": [{"function": {"arguments": '{"a":1}'}, "index": 1}]},
            "finish_reason": None,
        }
    ]
    assert carried["id"] == "chatcmpl-1"


def test_what_was_held_is_carried_alone():
    """Other channels, roles, finish reasons and usage must not come twice."""
    payload = chunk({"role": "assistant", "content": "x", "refusal": "y"}, index=3, finish="stop")
    payload["choices"].append({"index": 4, "delta": {"content": "z"}})
    payload["usage"] = {"prompt_tokens": 1}
    (event,) = chunks(payload)
    carried = sent(CHAT.carry(event, event.deltas[0], "held"))[0]
    assert carried["choices"] == [{"index": 3, "delta": {"content": "held"}, "finish_reason": None}]
    assert "usage" not in carried
    marker = CHAT.open_stream().feed(b"data: [DONE]\n\n")[0]
    assert sent(CHAT.carry(marker, event.deltas[0], "held"))[0]["choices"] == carried["choices"]


def test_a_rewritten_chunk_loses_its_token_texts():
    (event,) = chunks(chunk({"content": "1234"}, logprobs=tokens("1234")))
    assert sent(CHAT.write_event(event, {}, {}))[0]["choices"][0]["logprobs"] == tokens("1234")
    out = CHAT.write_event(event, {0: ""}, {})
    assert b"1234" not in out
    assert sent(out)[0]["choices"][0]["logprobs"] is None


def test_an_error_in_the_stream_is_told_as_such():
    (event,) = chunks({"error": {"message": "boom", "type": "server_error"}})
    assert event.error
    assert "boom" in [p.text for p in event.parts]


@pytest.mark.parametrize(
    "payload",
    [
        b"hello",
        b"{}",
        b'{"choices":{}}',
        b'{"choices":[5]}',
        b'{"choices":[{"delta":5}]}',
        b'{"choices":[{"delta":{"content":5}}]}',
        b'{"choices":[{"delta":{"content":"a","content":"b"}}]}',
        b'{"choices":[{"index":"0","delta":{}}]}',
        b'{"choices":[{"delta":{"tool_calls":{}}}]}',
        b'{"choices":[{"delta":{"tool_calls":[{"index":{},"function":{}}]}}]}',
    ],
)
def test_a_chunk_that_is_none_is_malformed(payload):
    with pytest.raises(MalformedAnswer):
        CHAT.open_stream().feed(b"data: " + payload + b"\n\n")


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        (Code.INVALID_REQUEST, 400, "invalid_request_error"),
        (Code.AUTHENTICATION_FAILED, 401, "authentication_error"),
        (Code.POLICY_DENIED, 403, "permission_error"),
        (Code.MODEL_NOT_FOUND, 404, "invalid_request_error"),
        (Code.UPSTREAM_ERROR, 502, "server_error"),
    ],
)
def test_a_refusal_is_spelled_as_openai_spells_errors(code, status, kind):
    refusal = Refusal(code, "no", record="r1", param="messages.0")
    error = json.loads(CHAT.refuse(refusal))["error"]
    assert refusal.http_status == status
    assert error == {"message": "no (record r1)", "type": kind, "param": "messages.0", "code": code.value}


def test_a_refused_stream_stops_every_open_choice_and_ends():
    seen = chunks(
        chunk({"content": "a"}), chunk({"content": "b"}, index=1), chunk({}, index=1, finish="stop")
    )
    raw = CHAT.refuse_in_stream(REFUSAL, seen)
    assert raw.endswith(b"data: [DONE]\n\n")
    (last,) = sent(raw)
    assert last["id"] == "chatcmpl-1"
    assert last["choices"] == [{"index": 0, "delta": {}, "finish_reason": "content_filter"}]
    assert last["magistrate"]["record"] == "018f-rec"


@pytest.mark.parametrize(
    ("status", "body", "summary", "message"),
    [
        (429, b'{"error":{"message":"slow down","type":"rate_limit_error","code":"rate_limited"}}',
         "429 rate_limit_error rate_limited", "slow down"),
        (401, b'{"error":{"message":"bad key sk-abc","code":"invalid_api_key"}}', "401 upstream_error",
         "the endpoint refused the gateway's credential"),
        (500, b"<html>oops</html>", "500", "the endpoint answered 500 without saying why"),
        (400, b'{"error":"plain words"}', "400", "plain words"),
        (400, b'{"error":{"message":"m","type":"secret words of the user"}}', "400", "m"),
        (502, b"", "502", "the endpoint answered 502 without saying why"),
    ],
)  # fmt: skip
def test_an_endpoints_error_is_put_in_shape_and_summarised_without_content(status, body, summary, message):
    told, native = CHAT.read_error(status, body)
    assert told == summary
    error = json.loads(native)["error"]
    assert error["message"] == message
    assert set(error) == {"message", "type", "param", "code"}
