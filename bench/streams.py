"""What governing costs a stream: time to the first words and between words, governed beside the bare floor, in one run.

``python bench/streams.py`` asks the simulator for an answer in pieces of several sizes with a pause between them, as a model
makes it, and reads what arrives when. *first*: request sent to first text. *gap*: between two events with text; the floor's is the
pause itself. *lag*: how much later the client has as many characters as over the floor, at the median place of the text: what the
hold-back costs a reader. ``--models`` has trained models read the answers as well, sentence by sentence.
"""

import argparse
import http.client
import json
import statistics
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from run import Contestant, floor, magistrate, upstream

PROSE = "The answer grows word after word, as answers do, and nobody has anything to hide in it. " * 8
TEXTS = {
    "prose": PROSE,
    "numbers": "Order 4711 of 12 March 2026 has 3 items at 19.99, tax 3.80, total 63.77; call 5550100 or see page 12. "
    * 7,
    "links": "See [the page](https://docs.example/a/b?c=1) or https://docs.example/x, then ![plan](https://e.example/p.png). "
    * 6,
    "cards": "Pay with 4111 1111 1111 1111 or write to ada@analytical.org before noon, please. " * 9,
}


def ask(contestant: Contestant, text: str, size: int, pause_s: float) -> list[tuple[float, int]]:
    """Ask once; return when how many characters of text had arrived, in seconds from the request."""
    message = f"backwards\nchunk size: {size}\npause: {pause_s}\nsay: {text[::-1]}"
    body = json.dumps({"model": "demo", "stream": True, "messages": [{"role": "user", "content": message}]})
    connection = http.client.HTTPConnection(contestant.url.removeprefix("http://"), timeout=60)
    headers = {**contestant.headers, "content-type": "application/json"}
    began = time.perf_counter()
    connection.request("POST", "/v1/chat/completions", body, headers)
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    arrived: list[tuple[float, int]] = []
    count = 0
    while line := answer.readline():
        if line.startswith(b"data: {"):
            choices = json.loads(line[6:])["choices"]
            said = choices[0]["delta"].get("content") if choices else None
            if said:
                count += len(said)
                arrived.append((time.perf_counter() - began, count))
    connection.close()
    return arrived


def lag(governed: list[tuple[float, int]], bare: list[tuple[float, int]]) -> float:
    """Seconds by which the median character comes later. Masks change lengths, so places count by their share of the text."""
    total, ours = bare[-1][1], governed[-1][1]
    shares = [count / total for _, count in bare]
    later = []
    for share, (at, _) in zip(shares, bare, strict=True):
        arrived = next((t for t, count in governed if count / ours >= share - 1e-9), governed[-1][0])
        later.append(arrived - at)
    return statistics.median(later)


def summary(runs: list[list[tuple[float, int]]]) -> dict[str, float]:
    firsts = [run[0][0] for run in runs]
    gaps = sorted(b[0] - a[0] for run in runs for a, b in pairwise(run))
    return {
        "first_p50_ms": statistics.median(firsts) * 1e3,
        "gap_p50_ms": statistics.median(gaps) * 1e3,
        "gap_p99_ms": gaps[int(len(gaps) * 0.99)] * 1e3,
        "events": statistics.median(len(run) for run in runs),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pause", type=float, default=0.005, help="seconds between pieces at the endpoint")
    parser.add_argument("--sizes", type=int, nargs="+", default=[2, 4, 16, 64])
    parser.add_argument("--texts", nargs="+", choices=TEXTS, default=list(TEXTS))
    parser.add_argument("--models", action="store_true", help="inspection.model_tier: on")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    up, base = upstream()
    with tempfile.TemporaryDirectory(prefix="magistrate-bench-") as work:
        more = "inspection: {model_tier: on}\n" if options.models else ""
        bare, governed = floor(base), magistrate(base, Path(work), more)
        try:
            rows = measure(bare, governed, options)
        finally:
            governed.stop()
            bare.stop()
            up.terminate()
    json.dump(rows, sys.stdout, indent=1) if options.json else show(rows)


def measure(bare: Contestant, governed: Contestant, options) -> list[dict]:
    rows = []
    for contestant in (bare, governed):
        ask(contestant, PROSE, 64, 0)
    for name in options.texts:
        text = TEXTS[name]
        for size in options.sizes:
            runs: dict[str, list] = {"bare": [], "governed": []}
            for _ in range(options.rounds):
                runs["bare"].append(ask(bare, text, size, options.pause))
                runs["governed"].append(ask(governed, text, size, options.pause))
            late = statistics.median(map(lag, runs["governed"], runs["bare"]))
            told = {which: summary(each) for which, each in runs.items()}
            rows.append({"text": name, "size": size, "lag_ms": late * 1e3, **told})
    return rows


def show(rows: list[dict]) -> None:
    print(f"{'':10}{'piece':>6}{'first ms':>18}{'gap p50 ms':>18}{'gap p99 ms':>18}{'lag ms':>8}")
    for row in rows:
        told = f"{row['text']:10}{row['size']:>6}"
        for key in ("first_p50_ms", "gap_p50_ms", "gap_p99_ms"):
            told += f"{row['bare'][key]:>9.2f}{row['governed'][key]:>9.2f}"
        print(f"{told}{row['lag_ms']:>8.2f}")
    print("\nleft of each pair the bare floor, right governed")


if __name__ == "__main__":
    main()
