# ruff: noqa: INP001, T201, S603, S607  because it is a script for people, and it runs only its own commands
"""Mutation tests of the pure rooms that decide: `python tools/mutants.py [ROOM…]`. For nights, not for gates.

Each mutant is one small change of the code; a mutant that no test notices survives, and is work to do. It works on a
copy of the last commit, so nothing here is touched, and takes a second or two a mutant.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TESTS = {
    "route": "tests/unit/route tests/properties/test_route_properties.py",
    "policy": "tests/unit/policy tests/properties/test_policy_properties.py",
    "evidence": "tests/conformance/evidence/test_merkle_vectors.py tests/conformance/evidence/test_note_vectors.py"
    " tests/conformance/evidence/test_crypto_vectors.py tests/properties/test_evidence_laws.py",
    "classify": "tests/unit/classify tests/properties/test_inspection_laws.py",
}
"""The tests that have to notice, by room."""

CONFIG = """\
[cosmic-ray]
module-path = "src/magistrate/{room}"
timeout = 60.0
test-command = "{python} -m pytest -x -q -p no:randomly -p no:cacheprovider {tests}"

[cosmic-ray.distributor]
name = "local"
"""


def mutate(room: str) -> int:
    """Mutate one room; print the survivors; return how many there are."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as directory:
        copy = Path(directory) / "magistrate"
        subprocess.run(["git", "clone", "-q", ROOT, copy], check=True)
        (copy / "mutants.toml").write_text(CONFIG.format(room=room, python=sys.executable, tests=TESTS[room]))
        # The copy's own source stands before the installed one on the path.
        environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(copy / "src"), "HOME": directory}

        def run(*command: str) -> str:
            tool = Path(sys.executable).with_name(command[0])
            done = subprocess.run(
                [tool, *command[1:]], cwd=copy, env=environment, check=True, stdout=subprocess.PIPE, text=True
            )
            return done.stdout

        run("cosmic-ray", "baseline", "mutants.toml")
        run("cosmic-ray", "init", "mutants.toml", "session.sqlite")
        run("cosmic-ray", "exec", "mutants.toml", "session.sqlite")
        report = run("cr-report", "--surviving-only", "--show-diff", "session.sqlite")
        print(f"== {room}\n{report}")
        return report.count("test outcome: TestOutcome.SURVIVED") + report.count("[SURVIVED]")


def main(rooms: list[str]) -> int:
    unknown = [room for room in rooms if room not in TESTS]
    if unknown:
        print(f"no mutation tests for {', '.join(unknown)}; there are some for {', '.join(TESTS)}")
        return 2
    for room in rooms or TESTS:
        mutate(room)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
