"""The auditor's own verifier: Go's checksum-database packages around none of our code, built once and asked in JSON."""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

MOD = Path("/usr/share/gocode/src/golang.org/x/mod/sumdb")
SOURCE = Path(__file__).parent / "auditor"
PACKAGES = "Debian packages golang-go and golang-golang-x-mod-dev"

Ask = Callable[[dict[str, Any]], dict[str, Any]]


def available() -> bool:
    """Return whether Go and its sumdb packages are on this machine."""
    return shutil.which("go") is not None and MOD.is_dir()


def build(directory: Path) -> Ask:
    """Compile the program into ``directory``; return how to ask it. ``bytes`` in a question travel as base64."""
    go = shutil.which("go")
    assert go is not None, PACKAGES
    program = directory / "auditor"
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "go-build"
    env = {
        **os.environ,
        "GO111MODULE": "off",
        "GOPATH": "/usr/share/gocode",
        "GOCACHE": str(cache),
        "GOFLAGS": "",
    }
    subprocess.run(
        [go, "build", "-o", program, *sorted(SOURCE.glob("*.go"))], env=env, check=True, timeout=200
    )

    def ask(question: dict[str, Any]) -> dict[str, Any]:
        run = subprocess.run(
            [program],
            input=json.dumps(question, default=_text),
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        answer: dict[str, Any] = json.loads(run.stdout)
        return answer

    return ask


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()
