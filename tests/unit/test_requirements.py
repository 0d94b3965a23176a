"""The manifest of promises is true, both ways."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
PERMANENT = {"A": 10, "P": 9, "R": 8, "I": 5, "G": 7, "O": 4, "C": 4, "X": 5}
"""Letter to how many ids it has: they count from 1 without a gap."""

EXAMPLE = """
import pytest
pytestmark = [pytest.mark.timeout(3), pytest.mark.requirement("P1")]

@pytest.mark.requirement("A1", "A2")
@pytest.mark.parametrize("x", [1])
def test_one(x): ...

class TestMore:
    @pytest.mark.requirement("A2")
    async def test_two(self): ...

def helper(): ...
"""


@pytest.fixture(scope="module")
def keeper() -> ModuleType:
    spec = importlib.util.spec_from_file_location("requirements_keeper", ROOT / "tools" / "requirements.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_marks_are_read_from_modules_classes_and_functions(keeper: ModuleType) -> None:
    """A mark on a module counts for each of its tests; what is not a test claims nothing."""
    assert keeper.claims_in(EXAMPLE, "t.py") == {
        "P1": ["t.py::test_one", "t.py::TestMore::test_two"],
        "A1": ["t.py::test_one"],
        "A2": ["t.py::test_one", "t.py::TestMore::test_two"],
    }


def test_every_mark_names_a_promise(keeper: ModuleType) -> None:
    """A test cannot show what was never promised."""
    promised = set(keeper.manifest(keeper.MANIFEST.read_text()))
    unknown = {one: where for one, where in keeper.claims().items() if one not in promised}
    assert unknown == {}


def test_a_promise_is_shown_exactly_when_a_test_carries_its_id(keeper: ModuleType) -> None:
    """The manifest claims nothing that no test shows, and leaves out nothing that one does."""
    text = keeper.MANIFEST.read_text()
    assert text == keeper.written(keeper.manifest(text), keeper.claims()), "run `make requirements`"


def test_a_promise_without_a_test_is_not_yet_kept(keeper: ModuleType) -> None:
    """Status comes from the tests alone: what the manifest said before does not count."""
    before = {"A1": {"summary": "one", "status": "shown"}, "A2": {"summary": "two", "status": "not yet"}}
    after = keeper.manifest(keeper.written(before, {"A2": ["tests/t.py::test_a", "tests/t.py::test_b"]}))
    assert after == {
        "A1": {"summary": "one", "status": "not yet", "tests": []},
        "A2": {"summary": "two", "status": "shown", "tests": ["tests/t.py"]},
    }


def test_the_manifest_lists_every_promise_once(keeper: ModuleType) -> None:
    """Ids are permanent: none disappears, none is made up."""
    promised = [f"{letter}{n}" for letter, count in PERMANENT.items() for n in range(1, count + 1)]
    assert list(keeper.manifest(keeper.MANIFEST.read_text())) == promised
