"""A real gateway in a directory of its own: `magistrate serve` as users start it, in front of a scripted upstream."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen

from tests.e2e.upstream import ScriptedUpstream

READY_S = 30.0

PROVIDERS = """
providers:
  - name: scripted-openai
    api: openai
    base_url: {upstream}/v1
    api_key: ${{SCRIPTED_OPENAI_KEY}}
    region: eu
    certifications: [gdpr-dpa, soc2, pci-dss, hipaa-baa]
    models: ["gpt-*", "text-embedding-*"]
  - name: scripted-anthropic
    api: anthropic
    base_url: {upstream}
    api_key: ${{SCRIPTED_ANTHROPIC_KEY}}
    region: eu
    certifications: [gdpr-dpa, soc2, pci-dss, hipaa-baa]
    models: ["claude-*"]
  - name: scripted-plain
    api: openai
    base_url: {upstream}/v1
    api_key: ${{SCRIPTED_OPENAI_KEY}}
    models: ["plain-*"]
"""
"""The first two hold every certification, so that the starter policies let content through as it is."""

UPSTREAM_KEYS = {"SCRIPTED_OPENAI_KEY": "upstream-openai", "SCRIPTED_ANTHROPIC_KEY": "upstream-anthropic"}


@dataclass(frozen=True)
class Governed:
    """Where a client is sent, with which key, and what stands behind it."""

    url: str
    key: str
    control: str
    data_dir: Path
    upstream: ScriptedUpstream
    config: Path


def direct(upstream: ScriptedUpstream, directory: Path) -> Governed:
    """Return the scripted upstream itself in the gateway's place: the control experiment of these tests."""
    return Governed(upstream.url, "direct", "", directory, upstream, directory / "magistrate.yaml")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def serving(
    directory: Path, upstream: ScriptedUpstream, extra: str = "", *arguments: str
) -> Iterator[Governed]:
    """Start `magistrate serve` in ``directory``, wait until it is ready, and stop it as an operator would."""
    listen, control = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    config = directory / "magistrate.yaml"
    top = f"listen: {listen}\ncontrol: {control}\ndata_dir: ./data\n"
    config.write_text(top + PROVIDERS.format(upstream=upstream.url) + extra)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "LANG": "C.UTF-8",
        **UPSTREAM_KEYS,
        **{name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ},
    }
    command = [str(Path(sys.executable).with_name("magistrate")), "serve", "--config", str(config), "--json"]
    command += arguments
    errors = directory / "serve.stderr"
    with errors.open("wb") as stderr:
        process = subprocess.Popen(
            command, cwd=directory, env=environment, stdout=subprocess.PIPE, stderr=stderr
        )
    try:
        facts = _facts(process, errors)
        _wait_ready(process, f"http://{listen}", errors)
        yield Governed(
            f"http://{listen}",
            facts["key"],
            f"http://{control}",
            Path(facts["data"]),
            upstream,
            config,
        )
    finally:
        _stop(process)


def _facts(process: subprocess.Popen[bytes], errors: Path) -> dict[str, str]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        process.wait(10)
        raise RuntimeError(f"magistrate serve ended with {process.returncode}:\n{errors.read_text()}")
    facts: dict[str, str] = json.loads(line)
    return facts


def _wait_ready(process: subprocess.Popen[bytes], url: str, errors: Path) -> None:
    until = time.monotonic() + READY_S
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"magistrate serve ended with {process.returncode}:\n{errors.read_text()}")
        with suppress(OSError), urlopen(Request(f"{url}/readyz"), timeout=2) as answer:
            if answer.status == 200:
                return
        time.sleep(0.05)
    raise RuntimeError(f"not ready after {READY_S} s:\n{errors.read_text()}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(5)
        raise
    finally:
        if process.stdout is not None:
            process.stdout.close()
