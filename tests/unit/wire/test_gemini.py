"""Gemini, whole and streamed."""

import json

import pytest

from magistrate.exchange.content import PartKind, Role
from magistrate.exchange.errors import MalformedAnswer, Unreadable
from magistrate.exchange.outcome import Code, Refusal
from magistrate.wire.gemini import Gemini

GEMINI = Gemini()
HELLO = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}
VERDICT = Refusal(Code.OUTPUT_WITHHELD, "a secret was withheld", record="018f-rec")


def ask(verb="generateContent", **changes):
    body = {key: value for key, value in {**HELLO, **changes}.items() if value is not ...}
    return GEMINI.read_request(json.dumps(body).encode(), {"model": "gemini-3", "verb": verb})


def answer(*parts, **more):
    candidate = {
        "content": {"role": "model", "parts": list(parts)},
        "finishReason": "STOP",
        "index": 0,
        **more,
    }
    return GEMINI.read_answer(json.dumps({"candidates": [candidate]}).encode())


def chunk(*parts, index=0, **more):
    return {"candidates": [{"content": {"parts": list(parts), "role": "model"}, "index": index, **more}],
            "modelVersion": "gemini-3-001", "responseId": "r1"}  # fmt: skip


def sse(tree):
    return f"data: {json.dumps(tree)}\r\n\r\n".encode()


def events(*trees):
    reader = GEMINI.open_stream()
    return [event for tree in trees for event in reader.feed(sse(tree))] + reader.finish()


def sent(raw):
    return [json.loads(block.removeprefix(b"data: ")) for block in raw.split(b"\n\n") if block]


def said(trees, index=0, *, thought=False):
    """Join a candidate's text as the SDK does."""
    return "".join(
        part.get("text", "")
        for tree in trees
        for candidate in tree["candidates"]
        if candidate["index"] == index
        for part in candidate["content"]["parts"]
        if bool(part.get("thought")) is thought
    )


# --- requests ---------------------------------------------------------------------------------------------------


@pytest.mark.requirement("P9")
@pytest.mark.parametrize("name", ["systemInstruction", "system_instruction"])
def test_both_spellings_of_a_field_are_read_alike(name):
    exchange = ask(**{name: {"parts": {"text": "be kind"}}})
    (part,) = [part for part in exchange.parts if part.text == "be kind"]
    assert (part.role, part.path) == (Role.SYSTEM, (name, "parts", "text"))


@pytest.mark.requirement("P9")
@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"systemInstruction": {"parts": []}, "system_instruction": {"parts": []}}, "system_instruction"),
        ({"generationConfig": {"maxOutputTokens": 5, "max_output_tokens": 500}}, "generationConfig.max_output_tokens"),
        ({"contents": ...}, "contents"),
        ({"contents": "hello"}, "contents"),
        ({"contents": [{"role": "system", "parts": []}]}, "contents.0.role"),
        ({"contents": [{"parts": ["hello"]}]}, "contents.0.parts.0"),
        ({"contents": [{"parts": [{"text": {"a": 1}}]}]}, "contents.0.parts.0.text"),
        ({"systemInstruction": "be kind"}, "systemInstruction"),
        ({"generationConfig": {"maxOutputTokens": "500"}}, "maxOutputTokens"),
        ({"toolConfig": {"functionCallingConfig": {"streamFunctionCallArguments": True}}},
         "toolConfig.functionCallingConfig.streamFunctionCallArguments"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_in_one_way_is_refused_with_its_place(changes, place):
    """Twice the same field, text of the wrong type, a role that is none."""
    with pytest.raises(Unreadable) as caught:
        ask(**changes)
    assert caught.value.param == place


@pytest.mark.parametrize(
    ("verb", "operation", "stream"),
    [
        ("generateContent", "generate", False),
        ("streamGenerateContent", "generate", True),
        ("countTokens", "count_tokens", False),
    ],
)
def test_the_path_names_verb_and_model_and_the_body_travels_without_them(verb, operation, stream):
    exchange = ask(verb)
    assert (exchange.operation, exchange.stream, exchange.model) == (operation, stream, "gemini-3")
    assert json.loads(GEMINI.write_request(exchange, {}, model="other")) == HELLO


def test_a_count_of_a_whole_request_is_read_inside_and_names_the_endpoints_model():
    inner = {"model": "models/gemini-3", **HELLO}
    exchange = ask("countTokens", contents=..., generateContentRequest=inner)
    assert "hello" in [part.text for part in exchange.parts]
    written = json.loads(GEMINI.write_request(exchange, {}, model="theirs", cap=9))
    assert written == {"generateContentRequest": {"model": "models/theirs", **HELLO}}


@pytest.mark.parametrize(
    ("config", "cap", "sent_on"),
    [
        ({}, 9, {"generationConfig": {"maxOutputTokens": 9}}),
        ({"generationConfig": None}, 9, {"generationConfig": {"maxOutputTokens": 9}}),
        ({"generationConfig": {"maxOutputTokens": 5}}, 9, {"generationConfig": {"maxOutputTokens": 5}}),
        ({"generation_config": {"max_output_tokens": 50, "seed": 1}}, 9,
         {"generation_config": {"max_output_tokens": 9, "seed": 1}}),
        ({"generationConfig": {"max_output_tokens": 50}}, 9, {"generationConfig": {"max_output_tokens": 9}}),
    ],
)  # fmt: skip
def test_the_lower_output_limit_goes_on_in_the_clients_spelling(config, cap, sent_on):
    exchange = ask(**config)
    assert json.loads(GEMINI.write_request(exchange, {}, model="m", cap=cap)) == HELLO | sent_on


def test_thought_signatures_travel_byte_for_byte():
    turn = {"role": "model", "parts": [{"text": "hm", "thought": True, "thoughtSignature": "Ab+/=="}]}
    exchange = ask(contents=[turn])
    written = json.loads(GEMINI.write_request(exchange, {0: "redacted"}, model="m"))
    part = written["contents"][0]["parts"][0]
    assert part["thoughtSignature"] == "Ab+/=="
    assert exchange.parts[0].kind is PartKind.REASONING
    assert part["text"] == "redacted"


@pytest.mark.requirement("P9")
def test_bytes_that_are_no_base64_are_read_as_text():
    """Only bytes may go unread."""
    part = {"inlineData": {"mimeType": "image/png", "data": "my password is secret!"}}
    exchange = ask(contents=[{"parts": [part]}])
    assert "my password is secret!" in [p.text for p in exchange.parts]


# --- answers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"candidates": {}}', b'{"candidates": ["x"]}', b"not json"])
def test_what_is_no_answer_is_malformed(body):
    with pytest.raises(MalformedAnswer):
        GEMINI.read_answer(body)


def test_a_blocked_prompt_and_a_count_are_answers():
    blocked = GEMINI.read_answer(b'{"promptFeedback": {"blockReason": "SAFETY"}}')
    assert blocked.finish == "SAFETY"
    counted = GEMINI.read_answer(b'{"totalTokens": 12}')
    assert (counted.usage.input_tokens, counted.parts) == (12, ())


TRUE_TOKENS = {
    "chosenCandidates": [{"token": "my "}, {"token": "secret", "tokenId": 3, "logProbability": -1.0}]
}


@pytest.mark.requirement("P9")
@pytest.mark.parametrize(
    ("tokens", "kept"),
    [
        (TRUE_TOKENS, True),
        ({"chosenCandidates": [{"token": "other"}]}, False),
        ({"chosenCandidates": [{"token": "my secret", "note": "hidden"}]}, False),
        ({"topCandidates": [{"candidates": [{"token": "my secret"}]}]}, False),
        ("my secret", False),
    ],
)
def test_token_texts_stay_only_where_they_repeat_the_text(tokens, kept):
    read = answer({"text": "my secret"}, logprobsResult=tokens)
    assert ("logprobsResult" in json.loads(GEMINI.write_answer(read, {}))["candidates"][0]) is kept


@pytest.mark.requirement("P9")
def test_a_rewritten_candidate_loses_its_token_texts():
    read = answer({"text": "my secret"}, logprobsResult=TRUE_TOKENS)
    (index,) = [i for i, part in enumerate(read.parts) if part.text == "my secret"]
    assert b"secret" not in GEMINI.write_answer(read, {index: "***"})


# --- streams ----------------------------------------------------------------------------------------------------


@pytest.mark.requirement("P6")
def test_the_last_event_closes_everything_and_no_earlier_one_does():
    """Nothing in the format marks the end: it is the event after which the input ends."""
    found = events(chunk({"text": "a"}), chunk({"text": "b"}, finishReason="STOP"), chunk({"text": "c"}))
    assert [event.closes_all for event in found] == [False, False, True]
    assert [event.terminal for event in found] == [False, False, True]


@pytest.mark.parametrize("trees", [[], [chunk({"text": "a"})]])
def test_a_stream_without_a_finish_reason_was_cut(trees):
    with pytest.raises(MalformedAnswer, match="cut"):
        events(*trees)


def test_the_array_form_is_refused_with_the_way_out():
    with pytest.raises(MalformedAnswer, match="alt=sse"):
        GEMINI.open_stream().feed(b' \n[{"candidates": []}')


def test_function_arguments_in_pieces_are_malformed():
    """What is not whole cannot be judged as the value it will be."""
    part = {"functionCall": {"name": "f", "partialArgs": [{"jsonPath": "$.a", "stringValue": "x"}]}}
    with pytest.raises(MalformedAnswer):
        events(chunk(part, finishReason="STOP"))


@pytest.mark.requirement("P6", "P1")
def test_a_stream_held_back_whole_says_the_same():
    """Thoughts, texts of two candidates and a call: what was held comes back in chunks of its own."""
    trees = [
        chunk({"text": "hm", "thought": True}), chunk({"text": "Hel"}), chunk({"text": "Good"}, index=1),
        chunk({"text": "lo"}, {"text": " Ada"}), chunk({"functionCall": {"name": "f", "args": {"a": 1}}}),
        chunk({"text": " day"}, index=1, finishReason="STOP"), chunk({"text": ""}, finishReason="STOP"),
    ]  # fmt: skip
    held, last, out = {}, {}, b""
    for event in events(*trees):
        for delta in event.deltas:
            held[delta.channel] = held.get(delta.channel, "") + delta.text
            last[delta.channel] = (event, delta)
        if event.closes_all:
            out += b"".join(GEMINI.carry(*last[channel], text) for channel, text in held.items())
        out += GEMINI.write_event(event, dict.fromkeys(range(len(event.deltas)), ""), {})
    relayed = sent(out)
    for index, thought in ((0, False), (1, False), (0, True)):
        assert said(relayed, index, thought=thought) == said(trees, index, thought=thought)
    assert sum("functionCall" in json.dumps(tree) for tree in relayed) == 1
    assert sum("finishReason" in json.dumps(tree) for tree in relayed) == 2


def test_what_is_carried_repeats_neither_usage_nor_other_text():
    (first, _) = events(
        {**chunk({"text": "a"}, {"text": "b", "thought": True}), "usageMetadata": {"promptTokenCount": 1}},
        chunk(finishReason="STOP"),
    )
    carried = sent(GEMINI.carry(first, first.deltas[1], "x"))
    assert carried == [
        {"candidates": [{"content": {"parts": [{"text": "x", "thought": True}], "role": "model"}, "index": 0}],
         "modelVersion": "gemini-3-001", "responseId": "r1"}
    ]  # fmt: skip


# --- refusals and errors ----------------------------------------------------------------------------------------


def test_a_refusal_has_googles_error_shape():
    error = json.loads(GEMINI.refuse(Refusal(Code.POLICY_DENIED, "no", record="018f")))["error"]
    assert (error["code"], error["status"]) == (403, "PERMISSION_DENIED")
    assert error["message"] == "no (record 018f)"
    assert error["details"][0]["reason"] == "POLICY_DENIED"


@pytest.mark.requirement("P6")
def test_a_refused_stream_stops_every_open_candidate_for_safety():
    seen = events(
        chunk({"text": "a"}), chunk({"text": "b"}, index=1, finishReason="STOP"), chunk(finishReason="STOP")
    )
    (ending,) = sent(GEMINI.refuse_in_stream(VERDICT, seen[:2]))
    (candidate,) = ending["candidates"]
    assert (candidate["index"], candidate["finishReason"]) == (0, "SAFETY")
    assert ending["magistrate"]["record"] == "018f-rec"
    assert ending["responseId"] == "r1"
    (alone,) = sent(GEMINI.refuse_in_stream(Refusal(Code.UPSTREAM_ERROR, "broke off"), []))
    assert alone["candidates"][0]["finishReason"] == "OTHER"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'{"error": 5}', b'[{"error": {"message": []}}]'])
def test_any_error_body_becomes_a_native_error(body):
    summary, native = GEMINI.read_error(503, body)
    assert summary == "503"
    assert json.loads(native)["error"]["status"] == "UNAVAILABLE"


def test_an_endpoints_error_passes_on_but_for_what_it_says_about_our_credential():
    native = {"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED"}}
    summary, body = GEMINI.read_error(429, json.dumps([native]).encode())
    assert (summary, json.loads(body)) == ("429 RESOURCE_EXHAUSTED", native)
    leaky = {"error": {"code": 403, "message": "project 1234 is not allowed", "status": "PERMISSION_DENIED"}}
    assert b"1234" not in GEMINI.read_error(403, json.dumps(leaky).encode())[1]
