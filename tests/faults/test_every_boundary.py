"""A recorder is killed before every single thing that it does to the disk, and in the middle of every write."""

import json
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.evidence.go_auditor import Ask

from .harness import ROOT

KINDS = {
    *("write", "half a write", "fsync", "fdatasync", "posix_fallocate", "make a file"),
    *("rename", "remove", "rmdir", "mkdir", "truncate"),
    *("SQL BEGIN", "SQL COMMIT", "SQL INSERT", "SQL UPDATE", "SQL DELETE", "SQL CREATE"),
}


@pytest.mark.requirement("A1", "A7")
@pytest.mark.fault(39, 40, 43)
@pytest.mark.verifier("ours", "go")
@pytest.mark.timeout(300)  # because a cold Go cache builds the standard library
def test_killed_at_every_boundary_nothing_acknowledged_is_lost(tmp_path: Path, go_ask: Ask | None) -> None:
    """Whatever the recorder was about to do, the next start goes on: all that was acknowledged stands where it was promised, once."""
    lives = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.faults.lives", str(tmp_path), str(first), "2"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for first in (1, 2)
    ]
    attempts: list[dict[str, Any]] = []
    for life in lives:
        out, _ = life.communicate(timeout=240)
        assert life.returncode == 0
        attempts += map(json.loads, out.splitlines())
    died = [attempt for attempt in attempts if attempt["ended"] == -9]
    assert [attempt["ended"] for attempt in attempts if attempt not in died] == [0, 0]
    assert sorted(attempt["boundary"] for attempt in died) == list(range(1, len(died) + 1))
    kinds = Counter(attempt["at"] for attempt in died)
    assert not KINDS - set(kinds), KINDS - set(kinds)
    assert len(died) > 400
    for attempt in attempts:
        sound = (attempt["again"], attempt.get("verdict"), attempt.get("lost"), attempt.get("twice"))
        assert sound == (0, "valid", [], 0), attempt
    if go_ask is None:
        return
    with ThreadPoolExecutor(2) as judges:
        list(judges.map(lambda attempt: _judged_by_go(go_ask, tmp_path, attempt), attempts))


def _judged_by_go(go_ask: Ask, lives: Path, attempt: dict[str, Any]) -> None:
    root = lives / str(attempt["boundary"]) / "evidence"
    vkey, note = (root / "log.vkey").read_text().strip(), (root / "checkpoint").read_text()
    answer = go_ask({"Vkey": vkey, "Checkpoint": note, "Audit": str(root)})
    assert (answer["Verdict"], answer["Size"]) == ("valid", attempt["size"]), (attempt, answer["Why"])
    told = answer["Told"]
    if told["Kinds"].get("erasure"):  # without it the order stands open, and says so
        assert told["Left"] == 0, attempt
