# ruff: noqa: INP001, T201  because it is a script for people, not a module
"""Keep `docs/evidence-faults.md`: which fault is thrown at the evidence by which test, and who judges.

`python tools/faults.py` rewrites the page from `tests/faults/faults.toml` and from the marks in `tests/`; `--check` only
compares. Marks are read from the syntax tree: `@pytest.mark.fault(12, 13)` on a test, or on one row of its table;
`@pytest.mark.verifier("ours", "go")` says who judges there. A test without one is judged by ours alone.
"""

import ast
import sys
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import TypeAlias

ROOT = Path(__file__).resolve().parents[1]
FAULTS, TESTS, PAGE = ROOT / "tests/faults/faults.toml", ROOT / "tests", ROOT / "docs/evidence-faults.md"
JUDGES = {
    "ours": "ours",
    "go": "Go `x/mod`",
    "node": "Node",
    "openssl": "OpenSSL",
    "sqlite3": "SQLite's shell",
    "grep": "GNU grep",
    "vectors": "published verdicts",
}

Shown: TypeAlias = dict[int, dict[str, set[str]]]
"""Fault to the tests that throw it (`tests/….py::name`), each with its judges."""

HEAD = """\
# Faults

What is done to the evidence by tests, what must come of it, and who says so. *Ours* is `magistrate evidence verify`, `monitor` and `verify-bundle` or
the recorder itself; *Go `x/mod`* an auditor of {lines} lines around Go's checksum-database packages that shares no code with us
(`tests/conformance/evidence/auditor`); *Node* the script inside every export bundle; *published verdicts* test vectors that others made.

{shown} of {all} faults are thrown by tests, {twice} of them judged by a second verifier too. What no test throws is listed as *not yet*.
Of 38 (who does not wait) and 49 (who is not heard) the second judge sees what files show: a log that is whole without the witness's line, which a policy that asks
for it refuses, and a log that holds the named writer's record and none of the stranger's.
This page is written by `make faults` from the marks in the tests; a test compares.
"""


def marked(node: ast.AST, name: str) -> list[object]:
    """Return the arguments of every ``pytest.mark.<name>(…)`` inside ``node``."""
    return [
        ast.literal_eval(argument)
        for call in ast.walk(node)
        if isinstance(call, ast.Call) and ast.unparse(call.func) == f"pytest.mark.{name}"
        for argument in call.args
    ]


def shown_in(source: str, place: str) -> Shown:
    """Return the faults that one test file throws."""
    found: Shown = defaultdict(dict)
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) or not node.name.startswith("test"):
            continue
        judges = {str(one) for mark in node.decorator_list for one in marked(mark, "verifier")} or {"ours"}
        for mark in node.decorator_list:
            for fault in marked(mark, "fault"):
                assert isinstance(fault, int), f"{place}::{node.name}: a fault is a number"
                found[fault][f"{place}::{node.name}"] = judges
    return found


def shown(tests: Path = TESTS) -> Shown:
    """Return the faults that all test files under ``tests`` throw."""
    every: Shown = defaultdict(dict)
    for path in sorted(tests.rglob("test_*.py")):
        for fault, where in shown_in(path.read_text(), str(path.relative_to(tests.parent))).items():
            every[fault] |= where
    return dict(every)


def parts(text: str) -> list[tuple[str, dict[int, tuple[str, str]]]]:
    """Return the titles and faults (what is done, what must come of it) of the manifest."""
    return [
        (part["title"], {int(number): tuple(line) for number, line in part.items() if number != "title"})
        for part in tomllib.loads(text)["part"]
    ]


def page(text: str, found: Shown, *, lines: int) -> str:
    """Return the page."""
    faults = {number for _, rows in parts(text) for number in rows}
    twice = sum(len(set().union(*where.values())) > 1 for where in found.values())
    out = [HEAD.format(shown=len(faults & set(found)), all=len(faults), twice=twice, lines=lines)]
    for title, rows in parts(text):
        out += [
            f"## {title}",
            "",
            "| | done | must come of it | judged by | shown in |",
            "|---|---|---|---|---|",
        ]
        for number, (done, verdict) in rows.items():
            where = found.get(number, {})
            judges = set().union(*where.values()) if where else set()
            by = ", ".join(words for name, words in JUDGES.items() if name in judges) or "*not yet*"
            tests = "<br>".join(
                f"`{place.partition('::')[2]}` ({place.partition('::')[0].removeprefix('tests/')})"
                for place in sorted(where)
            )
            out.append(f"| {number} | {done} | {verdict} | {by} | {tests} |")
        out.append("")
    return "\n".join(out)


def true_page() -> str:
    """Return the page as it must be now."""
    auditor = sorted((TESTS / "conformance/evidence/auditor").glob("*.go"))
    lines = sum(len(path.read_text().splitlines()) for path in auditor)
    return page(FAULTS.read_text(), shown(), lines=lines)


def main(arguments: list[str]) -> int:
    true = true_page()
    if "--check" in arguments:
        print("docs/evidence-faults.md is true" if PAGE.read_text() == true else "run `make faults`")
        return int(PAGE.read_text() != true)
    PAGE.write_text(true)
    print(next(line for line in true.splitlines() if " faults are thrown" in line))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
