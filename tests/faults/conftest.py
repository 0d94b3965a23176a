"""The second judge, built once, and a clock that can be put ahead."""

import time
from collections.abc import Callable

import pytest

from tests.conformance.evidence import go_auditor
from tests.conformance.evidence.go_auditor import Ask

from .custody import DAY_S


@pytest.fixture(scope="session")
def go_ask(tmp_path_factory: pytest.TempPathFactory) -> Ask | None:
    """Return how to ask the auditor that is written in Go; None where Go or its packages are missing."""
    return go_auditor.build(tmp_path_factory.mktemp("auditor")) if go_auditor.available() else None


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return how to let days pass on the recorder's clock."""
    real, ahead = time.time_ns, [0.0]
    monkeypatch.setattr(time, "time_ns", lambda: real() + int(ahead[0] * DAY_S * 1e9))

    def pass_days(days: float) -> None:
        ahead[0] += days

    return pass_days
