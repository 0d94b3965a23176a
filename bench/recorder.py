"""What evidence costs: hand-off, durable acknowledgement, CPU, bytes. `python bench/recorder.py [--json] [--quick]`.

Load generator and recorder share the machine, as gateway and recorder do. Open loop: a record is due at its time
whether or not the last one was acknowledged, so that waiting is measured and not hidden.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop

from magistrate.adapters.host import SystemIds
from magistrate.adapters.recorder.client import RecorderClient
from magistrate.evidence.draft import Body, Draft
from magistrate.exchange.errors import EvidenceUnavailable

PROSE = """
    the model shall answer only what policy allows and every judgement is on record because nobody has to trust us
    invoice patient account quarter revenue contract delivery please summarise following conversation between agent
    customer who asked whether refund could be issued before shipping date although order number was not found
"""
WORDS = PROSE.split()
TICKS = os.sysconf("SC_CLK_TCK")
ids = SystemIds()


def text(length: int, seed: int) -> bytes:
    """Return prose-like bytes that zstd packs about as well as real prompts (2.4 to 1)."""
    chance = random.Random(seed)
    out = []
    have = 0
    while have < length:
        word = chance.choice(WORDS) if chance.random() < 0.6 else f"{chance.getrandbits(28):x}"
        out.append(word)
        have += len(word) + 1
    return " ".join(out).encode()[:length]


def draft(body: bytes, number: int) -> Draft:
    """Return a record like the gateway's."""
    header: dict[str, object] = {
        "v": 1,
        "eid": ids.record(),
        "t": "llm.request",
        "phase": "intent",
        "ts": time.time_ns() // 1000,
        "clk": {"src": "system"},
        "trace": f"{number % 5000:032x}",
        "parent": "",
        "tenant": "default",
        "app": "bench",
        "actor": {"kind": "key", "handle": "key-1"},
        "policy": {"bundle": "ab" * 32, "mode": "enforce"},
        "detectors": {"rules": "2026.11", "structure": "3"},
        "model": {"name": "gpt-5-mini", "endpoint": "openai-eu"},
        "verdict": {"effect": "allow", "rules": ["pii-to-certified-only", "budget"]},
        "labels": ["pii.email", "pii.name"],
    }
    return Draft(header, (Body("request", "application/json", body),), subject=f"user-{number % 200}")


class Recorder:
    """A recorder process of its own directory."""

    def __init__(self, directory: Path) -> None:
        self.data = directory / "data"
        self.socket = self.data / "run" / "recorder.sock"
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "magistrate.app.processes", "recorder"),
                *("--data", str(self.data)),
            ],
            stdout=subprocess.PIPE,
            stderr=None if os.environ.get("BENCH_VERBOSE") else subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline().strip() == "ready"

    def cpu_us(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS * 1e6

    def rss_mb(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0


def quantile(values: list[float], q: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * q))] if ordered else 0.0


async def open_loop(client: RecorderClient, body: Callable[[int], bytes], rate: int, seconds: float) -> dict:
    """Hand over ``rate`` records a second; return what each waited, in microseconds."""
    handoffs: list[float] = []
    acks: list[float] = []
    refused = 0

    async def one(number: int) -> None:
        nonlocal refused
        prepared = draft(body(number), number)
        # The first step of `append` runs until it waits: that is the hand-off.
        began = time.perf_counter()
        waiting = client.append(prepared).__await__()
        try:
            pending = next(waiting)
        except StopIteration:
            return
        except EvidenceUnavailable:
            refused += 1
            return
        handoffs.append((time.perf_counter() - began) * 1e6)
        try:
            await _rest(waiting, pending)
        except EvidenceUnavailable:
            refused += 1
            return
        acks.append((time.perf_counter() - began) * 1e6)

    tasks = []
    start = time.perf_counter()
    for number in range(int(rate * seconds)):
        due = start + number / rate
        wait = due - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        tasks.append(asyncio.ensure_future(one(number)))
        if len(tasks) > 5000:
            await asyncio.gather(*tasks)
            tasks = []
    await asyncio.gather(*tasks)
    return {
        "rate": round(len(acks) / (time.perf_counter() - start)),
        "refused": refused,
        "handoff_p50_us": round(quantile(handoffs, 0.5), 1),
        "handoff_p99_us": round(quantile(handoffs, 0.99), 1),
        "ack_p50_us": round(quantile(acks, 0.5)),
        "ack_p99_us": round(quantile(acks, 0.99)),
        "ack_max_us": round(max(acks, default=0)),
        "records": len(acks),
    }


def _rest(waiting, pending) -> Awaitable[object]:  # the continuation of a coroutine that was started by hand
    class Rest:
        def __await__(self):
            pending._asyncio_future_blocking = True  # noqa: SLF001  because this is how a future is awaited by hand
            yield pending
            return (yield from waiting)

    return Rest()


async def closed_loop(
    client: RecorderClient, body: Callable[[int], bytes], at_once: int, seconds: float
) -> dict:
    """Keep ``at_once`` records under way; return the rate that can be sustained."""
    done = 0
    until = time.perf_counter() + seconds

    async def worker(first: int) -> None:
        nonlocal done
        number = first
        while time.perf_counter() < until:
            await client.append(draft(body(number), number))
            done += 1
            number += at_once

    start = time.perf_counter()
    await asyncio.gather(*(worker(number) for number in range(at_once)))
    return {"rate": round(done / (time.perf_counter() - start)), "records": done}


def size_of(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


async def measure(name: str, length: int, rate: int | None, seconds: float) -> dict:
    bodies = [text(length, seed) for seed in range(64)]
    with tempfile.TemporaryDirectory(prefix="bench-recorder-") as directory:
        recorder = Recorder(Path(directory))
        client = RecorderClient(recorder.socket, wid=ids.record())
        await client.connect()
        try:
            await closed_loop(client, lambda n: bodies[n % 64], 4, 0.3)  # keys, handles, caches
            await asyncio.sleep(1.2)
            before = recorder.cpu_us()
            run = open_loop(client, lambda n: bodies[n % 64], rate, seconds) if rate else None
            result = await (run or closed_loop(client, lambda n: bodies[n % 64], 64, seconds))
            await asyncio.sleep(1.2)  # the sealing of the last second is part of the cost
            result["recorder_cpu_us"] = round((recorder.cpu_us() - before) / max(1, result["records"]), 1)
            result["rss_mb"] = round(recorder.rss_mb())
        finally:
            await client.close()
            recorder.stop()
        evidence = recorder.data / "evidence"
        log = sum(size_of(evidence / part) for part in ("tile", "body"))
        total = _records(evidence)
        result["log_bytes"] = round(log / total)
        result["index_bytes"] = round(size_of(evidence / "index") / total)
    return {"case": name, **result}


def _records(evidence: Path) -> int:
    return int((evidence / "checkpoint").read_text().split("\n")[1])


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="")
    asked = parser.parse_args()
    seconds = 2.0 if asked.quick else 6.0
    cases = [
        ("24 KB at 100/s", 24_000, 100),
        ("24 KB at 500/s", 24_000, 500),
        ("24 KB at 2000/s", 24_000, 2000),
        ("1 KB at 500/s", 1_000, 500),
        ("1 KB at 2000/s", 1_000, 2000),
        ("24 KB sustained", 24_000, None),
        ("1 KB sustained", 1_000, None),
    ]
    results = []
    columns = [
        "rate",
        "refused",
        "handoff_p50_us",
        "handoff_p99_us",
        "ack_p50_us",
        "ack_p99_us",
        "ack_max_us",
    ]
    columns += ["recorder_cpu_us", "log_bytes", "index_bytes", "rss_mb"]
    if not asked.json:
        print(f"{'case':18}" + "".join(f"{c.removesuffix('_us'):>14}" for c in columns))
    for name, length, rate in cases:
        if asked.only and asked.only not in name:
            continue
        result = await measure(name, length, rate, seconds)
        results.append(result)
        if not asked.json:
            print(f"{name:18}" + "".join(f"{result.get(c, '-')!s:>14}" for c in columns), flush=True)
    if asked.json:
        print(json.dumps(results, indent=1))


if __name__ == "__main__":
    uvloop.run(main())
