"""Chain: what each word is, judged together with what its neighbours are (a linear-chain conditional random field).

Lafferty, McCallum, Pereira 2001. Texts are cut into stretches of at most `LONGEST` words, at ends of lines or sentences where
there are any, and all stretches take one step together, so the cost hardly depends on how many there are.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from magistrate.classify.words import Word

Floats = NDArray[np.float64]

KINDS = ("name", "place", "address", "org")
TAGS = ("", *(f"{mark}-{kind}" for kind in KINDS for mark in "BI"))
"""What a word can be: nothing, or the beginning or the inside of one kind of name."""

LONGEST = 64
_EARLIEST = 24
_SENTENCE = frozenset(".!?\n;")


def stretches(tokens: Sequence[Word]) -> list[tuple[int, int]]:
    """Return where stretches begin and end, in words."""
    found: list[tuple[int, int]] = []
    start, good = 0, 0
    for at, word in enumerate(tokens, 1):
        if word.text in _SENTENCE and at - start >= _EARLIEST:
            good = at
        if at - start >= LONGEST or (good == at and word.text == "\n"):
            end = good if good > start else at
            found.append((start, end))
            start = end
    if start < len(tokens):
        found.append((start, len(tokens)))
    return found


def marginals(scores: Floats, moves: Floats, bounds: Sequence[tuple[int, int]]) -> Floats:
    """Return the probability of every tag for every word.

    ``scores`` are one row a word and one column a tag; ``moves`` how well a tag (row) is followed by another (column).
    """
    longest = max(end - start for start, end in bounds)
    rows = np.array([start for start, _ in bounds])[:, None] + np.arange(longest)
    inside = np.arange(longest) < np.array([end - start for start, end in bounds])[:, None]
    rows = np.where(inside, rows, 0)
    given = scores[rows]
    weight = np.exp(given - given.max(axis=2, keepdims=True))
    weight[~inside] = 1.0
    follow = np.exp(moves)
    forward, backward = np.empty_like(weight), np.empty_like(weight)
    step = weight[:, 0] / weight[:, 0].sum(axis=1, keepdims=True)
    forward[:, 0] = step
    for at in range(1, longest):
        step = (step @ follow) * weight[:, at]
        step /= step.sum(axis=1, keepdims=True)
        forward[:, at] = step
    step = np.ones_like(step)
    backward[:, -1] = step
    for at in range(longest - 1, 0, -1):
        # Behind a stretch's end nothing is known, so every tag there is as good as any other.
        step = np.where(inside[:, at, None], (step * weight[:, at]) @ follow.T, 1.0)
        step /= step.sum(axis=1, keepdims=True)
        backward[:, at - 1] = step
    both = forward * backward
    both /= both.sum(axis=2, keepdims=True)
    out = np.empty_like(scores)
    out[rows[inside]] = both[inside]
    return out
