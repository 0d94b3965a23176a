"""Shapes read what they know, sweep what they do not, and refuse text of the wrong type."""

import pytest

from magistrate.exchange.content import Part, PartKind, Role
from magistrate.exchange.errors import Unreadable
from magistrate.wire import shapes
from magistrate.wire.tree import argument_parts, replace, rewrite, rewrite_arguments, sweep


def read(visit, value, role=Role.USER):
    out = []
    visit(value, (), role, out)
    return out


def test_a_sweep_finds_every_string_every_key_and_every_long_number():
    value = {"a": ["x", {"b": "y"}, 4111111111111111, 7, None, True], "c": -1e9}
    found = {(p.path, p.kind, p.text) for p in sweep(value)}
    assert found == {
        (("a",), PartKind.KEY, "a"),
        (("a", 0), PartKind.METADATA, "x"),
        (("a", 1, "b"), PartKind.KEY, "b"),
        (("a", 1, "b"), PartKind.METADATA, "y"),
        (("a", 2), PartKind.METADATA, "4111111111111111"),
        (("c",), PartKind.KEY, "c"),
        (("c",), PartKind.METADATA, "-1000000000.0"),
    }


WRONG = {
    "a number for text": (shapes.text(), 5),
    "null for text": (shapes.text(), None),
    "an object for a list": (shapes.array(shapes.text()), {}),
    "a list for an object": (shapes.record({}), []),
    "a number for either": (shapes.either(string=shapes.text(), items=shapes.array(shapes.text())), 1),
    "null for either": (shapes.either(string=shapes.text()), None),
    "a string for a tagged object": (shapes.tagged("type", {}), "x"),
    "a number for a URL": (shapes.locator, 1),
    "an object for arguments": (shapes.arguments(), {}),
    "a list for bytes": (shapes.opaque("image/png"), []),
    "a list for a mapping": (shapes.mapping(shapes.text()), []),
}


@pytest.mark.requirement("P9")
@pytest.mark.parametrize(("visit", "value"), WRONG.values(), ids=WRONG)
def test_another_type_where_text_can_stand_is_refused_with_the_path(visit, value):
    """A lenient parser downstream could still read it as text."""
    with pytest.raises(Unreadable) as caught:
        read(shapes.record({"field": visit}), {"field": value})
    assert caught.value.param == "field"
    assert "`field` must be" in caught.value.message


def test_a_missing_required_field_is_named():
    with pytest.raises(Unreadable, match="`messages` is missing"):
        read(shapes.record({}, required=("messages",)), {})


@pytest.mark.requirement("P9")
def test_unknown_fields_and_new_words_become_metadata():
    visit = shapes.record({"type": shapes.word("a", "b"), "n": shapes.scalar})
    assert read(visit, {"type": "a", "n": 1}) == []
    parts = read(visit, {"type": "zz", "n": "text!", "new": {"k": "v"}})
    assert [(p.path, p.kind, p.text) for p in parts] == [
        (("type",), PartKind.METADATA, "zz"),
        (("n",), PartKind.METADATA, "text!"),
        (("new",), PartKind.KEY, "new"),
        (("new", "k"), PartKind.KEY, "k"),
        (("new", "k"), PartKind.METADATA, "v"),
    ]


@pytest.mark.parametrize(
    ("url", "kind", "media"),
    [
        ("https://example.org/?q=secret", PartKind.TEXT, ""),
        ("data:image/png;base64,iVBORw0KGgo=", PartKind.OPAQUE, "image/png"),
        ("DATA:image/PNG;base64,iVBORw0KGgo=", PartKind.OPAQUE, "image/png"),
        ("data:;base64,QUJD", PartKind.OPAQUE, "text/plain"),
        ("data:text/plain,my secret", PartKind.TEXT, ""),
        ("data:image/png;base64,not base64: my secret", PartKind.TEXT, ""),
        ("data:image/png;note=" + "x" * 200 + ";base64,QUJD", PartKind.TEXT, ""),
    ],
)
def test_only_base64_goes_unread(url, kind, media):
    """Text that poses as bytes is read as text; a remote address is text because fetching it tells."""
    (part,) = read(shapes.locator, url)
    assert (part.kind, part.media) == (kind, media)
    assert bool(part.text) == (kind is PartKind.TEXT)
    assert len(part.digest) == (64 if kind is PartKind.OPAQUE else 0)


def test_a_schema_is_instructions_and_its_keywords_are_not():
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string", "enum": ["Paris"], "default": "Oslo", "x-note": "n"}},
        "required": ["city"],
        "anyOf": [{"$ref": "#/$defs/a"}],
        "$defs": {"a": {"type": ["string", "null"], "description": "d"}},
        "additionalProperties": False,
    }
    texts = [p.text for p in read(shapes.schema, schema)]
    assert sorted(texts) == sorted(
        ["city", "Paris", "Oslo", "x-note", "n", "city", "#/$defs/a", "a", "string", "null", "d"]
    )


def test_argument_text_is_read_inside_and_written_back_inside():
    """litellm #31950: masking must not break a tool's JSON."""
    text = '{"to":"ann@example.org","n":[1,{"note":"call \\u0061nn"}],"card":4111111111111111}'
    parts = argument_parts(text, ("args",))
    by_text = {p.text: i for i, p in enumerate(parts)}
    assert {"to", "ann@example.org", "n", "note", "call ann", "card", "4111111111111111"} == set(by_text)
    assert all(p.path == ("args",) and p.inner is not None for p in parts)
    new = rewrite_arguments(
        text, parts, {by_text["call ann"]: 'call "X"\n', by_text["4111111111111111"]: "[card]"}
    )
    assert new == '{"to":"ann@example.org","n":[1,{"note":"call \\"X\\"\\n"}],"card":"[card]"}'


def test_argument_text_that_is_not_json_is_one_part():
    assert argument_parts("rm -rf /", ("a",)) == [
        Part(("a",), Role.ASSISTANT, PartKind.TOOL_ARGUMENTS, "rm -rf /")
    ]
    whole = argument_parts('"just text"')
    assert [(p.inner, p.text) for p in whole] == [((), "just text")]
    assert rewrite_arguments('"just text"', whole, {0: "x"}) == '"x"'
    assert rewrite_arguments("raw", argument_parts("raw"), {0: "new"}) == "new"


def test_a_rewrite_copies_only_along_its_path():
    tree = {"a": [{"t": "x"}, {"t": "y"}], "b": {"c": "z"}}
    new = replace(tree, {(("a", 1, "t"), None): "Y"})
    assert new == {"a": [{"t": "x"}, {"t": "Y"}], "b": {"c": "z"}}
    assert tree["a"][1]["t"] == "y"
    assert new["b"] is tree["b"]
    assert new["a"][0] is tree["a"][0]


@pytest.mark.parametrize("kind", [PartKind.KEY, PartKind.OPAQUE])
def test_a_key_or_opaque_bytes_can_be_refused_but_not_rewritten(kind):
    part = Part(("a",), Role.USER, kind, "a")
    with pytest.raises(ValueError, match="can be refused, not rewritten"):
        rewrite({"a": "x"}, [part], {0: "new"})
