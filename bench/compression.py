"""What a dictionary would save of a body of 24 KB, and what it would cost. `python bench/compression.py`.

Two kinds of text: the bench's own, and chats made of paragraphs of `docs/` (what is compressed and what the dictionary
was trained on come from different halves of them).
"""

import json
import random
import re
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import zstandard

from recorder import text

LENGTH = 24_000
TRAINED_ON, COMPRESSED = 300, 64
DICTIONARY_BYTES = 112_640
DOCS = Path(__file__).parent.parent / "docs"


def halves() -> tuple[list[str], list[str]]:
    """Return the paragraphs of the docs, shuffled, in two halves."""
    pages = "\n".join(path.read_text() for path in sorted(DOCS.glob("*.md")))
    paragraphs = [each for each in re.split(r"\n\s*\n", pages) if len(each) > 80]
    random.Random(5).shuffle(paragraphs)
    return paragraphs[::2], paragraphs[1::2]


def chat(paragraphs: Sequence[str], seed: int) -> bytes:
    """Return a request whose messages quote paragraphs."""
    chance = random.Random(seed)
    messages = [{"role": "system", "content": chance.choice(paragraphs)}]
    while len(json.dumps(messages)) < LENGTH - 200:
        role = "user" if len(messages) % 2 else "assistant"
        messages.append({"role": role, "content": chance.choice(paragraphs)[:900]})
    request = {"model": "gpt-5-mini", "messages": messages, "stream": True, "user": f"user-{seed}"}
    return json.dumps(request).encode()[:LENGTH]


def measured(compressor: zstandard.ZstdCompressor, bodies: Sequence[bytes]) -> tuple[float, float]:
    """Return bytes and microseconds of a body."""
    took = []
    for _ in range(3):
        began = time.perf_counter()
        packed = [compressor.compress(body) for body in bodies]
        took.append(time.perf_counter() - began)
    return statistics.mean(map(len, packed)), min(took) / len(bodies) * 1e6


def compare(name: str, train: Callable[[int], bytes], compress: Callable[[int], bytes]) -> None:
    dictionary = zstandard.train_dictionary(DICTIONARY_BYTES, [train(seed) for seed in range(TRAINED_ON)])
    bodies = [compress(seed) for seed in range(1000, 1000 + COMPRESSED)]
    for level in (1, 3):
        alone = measured(zstandard.ZstdCompressor(level=level), bodies)
        helped = measured(zstandard.ZstdCompressor(level=level, dict_data=dictionary), bodies)
        for how, (size, took) in (("", alone), (", dictionary", helped)):
            print(f"{name:8}level {level}{how:14}{size:8.0f} B{took:8.0f} us")


def main() -> None:
    one, other = halves()
    compare("bench", lambda seed: text(LENGTH, seed), lambda seed: text(LENGTH, seed))
    compare("chat", lambda seed: chat(one, seed), lambda seed: chat(other, seed))


if __name__ == "__main__":
    main()
