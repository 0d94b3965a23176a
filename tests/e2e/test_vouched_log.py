"""A governed gateway whose log is cosigned by two real witnesses and stamped by a real authority, then judged by others."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from tests.authority import make
from tests.authority import serving as serving_authority
from tests.conftest import find_tool
from tests.e2e.gateway import Governed, free_port, serving
from tests.e2e.upstream import ScriptedUpstream

MAGISTRATE = str(Path(sys.executable).with_name("magistrate"))
ORIGIN = "vouched.example/log"


def magistrate(*arguments: object, cwd: Path) -> tuple[int, str]:
    run = subprocess.run(
        [MAGISTRATE, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, timeout=60
    )
    return run.returncode, run.stdout + run.stderr


class WitnessProcess:
    """`magistrate witness`, as somebody else runs it."""

    def __init__(self, directory: Path, name: str) -> None:
        self.directory = directory
        self.port = free_port()
        _, out = magistrate(
            "witness", "--data", directory, "--name", name, "--show-key", cwd=directory.parent
        )
        self.vkeys = out.split()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, *logs: str) -> None:
        command = [
            MAGISTRATE,
            "witness",
            "--data",
            self.directory,
            "--listen",
            f"127.0.0.1:{self.port}",
            *(word for log in logs for word in ("--log", log)),
        ]
        self.process = subprocess.Popen(
            [*command, "--json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self.process.stdout is not None
        assert json.loads(self.process.stdout.readline())["vkeys"] == self.vkeys

    def kill(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.communicate()
            self.process = None


def ask(governed: Governed) -> str:
    body = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "hello"}]}
    headers = {"authorization": f"Bearer {governed.key}", "content-type": "application/json"}
    url = f"{governed.url}/v1/chat/completions"
    with urlopen(Request(url, json.dumps(body).encode(), headers), timeout=20) as answer:
        assert answer.status == 200
        return str(answer.headers["x-magistrate-record"])


def until(found: object, within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while not found():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


@contextmanager
def vouched(directory: Path, upstream: ScriptedUpstream, witnesses: list[WitnessProcess], tsa: tuple[str, Path]) -> Iterator[Governed]:  # fmt: skip
    lines = "".join(f"    - {{url: '{w.url}', vkey: '{w.vkeys[n]}'}}\n" for n, w in enumerate(witnesses))
    extra = (
        f"evidence:\n  origin: {ORIGIN}\n  quorum: 2\n  witness_every_s: 1\n  witness:\n{lines}"
        f"  timestamp:\n    - {{url: '{tsa[0]}', ca: '{tsa[1]}'}}\n"
    )
    with serving(directory, upstream, extra) as governed:
        yield governed


@pytest.mark.tool("openssl")
@pytest.mark.requirement("A2", "A7")
def test_a_log_is_vouched_for_while_it_grows_and_anybody_can_check_it(
    tmp_path: Path, tool: str, scripted: ScriptedUpstream
) -> None:
    """Two witnesses (one asked for its Ed25519 key, one for its ML-DSA-44 key), an outage, a restart, a bundle."""
    authority = make(tmp_path / "tsa", tool)
    witnesses = [WitnessProcess(tmp_path / name, f"witness.example/{name}") for name in ("w0", "w1")]
    try:
        with (
            serving_authority(authority) as url,
            vouched(tmp_path, scripted, witnesses, (url, authority.ca)) as governed,
        ):
            evidence = governed.data_dir / "evidence"
            log_key = (evidence / "log.vkey").read_text().strip()

            # Nobody vouches yet: calls go through, and it shows.
            record = ask(governed)
            until(
                lambda: (
                    "fails" in (evidence / "attestation.json").read_text()
                    if (evidence / "attestation.json").exists()
                    else False
                )
            )
            status, said = magistrate("doctor", "--config", governed.config, cwd=tmp_path)
            assert "witness.example/w0" in said
            assert "Connection refused" in said

            for witness in witnesses:
                witness.start(log_key)
            until((evidence / "cosig" / "latest").exists)
            early = (evidence / "cosig" / "latest").read_bytes()
            until(lambda: list((evidence / "receipts").glob("*.tsr")))
            with urlopen(Request(f"{governed.control}/healthz")) as answer:
                assert answer.status == 200

            # A witness that is killed and comes back has lost nothing, and is asked again.
            witnesses[1].kill()
            record = ask(governed)
            witnesses[1].start(log_key)
            before = _size(evidence / "cosig" / "latest")
            until(lambda: _size(evidence / "cosig" / "latest") > before + 1)
            ask(governed)
            memory = tmp_path / "auditor.json"
            watch = ("evidence", "monitor", evidence, "--memory", memory, "--policy", evidence / "policy.txt")
            until(lambda: magistrate(*watch, cwd=tmp_path)[0] == 0)
        # Stopped: the last checkpoint was cosigned and stamped on the way out.
        assert _size(evidence / "cosig" / "latest") == _size(evidence / "checkpoint")
        assert (evidence / "receipts" / f"{_size(evidence / 'checkpoint')}.tsr").exists()

        status, said = magistrate("evidence", "verify", "--config", governed.config, "--json", cwd=tmp_path)
        report = json.loads(said)
        assert status == 0, report
        assert report["stamps"] >= 2
        assert report["remarks"] == []
        assert set(report["cosigned"]) == {"witness.example/w0", "witness.example/w1"}

        # A stranger's view: policy, key and certificate in his hands, the log in a directory.
        assert magistrate(*watch, cwd=tmp_path)[0] == 0
        assert magistrate(*watch, "--max-age", "0.01", cwd=tmp_path)[0] == 3
        _openssl_agrees(authority, evidence)
        _bundle_travels(tmp_path, governed, record, authority.ca, log_key)

        # Rolled back to an early copy, which is as well signed and cosigned as the newest.
        (evidence / "checkpoint").write_bytes(early)
        status, said = magistrate(*watch, cwd=tmp_path)
        assert status == 1, said
        assert "rolled back" in said
        assert list(tmp_path.glob("auditor.json.contradiction-*"))
    finally:
        for witness in witnesses:
            witness.kill()


def _size(note: Path) -> int:
    return int(note.read_bytes().split(b"\n")[1])


def _openssl_agrees(authority: object, evidence: Path) -> None:
    """`head -3` of a cosigned checkpoint is the stamped text."""
    size = _size(evidence / "checkpoint")
    text = b"\n".join((evidence / "checkpoint").read_bytes().split(b"\n")[:3]) + b"\n"
    token = (evidence / "receipts" / f"{size}.tsr").read_bytes()
    assert authority.accepts(token, text)  # type: ignore[attr-defined]


def _bundle_travels(directory: Path, governed: Governed, record: str, ca: Path, log_key: str) -> None:
    """Exported, it verifies with policy and certificate, with the key alone, and with Node's standard library."""
    bundle = directory / "call.zip"
    status, said = magistrate(
        "evidence", "export", record, "-o", bundle, "--config", governed.config, cwd=directory
    )
    assert status == 0, said
    policy = governed.data_dir / "evidence" / "policy.txt"
    status, said = magistrate(
        "evidence", "verify-bundle", bundle, "--policy", policy, "--tsa-ca", ca, "--json", cwd=directory
    )
    report = json.loads(said)
    assert (status, report["stamps"], set(report["cosigned"])) == (
        0,
        1,
        {"witness.example/w0", "witness.example/w1"},
    ), report
    assert magistrate("evidence", "verify-bundle", bundle, "--vkey", log_key, cwd=directory)[0] == 0
    other = make(directory / "other", find_tool("openssl") or "", name="Other")
    assert (
        magistrate(
            "evidence", "verify-bundle", bundle, "--vkey", log_key, "--tsa-ca", other.ca, cwd=directory
        )[0]
        == 2
    )
    node = find_tool("node")
    if node is not None:
        with zipfile.ZipFile(bundle) as archive:
            archive.extractall(directory / "opened")
        run = [node, "verify.mjs", "record.tlog-proof", "record.json", log_key]
        said = subprocess.run(
            run, cwd=directory / "opened", capture_output=True, text=True, timeout=20
        ).stdout
        assert said.startswith("VERIFIED"), said
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(directory / "opened")
        read_me = archive.read("READ-ME.txt").decode()
    commands = [
        line.strip() for line in read_me.splitlines() if line.strip().startswith(("sed ", "openssl "))
    ]
    script = "; ".join(commands).replace("AUTHORITY.pem", str(ca))
    said = subprocess.run(
        ["sh", "-c", script], cwd=directory / "opened", capture_output=True, text=True, timeout=20
    )
    assert "Verification: OK" in said.stdout + said.stderr, said


@pytest.mark.requirement("A2")
def test_a_log_of_an_older_version_gains_the_second_key(tmp_path: Path) -> None:
    """Without an ML-DSA key before; with one after the next start, and the old checkpoints go on being valid."""
    vault, evidence = tmp_path / "vault", tmp_path / "evidence"

    def life() -> bool:
        command = [sys.executable, "-m", "magistrate.app.processes", "recorder", "--data", str(tmp_path)]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert child.stdout is not None
        ready = child.stdout.readline()
        child.terminate()
        child.communicate(timeout=20)
        return ready == b"ready\n" and child.returncode == 0

    assert life()
    _forget_second_key(evidence, vault)
    status, said = magistrate("evidence", "verify", "--data", tmp_path, cwd=tmp_path)
    assert status == 0, said
    assert life()
    assert (vault / "signing-mldsa.key").stat().st_mode & 0o077 == 0
    second = (evidence / "log-mldsa.vkey").read_text().strip()
    for key in ([], ["--vkey", second], ["--vkey", (evidence / "log.vkey").read_text().strip()]):
        status, said = magistrate("evidence", "verify", "--data", tmp_path, *key, cwd=tmp_path)
        assert status == 0, said
    os.remove(vault / "signing-mldsa.key")
    assert not life(), "a log that has two keys does not go on with one"


def _forget_second_key(evidence: Path, vault: Path) -> None:
    """Make the log what an older version left behind: one key, one signature, in register and checkpoint."""
    note = (evidence / "checkpoint").read_bytes()
    older = note.rsplit("— ".encode(), 1)[0]
    (evidence / "checkpoint").write_bytes(older)
    with sqlite3.connect(evidence / "lock.db") as register:
        assert register.execute("UPDATE checkpoint SET note = ? WHERE note = ?", (older, note)).rowcount == 1
    register.close()
    (evidence / "log-mldsa.vkey").unlink()
    (vault / "signing-mldsa.key").unlink()
