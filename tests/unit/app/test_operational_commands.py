"""The commands that operate: keys, doctor, tail, and the root that finds them."""

import importlib.util
import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from tests.authority import make as make_authority

from magistrate.adapters.recorder.attesting import Standing, Standings
from magistrate.adapters.state.keys import KeyStore
from magistrate.app import cli
from magistrate.app.attestation import vouching_metrics
from magistrate.app.cli import COMMANDS, run
from magistrate.app.cli.keys import seconds
from magistrate.app.cli.tail import line
from magistrate.app.config import load
from magistrate.app.diagnosis import GIB, Level, World, diagnose
from magistrate.app.settings import Config
from magistrate.evidence.cosignature import Cosigner
from magistrate.exchange.decision import Mode
from magistrate.exchange.errors import Refused

NOW = 1_800_000_000_000_000


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "MAGISTRATE_CONTROL_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def asked(*arguments: str) -> tuple[int, str, str]:
        status = run(arguments)
        told = capsys.readouterr()
        return status, told.out, told.err

    return asked


Ask = Callable[..., tuple[int, str, str]]


def test_help_names_every_command_and_imports_none() -> None:
    """So that it starts fast."""
    program = (
        "import sys; from magistrate.app.cli import run; status = run(['--help']);"
        "print([m for m in sys.modules if m.startswith('magistrate.adapters') or m.startswith('uvicorn')], status)"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert told.splitlines()[-1] == "[] 0"
    for name, summary in COMMANDS.items():
        assert name in told
        assert summary[:30] in told


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_in_the_table_loads_or_says_that_it_is_absent(ask: Ask, name: str) -> None:
    """Its own help is the smallest thing it can do."""
    status, out, err = ask(name, "--help")
    if importlib.util.find_spec(f"magistrate.app.cli.{name}") is None:
        assert (status, err) == (2, f"magistrate: `{name}` is not in this installation\n")
    else:
        assert status == 0
        assert "Usage" in out


def test_bad_usage_is_status_two(ask: Ask) -> None:
    """Unknown commands, unknown options, impossible values."""
    for arguments in (["nope"], ["version", "--nope"], ["keys", "create"], ["tail", "-n", "x"]):
        assert ask(*arguments)[0] == 2


def test_our_errors_are_one_line_on_stderr_and_status_two(ask: Ask) -> None:
    """No traceback for what a person can fix."""
    status, out, err = ask("keys", "list", "--config", "none.yaml")
    assert (status, out) == (2, "")
    assert err.startswith("magistrate: none.yaml: cannot be read")
    assert err.count("\n") == 1


def test_a_configuration_error_in_check_is_the_answer_no(monkeypatch: pytest.MonkeyPatch, ask: Ask) -> None:
    """Exit 1: it was decided, and the answer is no."""

    def refuse(**_: object) -> None:
        load(Path("none.yaml"), {})

    monkeypatch.setattr(cli, "root", refuse)
    assert ask("check")[0] == 1
    assert ask("serve")[0] == 2


@pytest.mark.requirement("X4", "I1")
def test_a_key_lives_its_whole_life_from_the_command_line(ask: Ask) -> None:
    """Create, list, rotate with grace, revoke; secrets only where they are new."""
    status, out, err = ask(
        "keys", "create", "--user", "ada", "-g", "care", "-g", "eu", "-m", "gpt-*", "--expires", "12h"
    )
    key = out.strip()
    assert status == 0
    assert re.fullmatch(r"mag-[a-z2-9]{12}-[A-Za-z0-9_-]{43}", key)
    assert "shown once" in err
    _, out, _ = ask("keys", "list", "--json")
    (listed,) = json.loads(out)["keys"]
    assert (listed["groups"], listed["models"], listed["status"]) == (["care", "eu"], ["gpt-*"], "active")
    assert key.split("-", 2)[2] not in out
    _, out, _ = ask("keys", "rotate", key, "--grace", "1h", "--json")
    renewed = json.loads(out)["key"]
    store = KeyStore(Path("data/state.db"))
    now = json.loads(ask("keys", "list", "--json")[1]) and store.list()[0].created_us
    assert store.snapshot().authenticate(renewed, now) == store.snapshot().authenticate(key, now)
    status, out, _ = ask("keys", "revoke", listed["id"], "--json")
    assert json.loads(out) == {"revoked": listed["id"]}
    with pytest.raises(Refused):
        store.snapshot().authenticate(renewed, now)
    store.close()
    assert ask("keys", "revoke", listed["id"])[0] == 2
    assert json.loads(ask("keys", "list", "--json")[1])["keys"] == []
    assert "revoked" in ask("keys", "list", "--all")[1]


def test_the_list_for_people_shows_markup_in_names_as_text(ask: Ask) -> None:
    """A user called `[red]x` does not colour the table."""
    assert ask("keys", "create", "--user", "[red]x[/red]")[0] == 0
    assert "[red]x[/red]" in ask("keys", "list")[1]


@pytest.mark.parametrize("text", ["", "1", "d", "1w", "-1d", "9999d", "1.5h"])
def test_what_is_not_a_duration_is_bad_usage(ask: Ask, text: str) -> None:
    """Life times are explicit."""
    assert ask("keys", "create", "--user", "a", f"--expires={text}")[0] == 2


def test_durations_are_read_in_seconds() -> None:
    """Four units."""
    assert [seconds(text) for text in ("45s", "30m", "12h", "90d")] == [45, 1800, 43_200, 7_776_000]


def test_a_metrics_token_can_be_made_for_a_scraper(ask: Ask) -> None:
    """It is not the admin's."""
    _, out, _ = ask("keys", "token", "--metrics", "--json")
    assert json.loads(out)["right"] == "metrics"
    assert json.loads(out)["token"].startswith("mag-admin-")


def test_the_schema_command_prints_what_is_published(ask: Ask) -> None:
    """The file in docs is its output."""
    published = Path(__file__).parents[3] / "docs" / "magistrate.schema.json"
    assert json.loads(ask("schema")[1]) == json.loads(published.read_text())


WITNESS = Cosigner("witness.example/w1", bytes(32))


def world(**changes: object) -> World:
    calm = World(
        running=False,
        free_bytes=lambda _: 100 * GIB,
        device=lambda path: hash(str(path)),
        synchronised=lambda: True,
        taken=lambda _: None,
        now_us=lambda: NOW,
        standings=lambda _: None,
    )
    return msgspec.structs.replace(calm, **changes)


def vouched(**changes: object) -> World:
    """A world in which the witness stands as told."""
    party = Standing("witness", WITNESS.name, "http://w", size=7, at_us=NOW)
    stranger = Standing("witness", "witness.example/former", "http://former", fails="is not asked any more")
    told = Standings([msgspec.structs.replace(party, **changes), stranger])
    return world(standings=lambda _: told)


@pytest.fixture
def sound(tmp_path: Path) -> Config:
    """A configuration in which the doctor finds only what no configuration can cure."""
    policies = tmp_path / "policies"
    (policies / "tests").mkdir(parents=True)
    (policies / "a.cedar").write_text("")
    (policies / "tests" / "a.yaml").write_text("")
    store = KeyStore(tmp_path / "data" / "state.db", now_us=lambda: NOW)
    store.create(user="ada", groups=("g",), expires_us=NOW + 1)
    store.close()
    (tmp_path / "magistrate.yaml").write_text(
        "providers:\n"
        "  - {name: a, api: openai, region: eu, api_key: '${K}', models: [{name: m, price: {input: 1}}]}\n"
        "policies: policies\n"
        "evidence:\n  origin: log.example/one\n  vault_dir: vault\n"
        f"  witness: [{{url: 'http://w', vkey: '{WITNESS.vkey}'}}]\n"
        "  timestamp: [{url: 'http://t/', ca: tsa/root.pem}]\n"
    )
    make_authority(tmp_path / "tsa", "openssl")
    return load(tmp_path / "magistrate.yaml", {"K": "k"})


def found(config: Config, where: World) -> set[tuple[str, str]]:
    return {
        (each.level.value, each.subject) for each in diagnose(config, where) if each.level is not Level.OK
    }


def test_a_sound_installation_has_no_weakness_left(sound: Config) -> None:
    """Nothing is weak or bad, and everything that is not well has its advice."""
    assert found(sound, world()) == set()
    assert all(bool(each.advice) == (each.level is not Level.OK) for each in diagnose(sound, world()))


@pytest.mark.requirement("A7")
@pytest.mark.parametrize(
    ("changes", "level", "says"),
    [
        ({}, Level.OK, "vouches for the first 7 records"),
        (
            {"fails": "refused", "since_us": NOW - 300_000_000},
            Level.WEAK,
            "refused, for 5 min; calls are not affected",
        ),
        ({"fails": "the log was forked", "grave": True}, Level.BAD, "the log was forked"),
    ],
)
def test_how_a_witness_stands_is_shown(
    sound: Config, changes: dict[str, object], level: Level, says: str
) -> None:
    """An outage is weak, a contradiction bad; whom the configuration no longer names is not mentioned."""
    (finding,) = [each for each in diagnose(sound, vouched(**changes)) if each.subject.startswith("witness")]
    assert (finding.level, finding.says) == (level, says)


def test_a_log_without_witness_or_stamp_is_weaker(sound: Config) -> None:
    """And the doctor says what to do."""
    alone = msgspec.structs.replace(sound.evidence, witness=(), timestamp=())
    assert found(msgspec.structs.replace(sound, evidence=alone), world()) == {
        ("weak", "witness"),
        ("note", "time-stamp"),
    }


@pytest.mark.requirement("O2")
def test_who_vouches_is_in_the_metrics(tmp_path: Path) -> None:
    """Up, how far, since when, and the one thing that must wake somebody."""
    assert vouching_metrics(tmp_path) == b""
    told = Standings(
        [Standing("witness", "w/1", "http://w", size=7, at_us=5_000_000, fails="refused", grave=True)]
    )
    (tmp_path / "attestation.json").write_bytes(msgspec.json.encode(told))
    series = '{kind="witness",name="w/1"}'
    for expected in (
        f"magistrate_evidence_vouching_up{series} 0",
        f"magistrate_evidence_vouched_records{series} 7",
        f"magistrate_evidence_vouched_time_seconds{series} 5",
        f"magistrate_evidence_contradicted{series} 1",
    ):
        assert expected in vouching_metrics(tmp_path).decode().splitlines()


@pytest.mark.requirement("X4")
@pytest.mark.parametrize(
    ("changes", "where", "expected"),
    [
        ({"mode": Mode.OBSERVE}, {}, ("weak", "mode")),
        ({"listen": "0.0.0.0:1"}, {}, ("weak", "listen")),
        ({"control": "10.0.0.1:1"}, {}, ("weak", "control")),
        ({}, {"taken": lambda _: "is in use"}, ("bad", "listen")),
        ({}, {"free_bytes": lambda _: GIB - 1}, ("bad", "disk")),
        ({}, {"free_bytes": lambda _: 2 * GIB}, ("weak", "disk")),
        ({}, {"synchronised": lambda: False}, ("weak", "clock")),
        ({}, {"synchronised": lambda: None}, ("note", "clock")),
        ({}, {"device": lambda _: 1}, ("note", "vault")),
        ({}, {"now_us": lambda: NOW + 2}, ("note", "keys")),
        ({"policies": ""}, {}, ("note", "policies")),
        ({"policies": "/nonexistent"}, {}, ("bad", "policies")),
    ],
)
def test_each_weakness_is_found_where_it_is(
    sound: Config, changes: dict[str, object], where: dict[str, object], expected: tuple[str, str]
) -> None:
    """One change to a sound installation, one finding more."""
    assert expected in found(msgspec.structs.replace(sound, **changes), world(**where))


def test_the_doctor_sees_open_files_endless_keys_and_a_damaged_store(sound: Config) -> None:
    """What lies on the disk, not what was configured."""
    sound.state_db.chmod(0o644)
    assert ("bad", "permissions") in found(sound, world())
    sound.state_db.chmod(0o600)
    store = KeyStore(sound.state_db)
    store.create(user="bob")
    store.close()
    assert ("weak", "keys") in found(sound, world())
    sound.state_db.write_bytes(b"x" * 10_000)
    assert ("bad", "keys") in found(sound, world())


def test_the_doctor_sees_a_secrets_file_that_others_can_read(sound: Config, tmp_path: Path) -> None:
    """References are followed to their files."""
    secret = tmp_path / "key"
    secret.write_text("k")
    secret.chmod(0o640)
    text = (tmp_path / "magistrate.yaml").read_text().replace("${K}", "file:key")
    (tmp_path / "magistrate.yaml").write_text(text)
    assert ("bad", "permissions") in found(load(tmp_path / "magistrate.yaml", {}), world())


def test_the_doctor_names_the_simulator_and_an_unencrypted_provider(tmp_path: Path) -> None:
    """Made-up answers and clear-text keys are said aloud; loopback needs no TLS."""
    (tmp_path / "m.yaml").write_text(
        "providers:\n"
        "  - {name: sim, api: simulator, models: ['*']}\n"
        "  - {name: far, api: openai, region: eu, base_url: 'http://10.0.0.1:8000/v1', models: [m]}\n"
        "  - {name: near, api: openai, region: eu, base_url: 'http://127.0.0.1:8000/v1', models: [n]}\n"
    )
    seen = found(load(tmp_path / "m.yaml", {}), world())
    assert ("weak", "provider sim") in seen
    assert ("bad", "provider far") in seen
    assert ("bad", "provider near") not in seen


def test_the_doctors_exit_status_is_its_answer(ask: Ask, sound: Config) -> None:
    """0 unless something is bad; `--strict` fails on weaknesses too."""
    status, out, _ = ask("doctor", "--json", "--config", "magistrate.yaml")
    assert status == 1
    (told,) = [each for each in json.loads(out)["findings"] if each["subject"] == "configuration"]
    assert "`${K}`, which is not set" in told["says"]
    Path("magistrate.yaml").unlink()
    assert ask("doctor", "--data", "fresh")[0] in {0, 1}
    assert ask("doctor", "--data", "fresh", "--strict")[0] == 1


SEEN = {
    "ts_us": 1, "verdict": "deny", "status": 403, "total_us": 1500, "user": "ada", "model": "gpt\x1b[2J", "endpoint": "",
    "code": "policy_denied", "rules": ["r1"], "labels": ["pii.email"], "would": "",
}  # fmt: skip


def test_a_decision_is_shown_in_columns_and_its_names_cannot_drive_the_terminal() -> None:
    """Model names come from clients."""
    shown = line(SEEN).plain
    assert "\x1b" not in shown
    assert "gpt�[2J" in shown
    assert shown.split() == [
        shown.split()[0],
        "deny",
        "403",
        "1.5",
        "ada",
        "gpt�[2J",
        "policy_denied",
        "r1",
        "#pii.email",
    ]


class Feed:
    """A control plane's feed as seen from outside: one canned answer on a real socket."""

    def __init__(self, answer: bytes) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.server.getsockname()[1]}"
        self.asked = b""
        self.answer = answer
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self) -> None:
        connection, _ = self.server.accept()
        with connection:
            self.asked = connection.recv(10_000)
            connection.sendall(self.answer)

    def close(self) -> None:
        self.thread.join()
        self.server.close()


def tailed(ask: Ask, answer: bytes, *arguments: str) -> tuple[Feed, int, str, str]:
    feed = Feed(answer)
    Path("magistrate.yaml").write_text(
        f"providers:\n  - {{name: s, api: simulator, models: ['*']}}\ncontrol: {feed.address}\n"
    )
    Path("data").mkdir()
    Path("data/control.token").write_text("mag-admin-x\n")
    told = ask("tail", *arguments)
    feed.close()
    return feed, *told


@pytest.mark.requirement("O1")
def test_tail_prints_each_observation_as_a_json_line(ask: Ask) -> None:
    """With the token of the data directory; what was skipped is told on stderr."""
    event = json.dumps(SEEN).encode()
    feed, status, out, err = tailed(
        ask,
        b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n: hello\n\nid: 1\ndata: " + event
        + b'\n\nevent: skipped\ndata: {"skipped":3}\n\nid: 2\ndata: ' + event + b"\n\n",
        "--json", "-n", "5",
    )  # fmt: skip
    assert feed.asked.startswith(b"GET /api/feed?last=5 HTTP/1.1\r\n")
    assert b"authorization: Bearer mag-admin-x\r\n" in feed.asked
    assert [json.loads(each) for each in out.splitlines()] == [SEEN, SEEN]
    assert '{"skipped":3}' in err
    assert status == 2
    assert "went away" in err


def test_tail_says_why_it_was_refused(ask: Ask) -> None:
    """The control plane's own words."""
    body = b'{"error":{"code":"authentication_failed","message":"the admin token is not valid"}}'
    _, status, _, err = tailed(
        ask, b"HTTP/1.1 401 Unauthorized\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
    )
    assert status == 2
    assert "says 401: the admin token is not valid" in err


def test_tail_without_a_token_or_a_listener_says_what_to_do(ask: Ask) -> None:
    """Start the server first."""
    assert "magistrate serve" in ask("tail")[2]
    Path("data").mkdir()
    Path("data/control.token").write_text("t")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
        Path("magistrate.yaml").write_text(
            f"providers:\n  - {{name: s, api: simulator, models: ['*']}}\ncontrol: {address}\n"
        )
        status, _, err = ask("tail", "--json")
    assert status == 2
    assert "cannot be reached" in err
