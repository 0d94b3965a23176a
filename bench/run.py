"""Side by side in one run: governed, ungoverned, and others' gateways bare. ``make bench``.

Every contestant stands in front of the same upstream (our simulator as an HTTP server) and is asked by the same client, one
after the other, in rounds, on the same machine. Read the ratios; the absolute numbers belong to the machine.
Results are appended to ``bench/history.jsonl``. It never fails a build.
"""

import argparse
import contextlib
import http.client
import json
import os
import platform
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[1]
ENVS = ROOT / "bench" / ".envs"
HISTORY = ROOT / "bench" / "history.jsonl"
SEEN = "say: {answer}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_http(url: str, seconds: float, headers: dict[str, str] | None = None) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), timeout=2)
        except urllib.error.HTTPError:
            return True
        except OSError:
            time.sleep(0.2)
        else:
            return True
    return False


class Contestant:
    """A gateway under test, running."""

    def __init__(
        self, name: str, url: str, headers: dict[str, str], process: subprocess.Popen | None
    ) -> None:
        self.name, self.url, self.headers, self.process = name, url, headers, process

    def rss_mb(self) -> float:
        if self.process is None:
            return 0.0
        total = 0
        for pid in descendants(self.process.pid):
            with contextlib.suppress(OSError):
                total += int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1])
        return total / 1024

    def stop(self) -> None:
        if self.process is not None:
            for pid in descendants(self.process.pid):
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGTERM)
            self.process.wait(timeout=60)


def descendants(pid: int) -> list[int]:
    found = [pid]
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid:
                found += descendants(int(path.parent.name))
    return found


def upstream() -> tuple[subprocess.Popen, str]:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "magistrate.adapters.upstreams.simulator", "--port", str(port)],
        stdout=subprocess.PIPE,
    )
    process.stdout.readline()
    return process, f"http://127.0.0.1:{port}"


def magistrate(base: str, work: Path, more: str = "") -> Contestant:
    """Serve from ``work``; ``more`` is added to the configuration."""
    (work / "magistrate.yaml").write_text(
        f"providers:\n  - name: bench\n    api: openai\n    base_url: {base}/v1\n    models: [demo]\n{more}"
    )
    port, control = free_port(), free_port()
    process = subprocess.Popen(
        [
            ROOT / ".venv/bin/magistrate",
            "serve",
            "--json",
            "--listen",
            f"127.0.0.1:{port}",
            "--control",
            f"127.0.0.1:{control}",
        ],
        stdout=subprocess.PIPE,
        cwd=work,
    )
    key = json.loads(process.stdout.readline())["key"]
    return Contestant(
        "magistrate (governed)", f"http://127.0.0.1:{port}", {"authorization": f"Bearer {key}"}, process
    )


def floor(base: str) -> Contestant:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, ROOT / "bench/floor.py", str(port), base], stdout=subprocess.PIPE
    )
    process.stdout.readline()
    return Contestant("floor (same server and client, ungoverned)", f"http://127.0.0.1:{port}", {}, process)


def litellm(base: str, work: Path) -> Contestant | None:
    home = ENVS / "litellm"
    if not (home / "bin/litellm").exists():
        print("installing LiteLLM's proxy into bench/.envs", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
        done = subprocess.run([home / "bin/pip", "-q", "install", "litellm[proxy]"], check=False)
        if done.returncode:
            return None
    port = free_port()
    config = work / "litellm.yaml"
    config.write_text(
        "model_list:\n  - model_name: demo\n    litellm_params:\n      model: openai/demo\n"
        f"      api_base: {base}/v1\n      api_key: none\ngeneral_settings: {{}}\nlitellm_settings:\n  telemetry: false\n"
    )
    process = subprocess.Popen(
        [home / "bin/litellm", "--config", config, "--port", str(port), "--host", "127.0.0.1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={
            **os.environ,
            "LITELLM_LOG": "ERROR",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            # Bare means bare: no key of its own to check, which recent versions refuse unless told.
            "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
            "PATH": f"{home}/bin:{os.environ['PATH']}",
        },
    )
    url = f"http://127.0.0.1:{port}"
    contestant = Contestant("LiteLLM proxy (bare)", url, {}, process)
    return contestant if wait_http(url + "/health/liveliness", 90) else None


def portkey(base: str) -> Contestant | None:
    home = ENVS / "portkey"
    start = home / "node_modules/@portkey-ai/gateway/build/start-server.js"
    if shutil.which("npm") is None:
        return None
    if not start.exists():
        print("installing Portkey's gateway into bench/.envs", file=sys.stderr)
        home.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            [
                "npm",
                "--prefix",
                home,
                "install",
                "--ignore-scripts",
                "--no-audit",
                "--no-fund",
                "@portkey-ai/gateway",
            ],
            check=False,
            stdout=subprocess.DEVNULL,
        )
        if done.returncode or not start.exists():
            return None
    port = free_port()
    process = subprocess.Popen(
        ["node", start, f"--port={port}", "--headless"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "NODE_ENV": "production", "TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost"},
    )
    headers = {
        "x-portkey-provider": "openai",
        "x-portkey-custom-host": f"{base}/v1",
        "authorization": "Bearer none",
    }
    url = f"http://127.0.0.1:{port}"
    return Contestant("Portkey gateway (bare)", url, headers, process) if wait_http(url, 30) else None


def measure(contestant: Contestant, body: Path, concurrency: int, seconds: float, rate: float = 0) -> dict:
    command = [sys.executable, ROOT / "bench/load.py", contestant.url + "/v1/chat/completions"]
    command += ["--concurrency", str(concurrency), "--seconds", str(seconds), "--body", str(body)]
    for name, value in contestant.headers.items():
        command += ["--header", f"{name}:{value}"]
    if rate:
        command += ["--rate", f"{rate:.1f}"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def bodies(work: Path) -> dict[str, Path]:
    prose = "Please summarise the following minutes for the board and keep it friendly. "
    found = {}
    for name, length in (("1 KB", 1000), ("25 KB", 25_000)):
        text = (prose * (length // len(prose) + 1))[: length - 120]
        path = work / f"{name.replace(' ', '')}.json"
        path.write_text(
            json.dumps(
                {"model": "demo", "messages": [{"role": "user", "content": f"say: fine, thank you.\n{text}"}]}
            )
        )
        found[name] = path
    path = work / "stream.json"
    message = "chunks: 200\nsay: " + "word after word the answer grows " * 40
    path.write_text(
        json.dumps({"model": "demo", "stream": True, "messages": [{"role": "user", "content": message}]})
    )
    found["200 chunks"] = path
    return found


def steps(contestant: Contestant, body: Path) -> dict[str, float]:
    """Median of each step's own time, from `Server-Timing` of 200 calls one after the other, in microseconds."""
    host = contestant.url.removeprefix("http://")
    connection = http.client.HTTPConnection(host)
    found: dict[str, list[float]] = {}
    for _ in range(200):
        connection.request(
            "POST",
            "/v1/chat/completions",
            body.read_bytes(),
            {**contestant.headers, "content-type": "application/json"},
        )
        answer = connection.getresponse()
        answer.read()
        for name, took in re.findall(r"(\w+);dur=([\d.]+)", answer.getheader("server-timing", "")):
            found.setdefault(name, []).append(float(took) * 1000)
    return {name: round(statistics.median(values), 1) for name, values in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-rivals", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="magistrate-bench-"))
    up, base = upstream()
    contestants = [Contestant("upstream itself", base, {}, None), floor(base), magistrate(base, work)]
    if not options.no_rivals:
        contestants += [c for c in (litellm(base, work), portkey(base)) if c]
    try:
        result = contest(contestants, bodies(work), options)
    finally:
        for contestant in contestants:
            contestant.stop()
        up.terminate()
        shutil.rmtree(work, ignore_errors=True)
    with HISTORY.open("a") as file:
        file.write(json.dumps(result) + "\n")
    if options.json:
        print(json.dumps(result, indent=1))
    else:
        show(result)


def contest(contestants: list[Contestant], asked: dict[str, Path], options) -> dict:
    rows: dict[str, dict[str, list[dict]]] = {c.name: {} for c in contestants}
    cases = [(size, c) for size in ("1 KB", "25 KB") for c in (1, 8, 32)] + [
        ("200 chunks", 1),
        ("200 chunks", 8),
    ]
    for contestant in contestants:
        measure(contestant, asked["1 KB"], 8, 2)
    for turn in range(options.rounds):
        for size, concurrency in cases:
            for contestant in contestants:
                got = measure(contestant, asked[size], concurrency, options.seconds)
                rows[contestant.name].setdefault(f"{size}, {concurrency}", []).append(got)
            print(f"round {turn + 1}: {size}, concurrency {concurrency}", file=sys.stderr)
    for contestant in contestants:
        best = statistics.median(r["rate"] for r in rows[contestant.name]["1 KB, 32"])
        for _ in range(options.rounds):
            got = measure(contestant, asked["1 KB"], 32, options.seconds * 2, rate=best / 2)
            rows[contestant.name].setdefault("1 KB, half load", []).append(got)
    table = {
        name: {
            case: {key: round(statistics.median(r[key] for r in runs), 1) for key in runs[0]}
            for case, runs in cases_.items()
        }
        for name, cases_ in rows.items()
    }
    governed = next(c for c in contestants if c.name.startswith("magistrate"))
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": {
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "kernel": platform.release(),
        },
        "seconds": options.seconds,
        "rounds": options.rounds,
        "table": table,
        "steps_us": steps(governed, asked["1 KB"]),
        "rss_mb": {c.name: round(c.rss_mb(), 1) for c in contestants if c.process},
    }


def show(result: dict) -> None:
    table = result["table"]
    ours = next(name for name in table if name.startswith("magistrate"))
    for case in next(iter(table.values())):
        direct = table["upstream itself"][case]
        print(f"\n{case}")
        print(f"  {'':44}{'req/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'added p50':>11}{'ours is':>10}")
        for name, cases in table.items():
            row = cases[case]
            ratio = table[ours][case]["rate"] / row["rate"] if row["rate"] else float("inf")
            added = (row["p50"] - direct["p50"]) / 1000
            errors = f"  {row['errors']:.0f} errors" if row["errors"] else ""
            print(
                f"  {name:44}{row['rate']:9.0f}{row['p50'] / 1000:9.2f}{row['p99'] / 1000:9.2f}{added:11.2f}{ratio:9.2f}x{errors}"
            )
    print("\nwhere governed time goes (us, median, one at a time):", result["steps_us"])
    print("resident memory (MB, all processes):", result["rss_mb"])


if __name__ == "__main__":
    main()
