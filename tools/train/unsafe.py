# ruff: noqa: T201  because it is a script for people, not a module
"""Train the model of unsafe content: `python tools/train/unsafe.py --data ../shared/data`.

Writes `src/magistrate/classify/artefacts/unsafe.model` and `docs/models/unsafe.json` (each source measured by weights that
did not see it). The same data and the same numpy give the same bytes.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src"), str(Path(__file__).parent)]

from corpus import Data, Example  # noqa: E402
from fitting import BITS, Fit, Text, balanced, learn, platt, quantised, thresholds  # noqa: E402
from magistrate.classify.artefact import write  # noqa: E402
from scores import hashed, report  # noqa: E402

ARTEFACT = ROOT / "src/magistrate/classify/artefacts/unsafe.model"
MEASURED = ROOT / "docs/models/unsafe.json"
HARMLESS = (
    ("arena-hard", "awesome-prompts"),
    ("bfcl", "cyberseceval-frr"),
    ("bbh", "deepset"),
)
"""Sources of ordinary requests, by fold."""

HARMFUL = {
    "request": (("advbench",), ("do-not-answer",), ("hh-rlhf-harmless",)),
    "toxic": (("davidson",), ("surge",), ("madlibs",)),
}
"""Sources of what each head is to find, with their harmless side where they have one, by fold."""

MOST = 1500
"""Texts of one side of one source; more of the same teaches little."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--data", type=Path, default=ROOT / "../shared/data")
    arguments.add_argument("--out", type=Path, default=ARTEFACT)
    given = arguments.parse_args()
    data = Data(given.data)
    heads: dict[str, Any] = {}
    arrays: dict[str, Any] = {}
    measured: dict[str, Any] = {}
    for name in HARMFUL:
        examples = _examples(data, name)
        texts = [Text(one.text, decoded=False) for one in examples]
        measured[name], limits, calibration = _measured(name, examples, texts)
        fit = _learnt(examples, texts, list(range(len(examples))))
        arrays[name], scale = quantised(fit.weights)
        heads[name] = {
            "scale": scale,
            "bias": round(fit.bias, 6),
            "platt": calibration,
            "thresholds": {"user": limits},
        }
    MEASURED.write_bytes(msgspec.json.format(msgspec.json.encode(measured), indent=1) + b"\n")
    made_from = data.digests | hashed("unsafe", "corpus", "fitting", "grammar", "attacks", "lookalikes")
    given.out.write_bytes(write("unsafe", {"bits": BITS, "heads": heads}, made_from, arrays))
    print(f"{given.out}: {given.out.stat().st_size} bytes")


def _examples(data: Data, name: str) -> list[Example]:
    rows = [
        *data.rows("detect/injection.jsonl.gz"),
        *data.rows("detect/unsafe_request.jsonl.gz"),
        *data.rows("detect/toxicity.jsonl.gz"),
    ]
    harmless = {source for fold in HARMLESS for source in fold}
    harmful = {source for fold in HARMFUL[name] for source in fold}
    kept: dict[tuple[str, int], dict[str, Example]] = {}
    for row in rows:
        source, kind = row["source"], row["kind"]
        if source in harmful:
            label = int(not kind.startswith("benign") or kind == "benign.unsafe-request")
        elif source in harmless and row["label"] == 0:
            label = 0
        else:
            continue
        side = kept.setdefault((source, label), {})
        if len(side) < MOST:
            side.setdefault(
                row["text"].strip().lower(), Example(row["text"][:4000], label, source, _kind(kind, label))
            )
    return [one for side in kept.values() for one in side.values()]


def _kind(kind: str, label: int) -> str:
    return kind.replace("benign.", "unsafe.") if label else kind


def _measured(
    name: str, examples: Sequence[Example], texts: Sequence[Text]
) -> tuple[dict[str, Any], dict[str, float], list[float]]:
    scores = np.full(len(texts), np.nan)
    for harmless, harmful in zip(HARMLESS, HARMFUL[name], strict=True):
        left_out = {*harmless, *harmful}
        fit = _learnt(examples, texts, [i for i, one in enumerate(examples) if one.source not in left_out])
        for index, one in enumerate(examples):
            if one.source in left_out:
                scores[index] = texts[index].score(fit)
    labels = np.array([float(one.label) for one in examples])
    return report(examples, scores), thresholds(scores[labels == 0]), platt(scores, labels)


def _learnt(examples: Sequence[Example], texts: Sequence[Text], indexes: Sequence[int]) -> Fit:
    chosen = [examples[index] for index in indexes]
    return learn([texts[index] for index in indexes], [one.label for one in chosen], balanced(chosen, {}))


if __name__ == "__main__":
    main()
