"""The page of faults is true: every mark names one, and the page says which tests throw it."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = """
import pytest

@pytest.mark.verifier("ours", "go")
@pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.fault(1)), pytest.param(2, marks=pytest.mark.fault(2, 3))])
def test_a_table(x): ...

@pytest.mark.fault(3)
async def test_one(): ...

@pytest.mark.fault(9)
def helper(): ...
"""


@pytest.fixture(scope="module")
def keeper() -> ModuleType:
    spec = importlib.util.spec_from_file_location("faults_keeper", ROOT / "tools" / "faults.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_marks_are_read_from_tests_and_from_the_rows_of_their_tables(keeper: ModuleType) -> None:
    """With who judges; what is no test throws nothing."""
    assert keeper.shown_in(EXAMPLE, "t.py") == {
        1: {"t.py::test_a_table": {"ours", "go"}},
        2: {"t.py::test_a_table": {"ours", "go"}},
        3: {"t.py::test_a_table": {"ours", "go"}, "t.py::test_one": {"ours"}},
    }


def test_every_mark_names_a_fault_and_a_judge(keeper: ModuleType) -> None:
    """Nothing is thrown that was not listed, nobody judges whom we do not know."""
    listed = {number for _, rows in keeper.parts(keeper.FAULTS.read_text()) for number in rows}
    found = keeper.shown()
    assert set(found) <= listed
    assert {judge for where in found.values() for judges in where.values() for judge in judges} <= set(
        keeper.JUDGES
    )


def test_the_list_has_every_number_once(keeper: ModuleType) -> None:
    """Numbers are permanent: none disappears, none is made up."""
    rows = [number for _, part in keeper.parts(keeper.FAULTS.read_text()) for number in part]
    assert rows == list(range(1, 67))


def test_what_no_test_throws_is_not_yet(keeper: ModuleType) -> None:
    """The page is made of marks alone."""
    text = '[[part]]\ntitle = "T"\n1 = ["a", "b"]\n2 = ["c", "d"]\n'
    page = keeper.page(text, {2: {"tests/t.py::test_x": {"ours", "node"}}}, lines=7)
    assert "| 1 | a | b | *not yet* |  |" in page
    assert "| 2 | c | d | ours, Node | `test_x` (t.py) |" in page
    assert "1 of 2 faults are thrown by tests, 1 of them judged by a second verifier too" in page


def test_the_page_says_what_the_marks_say(keeper: ModuleType) -> None:
    """Neither more nor less."""
    assert keeper.PAGE.read_text() == keeper.true_page(), "run `make faults`"
