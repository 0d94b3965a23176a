"""The second judge, built once."""

import pytest

from tests.conformance.evidence import go_auditor
from tests.conformance.evidence.go_auditor import Ask


@pytest.fixture(scope="session")
def go_ask(tmp_path_factory: pytest.TempPathFactory) -> Ask | None:
    """Return how to ask the auditor that is written in Go; None where Go or its packages are missing."""
    return go_auditor.build(tmp_path_factory.mktemp("auditor")) if go_auditor.available() else None
