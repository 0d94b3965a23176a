# ruff: noqa: T201  because it is a script for people, not a module
"""Train the model of languages: `python tools/train/languages.py --data ../shared/data`.

Writes `src/magistrate/classify/artefacts/languages.model` and `docs/models/languages.json`. The same data and the same numpy give the same
bytes. A few seconds.
"""

import argparse
import random
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src"), str(Path(__file__).parent)]

from calibration import calibrated  # noqa: E402
from corpus import Data  # noqa: E402
from magistrate.classify.artefact import read, write  # noqa: E402
from magistrate.classify.languages import Languages, runs  # noqa: E402
from scores import hashed  # noqa: E402
from tongues import GERMAN  # noqa: E402

BITS = 13
SMOOTHING = 0.2
SHORT = 40
"""Characters of the short pieces that are measured beside whole texts."""
LEAST_MILLI = 900
ARTEFACT = ROOT / "src/magistrate/classify/artefacts/languages.model"
MEASURED = ROOT / "docs/models/languages.json"
NAMES = {
    "Portuguese": "pt",
    "Spanish": "es",
    "Italian": "it",
    "German": "de",
    "French": "fr",
    "Hindi": "hi",
    "Thai": "th",
}
ENGLISH = ("hh-rlhf-harmless", "mts-dialog", "awesome-prompts")
"""Sources of English texts that are learnt from; the others are measured."""
MEASURED_ENGLISH = ("arena-hard", "bfcl", "cyberseceval-frr")

Labelled = list[tuple[str, str]]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--data", type=Path, default=ROOT / "../shared/data")
    arguments.add_argument("--out", type=Path, default=ARTEFACT)
    given = arguments.parse_args()
    data = Data(given.data)
    sets = _sets(data)
    plain = [1.0, 0.0]
    alone = Languages(read(_artefact(sets["udhr"] + sets["own"] + sets["english"], plain, {})))
    thinned = [one for number, one in enumerate(sets["udhr"]) if number % 5]
    held = [one for number, one in enumerate(sets["udhr"]) if not number % 5]
    part = Languages(read(_artefact(thinned + sets["own"] + sets["english"], plain, {})))
    measured = {
        "requests, a source that was not learnt from": _figures(alone, sets["requests"]),
        "English, sources that were not learnt from": _figures(alone, sets["other english"]),
        "declaration, articles that were not learnt from": _figures(part, held),
        f"the same, {SHORT} characters": _figures(
            part, [(text[:SHORT], language) for text, language in held]
        ),
    }
    leads = [*_leads(alone, sets["requests"]), *_leads(alone, sets["other english"])]
    leads += _leads(part, [(text[:size], language) for text, language in held for size in (25, SHORT, 200)])
    calibration = calibrated(leads)
    MEASURED.write_bytes(msgspec.json.format(msgspec.json.encode(measured), indent=1) + b"\n")
    made_from = data.digests | hashed("calibration", "languages", "tongues", room=("languages",))
    everything = sets["udhr"] + sets["own"] + sets["english"] + sets["requests"]
    given.out.write_bytes(_artefact(everything, calibration, made_from))
    print(f"{given.out}: {given.out.stat().st_size} bytes; {measured}")


def _sets(data: Data) -> dict[str, Labelled]:
    rows = data.rows("detect/language.jsonl.gz")
    injection = [row for row in data.rows("detect/injection.jsonl.gz") if row["label"] == 0]
    english = [(row["text"][:600], "en") for row in injection if row["source"] in ENGLISH]
    random.Random(1).shuffle(english)
    return {
        "udhr": [(row["text"], row["label"]) for row in rows if row["source"] == "udhr"],
        "requests": [(row["text"], NAMES[row["label"]]) for row in rows if row["source"] != "udhr"],
        "english": english[:300],
        "other english": [
            (row["text"][:600], "en") for row in injection if row["source"] in MEASURED_ENGLISH
        ],
        "own": [(text, "de") for text in GERMAN],
    }


def _artefact(examples: Sequence[tuple[str, str]], platt: list[float], made_from: dict[str, str]) -> bytes:
    languages = sorted({language for _, language in examples})
    counts = np.zeros((len(languages), 1 << BITS))
    for text, language in examples:
        counts[languages.index(language)] += np.bincount(runs(text, BITS), minlength=1 << BITS)
    chances = (counts + SMOOTHING) / (counts.sum(axis=1, keepdims=True) + SMOOTHING * (1 << BITS))
    weights = np.log(chances)
    weights -= weights.mean(axis=0)
    scale = float(np.abs(weights).max()) / 127
    facts = {
        "languages": languages,
        "bits": BITS,
        "scale": round(scale, 8),
        "platt": platt,
        "least_milli": LEAST_MILLI,
    }
    return write("languages", facts, made_from, {"weights": np.round(weights / scale).astype(np.int8)})


def _figures(model: Languages, examples: Labelled) -> dict[str, Any]:
    guesses = [(model.guess(text), language) for text, language in examples]
    told = [(guess[0], language) for guess, language in guesses if guess]
    wrong = Counter(f"{language} taken for {guess}" for guess, language in told if guess != language)
    right = sum(guess == language for guess, language in told)
    return {
        "texts": len(examples),
        "told": len(told),
        "right": round(right / len(told), 4),
        "wrong": dict(wrong.most_common(6)),
    }


def _leads(model: Languages, examples: Iterable[tuple[str, str]]) -> list[tuple[float, bool]]:
    guesses = ((model.guess(text), language) for text, language in examples)
    return [(guess[1], guess[0] == language) for guess, language in guesses if guess]


if __name__ == "__main__":
    main()
