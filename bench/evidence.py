"""What an auditor and a restart wait for: verification, proofs, recovery. `python bench/evidence.py [--json] [--quick]`.

One log on disk, read from the page cache by one process and then by one for each core: what is measured is hashing,
parsing and checking, not the disk.
"""

import argparse
import json
import multiprocessing
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from magistrate.adapters.copied import LogCopy
from magistrate.adapters.fetch import FileObjects
from magistrate.adapters.parallel import cores, read_copy
from magistrate.adapters.recorder.ledger import Ledger, Settings
from magistrate.adapters.recorder.writer import Submission
from magistrate.evidence.bundle import Exported, verify_bundle, write_bundle
from magistrate.evidence.checkpoint import parse
from magistrate.evidence.note import Verifier, open_note
from magistrate.evidence.proof import Proof, check
from magistrate.evidence.report import Verdict
from magistrate.evidence.tiles import entry, prove_inclusion
from magistrate.evidence.trust import of_witnesses
from magistrate.evidence.verify import verify_log
from recorder import draft, text

GROUP = 100


def settings(directory: Path) -> Settings:
    return Settings(directory / "evidence", directory / "vault", directory / "r.sock", "bench.example/log")


def fill(ledger: Ledger, records: int, length: int) -> None:
    """Write records in groups; nothing is sealed."""
    bodies = [text(length, seed) for seed in range(64)]
    refused: list[str] = []
    for first in range(0, records, GROUP):
        group = [
            Submission("bench", n + 1, draft(bodies[n % 64], n), lambda ack: refused.append(ack.reason))
            for n in range(first, min(first + GROUP, records))
        ]
        ledger.write(group)
    assert not any(refused), refused[0]


def timed(work: Callable[[], object], times: int = 1) -> float:
    """Return the median seconds of one run."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def size_of(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def verification(directory: Path, records: int, length: int, *, bodies: bool) -> dict:
    """How fast a whole log is derived again: by one process, and by one for each core and one that judges."""
    ledger = Ledger(settings(directory))
    for at in range(0, records, 5000):
        fill(ledger, min(5000, records - at), length)
        ledger.seal()
    ledger.close(clean=True)
    root = directory / "evidence"
    vkey = (root / "log.vkey").read_text().strip()

    def verify(processes: int) -> None:
        bundles = read_copy(root, bodies=bodies, processes=processes)
        report = verify_log(FileObjects(root), vkey, bundles=bundles)
        assert report.verdict is Verdict.VALID, report.findings[:3]
        assert report.bodies == (records if bodies else 0)

    verify(1)
    read = size_of(root / "tile") + (size_of(root / "body") if bodies else 0)
    found = {}
    for name, processes in (("one", 1), ("all", cores())):
        took = timed(lambda count=processes: verify(count), 3)
        found |= {
            f"{name}_records_per_s": round(records / took),
            f"{name}_mb_per_s": round(read / took / 1e6),
        }
    return found


def proofs(directory: Path) -> dict:
    """The proof of one record of the log under ``directory``, and a bundle of it."""
    copy = LogCopy(directory / "evidence")
    verifier = Verifier((directory / "evidence" / "log.vkey").read_text().strip())
    note = copy.objects.get("checkpoint") or b""
    size = parse(open_note(note)[0]).size
    index = size // 3
    raw = entry(copy.objects.get, index, size)
    proof = Proof(index, tuple(prove_inclusion(copy.objects.get, index, size)), note)
    bundle = write_bundle(index, [Exported(raw, proof)], of_witnesses([verifier], [], None).encode())
    hashes = len(proof.path)
    return {
        "tree": size,
        "hashes": hashes,
        "proof_bytes": len(proof.encode()),
        "proof_bytes_ed25519_only": len(proof.encode()) - len(note.splitlines(keepends=True)[-1]),
        "proof_bytes_at_180m": len(proof.encode()) + (28 - hashes) * 45,
        "check_us": round(timed(lambda: check(proof, raw, verifier), 500) * 1e6),
        "bundle_bytes": len(bundle),
        "bundle_verify_ms": round(timed(lambda: verify_bundle(bundle, verifier.vkey), 50) * 1e3, 2),
    }


def recovery(directory: Path, records: int) -> dict:
    """How long a start takes after a crash that left a write-ahead log of so many records of 24 KB: the median of five."""
    crashed = directory / "crashed"
    ledger = Ledger(settings(crashed))
    fill(ledger, records, 24_000)
    waiting = ledger.unsealed_bytes
    ledger.close(clean=False)
    starts = []
    for number in range(5):
        copy = directory / str(number)
        shutil.copytree(crashed, copy)
        with multiprocessing.get_context("spawn").Pool(1) as process:  # whose memory holds nothing else
            starts.append(process.apply(_started, (copy,)))
        shutil.rmtree(copy)
    took = statistics.median(seconds for seconds, _ in starts)
    ledger = Ledger(settings(crashed))
    began = time.perf_counter()
    ledger.seal()
    sealed = time.perf_counter() - began
    ledger.close(clean=True)
    return {
        "wal_mb": round(waiting / 1e6),
        "accepts_again_s": round(took, 2),
        "sealed_s": round(took + sealed, 2),
        "accepts_again_s_per_gb": round(took / waiting * 1e9, 2),
        "peak_mb_more": round(max(more for _, more in starts) / 1024),
    }


def _started(directory: Path) -> tuple[float, int]:
    """Return how long a start takes, and by how many KiB the most memory it ever held is more than before."""
    before = _most_held()
    began = time.perf_counter()
    ledger = Ledger(settings(directory))
    took = time.perf_counter() - began
    more = _most_held() - before
    ledger.close(clean=False)
    return took, more


def _most_held() -> int:
    """Return the most memory that this process ever held, in KiB; `getrusage` would count its parent's."""
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", choices=["recovery"], help="one case; the others take minutes")
    asked = parser.parse_args()
    many, few = (50_000, 50_000) if asked.quick else (200_000, 100_000)
    results = {}
    with tempfile.TemporaryDirectory(prefix="bench-evidence-") as name:
        place = Path(name)
        if not asked.only:
            results["verify, headers"] = verification(place / "small", many, 200, bodies=False)
            results["proof"] = proofs(place / "small")
            results["verify, 24 KB bodies"] = verification(place / "large", few, 24_000, bodies=True)
        results["recovery"] = recovery(place / "crashed", 3_000 if asked.quick else 25_000)
    if asked.json:
        print(json.dumps(results, indent=1))
        return
    for case, found in results.items():
        print(f"{case:24}" + "  ".join(f"{name} {value}" for name, value in found.items()))


if __name__ == "__main__":
    main()
