"""What the always-on tier costs where nothing is to be found: identifiers, and the pieces of a stream.

``python bench/pieces.py`` reads identifiers as nearly every request and answer has them (drawn, the same each time), and a prose and
an identifiers' text in pieces of several sizes through the inspector. Microseconds of one core, the best of several rounds.
"""

import random
import string
import time
import uuid
from collections.abc import Callable

from magistrate.classify.inspector import Inspector
from magistrate.classify.scanner import Scanner

DRAWN = 200
ROUNDS = 9
SIZES = (2, 4, 16, 64)
WORDS = string.ascii_letters + string.digits
PROSE = "The answer grows word after word, as answers do, and nobody has anything to hide in it. " * 8
SCANNER = Scanner()
SOURCE = random.Random(5)


def digits(count: int) -> str:
    return f"{SOURCE.getrandbits(4 * count):0{count}x}"


def letters(count: int) -> str:
    return "".join(SOURCE.choice(WORDS) for _ in range(count))


KINDS: dict[str, Callable[[], str]] = {
    "plain text, 59 characters": lambda: PROSE[:59],
    "chatcmpl- and 24 hex digits": lambda: "chatcmpl-" + digits(24),
    "chatcmpl- and 29 letters": lambda: "chatcmpl-" + letters(29),
    "resp_ and 48 hex digits": lambda: "resp_" + digits(48),
    "msg_01 and 22 letters": lambda: "msg_01" + letters(22),
    "call_ and 24 letters": lambda: "call_" + letters(24),
    "UUID": lambda: str(uuid.UUID(int=SOURCE.getrandbits(128), version=4)),
    "SHA-1": lambda: digits(40),
    "SHA-256": lambda: digits(64),
}


def best(work: Callable[[], object], times: int) -> float:
    """Return microseconds that one of ``times`` takes in the best round."""
    spent = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        spent.append(time.perf_counter() - began)
    return min(spent) / times * 1e6


def stream(text: str, size: int) -> float:
    pieces = [text[at : at + size] for at in range(0, len(text), size)]

    def work() -> None:
        for _ in range(20):
            inspector: Inspector[int] = Inspector(SCANNER)
            for piece in pieces:
                inspector.feed(0, piece)
            inspector.close(0)

    return best(work, 20 * len(pieces))


def main() -> None:
    for name, draw in KINDS.items():
        texts = [draw() for _ in range(DRAWN)]
        spent = best(lambda texts=texts: [SCANNER.scan_text(text) for text in texts], DRAWN)  # type: ignore[misc]
        print(f"{name:30}{spent:7.1f} µs")
    marked = (
        f"Commit {digits(40)} of {uuid.UUID(int=SOURCE.getrandbits(128), version=4)} was made by nobody. " * 6
    )
    for name, text in (("prose", PROSE), ("identifiers", marked)):
        for size in SIZES:
            print(f"{name}, {size} characters a piece".ljust(30) + f"{stream(text, size):7.1f} µs a piece")


if __name__ == "__main__":
    main()
