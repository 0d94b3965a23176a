"""Laws of the wire, for OpenAI responses and Gemini: nothing unseen, nothing lost, no cut that matters."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from magistrate.exchange.content import PartKind
from magistrate.exchange.errors import MalformedAnswer, Unreadable
from magistrate.wire.dialects import DIALECTS
from magistrate.wire.strict import dump

GOLDEN = Path(__file__).parents[1] / "golden" / "wire"
NAMES = ("openai.responses", "gemini")
CASES = {name: json.loads((GOLDEN / f"{name}.json").read_text()) for name in NAMES}

pytestmark = pytest.mark.requirement("P9")
calm = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


def params(name):
    return CASES[name].get("params", {})


def read(name, side, tree):
    body = json.dumps(tree).encode()
    dialect = DIALECTS[name]
    return dialect.read_request(body, params(name)) if side == "request" else dialect.read_answer(body)


def at(value, path):
    for step in path:
        value = value[step]
    return value


def objects(value, path=()):
    """The paths of every object in a body."""
    if isinstance(value, dict):
        yield path
        for key, member in value.items():
            yield from objects(member, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from objects(item, (*path, index))


def leaves(value, path=()):
    """Every string with its path, the obvious way."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, member in value.items():
            yield from leaves(member, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))


@st.composite
def planted(draw, tree):
    """The tree with unknown fields of unique text planted in objects anywhere, and the marks to look for."""
    tree = json.loads(json.dumps(tree))
    places = list(objects(tree))
    marks = []
    for number in range(draw(st.integers(1, 6))):
        mark = f"planted{number}x"
        shapes = [mark, [1, mark], {"k": mark}, {mark: 1}, [[{"a": [mark]}]]]
        at(tree, draw(st.sampled_from(places)))[f"unknown{number}"] = draw(st.sampled_from(shapes))
        marks += [mark, f"unknown{number}"]
    return tree, marks


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("side", ["request", "answer"])
@calm
@given(data=st.data())
def test_what_is_planted_anywhere_in_a_body_becomes_exactly_one_part(name, side, data):
    """The invariant of `Exchange`: every string is reached by exactly one part."""
    tree, marks = data.draw(planted(CASES[name][side]))
    try:
        found = read(name, side, tree)
    except (Unreadable, MalformedAnswer):
        return  # refused, so nothing of it travels
    body = dump(found.body)
    for mark in marks:
        if mark.encode() in body:
            assert len([p for p in found.parts if mark in p.text]) == 1, mark


@pytest.mark.parametrize("name", NAMES)
@calm
@given(data=st.data())
def test_what_is_planted_in_any_event_of_a_stream_is_a_part_or_a_delta(name, data):
    """Also what no table knows is judged: it grows in a channel of its own, or stands whole in a part."""
    events = CASES[name]["stream"]
    index = data.draw(st.integers(0, len(events) - 1))
    tree, marks = data.draw(planted(events[index]))
    reader = DIALECTS[name].open_stream()
    try:
        found = []
        for each in [*events[:index], tree]:
            found += reader.feed(f"data: {json.dumps(each)}\n\n".encode())
        if name == "gemini" and any("finishReason" in json.dumps(e) for e in [*events[:index], tree]):
            found += reader.finish()
    except MalformedAnswer:
        return
    last = found[-1]
    for mark in marks:
        if mark in json.dumps(last.data):
            seen = [p.text for p in last.parts] + [d.text for d in last.deltas]
            assert any(mark in text for text in seen), mark


WORDS = frozenset(
    [
        "message",
        "user",
        "assistant",
        "developer",
        "system",
        "input_text",
        "output_text",
        "input_image",
        "input_file",
        "input_audio",
        "refusal",
        "wav",
        "low",
        "auto",
        "high",
        "medium",
        "url_citation",
        "file_citation",
        "reasoning",
        "summary_text",
        "reasoning_text",
        "completed",
        "final_answer",
        "function_call",
        "custom_tool_call",
        "mcp_call",
        "mcp_list_tools",
        "mcp_approval_request",
        "web_search_call",
        "file_search_call",
        "code_interpreter_call",
        "logs",
        "image",
        "image_generation_call",
        "local_shell_call",
        "computer_call",
        "item_reference",
        "function_call_output",
        "custom_tool_call_output",
        "local_shell_call_output",
        "shell_call_output",
        "computer_call_output",
        "computer_screenshot",
        "mcp_approval_response",
        "compaction",
        "function",
        "object",
        "string",
        "json_schema",
        "text",
        "response",
        "disabled",
        "reasoning.encrypted_content",
        "model",
        "OUTCOME_OK",
        "PYTHON",
        "AUTO",
        "HARM_CATEGORY_HARASSMENT",
        "NEGLIGIBLE",
        "STOP",
        "MAX_TOKENS",
        "OTHER",
        "TEXT",
    ]
)
"""The vocabulary that may stand in the golden bodies without being a part, listed a second time on purpose."""


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("side", ["request", "answer"])
def test_every_string_of_a_full_body_is_one_part_or_a_listed_word(name, side):
    """No string is reached twice, and what is not reached is vocabulary or repeats a text token by token."""
    tree = CASES[name][side]
    found = read(name, side, tree)
    reached = {}
    for part in found.parts:
        if part.kind is not PartKind.KEY:
            assert (part.path, part.inner) not in reached, part.path
            reached[part.path, part.inner] = part
    paths = {path for path, _ in reached}
    for path, text in leaves(tree):
        if text and path not in paths:
            assert "logprobs" in path or "logprobsResult" in path or text in WORDS, (path, text)


@pytest.mark.parametrize("name", NAMES)
def test_without_rewrites_the_same_meaning_travels(name):
    """Request and answer mean what they meant, ciphertexts and signatures byte for byte."""
    case = CASES[name]
    exchange = read(name, "request", case["request"])
    assert json.loads(DIALECTS[name].write_request(exchange, {}, model=exchange.model)) == case["request"]
    answer = read(name, "answer", case["answer"])
    assert json.loads(DIALECTS[name].write_answer(answer, {})) == case["answer"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("side", ["request", "answer"])
@calm
@given(data=st.data())
def test_a_rewritten_part_reads_back_as_its_new_text(name, side, data):
    """Rewrites go back by path, also inside JSON inside strings; what else changes is token texts that lie now."""
    before = read(name, side, CASES[name][side])
    fixed = {"type", "model", "role", "status"}
    rewritable = [
        i
        for i, p in enumerate(before.parts)
        if p.kind not in (PartKind.KEY, PartKind.OPAQUE)
        and p.path[-1] not in fixed
        and "top_logprobs" not in p.path
        and (p.path[-1] != "arguments" or p.inner is not None)
    ]
    chosen = data.draw(st.lists(st.sampled_from(rewritable), unique=True, max_size=5))
    rewrites = {index: data.draw(st.text(alphabet='ab"\\\n{}é😀 ', max_size=10)) for index in chosen}
    dialect = DIALECTS[name]
    if side == "request":
        out = dialect.write_request(before, rewrites, model=before.model)
    else:
        out = dialect.write_answer(before, rewrites)
    after = {(p.path, p.inner, p.kind): p.text for p in read(name, side, json.loads(out)).parts}
    for index, part in enumerate(before.parts):
        if "logprobs" not in part.path and "logprobsResult" not in part.path:
            assert after[part.path, part.inner, part.kind] == rewrites.get(index, part.text)


def stream_of(name):
    out = b": keep-alive\n\n"
    for data in CASES[name]["stream"]:
        named = f"event: {data['type']}\r\n" if "type" in data else ""
        out += f"{named}data: {json.dumps(data)}\n\n".encode()
    return out


@pytest.mark.requirement("P6")
@pytest.mark.parametrize("name", NAMES)
@calm
@given(data=st.data())
def test_a_stream_cut_anywhere_gives_the_same_events(name, data):
    """Byte-at-a-time equals all-at-once."""
    raw = stream_of(name)
    whole = DIALECTS[name].open_stream()
    expected = whole.feed(raw) + whole.finish()
    places = data.draw(st.lists(st.integers(0, len(raw)), max_size=12) | st.just(range(len(raw))))
    edges = [0, *sorted(places), len(raw)]
    reader = DIALECTS[name].open_stream()
    found = []
    for start, end in zip(edges, edges[1:], strict=False):
        found += reader.feed(raw[start:end])
    assert found + reader.finish() == expected
    assert [event.terminal for event in expected].count(True) == 1
    assert expected[-1].closes_all


@pytest.mark.parametrize("name", NAMES)
@calm
@given(body=st.binary(max_size=60) | st.recursive(
    st.none() | st.integers() | st.sampled_from(["text", "user", "function_call", "message"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["input", "output", "content", "parts", "text", "type", "role", "contents", "candidates", "model", "tools",
         "functionCall", "arguments", "response", "item", "part", "delta", "output_index", "logprobs", "error"]
    ), inner, max_size=4), max_leaves=12,
).map(lambda tree: json.dumps(tree).encode()))  # fmt: skip
def test_any_body_is_read_or_refused(name, body):
    """Nothing a client or an endpoint sends makes a dialect crash."""
    dialect = DIALECTS[name]
    for attempt in (
        lambda: dialect.read_request(body, params(name)),
        lambda: dialect.read_answer(body),
        lambda: dialect.open_stream().feed(b"data: " + body + b"\n\n"),
    ):
        try:
            told = attempt()
        except (Unreadable, MalformedAnswer) as error:
            told = str(error)
        assert told or told == []
    summary, native = dialect.read_error(500, body)
    assert summary.startswith("500")
    assert "message" in json.loads(native)["error"]
