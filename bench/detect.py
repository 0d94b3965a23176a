"""What the always-on tier finds on labelled data it was not written for, and how long it takes.

    python bench/detect.py [--data DIR] [--json]

Each labelled span whose type we claim to find is *found* when a finding of a label that counts for it overlaps it. A
finding is *right* when it overlaps any labelled span of a type it counts for, *beside* when it overlaps a span of another
type, *false* when it overlaps none. Types we do not claim are listed with their counts and are in no figure.
"""

import argparse
import gzip
import json
import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from magistrate.classify.scanner import Scanner
from magistrate.exchange.finding import Finding

DATA = Path(__file__).parents[2] / "shared" / "data" / "detect"

PERSONAL = {
    "EMAIL": "pii.email", "EMAIL_ADDRESS": "pii.email", "PHONE": "pii.phone", "PHONE_NUMBER": "pii.phone",
    "US_SSN": "pii.ssn", "SSN": "pii.ssn", "CREDIT_CARD": "pci.pan", "IBAN": "fin.iban", "IBAN_CODE": "fin.iban",
    "PASSPORT": "pii.passport", "PASSPORT_NUM": "pii.passport", "US_DRIVER_LICENSE": "pii.driver_licence",
    "DRIVER_LICENSE": "pii.driver_licence", "DRIVER_LICENSE_NUM": "pii.driver_licence", "PATIENT_ID": "phi.mrn",
    "MEDICAL_RECORD": "phi.mrn", "PASSWORD": "secret", "IP_ADDRESS": "pii.ip",
}  # fmt: skip
"""Type in the data -> the label, or its family, that must be found there."""

NO_SECRETS = {"UUID", "AWS S3 Bucket", "Nonce", "Auth:Nonce"}
"""What CredData marks beside secrets: identifiers, names and single-use numbers open nothing."""


def main() -> None:
    options = argparse.ArgumentParser(description="Precision, recall and time of the always-on tier.")
    options.add_argument("--data", type=Path, default=DATA, help="folder with *.jsonl.gz")
    options.add_argument("--json", action="store_true", help="print JSON")
    given = options.parse_args()
    if not (given.data / "pii.jsonl.gz").exists():
        sys.exit(f"no labelled data at {given.data}")
    scanner = Scanner()
    known = set(_labels())
    claimed = {kind: label for kind, label in PERSONAL.items() if _family(label, known)}
    personal = Tally("pii", claimed)
    for row in rows(given.data / "pii.jsonl.gz"):
        personal.add(row, scanner.scan_text(row["text"]))
    secrets = Tally("secrets", None)
    for row in rows(given.data / "secrets_creddata.jsonl.gz"):
        secrets.add(row, [f for f in scanner.scan_text(row["text"]) if f.label.startswith("secret")])
    texts = {
        "dense with values": [row["text"] for row in rows(given.data / "pii.jsonl.gz")],
        "code and documents": [
            row["text"] for row in rows(given.data / "secrets_creddata.jsonl.gz") if not row["spans"]
        ],
    }
    times = {
        f"{name}, {size} characters": timed(scanner, "\n".join(each), size)
        for name, each in texts.items()
        for size in (2_000, 25_000)
    }
    if given.json:
        told = {"version": scanner.version, "sets": [personal.plain(), secrets.plain()], "time_us": times}
        print(json.dumps(told, indent=2))
        return
    print(f"always-on tier, version {scanner.version}")
    for tally in (personal, secrets):
        tally.show()
    print("\ntime, 200 texts each")
    for what, measured in times.items():
        print(f"  {what:<36} p50 {measured['p50']:>7.0f} us  p99 {measured['p99']:>7.0f} us")


def rows(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


class Tally:
    """Counts of one set. ``claimed`` maps types to labels; None means that every type is a secret."""

    def __init__(self, name: str, claimed: dict[str, str] | None) -> None:
        self.name = name
        self.claimed = claimed
        self.spans: Counter[str] = Counter()
        self.found: Counter[str] = Counter()
        self.outside: Counter[str] = Counter()
        self.verdicts: dict[str, Counter[str]] = defaultdict(Counter)
        self.benign = self.alarmed = 0
        self.alarms: Counter[str] = Counter()

    def label_of(self, kind: str) -> str:
        if self.claimed is None:
            return "" if kind in NO_SECRETS else "secret"
        return self.claimed.get(kind, "")

    def add(self, row: dict[str, Any], findings: Iterable[Finding]) -> None:
        findings = list(findings)
        for start, end, kind in row["spans"]:
            label = self.label_of(kind)
            if not label:
                self.outside[kind] += 1
                continue
            self.spans[kind] += 1
            self.found[kind] += any(
                f.start < end and start < f.end and _counts(f.label, label) for f in findings
            )
        for finding in findings:
            touched = [self.label_of(k) for s, e, k in row["spans"] if finding.start < e and s < finding.end]
            right = any(label and _counts(finding.label, label) for label in touched)
            self.verdicts[finding.label]["right" if right else "beside" if touched else "false"] += 1
        if not row["spans"]:
            self.benign += 1
            self.alarmed += bool(findings)
            self.alarms.update(finding.detail for finding in findings)

    def plain(self) -> dict[str, Any]:
        right = sum(c["right"] for c in self.verdicts.values())
        every = sum(c.total() for c in self.verdicts.values())
        return {
            "set": self.name,
            "recall": _share(self.found.total(), self.spans.total()),
            "precision": _share(right, every),
            "types": {
                kind: {"spans": count, "found": self.found[kind], "recall": _share(self.found[kind], count)}
                for kind, count in self.spans.most_common()
            },
            "labels": {
                label: {**counts, "precision": _share(counts["right"], counts.total())}
                for label, counts in sorted(self.verdicts.items())
            },
            "benign": {"texts": self.benign, "with_findings": self.alarmed, "rules": dict(self.alarms)},
            "not_claimed": dict(self.outside.most_common()),
        }

    def show(self) -> None:
        told = self.plain()
        print(f"\n{self.name}: recall {told['recall']}, precision {told['precision']}")
        for kind, one in told["types"].items():
            print(f"  {kind:<34} {one['found']:>4} of {one['spans']:>4}  {one['recall']}")
        for label, one in told["labels"].items():
            counts = "  ".join(f"{what} {one.get(what, 0)}" for what in ("right", "beside", "false"))
            print(f"  {label:<34} {counts}  precision {one['precision']}")
        alarms = ", ".join(f"{rule} {count}" for rule, count in told["benign"]["rules"].items())
        print(f"  benign texts with a finding: {self.alarmed} of {self.benign} ({alarms or 'none'})")
        print(f"  not claimed: {', '.join(f'{kind} {count}' for kind, count in told['not_claimed'].items())}")


def timed(scanner: Scanner, text: str, size: int) -> dict[str, float]:
    """Return p50 and p99 in microseconds over 200 stretches of ``text``."""
    text *= size * 2 // len(text) + 1
    step = max(1, (len(text) - size) // 200)
    texts = [text[n * step : n * step + size] for n in range(200)]
    spent = []
    for each in texts:
        began = time.perf_counter_ns()
        scanner.scan_text(each)
        spent.append((time.perf_counter_ns() - began) / 1000)
    spent.sort()
    return {"p50": statistics.median(spent), "p99": spent[int(len(spent) * 0.99)]}


def _labels() -> Iterator[str]:
    from magistrate.classify.taxonomy import TAXONOMY  # noqa: PLC0415  because only this question needs it

    yield from TAXONOMY


def _family(label: str, known: set[str]) -> bool:
    return any(_counts(name, label) for name in known)


def _counts(label: str, wanted: str) -> bool:
    return label == wanted or label.startswith(f"{wanted}.")


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 3) if whole else None


if __name__ == "__main__":
    main()
