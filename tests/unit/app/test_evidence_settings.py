"""How `magistrate.yaml` says how long and under which keys evidence is kept, and what the doctor says about it."""

import json
import os
import pwd
from pathlib import Path

import pytest

from magistrate.adapters.recorder.shelf import ShardStanding
from magistrate.adapters.recorder.vault import Vault
from magistrate.adapters.state.keys import KeyStore
from magistrate.app.cli import run
from magistrate.app.config import Rejected, load
from magistrate.app.diagnosis import Level, World, diagnose
from magistrate.app.durability import durabilities
from magistrate.app.recorder import recorder_settings
from magistrate.evidence.retention import BUILT_IN, Schedule
from magistrate.exchange.errors import ConfigurationError
from magistrate.pipeline.durability import Durability, DurableRoute

LEAST = "providers:\n  - {name: s, api: simulator, models: ['*']}\n"
FULL = (
    LEAST
    + """\
evidence:
  vault_dir: keys
  root_key: file:hsm/root.key
  writers: ["990", nobody]
  retention:
    classes:
      - {name: hipaa, days: 2557}
      - {name: research, days: 3650}
    labels:
      - {label: phi, retention: hipaa}
      - {label: pii.email, retention: research}
    default: eu-ai-act
    binding: [sec-17a-4, research]
"""
)


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "magistrate.yaml"
    path.write_text(text)
    return path


@pytest.mark.requirement("A4")
def test_classes_labels_and_what_binds_reach_gateway_and_recorder(tmp_path: Path) -> None:
    """One schedule for both; the recorder also gets its root key's place and the users who may write."""
    config = load(written(tmp_path, FULL), {})
    schedule = config.evidence.retention.schedule()
    assert schedule == Schedule(
        {**BUILT_IN, "hipaa": 2557, "research": 3650},
        {"phi": "hipaa", "pii.email": "research"},
        "eu-ai-act",
        ("sec-17a-4", "research"),
    )
    assert config.evidence.retention.schedule() == recorder_settings(config).retention
    assert recorder_settings(config).root_key == tmp_path / "hsm" / "root.key"
    assert recorder_settings(config).writers == {990, pwd.getpwnam("nobody").pw_uid}
    assert load(written(tmp_path, LEAST), {}).evidence.retention.schedule() == Schedule()


@pytest.mark.requirement("A4")
@pytest.mark.parametrize(
    ("retention", "field", "says"),
    [
        ("{classes: [{name: hipaa, days: 365}]}", "classes[0].days", "at least 2192"),
        ("{classes: [{name: pci, days: 365}]}", "classes[0].days", "at least 366"),
        ("{classes: [{name: eu-ai-act, days: 30}]}", "classes[0].days", "at least 184"),
        ("{classes: [{name: mine, days: 0}]}", "classes[0].days", "at least 1"),
        ("{classes: [{name: ../x, days: 1}]}", "classes[0].name", "does not have the form"),
        ("{default: nothing}", "default", "`nothing` is no class; there are eu-ai-act, hipaa, pci"),
        ("{labels: [{label: phi, retention: x}]}", "labels[0].retention", "is no class"),
        ("{binding: [x]}", "binding[0]", "is no class"),
    ],
)
def test_what_would_break_a_rule_or_means_nothing_is_refused(
    tmp_path: Path, retention: str, field: str, says: str
) -> None:
    """A class named after a rule cannot be shorter than the rule."""
    with pytest.raises(Rejected) as refused:
        load(written(tmp_path, f"{LEAST}evidence:\n  retention: {retention}\n"), {})
    (problem,) = refused.value.problems
    assert problem.field == f"evidence.retention.{field}"
    assert says in problem.message


def test_a_writer_that_is_no_user_here_is_refused(tmp_path: Path) -> None:
    """Nobody would be let in, and nobody would know why."""
    config = load(written(tmp_path, LEAST + "evidence: {writers: [no-such-user-here]}\n"), {})
    with pytest.raises(ConfigurationError, match="no user"):
        recorder_settings(config)


def test_a_root_key_is_a_reference_and_never_the_key(tmp_path: Path) -> None:
    """Not its bytes, not an environment variable: a file that only the recorder's user reads."""
    with pytest.raises(Rejected):
        load(written(tmp_path, f"{LEAST}evidence: {{root_key: {'ab' * 32}}}\n"), {})


@pytest.mark.requirement("A6")
def test_the_doctor_says_who_shares_a_user_and_whose_key_lies_open(tmp_path: Path) -> None:
    """One user for gateway and recorder is worth a note, keys that others can read are bad."""
    config = load(written(tmp_path, FULL.replace("hsm/root.key", "root.key")), {})
    KeyStore(config.state_db).close()
    vault = Vault(config.vault_dir, root_key=config.root_key)
    vault.close()

    def users(**who: object) -> tuple[str, str]:
        (found,) = (f for f in diagnose(config, World(running=True, **who)) if f.subject == "users")  # type: ignore[arg-type]
        return found.level.value, found.says

    level, says = users()
    assert level == "note"
    assert says.startswith("recorder and gateway and you share user")
    apart = {config.vault_dir: 990, config.state_db: 991}
    assert users(owner=apart.__getitem__, user=lambda: 992) == (
        "ok",
        "the recorder has a user of its own (990)",
    )
    assert users(owner=apart.__getitem__, user=lambda: 990)[1].startswith("recorder and you share")

    def open_files() -> str:
        findings = diagnose(config, World(running=True))
        return " ".join(f.says for f in findings if f.level is Level.BAD and f.subject == "permissions")

    assert config.root_key is not None
    assert open_files() == ""
    config.root_key.chmod(0o640)
    (config.vault_dir / "vault.db").chmod(0o604)
    assert str(config.root_key) in open_files()
    assert "vault.db" in open_files()


def test_a_token_can_name_its_person(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two people's holds need two people's tokens."""

    data = ["--data", str(tmp_path), "--json"]
    assert run(["keys", "token", "--person", "Ada", *data]) == 0
    made = json.loads(capsys.readouterr().out)
    store = KeyStore(tmp_path / "state.db")
    assert {token.id: token.person for token in store.tokens()} == {made["id"]: "Ada"}
    store.close()
    assert os.stat(tmp_path / "state.db").st_mode & 0o077 == 0


@pytest.mark.requirement("A1")
def test_the_doctor_names_every_route_whose_calls_may_go_ahead_of_their_record(tmp_path: Path) -> None:
    """A weaker promise than the default's, with what a power failure can lose; without such a route all is well."""
    text = (
        LEAST
        + "evidence:\n  bounded: {records: 8, ms: 20}\n  routes:\n"
        + "    - {model: 'gpt-*', operation: chat, durability: bounded-async}\n"
        + "    - {model: o3, durability: before-effect}\n"
    )
    for config, weak in ((text, 1), (LEAST, 0), (LEAST + "evidence: {durability: bounded-async}\n", 1)):
        told = [
            each
            for each in diagnose(load(written(tmp_path, config), {}), World(running=False))
            if each.subject == "durability"
        ]
        assert [each.level for each in told] == ([Level.WEAK] * weak or [Level.OK])
        if "gpt-*" in config:
            assert "model `gpt-*`, operation `chat`" in told[0].says
            assert "up to 8 records of calls begun within 20 ms" in told[0].says


@pytest.mark.requirement("A1")
def test_routes_reach_the_line_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = LEAST + "evidence:\n  routes:\n    - {model: m, durability: bounded-async}\n"
    found = durabilities(load(written(tmp_path, text), {}))
    assert found.routes == (DurableRoute("m", "", Durability.BOUNDED_ASYNC),)
    assert found.default is Durability.BEFORE_EFFECT


DAY_US = 86_400_000_000


@pytest.mark.requirement("A2")
@pytest.mark.parametrize(
    ("limits", "standing", "level", "says"),
    [
        ("{}", ShardStanding(1, 200, DAY_US), "ok", "shard 1 stands open with 200 records of 9 days"),
        ("{}", ShardStanding(3, 200, DAY_US, (1,)), "ok", "of 9 days; 2 closed, 1 of them put away"),
        ("{}", ShardStanding(1, 60_000_000, DAY_US), "note", "and no end is configured"),
        ("{}", ShardStanding(1, 200, -400 * DAY_US), "note", "and no end is configured"),
        ("{records: 1000}", ShardStanding(2, 1050, DAY_US), "ok", "1050 records of 9 days; 1 closed"),
        ("{records: 1000}", ShardStanding(2, 1200, DAY_US), "weak", "the next one was to begin before"),
        ("{days: 7}", ShardStanding(2, 200, DAY_US), "weak", "the next one was to begin before"),
        ("{days: 400}", ShardStanding(1, 60_000_000, DAY_US), "ok", "shard 1 stands open"),
    ],
)
def test_the_doctor_says_which_shard_stands_open_and_when_it_should_not(
    tmp_path: Path, limits: str, standing: ShardStanding, level: str, says: str
) -> None:
    """Beyond its configured end, or with no end at all, it is worth a word."""
    config = load(written(tmp_path, f"{LEAST}evidence: {{shard: {limits}}}\n"), {})
    world = World(running=True, shards=lambda _: standing, now_us=lambda: 10 * DAY_US)
    (found,) = (one for one in diagnose(config, world) if one.subject == "shards")
    assert found.level.value == level
    assert says in found.says
    assert bool(found.advice) == (level != "ok")
