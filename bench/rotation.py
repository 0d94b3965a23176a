"""How long a rotation keeps gateways waiting, by what the shard holds: `python bench/rotation.py`, ten seconds."""

import tempfile
import time
import uuid
from pathlib import Path

from magistrate.adapters.recorder.frames import Ack
from magistrate.adapters.recorder.ledger import Ledger, Settings
from magistrate.adapters.recorder.writer import Submission
from magistrate.evidence.draft import Body, Draft

GROUP = 500


def main() -> None:
    """Measure shards of ended calls, and one with open traces besides."""
    for records, traces in ((1_000, 0), (20_000, 0), (100_000, 0), (20_000, 10_000)):
        with tempfile.TemporaryDirectory() as directory:
            took = _rotated(Path(directory), records, traces)
        print(f"{records:>7} records, {traces:>6} open traces: {took:.3f} s")


def _rotated(directory: Path, records: int, traces: int) -> float:
    ledger = Ledger(
        Settings(directory / "evidence", directory / "vault", directory / "r.sock", "bench.example/log")
    )
    for first in range(0, records, GROUP):
        _write(ledger, [one for _ in range(first, min(first + GROUP, records), 2) for one in _call()])
    for _ in range(0, traces, GROUP):
        _write(ledger, [_draft("config.change", "note", uuid.uuid4().hex) for _ in range(GROUP)])
    began = time.monotonic()
    ledger.rotate_shard()
    took = time.monotonic() - began
    ledger.close(clean=False)
    return took


def _write(ledger: Ledger, drafts: list[Draft]) -> None:
    acks: list[Ack] = []
    ledger.write([Submission("gateway-1", number, one, acks.append) for number, one in enumerate(drafts)])
    assert not any(ack.reason for ack in acks)
    ledger.seal()


def _call() -> tuple[Draft, Draft]:
    trace = uuid.uuid4().hex
    intent = _draft("llm.request", "intent", trace)
    return intent, _draft("llm.response", "outcome", trace, cause=[intent.header["eid"]], closes=2)


def _draft(kind: str, phase: str, trace: str, **fields: object) -> Draft:
    header: dict[str, object] = {
        "v": 1,
        "eid": str(uuid.uuid4()),
        "t": kind,
        "phase": phase,
        "ts": time.time_ns() // 1000,
        "trace": trace,
        "tenant": "default",
        "app": "bench",
        **fields,
    }
    return Draft(header, (Body("request", "text/plain", b"hello"),), subject="ada")


if __name__ == "__main__":
    main()
