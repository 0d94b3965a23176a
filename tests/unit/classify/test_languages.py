"""The model of languages: a label for what users write in, and silence where nobody could tell."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magistrate.app.inspection import artefact, model_tier
from magistrate.app.settings import InspectionSetting
from magistrate.classify.artefact import BrokenArtefact, read, write
from magistrate.classify.languages import Languages
from magistrate.classify.taxonomy import TAXONOMY
from magistrate.exchange.content import Part, PartKind, Role

SHIPPED = artefact("languages")
LANGUAGES = Languages(SHIPPED)


@pytest.mark.requirement("P3")
@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Could you help me write a letter to my bank about the fees?", "en"),
        ("Könnten Sie mir helfen, einen Brief an meine Bank zu schreiben?", "de"),
        ("Pourriez-vous m'aider à écrire une lettre à ma banque ?", "fr"),
        ("¿Podría ayudarme a escribir una carta a mi banco?", "es"),
        ("Potrebbe aiutarmi a scrivere una lettera alla mia banca?", "it"),
        ("Czy możesz mi pomóc napisać list do mojego banku?", "pl"),
        ("Не могли бы вы помочь мне написать письмо в мой банк?", "ru"),
        ("银行给我寄来了一封信，我不明白里面写的是什么，请你帮我看一看好吗", "zh"),
    ],
)
def test_the_language_of_a_request_is_told(text: str, language: str) -> None:
    """One finding on the whole, with the code of ISO 639-1."""
    (found,) = LANGUAGES.judge(text, "user")
    assert (found.label, found.start, found.end) == (f"language.{language}", 0, 0)
    assert found.version == SHIPPED.version


@pytest.mark.parametrize("text", ["", "ok", "12345 67890 12345 67890", "x = y + 1", "!!! ??? ... ---"])
def test_nothing_is_said_of_too_little_text(text: str) -> None:
    """Twenty letters are the least."""
    assert LANGUAGES.judge(text, "user") == ()


def test_it_is_asked_only_when_switched_on_and_only_of_users() -> None:
    """Off is the default."""
    parts = tuple(
        Part((), role, PartKind.TEXT, "Könnten Sie mir helfen, einen Brief an meine Bank zu schreiben?")
        for role in (Role.USER, Role.TOOL, Role.SYSTEM, Role.ASSISTANT)
    )
    assert model_tier(InspectionSetting()).judge(parts, lambda: False) == ()
    (one,) = model_tier(InspectionSetting(languages="on")).judge(parts, lambda: False)
    assert (one.label, one.part) == ("language.de", 0)


def test_every_language_it_knows_is_a_label() -> None:
    """And no label of a language is one it does not know."""
    labels = {name.partition(".")[2] for name in TAXONOMY if name.startswith("language.")}
    assert labels == set(LANGUAGES.known)


@given(st.text(max_size=300))
def test_any_text_is_read_and_twice_the_same(text: str) -> None:
    """Lone surrogates and signs included."""
    assert LANGUAGES.judge(text, "user") == LANGUAGES.judge(text, "user")


def test_another_model_is_refused() -> None:
    """It says so when it starts."""
    with pytest.raises(BrokenArtefact, match="languages"):
        Languages(artefact("threats"))
    facts = SHIPPED.header.facts | {"bits": 3}
    with pytest.raises(BrokenArtefact, match="wrong size"):
        Languages(read(write("languages", facts, {}, SHIPPED.arrays)))
