"""The hot index: what it answers is a property elsewhere; here is how."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from magistrate.adapters.recorder.index import Index
from magistrate.adapters.recorder.row import SearchQuery


@pytest.fixture
def plans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """How SQLite carried out each question since."""
    path, told = tmp_path / "records.db", list[str]()
    Index(path, writable=True).close()

    class Explaining(sqlite3.Connection):
        def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
            if statement.startswith("SELECT"):
                plan = super().execute(f"EXPLAIN QUERY PLAN {statement}", *values).fetchall()
                told.extend(str(step[3]) for step in plan)
            return super().execute(statement, *values)

    real = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: real(*a, factory=Explaining, **k))
    return told


@pytest.mark.requirement("A5")
@pytest.mark.parametrize(
    ("ask", "by"),
    [
        (lambda index: index.search(SearchQuery(subject="s-" + "ab" * 12)), "records_subject"),
        (lambda index: index.bodies_of("s-" + "ab" * 12), "records_subject"),
        (lambda index: index.search(SearchQuery(trace="ab" * 16)), "records_trace"),
        (lambda index: index.trace("ab" * 16), "records_trace"),
        (lambda index: index.exact("018bcfe5-6800-7000-8000-000000000000"), "records_eid"),
        (lambda index: index.find("018bcfe5"), "records_call"),
        (lambda index: index.place("018bcfe5-6800-7000-8000-000000000000", "request"), "records_eid"),
    ],
)
def test_no_question_about_one_person_trace_or_call_reads_every_record(
    plans: list[str], tmp_path: Path, ask: Any, by: str
) -> None:
    """A partial index is used only if the question says what the index leaves out."""
    index = Index(tmp_path / "records.db", writable=False)
    ask(index)
    index.close()
    assert any(by in step for step in plans), plans
    assert not any(step.startswith(("SCAN records", "SCAN bodies")) for step in plans), plans
