"""Laws of the wire that hold for every body and every cut."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from magistrate.exchange.content import PartKind
from magistrate.exchange.errors import MalformedAnswer, Unreadable
from magistrate.wire.dialects import DIALECTS
from magistrate.wire.sse import SseReader
from magistrate.wire.strict import dump, parse
from magistrate.wire.tree import rewrite, sweep

GOLDEN = Path(__file__).parents[1] / "golden" / "wire"
CASES = {path.stem: json.loads(path.read_text()) for path in sorted(GOLDEN.glob("*.json"))}
OURS = [name for name in ("openai.chat", "anthropic.messages", "openai.embeddings") if name in CASES]

pytestmark = pytest.mark.requirement("P9")
calm = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
)
words = st.text(max_size=8)
values = st.recursive(
    scalars | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=15,
)
trees = st.dictionaries(words, values, max_size=5)


# --- strict JSON beside the standard library --------------------------------------------------------------------


def obvious(body):
    """The standard library's reading, made strict in the most obvious way; None for a refusal."""

    def members(pairs):
        if len({key for key, _ in pairs}) != len(pairs):
            raise ValueError
        return dict(pairs)

    def constant(_):
        raise ValueError

    def number(text):
        value = float(text)
        if math.isinf(value):
            raise ValueError
        return value

    try:
        text = body.decode("utf-8")
        value = json.loads(text, object_pairs_hook=members, parse_constant=constant, parse_float=number)
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def strict(body):
    try:
        return parse(body)
    except Unreadable:
        return None


keys = st.sampled_from(["a", "b", 'q"', "b\\", "c:", '":', " ", "", "\\u0061", "é"])


@st.composite
def texts_of_objects(draw, depth=0):
    """Objects as a person might type them: white space anywhere, keys twice, keys in odd spellings."""
    space = st.sampled_from(["", "", " ", "\n", "\t ", "\r"])
    out = []
    for _ in range(draw(st.integers(0, 4))):
        key = draw(keys)
        spelled = json.dumps(key, ensure_ascii=draw(st.booleans()))
        if key == "a" and draw(st.booleans()):
            spelled = '"\\u0061"'
        if depth < 2 and draw(st.booleans()):
            value = draw(texts_of_objects(depth=depth + 1))
        else:
            odd = st.sampled_from(
                ['"\\"a\\":1"', '"x\\\\"', '"a":', "NaN", "1e999", '"\\ud800"', "[1,]", "01"]
            )
            value = draw(
                st.one_of(
                    keys.map(json.dumps),
                    scalars.map(json.dumps),
                    odd if draw(st.integers(0, 9)) == 0 else st.just("[]"),
                )
            )
        out.append(draw(space) + spelled + draw(space) + ":" + draw(space) + value + draw(space))
    return "{" + ",".join(out) + "}"


@settings(deadline=None, max_examples=600)
@given(texts_of_objects())
def test_the_strict_parser_reads_what_the_obvious_one_reads(text):
    """Same value or same refusal, whatever white space, escapes and duplicates there are."""
    body = text.encode()
    assert strict(body) == obvious(body)


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=40) | trees.map(lambda t: json.dumps(t).encode()).flatmap(
    lambda b: st.integers(0, len(b)).map(lambda i: b[:i] + b[i + 1 :])
))  # fmt: skip
def test_any_bytes_are_read_alike_or_refused_alike(body):
    """Random bytes, and bodies with one byte lost."""
    assert strict(body) == obvious(body)


@calm
@given(trees)
def test_what_is_dumped_means_what_was_parsed(tree):
    assert json.loads(dump(parse(json.dumps(tree).encode()))) == tree


# --- the law of parts -------------------------------------------------------------------------------------------


def strings(value, path=()):
    """Every string leaf and every key with its path, the obvious way."""
    if isinstance(value, str):
        yield path, "leaf", value
    elif isinstance(value, dict):
        for key, member in value.items():
            yield (*path, key), "key", key
            yield from strings(member, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from strings(item, (*path, index))


@calm
@given(trees)
def test_a_sweep_finds_what_the_obvious_walk_finds(tree):
    found = [(p.path, "key" if p.kind is PartKind.KEY else "leaf", p.text) for p in sweep(tree)]
    numbers = [entry for entry in found if entry[1] == "leaf" and not isinstance(at(tree, entry[0]), str)]
    assert sorted(map(repr, (e for e in found if e not in numbers))) == sorted(map(repr, strings(tree)))
    assert all(float(text) for _, _, text in numbers)


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


def planted(draw, tree):
    """The tree with unknown fields of unique text planted in objects anywhere."""
    tree = json.loads(json.dumps(tree))
    places = list(objects(tree))
    marks = []
    for number in range(draw(st.integers(1, 6))):
        place = draw(st.sampled_from(places))
        mark = f"planted{number}x"
        shape = draw(st.sampled_from(["text", "list", "object", "key", "deep"]))
        value = {
            "text": mark,
            "list": [1, mark],
            "object": {"k": mark},
            "key": {mark: 1},
            "deep": [[{"a": [mark]}]],
        }
        at(tree, place)[f"unknown{number}"] = value[shape]
        marks += [mark, f"unknown{number}"]
    return tree, marks


def covering(parts, mark):
    return [p for p in parts if mark in p.text]


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("side", ["request", "answer"])
@calm
@given(data=st.data())
def test_whatever_is_planted_in_a_body_becomes_exactly_one_part(name, side, data):
    """The invariant of `Exchange`: every string is reached by exactly one part."""
    tree, marks = planted(data.draw, CASES[name][side])
    body = json.dumps(tree).encode()
    dialect = DIALECTS[name]
    try:
        read = dialect.read_request(body, {}) if side == "request" else dialect.read_answer(body)
    except (Unreadable, MalformedAnswer):
        return  # refused, so nothing of it travels: e.g. a number map that now holds a list
    for mark in marks:
        gone = mark.encode() not in dump(read.body)
        assert len(covering(read.parts, mark)) == (0 if gone else 1), mark


KNOWN_WORDS = frozenset(
    [
        "type",
        "role",
        "text",
        "user",
        "assistant",
        "system",
        "developer",
        "tool",
        "function",
        "custom",
        "image_url",
        "input_audio",
        "file",
        "json_schema",
        "content",
        "low",
        "high",
        "wav",
        "auto",
        "default",
        "ephemeral",
        "1h",
        "thinking",
        "redacted_thinking",
        "tool_use",
        "server_tool_use",
        "tool_result",
        "web_search_tool_result",
        "web_search_result",
        "document",
        "image",
        "base64",
        "url",
        "search_result",
        "enabled",
        "message",
        "end_turn",
        "standard",
        "char_location",
        "object",
        "string",
        "array",
        "list",
        "embedding",
        "float",
        "chat.completion",
        "stop",
        "tool_calls",
        "url_citation",
        "code_execution_tool_result",
        "code_execution_result",
    ]
)
"""The vocabulary that may stand in the golden bodies without being a part, listed a second time on purpose."""

KEYS = frozenset(
    key
    for case in CASES.values()
    for side in ("request", "answer")
    for _, kind, key in strings(case[side])
    if kind == "key"
)


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("side", ["request", "answer"])
def test_every_string_of_a_full_body_is_a_part_or_a_listed_word(name, side):
    tree = CASES[name][side]
    body = json.dumps(tree).encode()
    read = DIALECTS[name].read_request(body, {}) if side == "request" else DIALECTS[name].read_answer(body)
    leaves = {}
    for part in read.parts:
        if part.kind is not PartKind.KEY:
            where = (part.path, part.inner)
            assert where not in leaves, f"two parts at {where}"
            leaves[where] = part
    reached = {path for path, _ in leaves}
    for path, kind, text in strings(tree):
        if kind == "leaf" and path not in reached and text:
            echo = "logprobs" in path or path[-1] == "embedding"
            assert echo or text in KNOWN_WORDS, (path, text)


# --- writing back -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OURS)
def test_without_rewrites_the_same_meaning_is_sent_on(name):
    case = CASES[name]
    exchange = DIALECTS[name].read_request(json.dumps(case["request"]).encode(), {})
    out = DIALECTS[name].write_request(exchange, {}, model=exchange.model)
    assert json.loads(out) == case["request"]
    answer = DIALECTS[name].read_answer(json.dumps(case["answer"]).encode())
    assert json.loads(DIALECTS[name].write_answer(answer, {})) == case["answer"]


@pytest.mark.parametrize("name", OURS)
@calm
@given(data=st.data())
def test_a_rewritten_part_reads_back_as_its_new_text_and_nothing_else_changes(name, data):
    """Rewrites go back by path, also inside JSON inside strings."""
    dialect = DIALECTS[name]
    before = dialect.read_request(json.dumps(CASES[name]["request"]).encode(), {})
    texts = [
        i
        for i, p in enumerate(before.parts)
        if p.kind not in (PartKind.KEY, PartKind.OPAQUE)
        and p.path != ("model",)
        and p.path[-1] not in ("type", "arguments")
    ]
    texts += [i for i, p in enumerate(before.parts) if p.inner is not None and p.kind is not PartKind.KEY]
    chosen = data.draw(st.lists(st.sampled_from(texts), unique=True, max_size=5))
    rewrites = {index: data.draw(st.text(alphabet='ab"\\\n{}é😀 ', max_size=10)) for index in chosen}
    out = dialect.write_request(before, rewrites, model=before.model)
    after = dialect.read_request(out, {})
    expected = [(p.path, p.inner, rewrites.get(i, p.text)) for i, p in enumerate(before.parts)]
    assert [(p.path, p.inner, p.text) for p in after.parts] == expected


@calm
@given(trees, st.data())
def test_rewriting_in_a_tree_equals_rewriting_a_copy(tree, data):
    parts = [p for p in sweep(tree) if p.kind is not PartKind.KEY]
    if not parts:
        return
    chosen = data.draw(st.lists(st.sampled_from(range(len(parts))), unique=True, max_size=4))
    copy = json.loads(json.dumps(tree))
    for index in chosen:
        path = parts[index].path
        at(copy, path[:-1])[path[-1]] = f"new{index}"
    frozen = json.dumps(tree)
    assert rewrite(tree, parts, {i: f"new{i}" for i in chosen}) == copy
    assert json.dumps(tree) == frozen


# --- streams ----------------------------------------------------------------------------------------------------


def stream_of(name):
    case = CASES[name]
    out = b": keep-alive\n\n"
    for data in case["stream"]:
        raw = data if isinstance(data, str) else json.dumps(data)
        named = f"event: {data['type']}\r\n" if name == "anthropic.messages" else ""
        out += f"{named}data: {raw}\n\n".encode()
    return out


def cut(raw, places):
    edges = [0, *sorted(places), len(raw)]
    return [raw[a:b] for a, b in zip(edges, edges[1:], strict=False)]


@pytest.mark.parametrize("name", [name for name in OURS if CASES[name]["stream"]])
@calm
@given(data=st.data())
def test_a_stream_cut_anywhere_gives_the_same_events(name, data):
    """Byte-at-a-time equals all-at-once."""
    raw = stream_of(name)
    whole = DIALECTS[name].open_stream()
    expected = whole.feed(raw) + whole.finish()
    places = data.draw(st.lists(st.integers(0, len(raw)), max_size=12) | st.just(range(len(raw))))
    reader = DIALECTS[name].open_stream()
    assert [e for piece in cut(raw, places) for e in reader.feed(piece)] + reader.finish() == expected


@settings(deadline=None, max_examples=300)
@given(st.text(alphabet="\r\n: adetvn0", max_size=60), st.data())
def test_server_sent_events_cut_anywhere_are_the_same(text, data):
    raw = text.encode()
    reader = SseReader()
    expected = reader.feed(raw) + reader.finish()
    places = data.draw(st.lists(st.integers(0, len(raw)), max_size=6) | st.just(range(len(raw))))
    again = SseReader()
    assert [e for piece in cut(raw, places) for e in again.feed(piece)] + again.finish() == expected
    assert [(e.name, e.data) for e in expected if not e.comment] == obvious_events(text)


def obvious_events(text):
    """The standard's algorithm on a whole text, line by line (and the last event without its blank line)."""
    events, name, lines = [], "", []
    for line in [*text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), ""]:
        if not line:
            if lines:
                events.append((name, "\n".join(lines).encode()))
            name, lines = "", []
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            lines.append(value)
        elif field == "event":
            name = value
    return events


@pytest.mark.parametrize("name", [name for name in OURS if CASES[name]["stream"]])
@calm
@given(data=st.data())
def test_whatever_grows_in_a_stream_is_seen_in_the_event_it_comes_in(name, data):
    """Unknown fields planted in any event become a delta or a part of that event, exactly once."""
    case = CASES[name]
    position = data.draw(
        st.sampled_from([i for i, each in enumerate(case["stream"]) if isinstance(each, dict)])
    )
    tree, marks = planted(data.draw, case["stream"][position])
    named = f"event: {tree['type']}\n" if name == "anthropic.messages" else ""
    reader = DIALECTS[name].open_stream()
    try:
        (event,) = reader.feed(f"{named}data: {json.dumps(tree)}\n\n".encode())
    except MalformedAnswer:
        return
    for mark in marks:
        seen = sum(mark in d.text for d in event.deltas) + len(covering(event.parts, mark))
        gone = mark.encode() not in dump(event.data)
        assert seen == (0 if gone else 1), (mark, event)
    written = DIALECTS[name].write_event(event, dict.fromkeys(range(len(event.deltas)), ""), {})
    assert all(d.text not in written.decode() for d in event.deltas if d.text.startswith("planted"))


mutants = st.recursive(
    st.sampled_from([None, True, 0, -1, 1.5, 10**30, "", "x", "type", "text", [], {}]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["type", "text", "content", "index"]), inner, max_size=2)
    ),
    max_leaves=4,
)


@pytest.mark.parametrize("name", OURS)
@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_body_with_anything_in_any_place_is_read_or_refused(name, data):
    """No shape of JSON makes a reader fail in any other way."""
    side = data.draw(st.sampled_from(["request", "answer", "stream"]))
    tree = json.loads(json.dumps(CASES[name][side]))
    if side == "stream":
        events = [each for each in tree if isinstance(each, dict)]
        if not events:
            return
        tree = data.draw(st.sampled_from(events))
    places = [path for path, _ in every(tree) if path]
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(places))
        try:
            at(tree, path[:-1])[path[-1]] = json.loads(json.dumps(data.draw(mutants)))
        except (KeyError, IndexError, TypeError):
            continue
    body = json.dumps(tree).encode()
    dialect = DIALECTS[name]
    try:
        if side == "request":
            exchange = dialect.read_request(body, {})
            dialect.write_request(exchange, {}, model="m", cap=5)
        elif side == "answer":
            dialect.write_answer(dialect.read_answer(body), {})
        else:
            for event in dialect.open_stream().feed(b"data: " + body + b"\n\n"):
                dialect.write_event(event, dict.fromkeys(range(len(event.deltas)), "n"), {})
                for delta in event.deltas:
                    assert json.dumps("held")[1:-1].encode() in dialect.carry(event, delta, "held")
    except (Unreadable, MalformedAnswer):
        pass
    dialect.read_error(500, body)


def every(value, path=()):
    yield path, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, member in items:
        yield from every(member, (*path, step))
