"""What a call holds decides how long its records are kept."""

import pytest

from magistrate.evidence.retention import BUILT_IN, Schedule

from .test_line import CHAT, answering, chat
from .world import World


@pytest.mark.requirement("A4")
@pytest.mark.parametrize(
    ("said", "answered", "classes"),
    [
        ("hello", "hi", ["standard", "standard"]),
        ("card 4111 1111 1111 1111", "hi", ["pci", "pci"]),
        ("hello", "card 4111 1111 1111 1111", ["standard", "pci"]),
    ],
)
async def test_both_records_of_a_call_get_the_longest_class_of_what_was_seen_so_far(
    said: str, answered: str, classes: list[str]
) -> None:
    """An outcome is kept at least as long as its intent asks for, and longer where the answer asks for it."""
    world = World(answering(answered))
    await world.ask(CHAT, chat(said))
    assert [draft.retention for draft in world.evidence.drafts] == classes


async def test_a_configured_label_and_default_are_followed() -> None:
    """`magistrate.yaml` maps any label of the taxonomy to any class."""
    schedule = Schedule({**BUILT_IN, "mail": 4000, "short": 7}, labels={"pii.email": "mail"}, default="short")
    world = World(answering(), changes={"retention": schedule})
    await world.ask(CHAT, chat("write to ada@example.org"))
    await world.ask(CHAT, chat("hello"))
    assert [draft.retention for draft in world.evidence.drafts] == ["mail", "mail", "short", "short"]
