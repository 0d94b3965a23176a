# ruff: noqa: INP001, T201  because it is a script for people, not a module
"""Write `docs/labels.md` from the taxonomy in the code. `--check` only compares."""

import sys
from pathlib import Path

from magistrate.app.scoring import covers
from magistrate.classify.entities import LABELS
from magistrate.classify.languages import FAMILY as LANGUAGE
from magistrate.classify.rules import RULES
from magistrate.classify.taxonomy import TAXONOMY, regulations_of
from magistrate.classify.threats import INJECTION, JAILBREAK
from magistrate.classify.unsafe import LABELS as UNSAFE

PAGE = Path(__file__).resolve().parents[1] / "docs" / "labels.md"

HEAD = """\
# Labels

*Written by `tools/labels.py` from `classify/taxonomy.py`; do not edit.*

A label names what content holds. Labels are dotted: `pii.email` is a `pii`, and whoever asks for `pii` gets both. Policies see
labels, never content: `context.labels.contains("secret")`, `@labels("pii.*")`. `magistrate check` notes labels in policies that
no detector gives. Detectors of your own may give any label, also one that is not here.

*Found by*: `rules` are the always-on tier, which reads every request, answer and stream; `models` are the trained models, which read
what [detection.md](detection.md) says when you switch them on; `your detectors` marks names that nothing built in gives: they are for remote
detectors and for your own patterns and dictionaries.

The clauses are a reading aid, not legal advice. `HIPAA (A)` to `(R)` are the eighteen identifiers of 45 CFR
164.514(b)(2)(i); biometric data and faces, (P) and (Q), cannot be seen in text.

| label | what it is | mask | found by | clauses |
|---|---|---|---|---|
"""


def page() -> str:
    """Return the page as it should stand."""
    given = {rule.label for rule in RULES} | {"pci.pan", "inspection.incomplete", "inspection.skipped"}
    given |= {label.rpartition(".")[0] for label in given}
    learnt = {*LABELS, INJECTION, JAILBREAK, *UNSAFE.values()}
    learnt |= {name for name in TAXONOMY if covers(name, LANGUAGE)}
    learnt |= {label.rpartition(".")[0] for label in learnt} - given
    lines = []
    for name, label in TAXONOMY.items():
        ways = [way for way, labels in (("rules", given), ("models", learnt)) if name in labels]
        by = ", ".join(ways) or "your detectors"
        clauses = "; ".join(regulations_of(name)).replace("164.514(b)(2)(i)", "")
        lines.append(f"| `{name}` | {label.title} | `{label.mask}` | {by} | {clauses or '-'} |\n")
    return HEAD + "".join(lines)


def main() -> None:
    if "--check" in sys.argv:
        sys.exit(int(PAGE.read_text("utf-8") != page()))
    PAGE.write_text(page(), "utf-8")
    print(f"{PAGE.name}: {len(TAXONOMY)} labels")


if __name__ == "__main__":
    main()
