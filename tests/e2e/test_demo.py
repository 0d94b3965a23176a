"""The story that `make demo` tells, chapter by chapter, as a test."""

from collections.abc import Iterator

import pytest

from tests.e2e.demo import CHAPTERS, Demo, staged


@pytest.fixture(scope="module")
def told() -> list[str]:
    return []


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, told: list[str]) -> Iterator[Demo]:
    with staged(tmp_path_factory.mktemp("demo"), told.append) as running:
        yield running


@pytest.mark.tool("local-model")
@pytest.mark.tool("claude")
@pytest.mark.tool("node")
@pytest.mark.tool("openssl")
@pytest.mark.tool("go")
@pytest.mark.timeout(400)
@pytest.mark.requirement("X1", "X3", "A2", "P1", "P3", "P6")
def test_the_whole_story_holds_on_a_real_model(demo: Demo, told: list[str]) -> None:
    """Answered, streamed, blocked, redacted, used by a coding agent, verified by us and by others: no chapter is left out."""
    for chapter in CHAPTERS:
        before = len(told)
        chapter(demo)
        assert len(told) > before
    assert not [line for line in told if "not on this machine" in line]
    assert any(line.startswith("valid") for line in told)
