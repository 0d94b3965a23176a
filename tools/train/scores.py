"""What was measured on sources left out: recall at fixed false-positive rates, per source, and the area under the curve."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpus import APART, Example

Scores = NDArray[np.float64]


def report(examples: Sequence[Example], scores: Scores) -> dict[str, Any]:
    """Return recall at 0.5 % and 1 % false positives (pooled over harmless sources), F1 there, AUC, and per source."""
    known = ~np.isnan(scores)
    labels = np.array([one.label for one in examples])
    attacks, harmless = scores[known & (labels == 1)], scores[known & counted(examples)]
    at = {rate: float(np.quantile(harmless, 1 - float(rate) / 100)) for rate in ("0.5", "1")}
    sources: dict[str, Any] = {}
    for name in sorted({f"{one.source} {one.kind}" for one in examples if one.label}):
        chosen = known & np.array([one.label == 1 and f"{one.source} {one.kind}" == name for one in examples])
        if chosen.any():
            sources[name] = {"n": int(chosen.sum())} | {
                f"recall@{rate}": round(float((scores[chosen] > limit).mean()), 3)
                for rate, limit in at.items()
            }
    alarms: dict[str, Any] = {}
    for name in sorted({one.kind for one in examples if not one.label}):
        chosen = known & np.array([one.label == 0 and one.kind == name for one in examples])
        if chosen.any():
            alarms[name] = {
                "n": int(chosen.sum()),
                "alarms@1": round(float((scores[chosen] > at["1"]).mean()), 4),
            }
    many = [one for one in sources.values() if one["n"] >= 10]
    whole = {f"recall@{rate}": round(float((attacks > limit).mean()), 3) for rate, limit in at.items()}
    return {
        "attacks": len(attacks),
        "harmless": len(harmless),
        "auc": round(auc(attacks, harmless), 4),
        **whole,
        "f1@1": round(f1(attacks, harmless, at["1"]), 3),
        "macro recall@0.5": round(float(np.mean([one["recall@0.5"] for one in many])), 3),
        "macro recall@1": round(float(np.mean([one["recall@1"] for one in many])), 3),
        "sources": sources,
        "false alarms": alarms,
    }


def counted(examples: Sequence[Example]) -> NDArray[np.bool_]:
    """Return which examples are the harmless texts that rates are measured on."""
    return np.array([not one.label and not one.kind.endswith(APART) for one in examples])


def auc(attacks: Scores, harmless: Scores) -> float:
    """Return how often an attack scores above a harmless text; equal scores count half."""
    order = np.sort(harmless)
    below = np.searchsorted(order, attacks, side="left")
    equal = np.searchsorted(order, attacks, side="right") - below
    return float((below + equal / 2).sum() / (len(attacks) * len(harmless)))


def f1(attacks: Scores, harmless: Scores, limit: float) -> float:
    hits = int((attacks > limit).sum())
    return 2 * hits / (hits + int((harmless > limit).sum()) + len(attacks))


def hashed(*modules: str, room: tuple[str, ...] = ("grams", "spellings")) -> dict[str, str]:
    """Return the digests of the training code in ``modules``, and of the run time's own reading of a text."""
    here = Path(__file__).parent
    runs = here.parents[1] / "src/magistrate/classify"
    paths = [*(here / f"{name}.py" for name in modules), *(runs / f"{name}.py" for name in room)]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in sorted(paths)}
