"""How well health, dates and ages are told that are somebody's, on texts drawn here: `python bench/notes.py [--developing]`.

No labelled texts of patients can be had under a licence that lets us use them, so these are drawn: templates of notes, letters, forms,
chats, records and of harmless texts (`notes_measured`), words of health from lists of others (`notes-words.json`), names
of the training's lists that no rule for health reads. Rules were developed on other templates and the other half of the words
(``--developing``, with what is missed). The author of both is one, so real notes will be harder. Presidio's labelled
texts hold no health. Also told: how many texts of public sources that name people, and speak of no health, are flagged (``--data``).

A span is found when findings of its label cover half of it; a finding is right when it overlaps a span of its label. *Texts* counts
whole texts: those with health of somebody in which it is noticed, and those without in which it is not.
"""

import argparse
import json
import random
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import notes_developing
import notes_measured
from magistrate.app.inspection import artefact
from magistrate.app.scoring import Row, Score, f1, rows, share
from magistrate.classify.entities import Entities

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tools" / "train")]

EACH = 40
"""Texts drawn from each template."""
LABELS = {
    "BORN": "pii.birth_date", "DAY": "pii.date", "OLD": "pii.age", "DX": "phi.context", "RX": "phi.context",
}  # fmt: skip
SCORED = ("phi.context", "pii.birth_date", "pii.date", "pii.age")
PUBLIC = ("detect/ner.jsonl.gz", "detect/injection.jsonl.gz")
BEGIN, END = "<!-- figures: written by bench/notes.py -->", "<!-- end of figures for health -->"
_SLOT = re.compile(r"\{([A-Z]+)\}")
MONTHS = "January February March April May June July August September October November December".split()  # noqa: SIM905


def main() -> None:
    options = argparse.ArgumentParser(description="Quality of health, dates and ages that are somebody's.")
    options.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    options.add_argument(
        "--developing", action="store_true", help="the other templates and words, and what is missed"
    )
    options.add_argument("--page", type=Path, help="write the tables into this page")
    given = options.parse_args()
    model = Entities(artefact("entities"))
    asked = notes_developing if given.developing else notes_measured
    words = json.loads((ROOT / "bench" / "notes-words.json").read_text())
    half = "developing" if given.developing else "measuring"
    drawn = texts(
        asked, {kind: both[half] for kind, both in words.items()}, seed=1 if given.developing else 2
    )
    tables = page(*measured(model, drawn, show=given.developing), flagged(model, given.data))
    print(tables)
    if given.page:
        text = given.page.read_text("utf-8")
        head, _, rest = text.partition(BEGIN)
        given.page.write_text(f"{head}{BEGIN}\n\n{tables}\n{END}{rest.partition(END)[2]}", "utf-8")


def texts(asked: Any, words: dict[str, list[str]], seed: int) -> list[Row]:
    """Return the texts that templates and words give, with what is to be found in them."""
    from people import Names

    source = random.Random(seed)
    names = Names(source)
    drawn = []
    for kind in ("PERSONAL", "PEOPLE_ONLY", "NOBODY"):
        for template in getattr(asked, kind):
            drawn += [_filled(template, kind, words, names, source) for _ in range(EACH)]
    return drawn


def _filled(template: str, kind: str, words: dict[str, list[str]], names: Any, source: random.Random) -> Row:
    text, spans, at = "", [], 0
    form = source.randrange(6)
    for slot in _SLOT.finditer(template):
        text += template[at : slot.start()].replace("{{", "{").replace("}}", "}")
        value = _value(slot[1], form, words, names, source)
        if slot[1] in LABELS:
            spans.append((len(text), len(text) + len(value), LABELS[slot[1]]))
        text, at = text + value, slot.end()
    text += template[at:].replace("{{", "{").replace("}}", "}")
    return Row(text, int(bool(spans)), tuple(spans), kind, "drawn")


def _value(slot: str, form: int, words: dict[str, list[str]], names: Any, source: random.Random) -> str:
    if slot == "NAME":
        return f"{names.given('US')} {names.surname('US')}"
    if slot in {"DX", "ILL"}:
        return source.choice(words["conditions"])
    if slot in {"RX", "PILL"}:
        return source.choice(words["medicines"])
    if slot == "OLD":
        return str(source.randint(90, 104))
    if slot == "YOUNG":
        return str(source.randint(18, 89))
    if slot == "ID":
        return f"{source.choice('ABCDEF')}{source.randint(10**5, 10**7)}"
    year = source.randint(1925, 2005) if slot == "BORN" else source.randint(2015, 2025)
    month, day = source.randint(1, 12), source.randint(1, 28)
    return (
        f"{year}-{month:02}-{day:02}",
        f"{month:02}/{day:02}/{year}",
        f"{day}.{month}.{year}",
        f"{day} {MONTHS[month - 1]} {year}",
        f"{MONTHS[month - 1][:3]} {day}, {year}",
        f"{MONTHS[month - 1]} {day}th, {year}",
    )[form]


def measured(
    model: Entities, drawn: list[Row], *, show: bool
) -> tuple[dict[str, Any], dict[str, Counter[str]]]:
    """Return figures by label, and whole texts by kind: how many there are, how many were flagged with what."""
    score = Score({})
    whole: dict[str, Counter[str]] = {}
    missed: Counter[str] = Counter()
    for row in drawn:
        found = [
            (one.label, one.start, one.end) for one in model.judge(row.text, "text") if one.label in SCORED
        ]
        score.add(Row(row.text, 1, row.spans or ((0, len(row.text), "nothing"),)), found)
        told = {label for label, _, _ in found}
        whole.setdefault(row.kind, Counter()).update({"texts": 1, **dict.fromkeys(told, 1)})
        for start, end, label in row.spans or ():
            if not any(label == one and first < end and start < last for one, first, last in found):
                missed[f"{label}: {row.text[max(0, start - 25) : start]}[{row.text[start:end]}]"] += 1
        for label, first, last in found:
            if not any(first < end and start < last for start, end, one in row.spans or () if one == label):
                missed[f"wrong {label}: {row.text[max(0, first - 30) : first]}[{row.text[first:last]}]"] += 1
    if show:
        for each in sorted(missed):
            print(each.replace("\n", "/"))
    return score.report()["types"], whole


def flagged(model: Entities, folder: Path) -> dict[str, Counter[str]]:
    """Return for public texts by kind: how many name somebody, and in how many health is found."""
    counts: dict[str, Counter[str]] = {}
    for file in PUBLIC:
        if not (folder / file).exists():
            sys.exit(f"no labelled data at {folder}; name the folder with --data")
        for number, row in enumerate(rows(folder / file)):
            if file.endswith("injection.jsonl.gz") and (row.label != 0 or number % 4):
                continue
            told = {one.label for one in model.judge(row.text[:4000], "text")}
            kind = row.kind if file.endswith("injection.jsonl.gz") else row.source
            counts.setdefault(kind, Counter()).update({"texts": 1, **dict.fromkeys(told, 1)})
    return counts


def page(types: dict[str, Any], whole: dict[str, Counter[str]], public: dict[str, Counter[str]]) -> str:
    lines = ["| label | spans | precision | recall | F1 |", "|---|---|---|---|---|"]
    for label in SCORED:
        one = types[label]
        lines.append(
            f"| `{label}` | {one['spans']} | "
            + " | ".join(_figure(one[key]) for key in ("precision", "recall", "f1"))
            + " |"
        )
    ill, others = whole["PERSONAL"], whole["PEOPLE_ONLY"] + whole["NOBODY"]
    right, wrong = ill["phi.context"], others["phi.context"]
    precision, recall = share(right, right + wrong), share(right, ill["texts"])
    figures = ", ".join(
        f"{name} {_figure(value)}"
        for name, value in (("precision", precision), ("recall", recall), ("F1", f1(precision, recall)))
    )
    whole_texts = f"{ill['texts']} with somebody's health and {others['texts']} without"
    lines += ["", f"Whole texts, `phi.context`: {whole_texts}; {figures}.", ""]
    lines.append(
        "| texts not written about anybody's health | texts | name somebody | `phi.context` | a date or an age |"
    )
    lines.append("|---|---|---|---|---|")
    for title, kind in (("drawn: people, no health", "PEOPLE_ONLY"), ("drawn: nobody", "NOBODY")):
        lines.append(_row(title, whole[kind], named="-"))
    lines += [_row(kind, counts, named=str(counts["pii.name"])) for kind, counts in sorted(public.items())]
    return "\n".join(lines) + "\n"


def _row(title: str, counts: Counter[str], named: str) -> str:
    dated = max(counts[label] for label in ("pii.birth_date", "pii.date", "pii.age"))
    return f"| {title} | {counts['texts']} | {named} | {counts['phi.context']} | {dated} |"


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


if __name__ == "__main__":
    main()
