"""How good the threat model is on sources it was not trained on, beside packages that anybody can install, and what it costs.

    python bench/detect_models.py [--data DIR] [--baselines PYTHON] [--json]

Ours is scored leaving sources out: each text by weights that saw no source of its fold. The packages are asked as they are
(their own training data may hold these texts). Everybody's threshold is set on the same harmless texts, so recall at 0.5 % and
1 % false positives compares like with like. ``--baselines`` names an interpreter in whose environment these were installed:
prompt-guardrail==1.0.1 prompt-injection-shield-py==0.1.0 prompt-injection-sanitizer==0.1.1. Loading prompt-guardrail runs a
pickle of its makers: use an environment made for it.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools" / "train"))

OURS = "magistrate"
BASELINES = ("prompt-guardrail", "prompt-injection-shield-py", "prompt-injection-sanitizer")
RUNS = 40


def main() -> None:
    options = argparse.ArgumentParser(description="Quality and cost of the threat model.")
    options.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    options.add_argument("--baselines", type=Path, help="interpreter with the packages to compare with")
    options.add_argument("--json", action="store_true", help="print JSON")
    options.add_argument("--score", choices=(OURS, *BASELINES), help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.score:
        score_baseline(given.score)
        return
    if not (given.data / "detect" / "injection.jsonl.gz").exists():
        sys.exit(f"no labelled data at {given.data}")
    results = compared(given.data, given.baselines)
    print(json.dumps(results, indent=1) if given.json else table(results))


def compared(folder: Path, baselines: Path | None) -> dict[str, Any]:
    """Return the figures of everybody, by name."""
    import numpy as np

    import threats
    from corpus import Data, own
    from corpus import threats as texts_of
    from fitting import Text, left_out
    from scores import report

    public, drawn = texts_of(Data(folder)), own()
    texts = [Text(one.text, decoded=True) for one in public]
    drawn_texts = [Text(one.text, decoded=False) for one in drawn]

    def train(indexes: list[int]) -> Any:
        return threats.attack_fit(
            [public[i] for i in indexes], [texts[i] for i in indexes], drawn, drawn_texts
        )

    prose = sized(public)
    ours = report(public, left_out(public, texts, train))
    results = {OURS: ours | {"cost": asked(Path(sys.executable), OURS, [], prose)["cost"]}}
    for name in BASELINES if baselines else ():
        answer = asked(baselines, name, [one.text for one in public], prose)
        results[name] = report(public, np.array(answer["scores"], dtype=float)) | {"cost": answer["cost"]}
    return results


def asked(python: Path | None, name: str, texts: list[str], prose: dict[str, list[str]]) -> dict[str, Any]:
    """Return scores and cost from a fresh process, so that nobody is timed in a heap that somebody else filled."""
    answer = subprocess.run(
        [str(python), __file__, "--score", name],
        input=json.dumps({"texts": texts, "prose": prose}),
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(json.loads(answer.stdout))


def sized(public: list[Any]) -> dict[str, list[str]]:
    """Return harmless documents joined and cut to 2 KB and to 25 KB."""
    whole = "\n\n".join(one.text for one in public if one.kind == "benign.doc")
    return {
        f"{size // 1000} KB": [whole[start : start + size] for start in range(0, RUNS * size, size)][:RUNS]
        for size in (2_000, 25_000)
        if len(whole) > size
    }


def cost(judge: Any, texts: list[str]) -> dict[str, float]:
    """Return p50 and p99 in milliseconds over ``texts``, each once after a warm-up."""
    judge(texts[0])
    taken = []
    for text in texts:
        started = time.perf_counter()
        judge(text)
        taken.append((time.perf_counter() - started) * 1000)
    return {
        "p50_ms": round(statistics.median(taken), 3),
        "p99_ms": round(sorted(taken)[int(len(taken) * 0.99) - 1], 3),
    }


def score_baseline(name: str) -> None:
    """Score the texts on stdin with one package, in whose environment this runs."""
    asked = json.load(sys.stdin)
    judge = _baseline(name)
    scores = [judge(text) for text in asked["texts"]]
    costs = {size: cost(judge, some) for size, some in asked["prose"].items() if some}
    json.dump({"scores": scores, "cost": costs}, sys.stdout)


def _baseline(name: str) -> Any:
    """Return text -> score. The trained package is asked for segments of 480 characters; the highest score counts."""
    if name == OURS:
        from magistrate.app.inspection import artefact
        from magistrate.classify.threats import Threats

        model = Threats(artefact("threats"))
        return lambda text: sum(one.score_milli for one in model.judge(text, "user")) / 1000
    if name == "prompt-injection-shield-py":
        from prompt_injection_shield import scan  # type: ignore[import-not-found]

        return lambda text: float(scan(text).score)
    if name == "prompt-injection-sanitizer":
        from prompt_injection_sanitizer import sanitize  # type: ignore[import-not-found]

        return lambda text: float(sanitize(text, source="bench").risk_score)
    import guardify  # type: ignore[import-not-found]

    def attack(text: str) -> float:
        answer = guardify.detect(text)
        return answer["score"] if answer["label"] == "injection" else 1 - answer["score"]

    return lambda text: max(attack(text[at : at + 480]) for at in range(0, max(len(text), 1), 480))


def table(results: dict[str, Any]) -> str:
    lines = [
        "| | AUC | R@0.5 % | R@1 % | macro R@0.5 % | macro R@1 % | F1@1 % | 2 KB p50 / p99 ms | 25 KB p50 / p99 ms |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, one in results.items():
        spent = [f"{each['p50_ms']} / {each['p99_ms']}" for each in one["cost"].values()]
        figures = [
            one["auc"],
            *(one[key] for key in ("recall@0.5", "recall@1", "macro recall@0.5", "macro recall@1", "f1@1")),
        ]
        lines.append(f"| {name} | {' | '.join(map(str, [*figures, *spent]))} |")
    names = list(results)
    lines += ["", f"| source (recall at 1 %) | n | {' | '.join(names)} |", "|---|---|" + "---|" * len(names)]
    for source, first in results[names[0]]["sources"].items():
        each = [str(results[name]["sources"][source]["recall@1"]) for name in names]
        lines.append(f"| {source} | {first['n']} | {' | '.join(each)} |")
    lines += ["", f"| alarms at 1 % | n | {' | '.join(names)} |", "|---|---|" + "---|" * len(names)]
    for kind, first in results[names[0]]["false alarms"].items():
        each = [str(results[name]["false alarms"][kind]["alarms@1"]) for name in names]
        lines.append(f"| {kind} | {first['n']} | {' | '.join(each)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
