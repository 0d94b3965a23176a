"""`magistrate detect` and `magistrate dictionary`, as people call them."""

import gzip
import json
from pathlib import Path

import pytest

from magistrate.app.cli import run
from magistrate.app.scoring import Row, Score, rows
from magistrate.exchange.errors import ConfigurationError

CONFIG = """\
providers: [{name: s, api: simulator, models: ["*"]}]
detectors:
  trusted_hosts: [cdn.example.org]
  patterns:
    - {id: project, label: custom.project, pattern: 'PRJ-[0-9]{4,6}'}
  dictionaries:
    - {id: customers, label: custom.customer, file: customers.dict, key: "file:dict.key"}
"""


@pytest.fixture
def ask(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("dict.key").write_text("a key of thirty-two characters!!")
    Path("names.txt").write_text("Ada Lovelace\n\nJean-Luc Picard\nxy\n", "utf-8")

    def ask(*arguments):
        status = run(list(arguments))
        told = capsys.readouterr()
        return status, told.out, told.err

    return ask


@pytest.fixture
def configured(ask):
    ask("dictionary", "names.txt", "--output", "customers.dict", "--key", "file:dict.key")
    Path("magistrate.yaml").write_text(CONFIG)
    return ask


@pytest.mark.requirement("P3")
def test_a_list_of_values_becomes_a_file_that_holds_none_of_them(ask):
    """Values that would be found everywhere are named by line, and the answer is no."""
    status, out, err = ask(
        "dictionary", "names.txt", "-o", "customers.dict", "--key", "file:dict.key", "--json"
    )
    told = json.loads(out)
    assert (status, told["entries"]) == (1, 2)
    assert told["refused"] == ["names.txt:4: has fewer than 4 characters, it would be found everywhere"]
    assert "lovelace" not in Path("customers.dict").read_text().lower()


@pytest.mark.parametrize("key", ["a key of thirty-two characters!!", "env:NOT_THERE", "file:none"])
def test_a_key_is_given_by_reference_only(ask, key):
    """A literal would stand in the shell's history."""
    status, _, err = ask("dictionary", "names.txt", "-o", "d", "--key", key)
    assert status == 2
    assert "thirty-two" not in err.replace("is not", "")


@pytest.mark.requirement("P3")
def test_own_detectors_and_built_in_ones_are_shown_with_their_places(configured):
    """`--json` says what a record would say, and nothing of the text."""
    Path("t.txt").write_text("PRJ-12345 for ADA LOVELACE,\nada@analytical.org", "utf-8")
    status, out, _ = configured("detect", "t.txt", "--json")
    told = json.loads(out)
    assert status == 1
    assert [(f["label"], f["rule"], f["start"], f["end"]) for f in told["findings"]] == [
        ("custom.project", "project", 0, 9),
        ("custom.customer", "customers", 14, 26),
        ("pii.email", "email", 28, 46),
    ]
    assert "ovelace" not in out
    status, out, _ = configured("detect", "t.txt")
    assert [line.split()[:3] for line in out.splitlines()[1:]] == [
        ["custom.project", "0-9", "1"], ["custom.customer", "14-26", "1"], ["pii.email", "28-46", "2"],
    ]  # fmt: skip


def test_a_text_with_nothing_in_it_is_good(ask):
    """Exit 0, and it says so."""
    Path("t.txt").write_text("nothing here")
    assert ask("detect", "t.txt")[:2] == (0, "nothing found\n")


def test_what_cannot_be_read_is_said(ask):
    """Exit 2 with the place."""
    status, _, err = ask("detect", "none.txt")
    assert (status, err) == (2, "magistrate: none.txt: cannot be read (No such file or directory)\n")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            ("PRJ-[0-9]{4,6}", "PRJ-[0-9]+"),
            "detectors.patterns[0].pattern` may match more than 1024 characters",
        ),
        (("PRJ-[0-9]{4,6}", "(PRJ"), "detectors.patterns[0].pattern` cannot be matched in linear time"),
        (("customers.dict", "none.dict"), "detectors.dictionaries[0].file"),
        (("customers.dict", "names.txt"), "detectors.dictionaries[0].file` is not a dictionary"),
        (("id: customers", "id: project"), "detectors.dictionaries[0].id` `project` is already taken"),
        (("id: project", "id: email"), "`email` is already taken"),
        (("custom.project", "Custom Project"), "does not have the form"),
        (('"file:dict.key"', '"file:other.key"'), "detectors.dictionaries[0].key` is not the key"),
    ],
)
def test_detectors_that_cannot_be_used_are_refused_when_the_file_is_read(configured, change, reason):
    """With line and place, like every other mistake."""
    Path("other.key").write_text("another key of thirty-two chars!")
    Path("magistrate.yaml").write_text(CONFIG.replace(*change))
    status, _, err = configured("check")
    assert status == 1
    assert reason in err


ROWS = [
    {"text": "ada@analytical.org", "spans": [[0, 18, "EMAIL"]], "kind": "pii"},
    {"text": "bob at home", "spans": [[0, 3, "EMAIL"]], "kind": "pii"},
    {"text": "write to eve@example.net", "label": 0, "kind": "benign"},
    {"text": "nothing", "label": 0, "kind": "benign"},
    {"text": "see AKIAQ3XK7LMN2PWZ5RTV", "label": 1, "kind": "secrets"},
    {"text": "Ada", "spans": [[0, 3, "NICKNAME"]]},
]


@pytest.mark.requirement("P3")
@pytest.mark.parametrize("packed", [False, True])
def test_a_labelled_file_is_scored(ask, packed):
    """Precision, recall and F1 with their counts; rates on texts that hold nothing; what cannot be scored is named."""
    lines = "\n".join(map(json.dumps, ROWS)).encode()
    Path("labelled").write_bytes(gzip.compress(lines) if packed else lines)
    status, out, _ = ask("detect", "--score", "labelled", "--json")
    told = json.loads(out)
    assert status == 0
    email = told["types"]["pii.email"]
    assert {k: email[k] for k in ("spans", "found", "right", "false")} == {
        "spans": 2,
        "found": 1,
        "right": 1,
        "false": 1,
    }
    assert (email["precision"], email["recall"], email["f1"]) == (0.5, 0.5, 0.5)
    assert told["benign"] == {"benign": {"texts": 2, "flagged": 1, "rate": 0.5}}
    assert told["kinds"] == {"secrets": {"texts": 1, "flagged": 1, "recall": 1.0}}
    assert told["not_scored"] == {"NICKNAME": 1}
    assert "pii.email" in ask("detect", "--score", "labelled")[1]


@pytest.mark.parametrize(
    ("line", "reason"),
    [("{", "is not a labelled text"), ('{"label": 1}', "is not a labelled text"), ('{"text": "a", "spans": [[0, 9, "X"]]}', "outside its text")],
)  # fmt: skip
def test_a_wrong_line_is_named(ask, line, reason):
    """File and line."""
    Path("labelled").write_text('{"text": "good"}\n' + line)
    with pytest.raises(ConfigurationError, match=f"labelled:2: .*{reason}"):
        list(rows(Path("labelled")))


def test_a_span_is_found_when_half_of_it_is_covered():
    """By findings of its type alone, several together or one wider than it."""
    for found, expected in (
        ([("pii.name", 0, 5)], 1), ([("pii.name", 0, 4)], 0), ([("pii.name", 0, 3), ("pii.name", 7, 10)], 1),
        ([("pii.email", 0, 10)], 0), ([("pii.name.first", 0, 20)], 1),
    ):  # fmt: skip
        score = Score()
        score.add(Row("x" * 30, spans=((0, 10, "PERSON"),)), found)
        assert score.report()["all"]["found"] == expected, found
