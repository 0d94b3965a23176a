"""Fit a linear-chain conditional random field over hashed features, with labels that may be partly unknown.

A word may allow several tags (a teacher was not sure); what is learnt is that one of the allowed ones holds. Adagrad over
batches of stretches; probabilities are rounded, so that no last bit of `exp` decides.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from magistrate.classify.chain import TAGS

BATCH_WORDS = 2500
RATE = 0.2
DECAY = 2e-6
COUNT = len(TAGS)
ANY = (1 << COUNT) - 1

Floats = NDArray[np.float64]


class Stretch(NamedTuple):
    """Words that are read as one chain. ``allowed`` has one bit a tag."""

    slots: NDArray[np.int32]
    allowed: NDArray[np.int32]
    weight: float


class Field(NamedTuple):
    weights: Floats
    moves: Floats


def fit(given: Sequence[Stretch], bits: int, epochs: int, seed: int = 3) -> Field:
    """Return the weights learnt from ``given``."""
    size = 1 << bits
    weights = np.zeros((COUNT, size), dtype=np.float32)
    squares = np.full((COUNT, size), 1e-2, dtype=np.float32)
    moves, move_squares = np.zeros((COUNT, COUNT)), np.full((COUNT, COUNT), 1.0)
    shuffle = np.random.default_rng(seed)
    for epoch in range(epochs):
        rate = RATE * (1.0 - 0.8 * epoch / epochs)
        for batch in _batches(given, shuffle):
            rows = np.concatenate([one.slots for one in batch])
            slope, move_slope = _slopes(batch, rows, weights, moves)
            touched, where = _touched(rows, size)
            for tag in range(COUNT):
                each = np.bincount(where, np.repeat(slope[:, tag], rows.shape[1]), len(touched))
                each = each.astype(np.float32) + DECAY * len(rows) * weights[tag, touched]
                squares[tag, touched] += each * each
                weights[tag, touched] -= rate * each / np.sqrt(squares[tag, touched])
            move_squares += move_slope * move_slope
            moves -= rate * move_slope / np.sqrt(move_squares)
    return Field(weights.T.astype(np.float64), moves)


def _batches(given: Sequence[Stretch], shuffle: np.random.Generator) -> list[list[Stretch]]:
    """Return all stretches in a new order, those of about one length together."""
    lengths = np.array([len(one.slots) for one in given])
    order = shuffle.permutation(len(given))
    order = order[np.argsort(lengths[order] // 8, kind="stable")]
    batches: list[list[Stretch]] = [[]]
    words = 0
    for index in order:
        batches[-1].append(given[index])
        words += lengths[index]
        if words >= BATCH_WORDS:
            batches.append([])
            words = 0
    return [batches[number] for number in shuffle.permutation(len(batches)) if batches[number]]


def _touched(rows: NDArray[np.int32], size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    flat = rows.ravel()
    seen = np.zeros(size, dtype=bool)
    seen[flat] = True
    touched = np.flatnonzero(seen)
    place = np.cumsum(seen) - 1
    return touched, place[flat]


def _slopes(
    batch: Sequence[Stretch], rows: NDArray[np.int32], weights: NDArray[np.float32], moves: Floats
) -> tuple[Floats, Floats]:
    scores = np.stack([weights[tag][rows].sum(axis=1, dtype=np.float64) for tag in range(COUNT)], axis=1)
    lengths = np.array([len(one.slots) for one in batch])
    longest = int(lengths.max())
    inside = np.arange(longest) < lengths[:, None]
    padded = np.zeros((len(batch), longest, COUNT))
    padded[inside] = scores
    allowed = np.ones((len(batch), longest), dtype=np.int64) * ANY
    allowed[inside] = np.concatenate([one.allowed for one in batch])
    free = ((allowed[:, :, None] >> np.arange(COUNT)) & 1).astype(bool)
    share = np.array([one.weight for one in batch])
    every, pairs = _expected(padded, moves, inside, None)
    right, right_pairs = _expected(padded, moves, inside, free)
    slope = (every - right) * share[:, None, None]
    move_slope = ((pairs - right_pairs) * share[:, None, None]).sum(axis=0)
    return np.round(slope[inside] * 2**24) / 2**24, np.round(move_slope * 2**24) / 2**24


def _expected(
    scores: Floats, moves: Floats, inside: NDArray[np.bool_], free: NDArray[np.bool_] | None
) -> tuple[Floats, Floats]:
    """Return how likely each tag is for each word, and how often each follows each."""
    weight = np.exp(scores - scores.max(axis=2, keepdims=True))
    if free is not None:
        weight = np.where(free, np.maximum(weight, 1e-30), 0.0)
    follow = np.exp(moves)
    count, longest, _ = weight.shape
    forward = np.empty_like(weight)
    step = weight[:, 0] / weight[:, 0].sum(axis=1, keepdims=True)
    forward[:, 0] = step
    for at in range(1, longest):
        step = (step @ follow) * weight[:, at]
        step /= step.sum(axis=1, keepdims=True)
        forward[:, at] = step
    pairs = np.zeros((count, COUNT, COUNT))
    step = np.ones((count, COUNT))
    found = np.empty_like(weight)
    found[:, -1] = forward[:, -1]
    for at in range(longest - 1, 0, -1):
        ahead = step * weight[:, at]
        both = forward[:, at - 1, :, None] * follow * ahead[:, None, :]
        both /= both.sum(axis=(1, 2), keepdims=True)
        pairs += np.where(inside[:, at, None, None], both, 0.0)
        step = np.where(inside[:, at, None], ahead @ follow.T, 1.0)
        step /= step.sum(axis=1, keepdims=True)
        each = forward[:, at - 1] * step
        found[:, at - 1] = each / each.sum(axis=1, keepdims=True)
    return found, pairs
