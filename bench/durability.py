"""What `bounded-async` and processors that are kept awake gain, side by side in one run: gateways with everything else equal.

``python bench/durability.py``. The same upstream (our simulator as an HTTP server) and client as ``bench/run.py``, in rounds.
``asleep`` is the default gateway with ``keep_awake: false``.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path

from run import ROOT, Contestant, bodies, free_port, measure, steps, upstream

WAYS = {
    "before-effect": "",
    "bounded-async": "evidence: {durability: bounded-async}\n",
    "asleep": "evidence: {keep_awake: false}\n",
}


def gateway(base: str, work: Path, way: str) -> Contestant:
    home = work / way
    home.mkdir()
    provider = f"providers:\n  - {{name: bench, api: openai, base_url: {base}/v1, models: [demo]}}\n"
    (home / "magistrate.yaml").write_text(provider + WAYS[way])
    port, control = free_port(), free_port()
    command = [ROOT / ".venv/bin/magistrate", "serve", "--json", "--listen", f"127.0.0.1:{port}"]
    process = subprocess.Popen(
        [*command, "--control", f"127.0.0.1:{control}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=home,
    )
    key = json.loads(process.stdout.readline())["key"]
    return Contestant(way, f"http://127.0.0.1:{port}", {"authorization": f"Bearer {key}"}, process)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="magistrate-durability-"))
    up, base = upstream()
    contestants = [gateway(base, work, way) for way in WAYS]
    try:
        asked = bodies(work)
        found: dict[tuple[str, str, int], list[dict]] = {}
        for _ in range(options.rounds):
            for one in contestants:
                for size, concurrency in (("1 KB", 1), ("25 KB", 1), ("1 KB", 32)):
                    got = measure(one, asked[size], concurrency, options.seconds)
                    found.setdefault((one.name, size, concurrency), []).append(got)
        for (name, size, concurrency), results in found.items():
            middle = {key: statistics.median(one[key] for one in results) for key in ("rate", "p50", "p99")}
            errors = sum(one["errors"] for one in results)
            told = f"{middle['rate']:7.0f}/s  p50 {middle['p50']:7.0f} us  p99 {middle['p99']:7.0f} us"
            print(f"{name:14} {size:6} x{concurrency:<3} {told}  {errors} errors")
        for one in contestants:
            print(f"{one.name:14} steps, us: {steps(one, asked['1 KB'])}")
    finally:
        for one in contestants:
            one.stop()
        up.terminate()
        shutil.rmtree(work, ignore_errors=True)


main()
