"""Running it: policies change under way, processes are killed, endpoints fail, and it is told to stop."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from tests.e2e.answers import Answer
from tests.e2e.gateway import UPSTREAM_KEYS, Governed, serving
from tests.e2e.upstream import ScriptedUpstream

MAGISTRATE = Path(sys.executable).with_name("magistrate")
EVERYBODY = '@id("all") permit (principal, action, resource);\n'
NOBODY = '@id("nobody") @message("closed for today") forbid (principal, action, resource);\n'

FAILOVER = """
  - name: dead
    api: openai
    base_url: http://127.0.0.1:1/v1
    certifications: [soc2, gdpr-dpa, pci-dss]
    models: [twice]
  - name: alive
    api: openai
    base_url: {upstream}/v1
    priority: 1
    certifications: [soc2, gdpr-dpa, pci-dss]
    models: [twice]
  - name: silent
    api: openai
    base_url: {upstream}/v1
    timeout_s: 0.5
    models: [hangs]
"""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Governed]:
    """A gateway of the test's own, with policies that the test may change."""
    policies = tmp_path / "policies"
    made = subprocess.run(
        [MAGISTRATE, "init", str(tmp_path / "new")], capture_output=True, check=False, timeout=30
    )
    assert made.returncode == 0, made.stderr
    (tmp_path / "new" / "policies").rename(policies)
    for name in policies.glob("*.cedar"):
        name.unlink()
    (policies / "all.cedar").write_text(EVERYBODY)
    with ScriptedUpstream() as upstream:
        extra = FAILOVER.format(upstream=upstream.url) + f"policies: {policies}\n"
        with serving(tmp_path, upstream, extra) as governed:
            yield governed


def ask(governed: Governed, model: str = "gpt-test", **more: Any) -> httpx.Response:
    return httpx.post(
        f"{governed.url}/v1/chat/completions",
        headers={"authorization": f"Bearer {governed.key}"},
        json={"model": model, "messages": [{"role": "user", "content": "hello"}], **more},
        trust_env=False,
        timeout=30,
    )


def until(holds: Callable[[], bool], within_s: float = 20.0) -> None:
    end = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.05)


def policy(governed: Governed, text: str) -> None:
    (governed.config.parent / "policies" / "all.cedar").write_text(text)


def stderr(governed: Governed) -> str:
    return (governed.config.parent / "serve.stderr").read_text()


def process(governed: Governed, name: str) -> int:
    """Return the process id of one of the three."""
    wanted = [b"magistrate.app.processes", name.encode()]
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        words = path.read_bytes().split(b"\0")
        if all(word in words for word in wanted) and str(governed.data_dir).encode() in words:
            return int(path.parent.name)
    raise AssertionError(f"no {name} runs")


def evidence(governed: Governed, *arguments: str) -> Any:
    done = subprocess.run(
        [MAGISTRATE, "evidence", *arguments, "--json", "--config", str(governed.config)],
        capture_output=True,
        env=os.environ | UPSTREAM_KEYS,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return orjson.loads(done.stdout)


@pytest.mark.requirement("P8")
def test_policies_change_at_once_and_a_bad_bundle_never_replaces_a_good_one(running: Governed) -> None:
    """A mistake is told with its place; the good policies stay in force; records name the bundle."""
    before = ask(running)
    assert before.status_code == 200
    policy(running, EVERYBODY + "permit (principal, action, resource) when { context.nonsense };")
    until(lambda: "the old ones stay in force" in stderr(running))
    assert "all.cedar:2" in stderr(running)
    still = ask(running)
    assert still.status_code == 200
    assert still.headers["x-magistrate-policy"] == before.headers["x-magistrate-policy"]
    policy(running, EVERYBODY + NOBODY)
    until(lambda: ask(running).status_code == 403)
    refused = ask(running)
    assert "closed for today" in refused.json()["error"]["message"]
    assert refused.headers["x-magistrate-policy"] != before.headers["x-magistrate-policy"]
    shown = evidence(running, "show", refused.headers["x-magistrate-record"])
    assert shown[0]["header"]["policy"]["bundle"].startswith(refused.headers["x-magistrate-policy"])
    changes = [
        row for row in evidence(running, "search", "--limit", "1000") if row["type"] == "config.change"
    ]
    assert len(changes) == 2


@pytest.mark.fault(39)
@pytest.mark.requirement("A1", "X2")
@pytest.mark.parametrize("victim", ["recorder", "gateway", "control"])
def test_any_process_may_be_killed_and_nothing_acknowledged_is_lost(running: Governed, victim: str) -> None:
    """It is started again, says what it recovered, and every call that was answered is on record."""
    answered: list[str] = []
    stop = threading.Event()

    def load() -> None:
        while not stop.is_set():
            try:
                response = ask(running)
            except httpx.TransportError:
                time.sleep(0.05)
                continue
            if response.status_code == 200:
                answered.append(response.headers["x-magistrate-record"])

    workers = [threading.Thread(target=load) for _ in range(3)]
    for worker in workers:
        worker.start()
    until(lambda: len(answered) >= 20)
    first = process(running, victim)
    os.kill(first, signal.SIGKILL)
    until(lambda: f"{victim} is running again" in stderr(running))
    so_far = len(answered)
    until(lambda: len(answered) >= so_far + 20)
    stop.set()
    for worker in workers:
        worker.join()
    assert process(running, victim) != first
    if victim == "recorder":
        assert "records that were not sealed yet" in stderr(running)
    time.sleep(1.5)
    rows = evidence(running, "search", "--limit", "100000")
    closed = {row["call"] for row in rows if row["phase"] == "outcome"}
    assert set(answered) <= closed
    assert evidence(running, "verify")["verdict"] == "valid"


@pytest.mark.requirement("A7")
def test_while_the_recorder_does_not_answer_nothing_goes_up(running: Governed) -> None:
    """A recorder that is there and silent is as good as none: 503 in the client's format, and readiness says why."""
    recorder = process(running, "recorder")
    os.kill(recorder, signal.SIGSTOP)
    try:
        refused = ask(running)
    finally:
        os.kill(recorder, signal.SIGCONT)
    assert refused.status_code == 503
    assert refused.json()["error"]["code"] == "evidence_unavailable"
    assert running.upstream.of("openai.chat") == []
    until(lambda: ask(running).status_code == 200)


@pytest.mark.requirement("R6", "R5")
def test_a_dead_endpoint_is_passed_over_and_the_record_says_so(running: Governed) -> None:
    """The client notices nothing; the attempts stand in the outcome."""
    running.upstream.say("openai.chat", Answer("from the living"))
    answer = ask(running, "twice")
    assert answer.json()["choices"][0]["message"]["content"] == "from the living"
    assert answer.headers["x-magistrate-model"] == "alive/twice"
    outcome = evidence(running, "show", answer.headers["x-magistrate-record"])[-1]["header"]
    assert [attempt["id"] for attempt in outcome["attempts"]] == ["dead/twice", "alive/twice"]


@pytest.mark.requirement("R6")
def test_an_endpoint_that_hangs_is_given_up_in_the_clients_format(running: Governed) -> None:
    """After the configured silence, with 504, once."""
    running.upstream.say("openai.chat", Answer(hang=True))
    started = time.monotonic()
    answer = ask(running, "hangs")
    assert answer.status_code == 504
    assert answer.json()["error"]["code"] == "upstream_timeout"
    assert time.monotonic() - started < 5
    assert len(running.upstream.of("openai.chat")) == 1


def test_told_to_stop_it_lets_calls_under_way_finish(tmp_path: Path) -> None:
    """A stream in progress ends as it would have; its outcome is on record."""
    told: list[str] = []
    with ScriptedUpstream() as upstream, serving(tmp_path, upstream) as governed:
        upstream.say("openai.chat", Answer("and so on " * 40, pace_s=0.03))

        def stream() -> None:
            with httpx.stream(
                "POST",
                f"{governed.url}/v1/chat/completions",
                headers={"authorization": f"Bearer {governed.key}"},
                json={"model": "gpt-test", "messages": [{"role": "user", "content": "x"}], "stream": True},
                trust_env=False,
                timeout=30,
            ) as answer:
                told.extend(answer.iter_lines())

        client = threading.Thread(target=stream)
        client.start()
        until(lambda: bool(upstream.of("openai.chat")))
        time.sleep(0.3)
        os.kill(process(governed, "gateway"), signal.SIGTERM)
        client.join(20)
        assert told[-2:] == ["data: [DONE]", ""] or told[-1] == "data: [DONE]"
