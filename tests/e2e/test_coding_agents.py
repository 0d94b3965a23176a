"""Claude Code and Codex, unmodified, finish a small task through the gateway and talk to nothing else.

Whatever they would send elsewhere is caught by a proxy setting that leads back to the scripted upstream, which
answers no CONNECT and remembers that it was asked.
"""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.answers import Answer, Tool
from tests.e2e.gateway import Governed

pytestmark = [pytest.mark.requirement("P1", "X3"), pytest.mark.timeout(180)]

SECRET_OF_THE_SEA = "the sea is calm and forty-two boats are out"


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A home and a working directory with one note in it."""
    (tmp_path / "home" / ".codex").mkdir(parents=True)
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "note.txt").write_text(SECRET_OF_THE_SEA + "\n")
    return tmp_path


def _run(command: list[str], desk: Path, governed: Governed, **environment: str) -> str:
    elsewhere = governed.upstream.url
    alone = {
        "PATH": os.environ["PATH"],
        "HOME": str(desk / "home"),
        "LANG": "C.UTF-8",
        "HTTPS_PROXY": elsewhere,
        "HTTP_PROXY": elsewhere,
        "NO_PROXY": "127.0.0.1",
    }
    done = subprocess.run(
        command,
        cwd=desk / "work",
        env=alone | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def _only_loopback(governed: Governed) -> None:
    assert [s.path for s in governed.upstream.seen if s.method == "CONNECT"] == []


def _results(asked: dict[str, Any]) -> list[dict[str, Any]]:
    blocks = (b for m in asked["messages"] if isinstance(m["content"], list) for b in m["content"])
    return [block for block in blocks if block["type"] == "tool_result"]


def _claude(tool: str, desk: Path, governed: Governed, task: str) -> str:
    return _run(
        [tool, "-p", task, "--allowedTools", "Read,Write"],
        desk,
        governed,
        ANTHROPIC_BASE_URL=governed.url,
        ANTHROPIC_AUTH_TOKEN=governed.key,
        ANTHROPIC_MODEL="claude-test",
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
        DISABLE_AUTOUPDATER="1",
        DISABLE_TELEMETRY="1",
    )


@pytest.mark.tool("claude")
def test_claude_code_reads_a_file_and_answers(tool: str, desk: Path, governed: Governed) -> None:
    """One tool call, its result sent back, one answer; the beta header and the session travel."""
    note = str(desk / "work" / "note.txt")

    def play(asked: dict[str, Any]) -> Answer:
        if not _results(asked):
            return Answer("Reading.", tools=(Tool("Read", {"file_path": note}, "toolu_1"),))
        return Answer("Forty-two boats are out.")

    governed.upstream.always("anthropic.messages", play)
    assert "Forty-two boats" in _claude(tool, desk, governed, "How many boats does note.txt speak of?")
    arrived = governed.upstream.of("anthropic.messages")
    assert len(arrived) == 2
    assert SECRET_OF_THE_SEA in str(_results(arrived[1].json))
    assert arrived[0].query == "beta=true"
    assert "claude-code-" in arrived[0].headers["anthropic-beta"]
    assert "x-claude-code-session-id" in arrived[0].headers
    assert governed.key not in str(arrived[0].headers) or not governed.control
    _only_loopback(governed)


@pytest.mark.tool("claude")
def test_claude_code_writes_a_file(tool: str, desk: Path, governed: Governed) -> None:
    """The arguments of a streamed tool call reach the client whole: the file says what the model said."""
    target = desk / "work" / "report.txt"
    words = 'boats: 42\n"calm" — ça va\n'

    def play(asked: dict[str, Any]) -> Answer:
        if not _results(asked):
            arguments = {"file_path": str(target), "content": words}
            return Answer(tools=(Tool("Write", arguments, "toolu_1"),))
        return Answer("Written.")

    governed.upstream.always("anthropic.messages", play)
    assert "Written." in _claude(tool, desk, governed, "Write a report to report.txt")
    assert target.read_text() == words
    _only_loopback(governed)


@pytest.mark.tool("codex")
def test_codex_runs_a_command_and_answers(tool: str, desk: Path, governed: Governed) -> None:
    """Over the Responses API, as a custom provider: one command, its output sent back, one answer."""

    def play(asked: dict[str, Any]) -> Answer:
        if not any(item.get("type") == "function_call_output" for item in asked["input"]):
            return Answer("Looking.", tools=(Tool("exec_command", {"cmd": "cat note.txt"}, "call_1"),))
        return Answer("Forty-two boats are out.")

    governed.upstream.always("openai.responses", play)
    (desk / "home" / ".codex" / "config.toml").write_text(
        f"""
model = "gpt-test"
model_provider = "magistrate"
check_for_update_on_startup = false

[model_providers.magistrate]
name = "Magistrate"
base_url = "{governed.url}/v1"
env_key = "MAGISTRATE_KEY"
wire_api = "responses"

[analytics]
enabled = false

[features]
plugins = false
"""
    )
    command = [tool, "exec", "--skip-git-repo-check", "--sandbox", "danger-full-access"]
    said = _run(
        [*command, "How many boats does note.txt speak of?"], desk, governed, MAGISTRATE_KEY=governed.key
    )
    assert "Forty-two boats" in said
    arrived = governed.upstream.of("openai.responses")
    assert len(arrived) == 2
    output = next(i for i in arrived[1].json["input"] if i.get("type") == "function_call_output")
    assert SECRET_OF_THE_SEA in str(output["output"])
    assert "x-codex-window-id" in arrived[0].headers
    _only_loopback(governed)
