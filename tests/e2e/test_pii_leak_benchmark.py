"""Somebody else's benchmark of gateways against a running `magistrate serve`: `pii-leak-benchmark`, response profile v2.

It asks two opposite things at once. The echo half replays what the caller said, and wants it restored; the injection half
brings values that nobody said, whole and cut in two at every place, and wants them gone.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.gateway import free_port, serving

POLICIES = """
@id("all") permit (principal, action, resource);

@id("tokens") @obligation("tokenise") @labels("pii,pci,fin,secret") @method("reversible")
permit (principal, action == Magistrate::Action::"call", resource);

@id("mask") @obligation("redact") @labels("pii,pci,fin,secret") @except("restored")
permit (principal, action == Magistrate::Action::"answer", resource);
"""

NOT_DETECTED = {
    "SSN": "its numbers are 987-65-432x, which were never issued and so are none to the validator",
    "EMAIL": "half of its cases spell the address in percent encoding, which no rule undoes",
}
"""What the detectors do not take for a finding, whole or cut. Nothing here is about streams."""


RUN = """
import socketserver, sys
from pii_leak_benchmark.v2_cli import main
socketserver.BaseServer.serve_forever.__defaults__ = (0.01,)
sys.exit(main())
"""
"""Its command, told to look more often than twice a second whether its upstream may stop: it starts one for each case."""


@dataclass
class Capture:
    """The benchmark's own upstream, which it starts itself."""

    url: str


@pytest.mark.requirement("P3", "P6")
def test_it_finds_that_values_come_back_and_that_cutting_them_up_changes_nothing(tmp_path: Path) -> None:
    """Everything restored, nothing leaked through a cut, no part of a masked value let out."""
    port = free_port()
    policies = tmp_path / "policies"
    policies.mkdir()
    (policies / "all.cedar").write_text(POLICIES)
    source = Path(__file__).parents[2] / "src/magistrate/app/starter/policies/schema.cedarschema"
    (policies / "schema.cedarschema").write_bytes(source.read_bytes())
    extra = "policies: ./policies\n"
    with serving(tmp_path, Capture(f"http://127.0.0.1:{port}"), extra) as governed:
        out = tmp_path / "out"
        command = [sys.executable, "-c", RUN, "--out", str(out), "--only", "magistrate"]
        command += ["--gateway-url", f"{governed.url}/v1/chat/completions", "--upstream-port", str(port)]
        command += [
            "--model",
            "plain-m",
            "--seed",
            "a1b2c3d4e5f60001",
            "--exhaustive-splits",
            "--partial-emission",
        ]
        command += ["--json-out", str(out / "summary.json")]
        ran = subprocess.run(
            command,
            env={"CONFORMANCE_TARGET_API_KEY": governed.key, "PATH": ""},
            capture_output=True,
            timeout=100,
        )
    assert (out / "summary.json").exists(), ran.stderr.decode()
    (row,) = json.loads((out / "summary.json").read_text())["rows"]
    report = json.loads((out / "magistrate.json").read_text())
    partial = json.loads((out / "magistrate.partial-emission.json").read_text())
    assert row["cases_applicable"] == row["echo_observable"] == 32
    assert row["inconclusive"] == 0
    assert row["fidelity_rate"] == 1.0
    assert row["delta_frag"] == 0.0
    leaked = {name for name, axis in report["metrics"]["by_axis"]["entity"].items() if axis["leaked"]}
    assert leaked <= set(NOT_DETECTED)
    assert set(row["request_path_leak"]) <= {"SSN"}
    assert partial["metrics"]["cases_applicable"] == 32
    assert partial["metrics"]["cases_partial_emission"] == 0
