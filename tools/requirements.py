# ruff: noqa: INP001, T201  because it is a script for people, not a module
"""Keep `requirements.toml`: which promise is shown by which test.

`python tools/requirements.py` rewrites the status of every id from the marks in `tests/`; `--check` only compares.
The marks are read from the syntax tree, so nothing is imported and a skipped test still counts as written.
"""

import ast
import sys
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import TypeAlias

ROOT = Path(__file__).resolve().parents[1]
MANIFEST = ROOT / "requirements.toml"
TESTS = ROOT / "tests"

Claims: TypeAlias = dict[str, list[str]]
"""Requirement id to the tests that carry its mark, as `tests/….py::name`."""

HEAD = """\
# What Magistrate promises, and which promise has a test behind it. Ids are permanent.
# `shown` means that at least one test carries `@pytest.mark.requirement("ID")`; `not yet` that none does.
# Status and tests are written by `make requirements`; `tests/unit/test_requirements.py` enforces both ways.
"""


def marked_ids(node: ast.expr) -> list[str]:
    """Return the ids in ``pytest.mark.requirement("A1", …)``, or in a list of marks."""
    if isinstance(node, (ast.List, ast.Tuple)):
        return [one for element in node.elts for one in marked_ids(element)]
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.requirement":
        return [ast.literal_eval(argument) for argument in node.args]
    return []


def claims_in(source: str, place: str) -> Claims:
    """Return the claims of one test file: marks on functions, on classes and on the whole module."""
    found: Claims = defaultdict(list)

    def visit(body: list[ast.stmt], inherited: list[str], prefix: str) -> None:
        for node in body:
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                continue
            ids = inherited + [one for mark in node.decorator_list for one in marked_ids(mark)]
            if isinstance(node, ast.ClassDef):
                visit(node.body, ids, f"{prefix}{node.name}::")
            elif node.name.startswith("test"):
                for one in ids:
                    found[one].append(f"{place}::{prefix}{node.name}")

    tree = ast.parse(source)
    of_module = [
        one
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"
        for one in marked_ids(node.value)
    ]
    visit(tree.body, of_module, "")
    return found


def claims(tests: Path = TESTS) -> Claims:
    """Return the claims of every test file under ``tests``."""
    every: Claims = defaultdict(list)
    for path in sorted(tests.rglob("test_*.py")):
        for one, where in claims_in(path.read_text(), str(path.relative_to(tests.parent))).items():
            every[one] += where
    return dict(every)


def manifest(text: str) -> dict[str, dict[str, object]]:
    """Return the manifest's entries by id."""
    return tomllib.loads(text)


def tests_line(where: list[str]) -> list[str]:
    """Return the files that show a promise, one a line, sorted."""
    files = sorted({place.partition("::")[0] for place in where})
    return ["tests = [", *(f'  "{name}",' for name in files), "]"] if files else ["tests = []"]


def written(entries: dict[str, dict[str, object]], found: Claims) -> str:
    """Return the manifest with every status made true."""
    lines = [HEAD]
    for one, entry in entries.items():
        status = "shown" if found.get(one) else "not yet"
        lines += [
            f"[{one}]",
            f'summary = "{entry["summary"]}"',
            f'status = "{status}"',
            *tests_line(found.get(one, [])),
            "",
        ]
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    text = MANIFEST.read_text()
    true = written(manifest(text), claims())
    if "--check" in arguments:
        print("requirements.toml is true" if text == true else "run `make requirements`")
        return int(text != true)
    MANIFEST.write_text(true)
    shown = sum(entry["status"] == "shown" for entry in manifest(true).values())
    print(f"{shown} of {len(manifest(true))} promises are shown by tests")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
