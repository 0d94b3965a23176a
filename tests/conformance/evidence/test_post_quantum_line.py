"""The ML-DSA-44 line of a checkpoint, read from the published files by somebody else's program and library."""

import base64
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.faults.custody import Custody, draft

from magistrate.evidence.cosignature import ML_DSA_44, Cosigner

JUDGE = Path(__file__).with_name("mldsa.mjs")

Judge = Callable[[Path, Path], tuple[int, str]]


@pytest.fixture
def judge(tool: str) -> Judge:
    def ask(checkpoint: Path, vkey: Path) -> tuple[int, str]:
        done = subprocess.run(
            ["node", JUDGE, tool, checkpoint, vkey], check=False, capture_output=True, text=True, timeout=60
        )
        assert not done.stderr, done.stderr
        return done.returncode, done.stdout.strip()

    return ask


@pytest.fixture
def published(tmp_path: Path) -> Path:
    custody = Custody(tmp_path)
    custody.write(*(draft() for _ in range(5)))
    custody.close()
    return tmp_path / "evidence"


@pytest.mark.tool("post-quantum")
@pytest.mark.requirement("A2", "A9")
def test_a_stranger_verifies_the_line_of_a_real_log_from_its_files(judge: Judge, published: Path) -> None:
    """The checkpoint and the key, as the recorder left them; the time is the one at which it sealed."""
    code, said = judge(published / "checkpoint", published / "log-mldsa.vkey")
    assert code == 0, said
    assert abs(int(said) - time.time()) < 60


def _with_bit(note: str, at: int) -> str:
    """Return the note with one bit of the last line's blob changed, in byte ``at``."""
    head, _, line = note.rstrip("\n").rpartition("\n")
    dash, name, blob = line.split(" ")
    raw = bytearray(base64.b64decode(blob))
    raw[at] ^= 1
    return f"{head}\n{dash} {name} {base64.b64encode(raw).decode()}\n"


def flipped(note: str) -> str:
    return _with_bit(note, 1000)


def dated_otherwise(note: str) -> str:
    return _with_bit(note, 11)


def another_size(note: str) -> str:
    origin, size, rest = note.split("\n", 2)
    return f"{origin}\n{int(size) + 1}\n{rest}"


def another_root(note: str) -> str:
    origin, size, _, rest = note.split("\n", 3)
    return f"{origin}\n{size}\n{base64.b64encode(bytes(32)).decode()}\n{rest}"


def another_log(note: str) -> str:
    return f"x{note}"


@pytest.mark.tool("post-quantum")
@pytest.mark.requirement("A2")
@pytest.mark.parametrize("change", [flipped, dated_otherwise, another_size, another_root, another_log])
def test_one_change_and_it_does_not_verify(
    judge: Judge, published: Path, change: Callable[[str], str]
) -> None:
    note = published / "checkpoint"
    note.write_text(change(note.read_text()))
    assert judge(note, published / "log-mldsa.vkey") == (1, "does not verify")


@pytest.mark.tool("post-quantum")
def test_another_key_and_no_line_are_told_apart(judge: Judge, published: Path, tmp_path: Path) -> None:
    """A key of the same name, and a checkpoint whose line was taken out."""
    name = (published / "log-mldsa.vkey").read_text().split("+")[0]
    other = tmp_path / "other.vkey"
    other.write_text(Cosigner(name, bytes(32), ML_DSA_44).vkey)
    note = published / "checkpoint"
    assert judge(note, other) == (1, "not cosigned by this key")
    note.write_text(note.read_text().rstrip("\n").rpartition("\n")[0] + "\n")
    assert judge(note, published / "log-mldsa.vkey") == (1, "not cosigned by this key")
