"""How well detectors do on labelled texts: per type precision, recall and F1, and false alarms on texts that hold nothing.

A row is ``{text, label, spans, kind, source}``: spans are ``[start, end, type]`` in characters, label is 1 where there is
something to find. A labelled span is *found* when findings of its type cover at least half of it. A finding is *right*
when it overlaps a span of its type, *beside* when it overlaps a span of another type only, and *false* otherwise.
Rows without spans are counted whole: *flagged* or not.
"""

import gzip
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from magistrate.exchange.errors import ConfigurationError

TYPES: dict[str, str] = {
    "EMAIL": "pii.email", "EMAIL_ADDRESS": "pii.email", "PHONE": "pii.phone", "PHONE_NUMBER": "pii.phone",
    "US_SSN": "pii.ssn", "SSN": "pii.ssn", "CREDIT_CARD": "pci.pan", "IBAN": "fin.iban", "IBAN_CODE": "fin.iban",
    "PASSPORT": "pii.passport", "PASSPORT_NUM": "pii.passport", "US_DRIVER_LICENSE": "pii.driver_licence",
    "DRIVER_LICENSE": "pii.driver_licence", "DRIVER_LICENSE_NUM": "pii.driver_licence", "PATIENT_ID": "phi.mrn",
    "MEDICAL_RECORD": "phi.mrn", "PASSWORD": "secret", "IP_ADDRESS": "pii.ip", "TAX_ID": "pii.tax_id", "TAXID": "pii.tax_id",
    "ACCOUNT": "fin.account", "ACCOUNT_NUMBER": "fin.account", "BANK_ACCOUNT": "fin.account", "ROUTING_NUMBER": "fin.routing",
    "INSURANCE_ID": "phi.health_plan", "AADHAR": "pii.aadhaar", "PAN": "pii.tax_id", "PERSON": "pii.name", "PER": "pii.name",
    "STREET_ADDRESS": "pii.address", "ADDRESS": "pii.address", "SECRET": "secret", "DATE_OF_BIRTH": "pii.birth_date", "DOB": "pii.birth_date",
    "GPE": "place", "LOC": "place", "LOCATION": "place", "CITY": "place", "ORG": "org", "ORGANIZATION": "org", "ORGANISATION": "org",
    "person": "pii.name", "location": "place", "corporation": "org",
}  # fmt: skip
"""Types of public data sets -> the label, or its family, that counts for them. Another type that is a label stands for itself."""

KINDS = {
    "injection": "threat", "jailbreak": "threat", "attack": "threat", "tox": "content.unsafe", "unsafe": "content.unsafe",
    "harm": "content.unsafe", "secret": "secret", "nosecret": "secret",
}  # fmt: skip
"""How a kind of rows begins -> the family of labels that it asks for."""

FAMILIES = ("pii", "phi", "pci", "fin", "secret", "threat", "content.unsafe")
"""Labels of which a finding in a harmless text is a false alarm. Others (source code, markings, links) only describe."""

LONGEST_LINE = 16 << 20
HALF = 2

Found = tuple[str, int, int]
"""Label, start and end of one finding."""


class Row(msgspec.Struct, frozen=True):
    """One labelled text."""

    text: str
    label: int | str | None = None
    spans: tuple[tuple[int, int, str], ...] | None = None
    kind: str = ""
    source: str = ""


def rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a JSON Lines file, gzip or not.

    Raises:
        ConfigurationError: it cannot be read; the place is file and line.
    """
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            lines: Iterable[bytes] = gzip.GzipFile(fileobj=raw) if packed else raw
            for number, line in enumerate(lines, 1):
                yield read_row(line, f"{path}:{number}")
    except (OSError, EOFError) as error:
        raise ConfigurationError(f"cannot be read ({error})", str(path)) from None


def read_row(line: bytes, place: str) -> Row:
    """Return one labelled text. Raises ConfigurationError, with ``place``."""
    if len(line) > LONGEST_LINE:
        raise ConfigurationError(f"is longer than {LONGEST_LINE} bytes", place)
    try:
        row = msgspec.json.decode(line, type=Row)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigurationError(f"is not a labelled text: {str(error).lower()}", place) from None
    for start, end, _ in row.spans or ():
        if not 0 <= start < end <= len(row.text):
            raise ConfigurationError(f"has a span `[{start}, {end}]` outside its text", place)
    return row


def label_for(kind: str, types: dict[str, str] = TYPES) -> str:
    """Return the label that a type of the data stands for, or nothing when it is not known."""
    if kind in types:
        return types[kind]
    return kind if kind == kind.lower() and kind.replace(".", "").replace("_", "").isalnum() else ""


def covers(label: str, wanted: str) -> bool:
    """Return whether ``label`` is ``wanted`` or a kind of it."""
    return label == wanted or label.startswith(f"{wanted}.")


class Score:
    """The count over all rows that were added."""

    def __init__(self, types: dict[str, str] = TYPES) -> None:
        self._types = types
        self.texts = 0
        self._spans: Counter[str] = Counter()
        self._found: Counter[str] = Counter()
        self._verdicts: dict[str, Counter[str]] = {}
        self._unscored: Counter[str] = Counter()
        self._kinds: dict[str, Counter[str]] = {}
        self._benign: dict[str, Counter[str]] = {}
        self._alarms: Counter[str] = Counter()
        self._sought: dict[str, Counter[str]] = {}

    def add(self, row: Row, found: Iterable[Found]) -> None:
        """Count one row and what was found in it."""
        found = list(found)
        self.texts += 1
        if row.spans:
            self._add_spans(row.kind, row.spans, found)
        elif row.spans is None and row.label in {1, "1"}:
            family = self._family(row.kind)
            count = self._kinds.setdefault(row.kind or "unnamed", Counter())
            count["texts"] += 1
            flagged = any(covers(label, family) for label, _, _ in found) if family else bool(found)
            count["flagged"] += flagged
            if family:
                self._sought.setdefault(family, Counter()).update(texts=1, flagged=int(flagged))
        else:
            self._add_benign(row.kind, found)

    def _add_benign(self, kind: str, found: list[Found]) -> None:
        count = self._benign.setdefault(kind or "unnamed", Counter())
        family = self._family(kind)
        alarms = {one for one in FAMILIES for label, _, _ in found if covers(label, one)}
        count["texts"] += 1
        count["flagged"] += family in alarms if family else bool(alarms)
        self._alarms.update(alarms)
        self._judge(found, ())

    def _family(self, kind: str) -> str:
        return next((family for word, family in KINDS.items() if kind.startswith(word)), "")

    def _add_spans(
        self, kind_of_row: str, spans: tuple[tuple[int, int, str], ...], found: list[Found]
    ) -> None:
        wanted = []
        for start, end, kind in spans:
            label = label_for(kind, self._types) or self._family(kind_of_row)
            if not label:
                self._unscored[kind] += 1
                continue
            wanted.append((start, end, label))
            self._spans[label] += 1
            covered = {
                n
                for each, first, last in found
                if covers(each, label)
                for n in range(max(start, first), min(end, last))
            }
            self._found[label] += len(covered) * HALF >= end - start
        known = {(start, end) for start, end, _ in wanted}
        others = [(start, end, "") for start, end, _ in spans if (start, end) not in known]
        self._judge(found, (*wanted, *others))

    def _judge(self, found: list[Found], spans: tuple[tuple[int, int, str], ...]) -> None:
        for label, first, last in found:
            touched = [each for start, end, each in spans if first < end and start < last]
            asked = next((each for each in touched if each and covers(label, each)), None)
            count = self._verdicts.setdefault(asked or label, Counter())
            count["right" if asked else "beside" if touched else "false"] += 1

    def report(self) -> dict[str, Any]:
        """Return every figure as plain data; None where there is nothing to divide by."""
        types: dict[str, dict[str, Any]] = {}
        verdicts: dict[str, Counter[str]] = {}
        for label, counts in self._verdicts.items():
            # A wrong `secret.password` counts against `secret`, if that is what the data speak of.
            asked = next((each for each in self._spans if covers(label, each)), label)
            verdicts.setdefault(asked, Counter()).update(counts)
        for label in sorted(self._spans.keys() | verdicts.keys()):
            counts, spans = verdicts.get(label, Counter()), self._spans[label]
            precision = share(counts["right"], counts["right"] + counts["false"] + counts["beside"])
            recall = share(self._found[label], spans)
            types[label] = {
                "spans": spans, "found": self._found[label], "right": counts["right"], "beside": counts["beside"],
                "false": counts["false"], "precision": precision, "recall": recall, "f1": f1(precision, recall),
            }  # fmt: skip
        scored = [one for label, one in types.items() if self._spans[label]]
        right = sum(one["right"] for one in scored)
        precision = share(right, right + sum(one["false"] + one["beside"] for one in scored))
        recall = share(self._found.total(), self._spans.total())
        return {
            "texts": self.texts,
            "all": {"spans": self._spans.total(), "found": self._found.total(), "precision": precision,
                    "recall": recall, "f1": f1(precision, recall)},
            "types": types,
            "kinds": {kind: {**count, "recall": share(count["flagged"], count["texts"])} for kind, count in sorted(self._kinds.items())},
            "benign": {kind: {**count, "rate": share(count["flagged"], count["texts"])} for kind, count in sorted(self._benign.items())},
            "families": self._families(),
            "not_scored": dict(self._unscored.most_common()),
        }  # fmt: skip

    def _families(self) -> dict[str, dict[str, Any]]:
        """Whole texts by family: how many of those that hold it were flagged with it, and how many harmless ones."""
        harmless = sum(count["texts"] for count in self._benign.values())
        return {
            family: {
                "texts": self._sought.get(family, Counter())["texts"],
                "flagged": self._sought.get(family, Counter())["flagged"],
                "recall": share(
                    self._sought.get(family, Counter())["flagged"],
                    self._sought.get(family, Counter())["texts"],
                ),
                "harmless": harmless,
                "false_alarms": self._alarms[family],
                "false_positive_rate": share(self._alarms[family], harmless),
            }
            for family in FAMILIES
        }


def share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def f1(precision: float | None, recall: float | None) -> float | None:
    """Return the harmonic mean, or None when one of the two is unknown."""
    if precision is None or recall is None:
        return None
    return round(2 * precision * recall / (precision + recall), 4) if precision + recall else 0.0
