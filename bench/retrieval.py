"""What finding a record costs, hot and cold. `python bench/retrieval.py [--records N] [--hot N] [--json FILE]`.

Synthetic: the records. No log, no bodies and no vault are written. Hot rows are made by `Index.add` from headers as the
gateway writes them; the oldest whole range of them is moved by `Compaction` itself, which is timed. The other cold
ranges are drawn by DuckDB with the same distributions, straight into the lines that a compaction exports, and written
by the function that compaction uses. So files, statistics and sums are real, the stories in them are not.

Measured: `Records`, which is what the command line and the recorder ask, in a process that has DuckDB loaded; the first
answer of a fresh process is told apart. Caches are warm: what is measured is work, not the disk.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from magistrate.adapters.recorder.cold import ColdIndex, connect, records_file, traces_file
from magistrate.adapters.recorder.compaction import Compaction, write_range
from magistrate.adapters.recorder.index import Index
from magistrate.adapters.recorder.retrieval import Records
from magistrate.adapters.recorder.row import Located, Range, SearchQuery

RANGE = 1 << 20
START_US = 1_760_000_000_000_000
STEP_US = 175_000
"""Between two records: 180 million a year."""
SUBJECTS = 50_000
MODELS = [f"model-{number}" for number in range(12)]
RULES = [f"rule-{number}" for number in range(200)]
LABELS = ["pii.email", "pii.name", "phi", "secret.key"]
APPS = [f"app-{number}" for number in range(40)]
ENDPOINTS = [f"endpoint-{number}" for number in range(6)]
LISTS = ["[]", '["pii.email"]', '["pii.name","pii.email"]', '["phi"]', '["secret.key","phi"]']
WORDS = ["", "llm.request", "llm.response", "intent", "outcome", "allow", "deny", "escalate", "stop"]
A_YEAR, A_DAY = 180_000_000, 493_000
BUNDLES = [f"{number:064x}" for number in range(1, 60)]
chance = random.Random(7)


def verdict(draw: float) -> str:
    return "allow" if draw < 0.94 else "deny" if draw < 0.99 else "escalate"


def eid(ts: int) -> str:
    bits = chance.getrandbits(74)
    return f"{ts // 1000:012x}7{bits & 0xFFF:03x}8{bits >> 14:015x}"


def headers(first: int, count: int) -> Iterator[tuple[int, dict[str, Any], tuple[Located, ...]]]:
    """Yield intents and outcomes by turns, as the sealer hands them to the index."""
    for number in range(first, first + count):
        ts = START_US + number * STEP_US + chance.randrange(50_000)
        outcome = bool(number & 1)
        if not outcome:
            call, trace = eid(ts), f"{chance.getrandbits(128):032x}"
            handle = f"s-{chance.randrange(SUBJECTS) * 2654435761 % 2**32:024x}"
            model, app = chance.choice(MODELS), chance.choice(APPS)
        header = {
            "eid": eid(ts) if outcome else call,
            "t": "llm.response" if outcome else "llm.request",
            "phase": "outcome" if outcome else "intent",
            "ts": ts,
            "trace": trace,
            "subj": handle,
            "app": app,
            "model": {"name": model, "endpoint": chance.choice(ENDPOINTS)},
            "labels": chance.sample(LABELS, chance.randrange(3)),
            "policy": {"bundle": BUNDLES[number * len(BUNDLES) // A_YEAR % len(BUNDLES)]},
        }
        if outcome:
            header |= {"cause": [call], "outcome": {"ending": "stop", "rules": []}}
        else:
            header["verdict"] = {"effect": verdict(chance.random()), "rules": chance.sample(RULES, 2)}
        place = Located(
            "response" if outcome else "request",
            f"body/default/standard/day-{number // A_DAY}/1.seg",
            number * 9_000,
        )
        yield number, header, (place,)


def draw_range(directory: Path, first: int) -> Range:
    """Write one cold range whose exported lines DuckDB draws, with the distributions of `headers`."""
    exported = directory / "exported"
    shutil.rmtree(exported, ignore_errors=True)
    exported.mkdir()
    days = range(first // A_DAY, (first + RANGE) // A_DAY + 1)
    segments = [f"body/default/standard/day-{day}/1.seg" for day in days]
    pairs = [(a, b) for a in RULES for b in chance.sample(RULES, 40)]
    rules = [json.dumps(pair, separators=(",", ":")) for pair in pairs]
    texts = (*WORDS, "request", "response", *LISTS, *MODELS, *APPS, *ENDPOINTS, *BUNDLES, *segments, *rules)
    of = {text: number for number, text in enumerate(dict.fromkeys(texts), 1)}
    (exported / "texts").write_text(
        "".join(f"{number},{text.encode().hex()}\n" for text, number in of.items())
    )

    def one_of(among: list[str]) -> str:
        return f"{[of[text] for text in among]}[1 + CAST(floor(random() * {len(among)}) AS INT)]"

    def new_id(ts: str) -> str:
        rest = "'7' || printf('%03x', CAST(random() * 4095 AS INT)) || '8' || substr(md5(random()::VARCHAR), 1, 15)"
        return f"printf('%012x', {ts} // 1000) || {rest}"

    bundle = of[BUNDLES[first * len(BUNDLES) // A_YEAR % len(BUNDLES)]]
    engine = connect("1GB")
    engine.execute("SELECT setseed(?)", [(first // RANGE % 1000) / 1000])
    engine.execute(
        f"""CREATE TABLE calls AS SELECT *, {new_id("ts")} AS call, md5(random()::VARCHAR) AS trace,
        random() AS v, {one_of(MODELS)} AS model, {one_of(APPS)} AS app,
        printf('%024x', CAST(floor(random() * {SUBJECTS}) AS BIGINT) * 2654435761 % 4294967296) AS subject
        FROM (SELECT n AS number, {START_US} + n * {STEP_US} + CAST(random() * 50000 AS BIGINT) AS ts
              FROM range({first}, {first + RANGE}, 2) t(n))"""
    )
    engine.execute(
        f"""CREATE TABLE drawn AS
        SELECT number AS idx, ts, {of["llm.request"]} AS type, {of["intent"]} AS phase, app, model,
            {of[""]} AS endpoint, CASE WHEN v < 0.94 THEN {of["allow"]} WHEN v < 0.99 THEN {of["deny"]}
            ELSE {of["escalate"]} END AS verdict, {of[""]} AS ending, {one_of(rules)} AS rules,
            {one_of(LISTS)} AS labels, {bundle} AS bundle, call AS eid, trace, '' AS call, subject FROM calls
        UNION ALL
        SELECT number + 1, ts + {STEP_US}, {of["llm.response"]}, {of["outcome"]}, app, model,
            {one_of(ENDPOINTS)}, {of[""]}, {of["stop"]}, {of["[]"]},
            {one_of(LISTS)}, {bundle}, {new_id(f"(ts + {STEP_US})")}, trace, call, subject FROM calls"""
    )
    lined = "(FORMAT csv, HEADER false, QUOTE '', ESCAPE '')"
    engine.execute(f"COPY (FROM drawn ORDER BY idx) TO '{exported / 'records'}' {lined}")
    part = f"IF(idx % 2 = 0, {of['request']}, {of['response']})"
    segment = f"{[of[name] for name in segments]}[1 + idx // {A_DAY} - {days[0]}]"
    bodies = f"SELECT idx, {part}, {segment}, idx * 9000 FROM drawn ORDER BY idx"
    engine.execute(f"COPY ({bodies}) TO '{exported / 'bodies'}' {lined}")
    spread = "min(ts), max(ts), least(min(eid), min(nullif(call, ''))), greatest(max(eid), max(call))"
    oldest, newest, low, high = engine.execute(f"SELECT {spread} FROM drawn").fetchone()
    engine.close()
    began = time.perf_counter()
    write_range(exported, first)
    written.append(time.perf_counter() - began)
    for place in (records_file, traces_file):
        place(exported, first).rename(place(directory, first))
    shutil.rmtree(exported)
    return Range(first, RANGE, b"synthetic", oldest, newest, bytes.fromhex(low), bytes.fromhex(high))


written: list[float] = []


def timed(label: str, ask: Callable[[], object], times: int, results: dict[str, Any]) -> None:
    """Ask ``times`` times and note median and 99th percentile in milliseconds."""
    took, found = [], 0
    for _ in range(times):
        began = time.perf_counter()
        answer = ask()
        took.append((time.perf_counter() - began) * 1e3)
        found = len(answer) if isinstance(answer, list) else int(answer is not None)
    took.sort()
    results[label] = {
        "p50_ms": round(statistics.median(took), 3),
        "p99_ms": round(took[min(len(took) - 1, int(len(took) * 0.99))], 3),
        "times": times,
        "found": found,
    }
    print(
        f"{label:<62} {results[label]['p50_ms']:>10} {results[label]['p99_ms']:>10}   {times:>4}  {found:>6}",
        flush=True,
    )


def size_of(folder: Path, pattern: str) -> int:
    return sum(path.stat().st_size for path in folder.glob(pattern))


def build(root: Path, cold: int, hot: int, told: dict[str, Any]) -> None:
    """Fill both indexes: ``cold`` ranges, then ``hot`` records after them."""
    folder = root / "index" / "cold"
    folder.mkdir(parents=True)
    index = Index(root / "index" / "records.db", writable=True)
    began = time.perf_counter()
    for number in range(cold - 1):
        index.move(draw_range(folder, number * RANGE))
    told["drawing and writing cold ranges, s"] = round(time.perf_counter() - began, 1)
    told["writing one cold range of 1,048,576 records, s (median)"] = round(statistics.median(written), 2)
    first, count = (cold - 1) * RANGE, RANGE + hot
    began = time.perf_counter()
    for at in range(first, first + count, 500):
        index.add(headers(at, min(500, first + count - at)))
    took = time.perf_counter() - began
    told["hot records added a second, 500 at once, all indexes live"] = round(count / took)
    index.close()
    for path in (root / "index").glob("records.db-*"):
        path.unlink()
    told["hot bytes a record"] = round(size_of(root / "index", "records.db") / count, 1)
    began = time.perf_counter()
    index = Index(root / "index" / "records.db", writable=True)
    run = Compaction(root, first + count)
    run._repaired = lambda *_, **__: 0  # noqa: SLF001  because there is no log here to repair from
    done = run.run(START_US + (first + RANGE + 10) * STEP_US, records=RANGE)
    assert done.moved == RANGE, done
    told["moving one range out of the hot index, s"] = round(time.perf_counter() - began, 1)
    index.close()
    told["cold bytes a record"] = round(done.cold_bytes / done.cold, 1)
    told["of which for traces"] = round(size_of(folder, "*.traces") / done.cold, 1)
    told["records hot, cold"] = [done.hot, done.cold]


def linked_year(root: Path, ranges: list[Range]) -> list[Range]:
    """Return as many ranges as 180 million records are, made of the same files under other names."""
    folder = root / "year"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    year = []
    for number in range(A_YEAR // RANGE + 1):
        one = ranges[number % len(ranges)]
        for place in (records_file, traces_file):
            os.link(place(root / "index" / "cold", one.first), place(folder, number * RANGE))
        year.append(Range(number * RANGE, RANGE, b"", one.oldest_us, one.newest_us, one.lowest, one.highest))
    return year


def measure(root: Path, told: dict[str, Any]) -> dict[str, Any]:
    records = Records(root)
    cold_end = told["records hot, cold"][1]
    engine = connect()
    cold_files = sorted(str(path) for path in (root / "index" / "cold").glob("*.parquet"))
    some = [cold_files[chance.randrange(len(cold_files))] for _ in range(40)]
    cold_rows = [
        engine.execute(f"SELECT eid, trace FROM '{file}' LIMIT 1 OFFSET {chance.randrange(RANGE)}").fetchone()
        for file in some
    ]
    newest = records.search(SearchQuery(limit=50_000))
    hot_rows = [newest[chance.randrange(len(newest))] for _ in range(500)]
    handle = hot_rows[0].subject
    at = iter(range(10**9))

    def turn(rows: list[Any]) -> Any:
        return rows[next(at) % len(rows)]

    middle = START_US + cold_end // 2 * STEP_US
    month = {"since_us": middle, "until_us": middle + 2_000_000 * STEP_US}
    results: dict[str, Any] = {}
    print(f"\n{'question':<62} {'p50 ms':>10} {'p99 ms':>10}  times  found")
    hot = Index(root / "index" / "records.db", writable=False)
    timed("hot: a record by its id", lambda: hot.exact(turn(hot_rows).eid), 2000, results)
    timed("hot: a trace", lambda: hot.trace(turn(hot_rows).trace), 2000, results)
    timed(
        "hot: newest 50 of a person",
        lambda: hot.search(SearchQuery(subject=turn(hot_rows).subject, limit=50)),
        200,
        results,
    )
    timed("hot: newest 50 of all", lambda: hot.search(SearchQuery(limit=50)), 500, results)
    timed("hot: newest 50 by a rule", lambda: hot.search(SearchQuery(rule="rule-77", limit=50)), 50, results)
    timed("both: a cold record by its id", lambda: records.exact(str(turn(cold_rows)[0])), 200, results)
    timed(
        "both: a cold call by the first 8 digits of its id",
        lambda: records.find(str(turn(cold_rows)[0])[:8]),
        50,
        results,
    )
    timed("both: a cold trace", lambda: records.trace(turn(cold_rows)[1].hex), 200, results)
    timed(
        "both: a trace that is nowhere",
        lambda: records.trace(f"{chance.getrandbits(128):032x}"),
        100,
        results,
    )
    timed(
        "both: all of a person (limit 5,000)",
        lambda: records.search(SearchQuery(subject=handle, limit=5000)),
        10,
        results,
    )
    timed(
        "both: newest 50 of a person",
        lambda: records.search(SearchQuery(subject=handle, limit=50)),
        10,
        results,
    )
    timed(
        "both: a person, a model, two million records of time",
        lambda: records.search(SearchQuery(subject=handle, model="model-3", limit=100, **month)),
        20,
        results,
    )
    timed(
        "both: denials, two million records of time",
        lambda: records.search(SearchQuery(verdict="deny", limit=50, **month)),
        20,
        results,
    )
    timed(
        "both: a rule, two million records of time",
        lambda: records.search(SearchQuery(rule="rule-77", limit=50, **month)),
        20,
        results,
    )
    timed(
        "both: a model, two million records of time",
        lambda: records.search(SearchQuery(model="model-3", limit=50, **month)),
        20,
        results,
    )
    timed(
        "both: a policy version",
        lambda: records.search(SearchQuery(policy=BUNDLES[0], limit=50)),
        10,
        results,
    )
    timed(
        "both: a rule that never fired, all time",
        lambda: records.search(SearchQuery(rule="rule-none", limit=50)),
        5,
        results,
    )
    timed("both: where all bodies of a person stand (erasure)", lambda: records.bodies_of(handle), 5, results)
    year, of_a_year = linked_year(root, hot.ranges()), ColdIndex(root / "year")
    timed(
        "a trace that is nowhere, 172 ranges (the same files, linked)",
        lambda: of_a_year.trace(year, f"{chance.getrandbits(128):032x}"),
        50,
        results,
    )
    records.close()
    hot.close()
    program = (
        "import sys,time;from pathlib import Path;from magistrate.adapters.recorder.retrieval import Records;"
        "b=time.perf_counter();r=Records(Path(sys.argv[1]));assert r.trace(sys.argv[2]);print((time.perf_counter()-b)*1e3)"
    )
    timed(
        "a cold trace, first answer of a fresh process (loads DuckDB)",
        lambda: _fresh(program, root, turn(cold_rows)[1].hex, results),
        5,
        results,
    )
    inside = sorted(results.pop("fresh"))
    results["of which after Python and imports of Magistrate"] = {"p50_ms": round(inside[2], 1), "times": 5}
    print(f"  of which after the start of Python: {inside[2]:.1f} ms")
    return results


def _fresh(program: str, root: Path, trace: str, results: dict[str, Any]) -> None:
    told = subprocess.run(
        [sys.executable, "-c", program, str(root), trace], check=True, capture_output=True, text=True
    )
    results.setdefault("fresh", []).append(float(told.stdout))


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--records", type=int, default=20_000_000)
    asked.add_argument("--hot", type=int, default=2_000_000)
    asked.add_argument("--json", type=Path)
    asked.add_argument(
        "--keep", type=Path, help="Build here and keep it; if it is there already, only measure."
    )
    given = asked.parse_args()
    cold = max(2, -(-(given.records - given.hot) // RANGE))
    with tempfile.TemporaryDirectory() as temporary:
        root = given.keep or Path(temporary)
        noted = root / "built.json"
        if not noted.exists():
            told: dict[str, Any] = {}
            began = time.perf_counter()
            build(root, cold, given.hot, told)
            told["building everything, s"] = round(time.perf_counter() - began, 1)
            noted.write_text(json.dumps(told))
        told = json.loads(noted.read_text())
        print("\n".join(f"{name:<62} {value}" for name, value in told.items()))
        print("load average", os.getloadavg(), "cores", os.cpu_count())
        results = measure(root, told)
        if given.json:
            given.json.write_text(json.dumps({"built": told, "asked": results}, indent=2))


if __name__ == "__main__":
    main()
