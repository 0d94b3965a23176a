# ruff: noqa: T201  because it is a script for people, not a module
"""Train the threat model: `python tools/train/threats.py --data ../shared/data`.

Writes `src/magistrate/classify/artefacts/threats.model` and `docs/models/threats.json` (what was measured on sources left
out). The same data and the same numpy give the same bytes. About three minutes on one core.
"""

import argparse
import sys
from pathlib import Path

import msgspec
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src"), str(Path(__file__).parent)]

from corpus import LEFT_OUT, Data, Example, hidden, own, threats  # noqa: E402
from fitting import BITS, Fit, Text, balanced, learn, left_out, platt, quantised, thresholds  # noqa: E402
from magistrate.classify.artefact import write  # noqa: E402
from scores import counted, hashed, report  # noqa: E402

HIDDEN = 1500
NOISY = {"cyberseceval-pi": 0.3}
"""Its attacks are subtle by design and many read like ordinary questions; they teach little and blur much."""

HOSTS = (".doc", ".code", ".tool", ".clinical")
ARTEFACT = ROOT / "src/magistrate/classify/artefacts/threats.model"
MEASURED = ROOT / "docs/models/threats.json"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--data", type=Path, default=ROOT / "../shared/data")
    arguments.add_argument("--out", type=Path, default=ARTEFACT)
    arguments.add_argument(
        "--unmeasured", action="store_true", help="keep the thresholds of the last measurement"
    )
    given = arguments.parse_args()
    data = Data(given.data)
    public, drawn = threats(data), own()
    texts = [Text(one.text, decoded=True) for one in public]
    drawn_texts = [Text(one.text, decoded=False) for one in drawn]

    def train(indexes: list[int]) -> Fit:
        return attack_fit([public[i] for i in indexes], [texts[i] for i in indexes], drawn, drawn_texts)

    if given.unmeasured:
        measured = msgspec.json.decode(MEASURED.read_bytes())
    else:
        scores = left_out(public, texts, train)
        measured = report(public, scores)
        measured["thresholds"], measured["platt"] = _calibrated(public, scores)
        MEASURED.write_bytes(msgspec.json.format(msgspec.json.encode(measured), indent=1) + b"\n")
    attack = train(list(range(len(public))))
    jailbreak = jailbreak_fit([*public, *drawn], [*texts, *drawn_texts])
    given.out.write_bytes(_artefact(attack, jailbreak, measured, data))
    print(f"{given.out}: {given.out.stat().st_size} bytes")


def attack_fit(
    public: list[Example], texts: list[Text], drawn: list[Example], drawn_texts: list[Text]
) -> Fit:
    """Return the head that tells attacks from harmless texts."""
    kept = [index for index, one in enumerate(public) if one.source not in LEFT_OUT]
    public, texts = [public[index] for index in kept], [texts[index] for index in kept]
    hosts = [one.text for one in public if one.label == 0 and one.kind.endswith(HOSTS)]
    orders = [one.text for one in drawn if one.kind in {"injection.indirect", "injection.override"}]
    buried = hidden(hosts, orders, HIDDEN, seed=len(public))
    examples = [*public, *drawn, *buried]
    ready = [*texts, *drawn_texts, *(Text(one.text, decoded=False) for one in buried)]
    return learn(ready, [one.label for one in examples], balanced(examples, NOISY))


def jailbreak_fit(examples: list[Example], texts: list[Text]) -> Fit:
    """Return the head that tells jailbreaks (a role without rules) from other injections; it is asked about attacks only."""
    kept = [index for index, one in enumerate(examples) if one.label]
    chosen = [examples[index] for index in kept]
    labels = [int(one.kind == "jailbreak") for one in chosen]
    return learn([texts[index] for index in kept], labels, balanced(chosen, NOISY))


def _calibrated(
    examples: list[Example], scores: np.ndarray
) -> tuple[dict[str, dict[str, float]], list[float]]:
    known = ~np.isnan(scores)
    labels = np.array([float(one.label) for one in examples])
    channels = np.array([one.channel for one in examples])
    harmless = known & counted(examples)
    found = {channel: thresholds(scores[harmless & (channels == channel)]) for channel in ("user", "data")}
    pooled = harmless | (known & (labels == 1))
    return found, platt(scores[pooled], labels[pooled])


def _artefact(attack: Fit, jailbreak: Fit, measured: dict[str, object], data: Data) -> bytes:
    weights, scale = quantised(attack.weights)
    kinds, kinds_scale = quantised(jailbreak.weights)
    facts = {
        "bits": BITS,
        "heads": {
            "attack": {
                "scale": scale,
                "bias": round(attack.bias, 6),
                "platt": measured["platt"],
                "thresholds": measured["thresholds"],
            },
            "jailbreak": {
                "scale": kinds_scale,
                "bias": round(jailbreak.bias, 6),
                "platt": [1.0, 0.0],
                "thresholds": {},
            },
        },
    }
    made_from = data.digests | hashed("threats", "corpus", "fitting", "grammar", "attacks", "lookalikes")
    return write("threats", facts, made_from, {"attack": weights, "jailbreak": kinds})


if __name__ == "__main__":
    main()
