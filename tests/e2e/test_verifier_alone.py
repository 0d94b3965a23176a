"""The verifier as an auditor installs it: its wheel and what that declares, in a venv that has never seen the server."""

import json
import re
import subprocess
import sys
import tomllib
import venv
from importlib.metadata import distribution
from pathlib import Path

import orjson
import pytest
from packaging.requirements import Requirement

from magistrate.app.verifier import run
from magistrate.evidence.bundle import Exported, write_bundle
from magistrate.evidence.note import Verifier
from magistrate.evidence.proof import Proof
from magistrate.evidence.tiles import prove_inclusion
from magistrate.evidence.trust import of_witnesses
from tests.faults.custody import IDS, Custody, draft, opened

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "packages" / "verify"


def needed(names: list[str]) -> set[str]:
    """Return the distributions that ``names`` need, themselves included, as their metadata say."""
    found: set[str] = set()
    while names:
        name = re.sub(r"[-_.]+", "-", names.pop()).lower()
        if name in found:
            continue
        found.add(name)
        for line in distribution(name).requires or []:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                names.append(requirement.name)
    return found


def lend(name: str, site: Path) -> None:
    """Let an environment have a distribution that this one has, and no other."""
    for file in distribution(name).files or []:
        top = file.parts[0]
        if top not in {"..", "__pycache__"} and not (site / top).exists():
            (site / top).symlink_to(Path(str(distribution(name).locate_file(top))))


@pytest.fixture(scope="module")
def auditors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel, install it with what it declares and nothing else, offline; return the environment."""
    place = tmp_path_factory.mktemp("auditor")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(place)]
    subprocess.run(build, cwd=PACKAGE, check=True, capture_output=True, timeout=60)
    (wheel,) = place.glob("*.whl")
    venv.create(place / "env", symlinks=True, with_pip=False)
    install = [sys.executable, "-m", "pip", "--python", str(place / "env/bin/python"), "install", "-q"]
    subprocess.run([*install, "--no-deps", "--no-index", str(wheel)], check=True, timeout=60)
    (site,) = (place / "env/lib").glob("python*/site-packages")
    declared = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]["dependencies"]
    for name in needed([Requirement(line).name for line in declared]):
        lend(name, site)
    return place / "env"


def ask(auditors: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [str(auditors / "bin/magistrate-verify"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd="/")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A data directory with a log of a few calls and the bundle of one of them."""
    with opened(tmp_path / "data") as custody:
        for _ in range(20):
            trace = IDS.trace()
            intent = draft(trace=trace, content=b"a question")
            custody.write(intent, draft(trace=trace, phase="outcome", cause=(str(intent.header["eid"]),)))
        (tmp_path / "call.zip").write_bytes(bundle(custody))
    return tmp_path / "data" / "evidence"


def bundle(custody: Custody) -> bytes:
    with custody.reader() as reader:
        headers = [reader.header(index) for index in range(reader.size)]
        trace = orjson.loads(headers[-1])["trace"]
        exported = [
            Exported(
                raw,
                Proof(
                    index, tuple(prove_inclusion(reader.objects.get, index, reader.size)), reader.checkpoint()
                ),
                reader.opened(orjson.loads(raw)),
            )
            for index, raw in enumerate(headers)
            if orjson.loads(raw)["trace"] == trace
        ]
        policy = of_witnesses([Verifier(reader.vkey)], [], None)
    return write_bundle(exported[0].proof.index, exported, policy.encode())


@pytest.mark.requirement("A2")
def test_it_is_installed_without_the_server(auditors: Path) -> None:
    """None of what the server needs is there, nor the server."""
    for name in (
        "aiohttp",
        "uvicorn",
        "cedarpy",
        "hyperscan",
        "typer",
        "rich",
        "uvloop",
        "magistrate.pipeline",
    ):
        probe = subprocess.run([str(auditors / "bin/python"), "-c", f"import {name}"], capture_output=True, check=False)  # fmt: skip
        assert b"ModuleNotFoundError" in probe.stderr, name


@pytest.mark.requirement("A2")
def test_it_verifies_a_log_and_finds_what_was_changed(auditors: Path, log: Path) -> None:
    """Valid with its bodies; tampered with one bit of one of them changed; undecidable without them."""
    vkey = (log / "log.vkey").read_text().strip()
    good = ask(auditors, "log", log, "--vkey", vkey)
    assert (good.returncode, good.stderr) == (0, "")
    assert good.stdout.startswith("valid  log of 42 records, 40 bodies checked, 0 calls without an end")
    (segment,) = (log / "body").rglob("*.seg")
    data = segment.read_bytes()
    segment.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    bad = ask(auditors, "log", log, "--vkey", vkey, "--json")
    assert (bad.returncode, json.loads(bad.stdout)["verdict"]) == (1, "tampered")
    assert "is not the recorded one" in bad.stdout
    assert ask(auditors, "log", log, "--vkey", vkey, "--no-bodies").returncode == 0
    segment.unlink()
    assert ask(auditors, "log", log, "--vkey", vkey).returncode == 2
    assert ask(auditors, "log", log, "--vkey", vkey, "--no-bodies", "--max-age", "0.001").returncode == 3


@pytest.mark.requirement("A2", "A9")
def test_it_verifies_a_bundle_with_a_key_from_elsewhere(auditors: Path, log: Path) -> None:
    """And not with another's, nor with none."""
    file, vkey = log.parents[1] / "call.zip", (log / "log.vkey").read_text().strip()
    good = ask(auditors, "bundle", file, "--vkey-file", log / "log.vkey")
    assert good.returncode == 0, good.stdout
    assert good.stdout.startswith("valid  bundle of 2 records, 2 bodies checked")
    another = "log.example/x+0ad5f8e5+AQ=="
    assert ask(auditors, "bundle", file, "--vkey", another).returncode == 2
    missing = ask(auditors, "bundle", file)
    assert missing.returncode == 2
    assert "a key beside the evidence proves nothing" in missing.stderr
    assert ask(auditors, "bundle", file, "--vkey", vkey, "--vkey-file", log / "log.vkey").returncode == 2


@pytest.mark.requirement("A2")
def test_it_remembers_what_it_saw(auditors: Path, log: Path, tmp_path: Path) -> None:
    """A log that goes on is valid, one that was put back is tampered, and the contradiction is kept."""
    memory, old = tmp_path / "mine.json", (log / "checkpoint").read_bytes()
    command = ("monitor", log, "--memory", memory, "--vkey-file", log / "log.vkey")
    assert ask(auditors, *command).returncode == 0
    with opened(log.parent) as custody:
        custody.write(draft())
    grown = ask(auditors, *command)
    assert grown.returncode == 0
    assert "more than last time" in grown.stdout
    (log / "checkpoint").write_bytes(old)
    back = ask(auditors, *command)
    assert back.returncode == 1
    assert "rolled back" in back.stdout
    assert list(tmp_path.glob("mine.json.contradiction-*"))


def test_the_server_brings_the_same_command(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In this process: the same verdicts, and bad usage is status two."""
    assert run(["log", str(log), "--vkey-file", str(log / "log.vkey")]) == 0
    assert capsys.readouterr().out.startswith("valid  log of 42 records")
    assert run(["log", str(log), "--vkey-file", str(log / "nowhere")]) == 2
    assert run(["log", str(log), "--vkey", "no key"]) == 2
    assert run(["nothing"]) == 2
    assert run(["bundle", str(log / "nowhere"), "--vkey", "x"]) == 2


def test_the_versions_are_one(auditors: Path) -> None:
    """The wheel has the version of the package whose code it holds."""
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    theirs = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]["version"]
    assert theirs == ours
