"""Texts for the model of names: labelled ones, ones that models of others marked (`teach.py`), and ones that name nobody."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from corpus import Data

TAUGHT = Path(__file__).parent / "taught.json.gz"
KINDS = {
    "PER": "name", "PERSON": "name", "person": "name", "LOC": "place", "location": "place", "GPE": "place",
    "STREET_ADDRESS": "address", "ADDRESS": "address", "ZIP_CODE": "address", "ORG": "org", "ORGANIZATION": "org",
    "corporation": "org", "group": "org", "BANK": "org",
}  # fmt: skip
"""Types of the labelled sources -> what we learn. Other types (works, products, peoples, titles) are no names here."""


class Example(NamedTuple):
    """One text. A span is start, end and what it is; ``?`` where nobody is sure."""

    text: str
    spans: tuple[tuple[int, int, str], ...]
    source: str
    kind: str


def gold(data: Data) -> Iterator[Example]:
    """Yield what people labelled."""
    for file in ("detect/ner.jsonl.gz", "detect/pii.jsonl.gz"):
        for row in data.rows(file):
            spans = tuple((a, b, KINDS[kind]) for a, b, kind in row.get("spans") or () if kind in KINDS)
            yield Example(row["text"], spans, row["source"], "gold")


def taught(data: Data) -> Iterator[Example]:
    """Yield prompts, posts, documents and code, with what two models of others agree on."""
    files: dict[str, list[dict[str, str]]] = {}
    for file, number, start, end, marked in json.loads(gzip.decompress(TAUGHT.read_bytes())):
        if file not in files:
            files[file] = data.rows(file)
        row = files[file][number]
        spans = tuple((a, b, kind) for a, b, kind in marked)
        yield Example(row["text"][start:end], spans, row["source"], row["kind"])


def unnamed(data: Data) -> Iterator[Example]:
    """Yield texts in many languages that name nobody: the declaration of human rights, and requests for programs."""
    for row in data.rows("detect/language.jsonl.gz"):
        yield Example(row["text"], (), row["source"], "lang")
