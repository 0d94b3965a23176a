"""Bundles: what loads is valid, and what does not load says where and why."""

import hashlib

import pytest

from magistrate.exchange.errors import ConfigurationError
from magistrate.policy import bundle as room
from magistrate.policy.bundle import digest, load

from .world import EVERYBODY, SCHEMA, bundle

ALWAYS = "permit (principal, action, resource);"
NEVER = "forbid (principal, action, resource);"

MISTAKES = {
    "no id": (ALWAYS, "test.cedar:1: every policy needs an `@id"),
    "an id that headers cannot carry": (f'@id("a b") {ALWAYS}', "test.cedar:1: `@id` is up to 100"),
    "an id twice": (f'@id("a") {ALWAYS}\n@id("a") {NEVER}', "test.cedar:2: `@id` `a` is used 2 times"),
    "an unknown annotation": (f'\n@id("a")\n@labls("pii") {ALWAYS}', "test.cedar:2: `@labls` means nothing"),
    "an annotation of another kind": (f'@id("a") @labels("pii") {NEVER}', "`@labels` means nothing here"),
    "an unknown mode": (f'@id("a") @mode("monitor") {ALWAYS}', "`@mode` is `observe`, `shadow` or `enforce`"),
    "an unknown verdict": (f'@id("a") @verdict("maybe") {NEVER}', "`@verdict` is `deny` or `escalate`"),
    "a verdict on a permit": (f'@id("a") @verdict("deny") {ALWAYS}', "`@verdict` means nothing here"),
    "an unknown obligation": (f'@id("a") @obligation("mask") {ALWAYS}', "`@obligation` is one of redact"),
    "an obligation that forbids": (f'@id("a") @obligation("redact") {NEVER}', "written as a permit"),
    "labels that are none": (f'@id("a") @obligation("redact") @labels("") {ALWAYS}', "`@labels` is a list"),
    "a cap without a number": (f'@id("a") @obligation("cap") {ALWAYS}', "a cap needs `@max_output_tokens"),
    "a cap of nothing": (
        f'@id("a") @obligation("cap") @max_output_tokens("0") {ALWAYS}',
        "a cap needs `@max_output_tokens",
    ),
    "a route to nowhere": (f'@id("a") @obligation("route") @prefer("eu") {ALWAYS}', "a route needs `@prefer"),
    "a message of two lines": (f'@id("a") @message("x\\ny") {NEVER}', "`@message` is one line"),
    "a code with spaces": (f'@id("a") @code("No Way") {NEVER}', "`@code` is up to 64"),
    "a fact that does not exist": (
        f'{EVERYBODY}@id("a") forbid (principal, action, resource) when {{ context.lables.contains("x") }};',
        "test.cedar:2: attribute `lables`",
    ),
    "a fact of another type": (
        '@id("a") permit (principal, action, resource) when { context.labels == "pii" };',
        "test.cedar:1: the types",
    ),
    "an action that does not exist": (
        '@id("a") permit (principal, action == Magistrate::Action::"read", resource);',
        "test.cedar:1: unrecognized action",
    ),
    "text that is not Cedar": (f'{EVERYBODY}\n@id("b")\npermit (principal;', "test.cedar:3: not Cedar"),
    "a template": (
        '@id("a") permit (principal == ?principal, action, resource);',
        "test.cedar:1: templates",
    ),
    "no policy": ("// nothing yet\n", "*.cedar:1: no policy at all"),
}


@pytest.mark.requirement("P8")
@pytest.mark.parametrize(("text", "told"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_refused_with_its_place(text: str, told: str) -> None:
    """Before it is in force, not when the first call meets it."""
    with pytest.raises(ConfigurationError) as caught:
        bundle(text)
    assert told in str(caught.value)


@pytest.mark.requirement("P8")
def test_all_mistakes_of_all_files_are_listed_at_once() -> None:
    """A person fixes a file faster than one error per run allows."""
    with pytest.raises(ConfigurationError) as caught:
        load(
            {
                "a.cedar": f'@id("x") @nope("1") {ALWAYS}\n@id("y") @nope("1") {NEVER}'.encode(),
                "b.cedar": b'@id("x") permit (principal, action, resource) when { context.nope };',
                "c.cedar": b"\xff",
                "notes.txt": b"",
                "schema.cedarschema": SCHEMA,
            }
        )
    places = [line.rpartition(": ")[0].split(": ")[0] for line in str(caught.value).splitlines()]
    assert set(places) >= {"a.cedar:1", "a.cedar:2", "b.cedar:1", "c.cedar:1", "notes.txt:1"}
    assert sum(place == "a.cedar:1" for place in places) == 2  # the annotation, and the id that is taken


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"a.cedar": EVERYBODY.encode()}, "schema.cedarschema:1: missing"),
        ({"a.cedar": EVERYBODY.encode(), "schema.cedarschema": b"entity"}, "not a Cedar schema"),
        ({"a.cedar": EVERYBODY.encode(), "schema.cedarschema": b"\xff"}, "not a Cedar schema"),
    ],
)
def test_a_bundle_needs_its_schema(files: dict[str, bytes], told: str) -> None:
    """Without it nothing can be known about conditions before they are met."""
    with pytest.raises(ConfigurationError, match=told):
        load(files)


def test_a_bundle_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """In bytes and in policies."""
    many = "".join(f'@id("p{n}") {ALWAYS}\n' for n in range(4))
    monkeypatch.setattr(room, "MOST_POLICIES", 3)
    with pytest.raises(ConfigurationError, match="more than 3 policies"):
        bundle(many)
    monkeypatch.setattr(room, "MOST_BYTES", 10)
    with pytest.raises(ConfigurationError, match="larger than 10 bytes"):
        bundle(many)


def test_every_policy_knows_its_own_line_and_text() -> None:
    """Comments, annotations and strings with semicolons in between; more than ten, where `policy10` follows `policy9`."""
    text = "".join(
        f'// a comment; "with" a quote and a permit\n@id("p{n}")\n@description("a; b // c")\n{ALWAYS}\n'
        for n in range(15)
    )
    found = bundle(text).statements
    assert [statement.line for statement in found.values()] == [2 + 4 * n for n in range(15)]
    assert found["p12"].text == f'@id("p12")\n@description("a; b // c")\n{ALWAYS}'


@pytest.mark.requirement("P8")
def test_the_digest_names_the_content_and_nothing_else() -> None:
    """Any changed byte, name or border between files shows; the order of a mapping does not."""
    files = {"a.cedar": b"x", "b.cedar": b"y"}
    assert digest(files) == digest(dict(reversed(files.items())))
    others = [{"a.cedar": b"x"}, {"a.cedar": b"xb.cedar", "": b"y"}, {"a.cedar": b"x", "c.cedar": b"y"}, {}]
    assert len({digest(files), *map(digest, others)}) == 5
    spelled = b"magistrate/bundle/v1\0" + b"".join(
        len(part).to_bytes(8) + part for part in (b"a.cedar", b"x", b"b.cedar", b"y")
    )
    assert digest(files) == hashlib.sha256(spelled).hexdigest()
