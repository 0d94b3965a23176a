"""`init`, `check` and `policy test`: what a person runs before anything serves."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from magistrate.app.bundles import PolicySource
from magistrate.app.cli import run
from magistrate.app.policies import load_stored_bundle, store_bundle
from magistrate.exchange.errors import ConfigurationError

Ask = Callable[..., tuple[int, str, str]]
FORBID = '@id("x") forbid (principal, action, resource);'


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Ask:
    def asked(*arguments: str) -> tuple[int, str, str]:
        status = run(arguments)
        told = capsys.readouterr()
        return status, told.out, told.err

    return asked


@pytest.mark.requirement("P8")
@pytest.mark.parametrize("where", [".", "new/place"])
def test_init_writes_what_check_finds_good(ask: Ask, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And says what to do next."""
    status, out, _ = ask("init", *([] if where == "." else [where]))
    assert status == 0
    assert "magistrate check" in out
    assert "magistrate serve" in out
    monkeypatch.chdir(where)
    status, out, err = ask("check")
    assert (status, err) == (0, "")
    assert "policies, 18 tests passed" in out
    status, out, _ = ask("check", "--json")
    report = json.loads(out)
    assert (status, report["ok"], report["problems"]) == (0, True, [])
    assert report["bundle"] == PolicySource(Path("policies")).load().digest


def test_init_never_overwrites(ask: Ask) -> None:
    """One file of its own is enough to write nothing at all."""
    Path("policies").mkdir()
    Path("policies/20-secrets.cedar").write_text("mine")
    status, _, err = ask("init")
    assert status == 2
    assert (
        err
        == "magistrate: policies/20-secrets.cedar: is already there; nothing was written. Name an empty directory\n"
    )
    assert [path.name for path in Path().rglob("*") if path.is_file()] == ["20-secrets.cedar"]
    assert Path("policies/20-secrets.cedar").read_text() == "mine"


def test_init_that_cannot_write_says_so(ask: Ask) -> None:
    """A file stands where the directory should be."""
    Path("taken").write_text("")
    status, _, err = ask("init", "taken")
    assert status == 2
    assert "cannot be written" in err


def test_check_without_a_file_checks_the_embedded_default(ask: Ask) -> None:
    """What `serve` would start with."""
    status, out, _ = ask("check")
    assert status == 0
    assert out.startswith("the embedded default: good\nthe built-in starter policies: good, ")


@pytest.mark.requirement("P8")
@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("magistrate.yaml", "provders: []\n", "magistrate.yaml:1: `provders`"),
        ("policies/99.cedar", "\n\nforbid (principal, action, resource);", "policies/99.cedar:3: every policy needs"),
        ("policies/99.cedar", FORBID, "policies/tests/starter.yaml:2: `anybody with a key may call`: effect"),
        ("policies/schema.cedarschema", "entity", "policies/schema.cedarschema:1: not a Cedar schema"),
        ("policies/tests/a.yaml", "- name: x\n  expect: {effect: maybe}\n", "policies/tests/a.yaml:2: `[0].expect.effect`"),
        ("policies/tests/a.yaml", "- name: x\n  expct: 1\n", "policies/tests/a.yaml:2: `[0].expct`"),
        ("policies/tests/a.yaml", "name: x\n", "policies/tests/a.yaml:1: must be a list"),
    ],
)  # fmt: skip
def test_check_names_the_place_of_what_is_wrong(ask: Ask, file: str, text: str, told: str) -> None:
    """Exit 1: it was decided, and the answer is no."""
    assert ask("init")[0] == 0
    Path(file).write_text(text)
    status, _, err = ask("check")
    assert status == 1
    assert told in err
    status, out, _ = ask("check", "--json")
    report = json.loads(out)
    assert (status, report["ok"]) == (1, False)
    assert any(told in problem for problem in report["problems"])


def test_a_missing_secret_does_not_hide_what_is_wrong_with_the_policies(ask: Ask) -> None:
    """Both are told; without secrets, only the policies."""
    ask("init")
    Path("magistrate.yaml").write_text(
        "policies: ./policies\nproviders: [{name: o, api: openai, api_key: '${OPENAI_API_KEY}', models: ['*']}]\n"
    )
    Path("policies/99.cedar").write_text("nonsense")
    status, _, err = ask("check")
    assert status == 1
    assert "OPENAI_API_KEY" in err
    assert "99.cedar:1: not Cedar" in err
    status, _, err = ask("check", "--no-secrets")
    assert status == 1
    assert "OPENAI_API_KEY" not in err


@pytest.mark.requirement("P8")
def test_check_notes_labels_that_nothing_gives(ask: Ask) -> None:
    """A mistyped label never matches, so its rule would silently do nothing. Not an error: detectors can be added."""
    ask("init")
    text = (
        '@id("a") @obligation("redact") @labels("pii.*, pci.pam") permit (principal, action, resource);\n'
        '@id("b") forbid (principal, action, resource)\n'
        'when { context.stream && (context.labels.containsAny(["secret", "sekret"]) || context.labels.contains("phi.mnr")) };'
    )
    Path("policies/tests/starter.yaml").unlink()
    Path("policies/99.cedar").write_text(text)
    status, _, err = ask("check")
    assert status == 0
    told = [line.rpartition("/")[2] for line in err.splitlines()]
    assert told == [
        f"99.cedar:{line}: no built-in detector gives the label `{label}`; did you mean `{meant}`?"
        for line, label, meant in (
            (1, "pci.pam", "pci.pan"),
            (2, "phi.mnr", "phi.mrn"),
            (2, "sekret", "secret"),
        )
    ]


@pytest.mark.requirement("P8")
def test_check_notes_labels_of_models_that_are_off(ask: Ask) -> None:
    """They would never match; switched on, there is nothing to note."""
    ask("init")
    Path("policies/tests/starter.yaml").unlink()
    Path("policies/99.cedar").write_text(
        '@id("a") @obligation("redact") @labels("pii.name, place.town") permit (principal, action, resource);\n'
        '@id("b") forbid (principal, action, resource) when { context.labels.contains("language.ko") };'
    )
    _, _, err = ask("check")
    assert [line.rpartition("/")[2] for line in err.splitlines()] == [
        f"99.cedar:{line}: nothing gives the label `{label}` while `inspection.{model}` or `inspection.model_tier` is off"
        for line, label, model in (
            (1, "pii.name", "entities"),
            (1, "place.town", "entities"),
            (2, "language.ko", "languages"),
        )
    ]
    text = Path("magistrate.yaml").read_text()
    for name in ("model_tier", "entities", "languages"):
        text = text.replace(f"  {name}: off", f"  {name}: on")
    Path("magistrate.yaml").write_text(text)
    assert ask("check")[2] == ""


@pytest.mark.requirement("P8")
def test_policy_test_runs_the_tables(ask: Ask) -> None:
    """0 when all pass, 1 with place and difference when one does not."""
    ask("init")
    status, out, _ = ask("policy", "test")
    assert status == 0
    assert out.startswith("18 passed, 0 failed (bundle ")
    Path("policies/20-secrets.cedar").unlink()
    status, out, _ = ask("policy", "test", "policies")
    assert status == 1
    assert "tests/starter.yaml:6: a secret never leaves\n    effect: expected deny, got allow\n" in out
    status, out, _ = ask("policy", "test", "--json")
    told = json.loads(out)
    failed = [result["name"] for result in told["results"] if result["wrong"]]
    assert (status, told["failed"]) == (1, len(failed))
    assert "a secret never leaves" in failed


@pytest.mark.parametrize(
    ("prepare", "told"),
    [
        (lambda: Path("policies/99.cedar").write_text("x"), "99.cedar:1: not Cedar"),
        (lambda: Path("policies/tests/starter.yaml").unlink(), "there are no tests"),
        (lambda: Path("policies/tests/starter.yaml").write_text("- {"), "is not readable YAML"),
    ],
)
def test_policy_test_that_cannot_decide_is_status_two(
    ask: Ask, prepare: Callable[[], object], told: str
) -> None:
    """No tests is not the same as no failures."""
    ask("init")
    prepare()
    status, _, err = ask("policy", "test")
    assert status == 2
    assert told in err


@pytest.mark.parametrize(
    ("case", "wrong"),
    [
        ("{endpoint: {id: a}, endpoints: [{id: b}]}", "write one of"),
        ("{configured: [nowhere/m]}", "no endpoint `nowhere/m`"),
        ("{configured: ['simulator/*'], request: {labels: [phi.mrn]}}", "effect: expected allow, got deny"),
        ("{configured: ['simulator/*'], expect: {effect: allow, eligible: []}}", "eligible: expected []"),
        ("{expect: {effect: allow, would: deny}}", "would: expected deny, got None"),
        ("{request: {labels: [pii.email]}, expect: {effect: allow, obligations: []}}", "obligations: expected []"),
        ("{expect: {effect: deny, rules: [no-secrets]}}", "rules: expected ['no-secrets']"),
    ],
)  # fmt: skip
def test_a_case_that_is_wrong_says_how(ask: Ask, case: str, wrong: str) -> None:
    """Expected and got; endpoints may be written out or taken from the configuration."""
    ask("init")
    body = case[1:-1] if "expect" in case else f"{case[1:-1]}, expect: {{effect: allow}}"
    Path("policies/tests/starter.yaml").write_text(f"- {{name: it, {body}}}\n")
    status, out, _ = ask("policy", "test")
    assert status == 1
    assert wrong in out


def test_a_bundle_is_kept_by_its_hash_and_comes_back_the_same(tmp_path: Path) -> None:
    """Readable by its owner only where the directory is concerned; kept once."""
    bundle = PolicySource(None).load()
    path = store_bundle(tmp_path, bundle)
    before = path.stat().st_mtime_ns
    assert store_bundle(tmp_path, bundle) == path
    assert path.stat().st_mtime_ns == before
    assert [each.name for each in path.parent.iterdir()] == [f"{bundle.digest}.json"]
    assert (path.parent.stat().st_mode & 0o777) == 0o700 or os.name == "nt"
    kept = load_stored_bundle(tmp_path, bundle.digest)
    assert (kept.digest, kept.files) == (bundle.digest, bundle.files)


@pytest.mark.requirement("P8")
@pytest.mark.parametrize("digest", ["0" * 64, "../state", "", "A" * 64])
def test_a_bundle_that_is_not_kept_is_not_invented(tmp_path: Path, digest: str) -> None:
    """Nor is any other file read in its place."""
    with pytest.raises(ConfigurationError, match="are kept here"):
        load_stored_bundle(tmp_path, digest)


@pytest.mark.requirement("P8")
def test_a_kept_bundle_that_was_changed_is_refused(tmp_path: Path) -> None:
    """Its hash is its name."""
    path = store_bundle(tmp_path, PolicySource(None).load())
    path.write_text(path.read_text().replace("secret", "sekret"))
    with pytest.raises(ConfigurationError, match="were changed"):
        load_stored_bundle(tmp_path, path.stem)
    path.write_text("{")
    with pytest.raises(ConfigurationError, match="were changed"):
        load_stored_bundle(tmp_path, path.stem)
