"""How often a score was right: a logistic curve through what was judged on sources left out (Platt 1999)."""

from collections.abc import Sequence

import numpy as np

STEPS = 300
LONGEST_STEP = 0.5


def calibrated(judged: Sequence[tuple[float, bool]]) -> list[float]:
    """Return slope and offset that turn a score into the share of such findings that were right."""
    scores = np.array([score for score, _ in judged])
    right = np.array([float(one) for _, one in judged])
    slope, offset = 0.5, 0.0
    for _ in range(STEPS):
        chance = 1 / (1 + np.exp(-np.clip(slope * scores + offset, -30, 30)))
        error, curve = chance - right, chance * (1 - chance)
        mixed = float((curve * scores).sum())
        bend = np.array([[float((curve * scores * scores).sum()), mixed], [mixed, float(curve.sum())]])
        slopes = np.array([float((error * scores).sum()), float(error.sum())])
        step = np.linalg.solve(bend + 1e-2 * np.eye(2), slopes)
        step *= min(1.0, LONGEST_STEP / float(np.abs(step).max() + 1e-12))
        slope, offset = slope - float(step[0]), offset - float(step[1])
    return [round(slope, 3), round(offset, 3)]
