"""A copy of a log that a recorder wrote, every way to spoil it, and two judges that share no code."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from magistrate.adapters.recorder.reader import open_evidence
from magistrate.adapters.recorder.rootkey import secret_file
from magistrate.evidence.canonical import encode
from magistrate.evidence.checkpoint import Checkpoint, parse
from magistrate.evidence.monitor import Memory, look
from magistrate.evidence.note import Signer, Verifier, open_note
from magistrate.evidence.tiles import WIDTH, decode_bundle, encode_bundle, entries_path, grow
from magistrate.evidence.verify import verify_log
from tests.conformance.evidence.go_auditor import Ask

from .custody import IDS, draft, opened

CALLS = 150
Header = dict[str, Any]


def write(directory: Path) -> bytes:
    """Write a log of more than one full tile; return a checkpoint from its middle, as somebody saw it."""
    with opened(directory) as custody:
        for number in range(CALLS):
            trace = IDS.trace()
            intent = draft(content=b"ask %03d" % number, trace=trace)
            cause = (str(intent.header["eid"]),)
            custody.write(
                intent, draft(content=b"say %03d" % number, trace=trace, phase="outcome", cause=cause)
            )
            if number == CALLS // 2:
                custody.ledger.seal()
                seen = (directory / "evidence" / "checkpoint").read_bytes()
    return seen


class Spoiled:
    """A log on disk that somebody works on. ``seen``: a checkpoint that an auditor or a witness has of it."""

    def __init__(self, original: Path, place: Path, seen: bytes) -> None:
        shutil.copytree(original / "evidence", place / "evidence")
        self.directory, self.root, self.vault = place, place / "evidence", original / "vault"
        self.middle, self.seen = seen, b""
        self.vkey = (self.root / "log.vkey").read_text().strip()
        self.checkpoint = parse(open_note((self.root / "checkpoint").read_bytes())[0])
        self.signer = Signer(self.checkpoint.origin, secret_file(self.vault / "signing.key", create=False))

    # --- what somebody without the key can do

    def change(self, path: str, how: Callable[[bytes], bytes]) -> None:
        file = self.root / path
        before = file.read_bytes()
        file.write_bytes(how(before))
        assert file.read_bytes() != before

    def entries(self) -> list[bytes]:
        size = self.checkpoint.size
        found: list[bytes] = []
        for number in range((size + WIDTH - 1) // WIDTH):
            width = min(size - number * WIDTH, WIDTH)
            found += decode_bundle((self.root / entries_path(number, width)).read_bytes())
        return found

    def headers(self) -> list[Header]:
        return [orjson.loads(raw) for raw in self.entries()]

    def replace(self, index: int, raw: bytes) -> None:
        """Put another record in a bundle, and nothing else."""
        number, offset = divmod(index, WIDTH)
        entries = self.entries()[number * WIDTH : (number + 1) * WIDTH]
        path = entries_path(number, len(entries))
        entries[offset] = raw
        self.change(path, lambda _: encode_bundle(entries))

    def rebuild(self, entries: list[bytes]) -> Checkpoint:
        """Write every file of the tree of ``entries``; the checkpoint stays."""
        shutil.rmtree(self.root / "tile")
        growth = grow({}.get, 0, entries)
        for path, data in growth.files.items():
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_bytes(data)
        return Checkpoint(self.checkpoint.origin, growth.size, growth.root)

    # --- what the operator can do, who has the key

    def sign(self, checkpoint: Checkpoint) -> None:
        (self.root / "checkpoint").write_bytes(self.signer.sign(checkpoint.text()))

    def rewrite(self, entries: list[bytes]) -> None:
        """Build the tree of other records and sign it with the real key."""
        self.sign(self.rebuild(entries))

    def rewrite_headers(self, headers: list[Header]) -> None:
        self.rewrite([encode(header) for header in headers])


def ours(log: Spoiled) -> tuple[str, str]:
    """Return the verdict of `evidence verify` and, where a checkpoint was seen before, of `evidence monitor`."""
    reader = open_evidence(log.directory, log.vault)
    report = verify_log(reader.objects, log.vkey, ciphertext=reader.ciphertext)
    reader.close()
    if report.verdict.value != "valid" or not log.seen:
        return report.verdict.value, str(report.findings)
    memory = Memory(log.checkpoint.origin, parse(open_note(log.seen)[0]).size, log.seen.decode(), 0, 0)
    observation = look(reader.objects.get, Verifier(log.vkey), memory, now_us=0, max_age_us=0)
    return observation.verdict.value, str(observation.findings)


def go(ask: Ask) -> Callable[[Spoiled], tuple[str, str]]:
    """Return the judge that others wrote."""

    def judge(log: Spoiled) -> tuple[str, str]:
        answer = ask(
            {
                "Vkey": log.vkey,
                "Checkpoint": (log.root / "checkpoint").read_text(),
                "Audit": str(log.root),
                "Seen": log.seen.decode(),
            }
        )
        return answer["Verdict"], answer["Why"]

    return judge


def spelt_otherwise(raw: bytes) -> bytes:
    """The same header with spaces: the same meaning, other bytes."""
    return json.dumps(json.loads(raw)).encode()
