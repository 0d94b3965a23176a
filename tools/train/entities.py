# ruff: noqa: T201  because it is a script for people, not a module
"""Train the model of names: `python tools/train/entities.py --data ../shared/data`.

Writes `src/magistrate/classify/artefacts/entities.model` and `docs/models/entities.json` (each source measured by weights that
did not see it). The same data and the same numpy give the same bytes. About six minutes on one core.
"""

import argparse
import hashlib
import random
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src"), str(Path(__file__).parent)]

from calibration import calibrated  # noqa: E402
from corpus import Data  # noqa: E402
from fields import Field, Stretch, fit  # noqa: E402
from known import known_words  # noqa: E402
from magistrate.app.scoring import Row, Score  # noqa: E402
from magistrate.classify.artefact import read, write  # noqa: E402
from magistrate.classify.chain import KINDS, TAGS, stretches  # noqa: E402
from magistrate.classify.entities import Entities, Span, logit  # noqa: E402
from magistrate.classify.words import Lists, Word, slots, words  # noqa: E402
from people import Names, drawn  # noqa: E402
from scores import hashed  # noqa: E402
from taught import Example, gold, taught, unnamed  # noqa: E402

BITS = 17
EPOCHS = 6
DRAWN = 24_000
LOWEST = 0.3
"""Chance from which spans are collected to calibrate scores."""
THRESHOLDS = {"name": 0.55, "place": 0.5, "address": 0.6, "org": 0.6}
"""Chances from which a span counts. Chosen on the figures per source, not on items."""

HELD_OUT = ("wikigold", "wnut17", "presidio-research", "pii-nano")
HARMLESS = (
    ("arena-hard", "human-eval", "mts-dialog", "litestar-org/litestar", "cyberseceval-frr", "deepset"),
    ("bfcl", "awesome-prompts", "hh-rlhf-harmless", "surge", "simonw/datasette", "cursorrules"),
)
"""Sources of texts that were not written to name people, left out together, to see how many of them are flagged."""

ARTEFACT = ROOT / "src/magistrate/classify/artefacts/entities.model"
MEASURED = ROOT / "docs/models/entities.json"
TAG = {name: number for number, name in enumerate(TAGS)}
ANY = (1 << len(TAGS)) - 1


class Corpus(NamedTuple):
    """Texts, and each of them ready to be learnt from; and what we drew ourselves."""

    examples: list[Example]
    lists: Lists
    ready: list[list[Stretch]]
    drawn: list[Stretch]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--data", type=Path, default=ROOT / "../shared/data")
    arguments.add_argument("--out", type=Path, default=ARTEFACT)
    arguments.add_argument(
        "--unmeasured", action="store_true", help="keep the calibration of the last measurement"
    )
    given = arguments.parse_args()
    data = Data(given.data)
    corpus = corpus_of(data)
    made_from = data.digests | hashed(
        "calibration",
        "chronicle",
        "entities",
        "fields",
        "known",
        "people",
        "scenes",
        "taught",
        room=("chain", "words"),
    )
    made_from |= {name: _digest(Path(__file__).parent / name) for name in ("lists.json.gz", "taught.json.gz")}
    if given.unmeasured:
        measured = msgspec.json.decode(MEASURED.read_bytes())
    else:
        measured = _measured(corpus)
        MEASURED.write_bytes(msgspec.json.format(msgspec.json.encode(measured), indent=1) + b"\n")
    given.out.write_bytes(_artefact(_learnt(corpus), corpus.lists, measured["platt"], made_from))
    print(f"{given.out}: {given.out.stat().st_size} bytes")


def corpus_of(data: Data) -> Corpus:
    """Return every text that is learnt from."""
    examples = [*gold(data), *taught(data), *unnamed(data)]
    lists = known_words(one.text for one in examples if one.kind != "gold")
    source = random.Random(9)
    names = Names(source)
    ready = []
    for number, one in enumerate(examples):
        source.seed(number)
        ready.append(_readied(one, lists, names, source))
    made = [
        stretch for one in drawn(DRAWN, seed=11) for stretch in _stretches(one.text, one.spans, lists, 1.0)
    ]
    return Corpus(examples, lists, ready, made)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _learnt(corpus: Corpus, without: Sequence[str] = ()) -> Field:
    chosen = [
        stretch
        for one, ready in zip(corpus.examples, corpus.ready, strict=True)
        if one.source not in without
        for stretch in ready
    ]
    return fit(chosen + corpus.drawn, BITS, EPOCHS)


def _readied(one: Example, lists: Lists, names: Names, source: random.Random) -> list[Stretch]:
    """Return a text as it is learnt from: as it stands, some also in other cases, and labelled ones with other names."""
    weight = 1.5 if one.kind == "gold" else 0.7
    ready = _stretches(one.text, one.spans, lists, weight)
    if source.random() < (0.35 if one.kind == "gold" else 0.12):
        ready += _stretches(_recased(one.text, source), one.spans, lists, weight * 0.5)
    if one.kind == "gold" and one.spans and source.random() < 0.8:
        ready += _stretches(*_renamed(one, names, source), lists, 0.8)
    return ready


def _stretches(
    text: str, spans: Sequence[tuple[int, int, str]], lists: Lists, weight: float
) -> list[Stretch]:
    tokens = words(text)
    if not tokens:
        return []
    rows = slots(tokens, lists, BITS).astype(np.int32)
    allowed = _allowed(tokens, spans)
    return [Stretch(rows[start:end], allowed[start:end], weight) for start, end in stretches(tokens)]


def _allowed(
    tokens: Sequence[Word], spans: Sequence[tuple[int, int, str]]
) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Return the tags each word may have, one bit a tag: the one it is labelled with, or any where nobody is sure."""
    allowed = np.ones(len(tokens), dtype=np.int32)
    for start, end, kind in spans:
        begun = False
        for at, word in enumerate(tokens):
            if word.start < end and start < word.end:
                tag = TAG[f"{'I' if begun else 'B'}-{kind}"] if kind != "?" else 0
                allowed[at] = ANY if kind == "?" else 1 << tag
                begun = True
    return allowed


def _recased(text: str, source: random.Random) -> str:
    share = source.random()
    changed = text.lower() if share < 0.6 else text.upper() if share < 0.85 else text.title()
    return changed if len(changed) == len(text) else text


def _renamed(one: Example, names: Names, source: random.Random) -> tuple[str, list[tuple[int, int, str]]]:
    """Return the text with other names in the places of its own."""
    text, spans, at = "", [], 0
    for start, end, kind in sorted(one.spans):
        if start < at:
            continue
        text += one.text[at:start]
        old = one.text[start:end]
        new = _other(kind, old, names, source)
        new = new.lower() if old.islower() else new
        spans.append((len(text), len(text) + len(new), kind))
        text, at = text + new, end
    return text + one.text[at:], spans


def _other(kind: str, old: str, names: Names, source: random.Random) -> str:
    country = source.choice(("US", "US", "GB", "IN", "DE", "FR", "ES", "IT", "NL", "SE", "PL", "BR"))
    if kind == "place":
        return names.place(country)
    if kind == "address":
        return names.address(country)
    if kind == "org":
        return names.organisation(country)
    if len(old.split()) > 1:
        return f"{names.given(country)} {names.surname(country)}"
    return names.given(country) if source.random() < 0.5 else names.surname(country)


def _artefact(field: Field, lists: Lists, platt: dict[str, list[float]], made_from: dict[str, str]) -> bytes:
    scale = float(np.abs(field.weights).max()) / 127
    facts = {
        "bits": BITS,
        "scale": round(scale, 8),
        "moves": [[round(float(one), 5) for one in row] for row in field.moves],
        "thresholds": THRESHOLDS,
        "platt": platt,
    }
    arrays = {
        "weights": np.round(field.weights / scale).astype(np.int8),
        "known": lists.hashes.view(np.int32),
        "flags": lists.flags,
    }
    return write("entities", facts, made_from, arrays)


def learnt_without(corpus: Corpus, sources: Sequence[str]) -> Entities:
    """Return the model as it is when it saw nothing of ``sources``; its scores are not calibrated."""
    plain = {kind: [1.0, 0.0] for kind in KINDS}
    return Entities(read(_artefact(_learnt(corpus, sources), corpus.lists, plain, {})))


def _measured(corpus: Corpus) -> dict[str, Any]:
    """Return figures per source, each by weights that did not see it, and the calibration that they give."""
    sources: dict[str, Any] = {}
    judged: dict[str, list[tuple[float, bool]]] = {kind: [] for kind in KINDS}
    for held in HELD_OUT:
        tagger = learnt_without(corpus, (held,))
        score = Score({})
        for one in corpus.examples:
            if one.source == held and one.kind == "gold":
                found = tagger.spans(one.text, LOWEST)
                score.add(Row(one.text, int(bool(one.spans)), one.spans), counted(found))
                for start, end, kind, sure in found:
                    right = any(
                        each == kind and first < end and start < last for first, last, each in one.spans
                    )
                    judged[kind].append((sure, right))
        types = score.report()["types"]
        sources[held] = {kind: _shown(types[kind]) for kind in KINDS if types.get(kind, {}).get("spans")}
        print(held, sources[held], flush=True)
    alarms = {name: share for together in HARMLESS for name, share in _flagged(corpus, together).items()}
    calibration = {kind: calibrated([(logit(sure), right) for sure, right in judged[kind]]) for kind in KINDS}
    return {"sources": sources, "flagged": alarms, "platt": calibration}


def _flagged(corpus: Corpus, together: Sequence[str]) -> dict[str, Any]:
    """Return for each source, left out together, the share of its texts in which a name of each kind is found."""
    tagger = learnt_without(corpus, together)
    alarms: dict[str, Any] = {}
    for held in together:
        texts = [one.text for one in corpus.examples if one.source == held]
        found = [{kind for kind, _, _ in counted(tagger.spans(text, LOWEST))} for text in texts]
        flagged = Counter(kind for kinds in found for kind in kinds)
        people = sum(bool(kinds & {"name", "address"}) for kinds in found)
        shares = {kind: round(flagged[kind] / len(texts), 4) for kind in KINDS}
        alarms[held] = {"texts": len(texts), "name or address": round(people / len(texts), 4)} | shares
        print(held, alarms[held], flush=True)
    return alarms


def counted(found: Sequence[Span]) -> list[tuple[str, int, int]]:
    """Return the spans that are sure enough to count, as (kind, start, end)."""
    return [(kind, start, end) for start, end, kind, sure in found if sure >= THRESHOLDS[kind]]


def _shown(type_: dict[str, Any]) -> dict[str, Any]:
    return {key: type_[key] for key in ("spans", "precision", "recall", "f1")}


if __name__ == "__main__":
    main()
