"""Linear: weights over n-grams, summed over every window of a text at once.

A text's score is that of its strongest window, so an attack buried in a long document weighs as much as one that
stands alone. Because the model is linear, all windows together cost one running sum.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from magistrate.classify.artefact import Artefact, BrokenArtefact
from magistrate.classify.grams import Grams

SCALES = ((384, 96), (128, 32))
"""Width of a window and distance to the next, in bytes of spelled text: about four sentences, and one. An order hidden in
other text stands nearly alone in some narrow window; a long persuasion needs a wide one."""

Floats = NDArray[np.float64]


class Reading(NamedTuple):
    """What one head says of one text: the strongest window's score and where in the UTF-8 text it stands."""

    score: float
    start: int
    end: int


class Head:
    """One question to a text. ``weights`` has one weight per slot."""

    def __init__(self, artefact: Artefact, name: str) -> None:
        facts = artefact.header.facts
        try:
            head = facts["heads"][name]
            self.bits = int(facts["bits"])
            self.bias = float(head["bias"])
            self._slope, self._offset = (float(number) for number in head["platt"])
            self.thresholds: dict[str, dict[str, float]] = head["thresholds"]
            quantised = artefact.arrays[name]
            self.weights = quantised.astype(np.float64) * float(head["scale"])
        except (KeyError, TypeError, ValueError) as error:
            raise BrokenArtefact(f"has no usable head `{name}` ({type(error).__name__})") from None
        if self.weights.shape != (1 << self.bits,):
            raise BrokenArtefact(f"has a head `{name}` of the wrong size")

    def read(self, found: Grams) -> Reading:
        """Return the strongest window of a text; a text without n-grams scores the bias."""
        windows = windows_of(len(found.origin))
        scores = self.scores(found, windows)
        best = int(scores.argmax())
        start, end = windows[best]
        origin = found.origin
        if end <= start:
            return Reading(float(scores[best]), 0, 0)
        return Reading(float(scores[best]), int(origin[start]), int(origin[end - 1]) + 1)

    def scores(self, found: Grams, windows: Sequence[tuple[int, int]]) -> Floats:
        """Return the score of each window: the sum of its weights over the root of their number, and the bias."""
        length = len(found.origin) + 1
        sums = np.cumsum(np.bincount(found.places + 1, self.weights[found.slots], length))
        counts = np.cumsum(np.bincount(found.places + 1, minlength=length))
        bounds = np.array(windows)
        total = sums[bounds[:, 1]] - sums[bounds[:, 0]]
        number = counts[bounds[:, 1]] - counts[bounds[:, 0]]
        result: Floats = total / np.sqrt(np.maximum(number, 1)) + self.bias
        return result

    def milli(self, score: float) -> int:
        """Return the calibrated probability of ``score`` in thousandths (Platt 1999, fitted on sources left out)."""
        return round(1000 / (1 + float(np.exp(-(self._slope * score + self._offset)))))


def windows_of(length: int) -> list[tuple[int, int]]:
    """Return the windows over ``length`` bytes, wide ones first; each scale covers all of them."""
    found: list[tuple[int, int]] = []
    for width, hop in SCALES:
        if length > width:
            found += [(start, start + width) for start in [*range(0, length - width, hop), length - width]]
        elif width == SCALES[0][0]:
            found.append((0, length))
    return found
