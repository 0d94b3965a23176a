"""The model of names: who and what is named, dates and health that are somebody's, and texts that name nobody."""

import time
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from magistrate.app.inspection import artefact, model_tier
from magistrate.app.settings import InspectionSetting, ThresholdSetting
from magistrate.classify.artefact import BrokenArtefact, read, write
from magistrate.classify.chain import LONGEST, TAGS, marginals, stretches
from magistrate.classify.entities import Entities
from magistrate.classify.words import words
from magistrate.exchange.content import Part, PartKind, Role

ROOT = Path(__file__).parents[3]
SHIPPED = artefact("entities")
ENTITIES = Entities(SHIPPED)


def found(text: str) -> list[tuple[str, str]]:
    return [(one.label, text[one.start : one.end]) for one in ENTITIES.judge(text, "text")]


@pytest.mark.requirement("P3")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Please call Margaret Okafor back.", ("pii.name", "Margaret Okafor")),
        ("my name is svetlana ivanova and i need help", ("pii.name", "svetlana ivanova")),
        ("PATIENT: JOSEPH MCALLISTER", ("pii.name", "JOSEPH MCALLISTER")),
        ('{"customer": "Priya Raghunathan", "status": "open"}', ("pii.name", "Priya Raghunathan")),
        ("Sehr geehrte Frau Lindqvist, anbei die Rechnung.", ("pii.name", "Lindqvist")),
        ("Je m'appelle Amélie Fontaine.", ("pii.name", "Amélie Fontaine")),
        ("Ship it to 482 Willow Creek Road, Dayton, OH 45402.", ("pii.address", "482 Willow Creek Road")),
        ("Er wohnt in der Gartenstraße 17, 70173 Stuttgart.", ("pii.address", "Gartenstraße 17")),
        ("We flew from Lisbon to Nairobi.", ("place.town", "Lisbon")),
        ("She has lived in Portugal since spring.", ("place.region", "Portugal")),
    ],
)
def test_what_is_named_is_found(text: str, expected: tuple[str, str]) -> None:
    """In any case, in prose, records and several languages; the longest run of it counts."""
    label, value = expected
    assert any(one == label and value in span for one, span in found(text)), found(text)


@pytest.mark.parametrize(
    "text",
    [
        "Write a Python function that sorts a list of dictionaries by key.",
        "def main(args: list[str]) -> None:\n    print(args)",
        "The Quick Start guide is in the README. See Section 4.2 of the User Manual.",
        "SELECT Name, City FROM Customers WHERE Active = 1;",
        "The build failed on 2024-03-05; release 1.4.2 is due on April 9.",
        "What are common symptoms of diabetes, and how is metformin taken?",
        "Dear Sir or Madam, thank you for your order.",
        "Erkläre mir bitte, wie eine Wärmepumpe funktioniert.",
    ],
)
def test_a_text_that_speaks_of_nobody_gives_nothing(text: str) -> None:
    """Nor do dates and illnesses that are nobody's."""
    assert found(text) == []


@pytest.mark.requirement("P3")
@pytest.mark.parametrize(
    ("text", "label", "value"),
    [
        ("Admitted on 03/04/2021 with fever.", "pii.date", "03/04/2021"),
        ("She was discharged 5 March 2021.", "pii.date", "5 March 2021"),
        ("born on 12 March 1984", "pii.birth_date", "12 March 1984"),
        ("geboren am 3. März 1970", "pii.birth_date", "3. März 1970"),
        ("née le 4 juillet 1988", "pii.birth_date", "4 juillet 1988"),
        ("Margaret Okafor came by on 2023-11-02.", "pii.date", "2023-11-02"),
        ("He is a 93-year-old man.", "pii.age", "93"),
        ("She died aged 101, at home.", "pii.age", "101"),
    ],
)
def test_a_date_counts_when_it_is_somebodys(text: str, label: str, value: str) -> None:
    """A word announces it, or a person stands near."""
    assert (label, value) in found(text)


def test_the_time_of_a_line_in_a_log_is_nobodys() -> None:
    """Somebody stands near it in every line."""
    labels = [label for label, _ in found("2024-05-01 12:03:11 INFO login of Margaret Okafor")]
    assert labels == ["pii.name"]


@pytest.mark.requirement("P3")
def test_health_counts_near_what_identifies_a_person() -> None:
    """The same words without a person are only words."""
    text = "Margaret Okafor takes metformin for her diabetes."
    assert [value for label, value in found(text) if label == "phi.context"] == ["metformin", "diabetes"]
    assert [label for label, _ in found("MRN: 84736251. Plan: metformin.")] == ["phi.context"]
    assert found("One takes metformin for diabetes.") == []
    far = "Margaret Okafor called. " + "The weather is fine today. " * 40 + "Many people have diabetes."
    assert "phi.context" not in [label for label, _ in found(far)]


@pytest.mark.requirement("P3")
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Margaret Okafor has a sleep disorder.", "sleep disorder"),
        ("Margaret Okafor was told it is Marfan syndrome.", "Marfan syndrome"),
        ("Patient: Margaret Okafor\nDx: bronchiectasis\nRx: salbutamol", "bronchiectasis"),
        ("Margaret Okafor takes dasatinib.", "dasatinib"),
    ],
)
def test_illnesses_and_medicines_are_told_by_how_their_names_are_made(text: str, value: str) -> None:
    """By what a head word stands with, by Greek endings, by the stems of non-proprietary names: no list holds them all."""
    assert ("phi.context", value) in found(text)


@pytest.mark.parametrize(
    "text",
    [
        "Margaret Okafor reads a magazine in Oklahoma and has a diploma.",
        "Margaret Okafor found no disease and no disorder.",
        "Margaret Okafor closes the files of the academia project in April.",
    ],
)
def test_words_that_only_end_so_are_no_health(text: str) -> None:
    """Nor is a head word alone: whose disorder is not said."""
    assert "phi.context" not in [label for label, _ in found(text)]


@pytest.mark.requirement("P3")
@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("姓名：王小明", "王小明"),
        ("请联系欧阳静女士。", "欧阳静"),
        ("患者陳美玲，昨日入院", "陳美玲"),
        ("氏名：佐藤 健一", "佐藤 健一"),
        ("昨日、長谷川さんに会いました。", "長谷川"),
        ("저는 김민수입니다.", "김민수"),
        ("박지영 씨가 전화했습니다.", "박지영"),
        ("คุณสมชาย ใจดี โทรมา", "สมชาย ใจดี"),
    ],
)
def test_names_in_four_scripts_of_asia_are_found_where_a_word_announces_them(text: str, name: str) -> None:
    """A title, a form's field or how one speaks of oneself."""
    assert any(label == "pii.name" and name in span for label, span in found(text)), found(text)


@pytest.mark.parametrize(
    "text",
    [
        "今天天气很好，我们去公园。",
        "東京は日本の首都です。",
        "서울은 한국의 수도입니다.",
        "วันนี้อากาศดีมาก",
        "高度和温度是重要的参数。",
    ],
)
def test_ordinary_sentences_in_those_scripts_name_nobody(text: str) -> None:
    """Most family names are words too."""
    assert "pii.name" not in [label for label, _ in found(text)]


def test_what_developers_define_is_not_read() -> None:
    """Tool definitions and metadata name fields, not people."""
    read_as = {
        (role, kind): ENTITIES.reads(Part((), role, kind, "x"))
        for role in Role
        for kind in (PartKind.TEXT, PartKind.TOOL_DEFINITION, PartKind.TOOL_ARGUMENTS)
    }
    assert read_as[Role.USER, PartKind.TEXT] == read_as[Role.ASSISTANT, PartKind.TOOL_ARGUMENTS] == "text"
    assert read_as[Role.DEFINITION, PartKind.TEXT] is None
    assert read_as[Role.USER, PartKind.TOOL_DEFINITION] is None


def test_it_is_asked_only_when_switched_on() -> None:
    """Off is the default; a threshold of one's own is obeyed."""
    parts = (Part((), Role.USER, PartKind.TEXT, "Please call Margaret Okafor back."),)
    assert model_tier(InspectionSetting()).judge(parts, lambda: False) == ()
    tier = model_tier(InspectionSetting(entities="on"))
    (one,) = tier.judge(parts, lambda: False)
    assert (one.label, one.version) == ("pii.name", ENTITIES.version)
    assert tier.versions["entities"] == ENTITIES.version
    strict = model_tier(InspectionSetting(entities="on", thresholds=ThresholdSetting(entities=1000)))
    assert strict.judge(parts, lambda: False) == ()


@given(st.text(max_size=400))
def test_findings_lie_in_the_text_and_apart(text: str) -> None:
    """Whatever the text: no overlap, nothing empty, scores from 0 to 1000, and twice the same."""
    once = ENTITIES.judge(text, "text")
    end = 0
    for one in once:
        assert end <= one.start < one.end <= len(text)
        assert 0 <= one.score_milli <= 1000
        end = one.end
    assert ENTITIES.judge(text, "text") == once


@given(st.lists(st.sampled_from(["Anna", "lives", ".", "\n", "in", "Rome", "7"]), min_size=1, max_size=300))
def test_stretches_are_the_text_and_never_long(parts: list[str]) -> None:
    """Every word is in exactly one."""
    tokens = words(" ".join(parts))
    bounds = stretches(tokens)
    assert [at for start, end in bounds for at in range(start, end)] == list(range(len(tokens)))
    assert all(0 < end - start <= LONGEST for start, end in bounds)


def test_chances_are_those_of_every_path_weighed() -> None:
    """Against the sum over all 9^3 paths of two stretches, of different length."""
    source = np.random.default_rng(5)
    scores, moves = source.normal(size=(5, len(TAGS))), source.normal(size=(len(TAGS), len(TAGS)))
    chances = marginals(scores, moves, [(0, 3), (3, 5)])
    for start, end in ((0, 3), (3, 5)):
        total = np.zeros((end - start, len(TAGS)))
        for path in np.ndindex(*(len(TAGS),) * (end - start)):
            weight = sum(scores[start + at, tag] for at, tag in enumerate(path))
            weight += sum(moves[before, after] for before, after in zip(path, path[1:], strict=False))
            for at, tag in enumerate(path):
                total[at, tag] += np.exp(weight)
        assert np.allclose(chances[start:end], total / total.sum(axis=1, keepdims=True))


@pytest.mark.parametrize(
    "text",
    [
        "a1" * 16_000,
        "1/1/1990 " * 3_500,
        "Anna Schmidt 1/1/1990 diabetes, " * 1_000,
        "\n" * 32_000,
        "x@" + "a." * 16_000,
        "sleep disorder " * 2_000,
        "김" * 32_000,
        "佐藤" * 16_000,
        "คุณ" * 10_000,
        "ก" * 32_000,
    ],
)
def test_the_longest_stretch_of_a_text_takes_a_moment_whatever_it_holds(text: str) -> None:
    """32,000 characters are what is judged between two looks at the clock."""
    began = time.process_time()
    ENTITIES.judge(text, "text")
    assert time.process_time() - began < 2


@pytest.mark.requirement("A8")
def test_the_version_changes_with_the_weights_and_with_every_pattern(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dates and health are patterns beside the file, so the file's digest alone would not name what was asked."""
    other = read(write("entities", SHIPPED.header.facts, {"x": "1"}, SHIPPED.arrays))
    monkeypatch.setattr("magistrate.classify.health.PATTERNS", ("another",))
    changed = Entities(SHIPPED).version
    monkeypatch.undo()
    assert len({ENTITIES.version, Entities(other).version, changed}) == 3


def test_another_model_is_refused() -> None:
    """It says so when it starts."""
    with pytest.raises(BrokenArtefact, match="names"):
        Entities(artefact("threats"))
    facts = SHIPPED.header.facts | {"bits": 3}
    with pytest.raises(BrokenArtefact, match="wrong size"):
        Entities(read(write("entities", facts, {}, SHIPPED.arrays)))


def test_scores_are_those_that_were_measured() -> None:
    """The calibration in the file is the published one."""
    measured = msgspec.json.decode((ROOT / "docs/models/entities.json").read_bytes())
    assert SHIPPED.header.facts["platt"] == measured["platt"]
