"""Logistic regression over the n-grams of windows, in plain numpy and in one fixed order: the same data, the same bytes.

A long attack is mostly harmless sentences, so after a first fit it is represented by its strongest window only, and a
harmless text by its strongest and some others. What is judged at run time is what was learnt: the strongest window.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpus import FOLDS, OWN, Example
from magistrate.classify.grams import Grams, grams
from magistrate.classify.linear import windows_of
from magistrate.classify.spellings import spellings

BITS = 18
ROUNDS = 2
EPOCHS = 4
BATCH = 256
RATE = 0.3
DECAY = 1e-5

Slots = NDArray[np.int64]
Weights = NDArray[np.float64]


class Text:
    """A text ready to learn from or to be scored: its n-grams in order of place, for each of its spellings."""

    def __init__(self, text: str, *, decoded: bool) -> None:
        self.all = [_ordered(grams(each, BITS)) for each in spellings(text)[: None if decoded else 1]]
        self.windows = windows_of(len(self.all[0].origin))

    def slots(self, window: tuple[int, int]) -> Slots:
        plain = self.all[0]
        low, high = np.searchsorted(plain.places, window)
        return plain.slots[low:high].astype(np.int32)

    def scores(self, fit: "Fit") -> Weights:
        return _scores(self.all[0], fit, self.windows)

    def score(self, fit: "Fit") -> float:
        return max(float(_scores(each, fit, windows_of(len(each.origin))).max()) for each in self.all)


class Fit(NamedTuple):
    weights: Weights
    bias: float


def _ordered(found: Grams) -> Grams:
    order = np.argsort(found.places, kind="stable")
    return Grams(found.slots[order].astype(np.int32), found.places[order].astype(np.int32), found.origin)


def _scores(found: Grams, fit: Fit, windows: Sequence[tuple[int, int]]) -> Weights:
    length = len(found.origin) + 1
    sums = np.cumsum(np.bincount(found.places + 1, fit.weights[found.slots], length))
    counts = np.cumsum(np.bincount(found.places + 1, minlength=length))
    bounds = np.array(windows)
    number = np.maximum(counts[bounds[:, 1]] - counts[bounds[:, 0]], 1)
    scores: Weights = (sums[bounds[:, 1]] - sums[bounds[:, 0]]) / np.sqrt(number) + fit.bias
    return scores


def learn(texts: Sequence[Text], labels: Sequence[int], importance: Sequence[float], seed: int = 0) -> Fit:
    """Return weights that tell the labels apart, as the run time will use them."""
    fit: Fit | None = None
    for _ in range(ROUNDS):
        samples: list[Slots] = []
        marks: list[int] = []
        weights: list[float] = []
        for text, label, weight in zip(texts, labels, importance, strict=True):
            chosen = _chosen(text, label, fit)
            samples += [text.slots(window) for window in chosen]
            marks += [label] * len(chosen)
            weights += [weight / len(chosen) ** 0.5] * len(chosen)
        fit = _descend(samples, np.array(marks, float), np.array(weights), fit, seed)
    assert fit is not None
    return fit


def _chosen(text: Text, label: int, fit: Fit | None) -> list[tuple[int, int]]:
    windows = text.windows
    if len(windows) == 1:
        return windows
    apart = [window for window in windows if window[0] % (window[1] - window[0]) == 0]
    if fit is None:
        return apart[:2] if label else apart[:8:2]
    scores = text.scores(fit)
    if label:
        return [windows[int(scores.argmax())]]
    return [windows[index] for index in np.argsort(-scores, kind="stable")[:3]] + apart[:8:3]


def _descend(
    samples: Sequence[Slots], labels: Weights, importance: Weights, start: Fit | None, seed: int
) -> Fit:
    """Adagrad on the logistic loss. Probabilities are rounded to 2**-24 so that no last bit of `exp` matters."""
    size = 1 << BITS
    weights = np.zeros(size) if start is None else start.weights.copy()
    bias = 0.0 if start is None else start.bias
    square, square_bias = np.full(size, 1e-3), 1e-3
    lengths = np.array([len(sample) for sample in samples])
    flat = np.concatenate(samples)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    norm = 1 / np.sqrt(np.maximum(lengths, 1))
    shuffle = np.random.default_rng(seed)
    for _ in range(EPOCHS):
        order = shuffle.permutation(len(samples))
        for first in range(0, len(order), BATCH):
            batch = order[first : first + BATCH]
            slots = np.concatenate([flat[offsets[index] : offsets[index + 1]] for index in batch])
            rows = np.repeat(np.arange(len(batch)), lengths[batch])
            score = np.bincount(rows, weights[slots], len(batch)) * norm[batch] + bias
            probability = np.round(2**24 / (1 + np.exp(-score))) / 2**24
            error = (probability - labels[batch]) * importance[batch]
            slope = np.bincount(slots, (error * norm[batch])[rows], size) + DECAY * len(batch) * weights
            square += slope * slope
            weights -= RATE * slope / np.sqrt(square)
            total = float(error.sum())
            square_bias += total * total
            bias -= RATE * total / square_bias**0.5
    return Fit(weights, bias)


def balanced(examples: Sequence[Example], discount: dict[str, float]) -> list[float]:
    """Return how much each example counts: large sources less than in proportion, noisy ones at a discount."""
    sizes = Counter((one.source, one.label) for one in examples)

    def weight(one: Example) -> float:
        if one.source == OWN:
            return 0.7
        size = sizes[one.source, one.label]
        return min(3.0, max(0.3, (300 / size) ** 0.5)) * discount.get(one.source, 1.0)

    return [weight(one) for one in examples]


def left_out(
    examples: Sequence[Example],
    texts: Sequence[Text],
    train: Callable[[list[int]], Fit],
) -> Weights:
    """Return each example's score by a model that saw no source of its fold; nan for our own."""
    scores = np.full(len(texts), np.nan)
    for fold in range(len(FOLDS)):
        inside = [index for index, one in enumerate(examples) if one.fold == fold]
        if inside:
            fit = train([index for index, one in enumerate(examples) if one.fold != fold])
            for index in inside:
                scores[index] = texts[index].score(fit)
    return scores


def thresholds(scores: Weights) -> dict[str, float]:
    """Return the scores that 0.5 % and 1 % of harmless texts exceed."""
    return {rate: round(float(np.quantile(scores, 1 - float(rate) / 100)), 4) for rate in ("0.5", "1")}


def platt(scores: Weights, labels: Weights) -> list[float]:
    """Return slope and offset that turn scores into probabilities, both sides weighing the same (Platt 1999)."""
    weight = np.where(labels == 1, 0.5 / max(labels.sum(), 1), 0.5 / max((1 - labels).sum(), 1))
    slope, offset = 1.0, 0.0
    for _ in range(200):
        probability = 1 / (1 + np.exp(-(slope * scores + offset)))
        error = weight * (probability - labels)
        curve = weight * probability * (1 - probability)
        mixed = float((curve * scores).sum())
        hessian = np.array([[float((curve * scores * scores).sum()), mixed], [mixed, float(curve.sum())]])
        gradient = np.array([float((error * scores).sum()), float(error.sum())])
        step = np.linalg.solve(hessian + 1e-3 * np.eye(2), gradient)
        step *= min(1.0, 0.5 / float(np.abs(step).max() + 1e-12))
        slope, offset = slope - float(step[0]), offset - float(step[1])
    return [round(slope, 4), round(offset, 4)]


def quantised(weights: Weights) -> tuple[NDArray[np.int8], float]:
    """Return the weights as whole numbers from -127 to 127 and what one of them is worth."""
    scale = float(np.abs(weights).max()) / 127
    return np.round(weights / scale).astype(np.int8), round(scale, 8)
