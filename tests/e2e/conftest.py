"""The end-to-end world: a scripted upstream per test, one real gateway per module in front of it."""

import os
from collections.abc import Iterator

import pytest

from tests.e2e.gateway import Governed, direct, serving
from tests.e2e.upstream import ScriptedUpstream


@pytest.fixture(scope="module")
def scripted() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def gateway(scripted: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Governed]:
    directory = tmp_path_factory.mktemp("gateway")
    if os.environ.get("MAGISTRATE_E2E") == "direct":
        yield direct(scripted, directory)
        return
    with serving(directory, scripted) as running:
        yield running


@pytest.fixture
def governed(gateway: Governed) -> Governed:
    """The gateway, with the scripted upstream behind it as if new."""
    gateway.upstream.reset()
    return gateway
