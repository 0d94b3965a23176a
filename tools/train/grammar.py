"""Sentences of our own for training: attacks as attackers write them, and harmless texts that look alike.

A grammar is a list of templates and slots; ``{slot}`` is replaced by one of the slot's phrases, which may hold slots
themselves. Everything here was written for Magistrate and stands under its licence. The seed decides what is drawn.
"""

import random
import re
from collections.abc import Mapping, Sequence

_SLOT = re.compile(r"\{(\w+)\}")


def draw(templates: Sequence[str], slots: Mapping[str, Sequence[str]], source: random.Random) -> str:
    """Return one sentence of the grammar."""
    text = source.choice(templates)
    for _ in range(8):
        text, replaced = _SLOT.subn(lambda match: source.choice(slots[match[1]]), text)
        if not replaced:
            break
    return text


def several(
    templates: Sequence[str], slots: Mapping[str, Sequence[str]], count: int, source: random.Random
) -> list[str]:
    """Return up to ``count`` different sentences, in the order drawn."""
    drawn = (draw(templates, slots, source) for _ in range(count * 2))
    return list(dict.fromkeys(drawn))[:count]


def voiced(text: str, source: random.Random) -> str:
    """Return ``text`` as somebody else might have typed it: shouted, in lower case, without its full stop."""
    style = source.random()
    if style < 0.12:
        return text.upper()
    if style < 0.30:
        return text.lower()
    if style < 0.40:
        return text.rstrip(".!") + source.choice(["!!!", "!", "", " ...", "\n"])
    return text
