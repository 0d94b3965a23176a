"""`policy explain` and `policy replay` over a log that a real recorder process wrote."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from magistrate.adapters.host import SystemClock, SystemIds
from magistrate.adapters.recorder.client import RecorderClient
from magistrate.app.bundles import PolicySource
from magistrate.app.cli import run
from magistrate.app.policies import store_bundle
from magistrate.evidence.draft import Body, Draft
from magistrate.exchange.decision import Action, Facts, Mode
from magistrate.exchange.endpoint import Endpoint
from magistrate.exchange.principal import Principal
from magistrate.policy.decide import decide
from magistrate.policy.explain import Judgement

STARTER = PolicySource(None).load()
ADA = Principal("k1", "ada", groups=("care",), application="ward")
ENDPOINTS = (
    Endpoint("plain/m", "plain", "openai", "m", "m"),
    Endpoint("certified/m", "certified", "openai", "m", "m", certifications=("hipaa-baa", "soc2")),
)
IDS = SystemIds()

Ask = Callable[..., tuple[int, str, str]]


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Ask:
    monkeypatch.chdir(tmp_path)

    def asked(*arguments: str) -> tuple[int, str, str]:
        status = run(arguments)
        told = capsys.readouterr()
        return status, told.out, told.err

    return asked


def _draft(document: object, header: dict[str, object]) -> Draft:
    base: dict[str, object] = {
        "v": 1, "eid": IDS.record(), "t": "llm.request", "phase": "intent", "ts": SystemClock().now_us(),
        "trace": IDS.trace(), "tenant": "default", "app": "ward",
    }  # fmt: skip
    body = Body("judgement", "application/json", msgspec.json.encode(document))
    return Draft({**base, **header}, (body,), subject="ada")


def _asked(*labels: str, tools: tuple[str, ...] = ()) -> Draft:
    facts = Facts(Action.CALL, "openai.chat", "chat", "m", False, labels=labels, tools=tools)
    decision = decide(STARTER, ADA, facts, ENDPOINTS)
    document = {"judgement": Judgement(ADA, facts, tuple(ENDPOINTS), decision, Mode.ENFORCE)}
    return _draft(document, {"verdict": {"effect": decision.effect.value, "rules": list(decision.rules)}})


async def _record(data: Path, *drafts: Draft) -> None:
    """Let a recorder write them, and end it, so that all of them are sealed."""
    socket = data / "run" / "recorder.sock"
    command = [sys.executable, "-m", "magistrate.app.processes", "recorder", "--data", str(data)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        client = RecorderClient(socket, wid=IDS.record())
        await client.connect()
        for draft in drafts:
            await client.append(draft)
        await client.close()
    finally:
        child.terminate()
        child.communicate(timeout=20)
    assert child.returncode == 0
    store_bundle(data, STARTER)


@pytest.mark.requirement("P8", "R5")
async def test_a_recorded_call_is_explained_by_the_policies_it_was_decided_by(
    ask: Ask, tmp_path: Path
) -> None:
    """Who asked what, every endpoint's verdict, the rules with their place and text, and that it is still so."""
    draft = _asked("phi", "phi.mrn", "pii", "pii.email", tools=("send\x1b[2J",))
    await _record(tmp_path, draft)
    record = str(draft.header["eid"])
    status, out, _ = ask("policy", "explain", record, "--data", str(tmp_path))
    assert status == 0
    assert "who       ada in care, key k1, tenant default, application ward" in out
    assert "at plain/m: deny by health-data-stays-certified" in out
    assert "at certified/m: allow by everyone-may-call" in out
    assert "must redact pci (redact-cards)" in out
    assert "40-health.cedar:3" in out
    assert 'when { context.labels.contains("phi") }' in out
    assert "the same answer as recorded" in out
    assert "\x1b" not in out  # what a client called its tool does not drive the reader's terminal
    status, out, _ = ask("policy", "explain", record[:20], "--data", str(tmp_path), "--json")
    told = json.loads(out)
    assert (status, told["record"], told["same"], told["same_bundle"]) == (0, record, True, True)


@pytest.mark.requirement("P8")
async def test_a_call_is_explained_by_other_policies_and_the_difference_is_no(
    ask: Ask, tmp_path: Path
) -> None:
    """What if."""
    draft = _asked("pii", "pii.email")
    await _record(tmp_path, draft)
    other = tmp_path / "other"
    other.mkdir()
    (other / "schema.cedarschema").write_bytes(STARTER.files["schema.cedarschema"])
    (other / "a.cedar").write_text('@id("nobody") forbid (principal, action, resource);')
    arguments = ("--data", str(tmp_path), "--policies", str(other))
    status, out, _ = ask("policy", "explain", str(draft.header["eid"]), *arguments)
    assert status == 1
    assert "the effect was allow and is deny" in out


@pytest.mark.requirement("P8")
async def test_recorded_traffic_is_replayed_against_a_candidate(ask: Ask, tmp_path: Path) -> None:
    """What would change, call by call and in sum; what has no judgement is counted, not skipped in silence."""
    early = _draft({"request": {}}, {"verdict": {"effect": "deny", "rules": [], "code": "invalid_request"}})
    await _record(tmp_path, _asked(), _asked("pii", "pii.email"), _asked("secret", "secret.aws"), early)
    status, out, _ = ask("policy", "replay", "--data", str(tmp_path))
    assert status == 0
    assert "3 calls decided again, 0 differ, 1 have no judgement to ask about" in out
    candidate = tmp_path / "candidate"
    candidate.mkdir()
    for name, content in STARTER.files.items():
        (candidate / name).write_bytes(content.replace(b'"secret"', b'"pii"'))
    status, out, _ = ask("policy", "replay", str(candidate), "--data", str(tmp_path), "--json")
    told = json.loads(out)
    assert status == 1
    assert told["flips"] == {"allow -> deny": 1, "deny -> allow": 1}
    assert (told["asked"], told["without_judgement"], len(told["changed"])) == (3, 1, 2)


async def test_what_cannot_be_explained_says_why_with_status_two(ask: Ask, tmp_path: Path) -> None:
    """No log, no such call, several calls, policy never asked, policies not kept."""
    assert ask("policy", "explain", "x", "--data", str(tmp_path))[0] == 2
    early = _draft({"request": {}}, {"verdict": {"effect": "deny", "rules": [], "code": "invalid_request"}})
    good = _asked()
    await _record(tmp_path, early, good)
    (tmp_path / "policies" / f"{STARTER.digest}.json").unlink()
    for record, told in (
        ("ffffffff", "no call has an id"),
        (str(good.header["eid"])[:4], "2 calls have an id"),
        (str(early.header["eid"]), "policy was not asked; the call was refused before (invalid_request)"),
        (str(good.header["eid"]), "are kept here"),
    ):
        status, _, err = ask("policy", "explain", record, "--data", str(tmp_path))
        assert status == 2
        assert told in err
