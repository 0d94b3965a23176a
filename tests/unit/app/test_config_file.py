"""The configuration file means what it shows, and every mistake in it has a place."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magistrate.app.attestation import recorder_plan
from magistrate.app.catalogue import OPERATIONS, price
from magistrate.app.config import Rejected, catalogue, embedded_default, json_schema, load, split_address
from magistrate.app.settings import PriceSetting
from magistrate.evidence.cosignature import Cosigner
from magistrate.evidence.note import Signer
from magistrate.exchange.decision import Mode
from magistrate.exchange.errors import ConfigurationError
from magistrate.wire.routes import ROUTES

FULL = """\
listen: 127.0.0.1:8484
control: 127.0.0.1:8485
data_dir: ./data
mode: shadow
providers:
  - name: openai-eu
    api: openai
    base_url: https://eu.api.openai.com/v1
    api_key: ${OPENAI_API_KEY}
    region: eu
    certifications: [soc2, gdpr-dpa]
    models:
      - {name: gpt-5-mini, upstream: gpt-5-mini-2026, price: {input: 0.25, output: 2.00, cached: 0.025, per: 1M, currency: USD}}
      - gpt-*
  - name: sim
    api: simulator
    priority: 5
    models: ["*"]
policies: ./policies
evidence: {durability: before-effect, witness: [], timestamp: []}
limits: {body_bytes: 1000000}
log: {level: warning, format: json}
"""
LOG_KEY = Signer("log.example/one", bytes(32)).vkey
WITNESS_KEY = Cosigner("witness.example/one", bytes(32)).vkey
LEAST = "providers:\n  - {name: s, api: simulator, models: ['*']}\n"


def written(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "magistrate.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def problems(tmp_path: Path, text: str | bytes, **environ: str) -> list[tuple[int, str, str]]:
    with pytest.raises(Rejected) as caught:
        load(written(tmp_path, text), environ)
    return [(each.line, each.field, each.message) for each in caught.value.problems]


def test_a_full_file_is_read_into_typed_values(tmp_path: Path) -> None:
    """Every block of the documented example."""
    config = load(written(tmp_path, FULL), {"OPENAI_API_KEY": "sk-real"})
    assert config.mode is Mode.SHADOW
    assert config.providers[0].api_key is not None
    assert config.providers[0].api_key.reveal() == "sk-real"
    assert config.providers[0].models[1].name == "gpt-*"
    assert config.limits.body_bytes == 1_000_000
    assert config.log.format == "json"


def test_further_addresses_of_a_witness_are_told_from_those_of_an_authority_at_the_same_place(
    tmp_path: Path,
) -> None:
    """Everybody who is asked may stand behind one host, and only one of them also behind another."""
    text = (
        LEAST
        + f"evidence:\n  witness: [{{url: 'http://w/', vkey: '{WITNESS_KEY}', also: ['http://v/', 'http://u/']}}]\n"
    )
    plan = recorder_plan(load(written(tmp_path, text), {}).evidence)
    assert plan.also[("witness", "http://w/")] == ("http://v/", "http://u/")
    assert ("authority", "http://w/") not in plan.also


def test_the_model_tier_is_switched_with_bare_words(tmp_path: Path) -> None:
    """`on` and `off` are words here, not YAML 1.1 booleans, and unset fields keep their defaults."""
    config = load(written(tmp_path, LEAST + "inspection: {model_tier: on, thresholds: {threats: 900}}\n"), {})
    assert config.inspection.model_tier == "on"
    assert config.inspection.thresholds.threats == 900
    assert config.inspection.deadline_ms == 250
    assert load(written(tmp_path, LEAST), {}).inspection.model_tier == "off"


def test_relative_paths_stand_on_the_files_directory(tmp_path: Path) -> None:
    """The same file means the same wherever the command is started."""
    config = load(written(tmp_path, FULL), {"OPENAI_API_KEY": "k"})
    assert config.data == tmp_path / "data"
    assert config.policies_dir == tmp_path / "policies"
    assert config.vault_dir == tmp_path / "data" / "vault"


def test_a_secret_never_shows_itself(tmp_path: Path) -> None:
    """A configuration can be printed."""
    config = load(written(tmp_path, FULL), {"OPENAI_API_KEY": "sk-real"})
    assert "sk-real" not in repr(config)
    assert "${OPENAI_API_KEY}" in str(config.providers[0].api_key)


def test_a_secret_is_read_from_a_file_beside_the_configuration(tmp_path: Path) -> None:
    """`file:` with a relative path, its last newline dropped."""
    (tmp_path / "key").write_text("from-file\n")
    config = load(written(tmp_path, FULL.replace("${OPENAI_API_KEY}", "file:key")), {})
    assert config.providers[0].api_key is not None
    assert config.providers[0].api_key.reveal() == "from-file"
    assert config.providers[0].api_key.reference == f"file:{tmp_path / 'key'}"


def test_commands_that_call_nobody_need_no_secrets(tmp_path: Path) -> None:
    """`keys create` works in a shell without provider keys."""
    config = load(written(tmp_path, FULL), {}, resolve=False)
    assert config.providers[0].api_key is not None
    assert config.providers[0].api_key.reveal() == ""


@pytest.mark.parametrize(
    ("text", "line", "field", "says"),
    [
        (LEAST + "mode: enforce\nmode: observe\n", 4, "mode", "twice"),
        (LEAST + "modus: enforce\n", 3, "modus", "is not a setting"),
        (LEAST + "mode: harsh\n", 3, "mode", "one of observe, shadow, enforce"),
        (LEAST + "limits: {body_bytes: many}\n", 3, "limits.body_bytes", "a whole number, not text"),
        (LEAST + "limits: {body_bytes: 1}\n", 3, "limits.body_bytes", "at least 1024"),
        (LEAST + "limits: {body_bytes: 99999999999}\n", 3, "limits.body_bytes", "at most"),
        (LEAST.replace("s,", "s, timeout_s: 0,"), 2, "providers[0].timeout_s", "more than 0"),
        (LEAST.replace("s,", "s, timeout_s: .nan,"), 2, "providers[0].timeout_s", "plain number"),
        (LEAST + "limits: []\n", 3, "limits", "a block of `key: value`, not a list"),
        (LEAST + "listen: 8484\n", 3, "listen", "put quotes"),
        (LEAST + "listen: localhost\n", 3, "listen", "does not have the form"),
        (LEAST + "listen: 'localhost:0'\n", 3, "listen", "no port"),
        (LEAST + "control: 127.0.0.1:8484\n", 3, "control", "must differ"),
        (LEAST + "evidence: {bounded: {records: 4096}}\n", 3, "evidence.bounded.records", "1024"),
        (LEAST + "evidence: {durability: best-effort}\n", 3, "evidence.durability", "before-effect"),
        (LEAST + "evidence:\n  witness: [w]\n", 4, "evidence.witness[0]", "a block of `key: value`"),
        (
            LEAST + "evidence:\n  witness:\n  - {url: 'http://w', vkey: w}\n",
            5,
            "evidence.witness[0].vkey",
            "a vkey is",
        ),
        (
            LEAST + f"evidence:\n  witness:\n  - {{url: 'http://w', vkey: '{LOG_KEY}'}}\n",
            5,
            "evidence.witness[0].vkey",
            "a log's key",
        ),
        (
            LEAST + f"evidence:\n  witness:\n  - {{url: 'ftp://w', vkey: '{WITNESS_KEY}'}}\n",
            5,
            "evidence.witness[0].url",
            "does not have the form",
        ),
        (
            LEAST + f"evidence:\n  witness:\n  - {{url: 'http://w', vkey: '{'w' * 5000}'}}\n",
            5,
            "evidence.witness[0].vkey",
            "at most 4096 characters",
        ),
        (
            LEAST
            + f"evidence:\n  witness:\n  - {{url: 'http://w', vkey: '{WITNESS_KEY}', also: [{', '.join(['http://v'] * 9)}]}}\n",
            5,
            "evidence.witness[0].also",
            "at most 8",
        ),
        (
            LEAST + f"evidence:\n  quorum: 2\n  witness: [{{url: 'http://w', vkey: '{WITNESS_KEY}'}}]\n",
            4,
            "evidence.quorum",
            "cannot be reached",
        ),
        (
            LEAST
            + f"evidence:\n  witness: [{{url: 'http://w', vkey: '{WITNESS_KEY}'}}, {{url: 'http://v', vkey: '{WITNESS_KEY}'}}]\n",
            4,
            "evidence.witness",
            "one key twice",
        ),
        (
            LEAST + "evidence:\n  timestamp: [{url: 'http://t', ca: nowhere.pem}]\n",
            4,
            "evidence.timestamp[0].ca",
            "cannot be read",
        ),
        (LEAST + "inspection: {model_tier: maybe}\n", 3, "inspection.model_tier", "one of off, on"),
        (LEAST + "inspection: {deadline_ms: 0}\n", 3, "inspection.deadline_ms", "at least 1"),
        (LEAST + "inspection: {sensitivity: extreme}\n", 3, "inspection.sensitivity", "high, normal"),
        (
            LEAST + "inspection: {thresholds: {threats: 1001}}\n",
            3,
            "inspection.thresholds.threats",
            "at most 1000",
        ),
        (
            LEAST + "inspection: {thresholds: {injections: 5}}\n",
            3,
            "inspection.thresholds.injections",
            "is not a setting",
        ),
        (LEAST + "data_dir: &a x\npolicies: *a\n", 3, "", "anchors and aliases"),
        ("listen: 127.0.0.1:1\n", 1, "providers", "is missing"),
        ("providers: []\n", 1, "providers", "at least one provider"),
        ("providers: x\n", 1, "providers", "must be a list, not text"),
        (
            "providers:\n  - {name: b, api: bedrock, models: [m]}\n",
            2,
            "providers[0].api",
            "not supported yet",
        ),
        ("providers:\n  - {name: a, api: azure, models: [m]}\n", 2, "providers[0].base_url", "is missing"),
        (
            "providers:\n  - {name: a, api: openai, models: []}\n",
            2,
            "providers[0].models",
            "at least one model",
        ),
        ("providers:\n  - {name: a, api: openai, models: [m, m]}\n", 2, "providers[0].models[1]", "twice"),
        (LEAST + "  - {name: s, api: simulator, models: [m]}\n", 3, "providers[1].name", "already taken"),
        (
            "providers:\n  - {name: a, api: openai, region: no, models: [m]}\n",
            2,
            "providers[0].region",
            "put quotes",
        ),
        (
            "providers:\n  - name: a\n    api: openai\n    base_url: https://x/?a=b\n    models: [m]\n",
            4,
            "providers[0].base_url",
            "without user, query",
        ),
        (
            "providers:\n  - {name: a, api: openai, models: [{name: g-*, upstream: x}]}\n",
            2,
            "providers[0].models[0].upstream",
            "beside a pattern",
        ),
        (
            "providers:\n  - {name: a, api: openai, models: [{name: g, price: {input: -1}}]}\n",
            2,
            "providers[0].models[0].price.input",
            "0 or more",
        ),
        ("a: b: c\n", 1, "", "not readable YAML"),
        ("", 1, "", "is empty"),
        ("---\nx: 1\n---\ny: 2\n", 3, "", "not readable YAML"),
        (b"x: \xff\n", 1, "", "not UTF-8"),
        ("[" * 200, 1, "", "nested deeper"),
        (b"#" * (1 << 20) + b"\n", 1, "", "larger than"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_what_to_do(
    tmp_path: Path, text: str | bytes, line: int, field: str, says: str
) -> None:
    """Strict: unknown, doubled, mistyped and impossible settings are all errors."""
    found = problems(tmp_path, text)
    assert [(each[0], each[1]) for each in found] == [(line, field)]
    assert says in found[0][2]


def test_all_mistakes_are_listed_at_once(tmp_path: Path) -> None:
    """One run is enough to fix a file."""
    text = LEAST + "modus: x\nlisten: 1\nlimits: {body_bytes: x, wat: 1}\n"
    assert [(line, field) for line, field, _ in problems(tmp_path, text)] == [
        (3, "modus"),
        (4, "listen"),
        (5, "limits.body_bytes"),
        (5, "limits.wat"),
    ]


def test_the_error_text_is_one_file_line_message_per_mistake(tmp_path: Path) -> None:
    """Editors jump to `file:line`."""
    path = written(tmp_path, LEAST + "modus: x\n")
    with pytest.raises(ConfigurationError) as caught:
        load(path, {})
    assert str(caught.value).startswith(f"{path}:3: `modus` ")


@pytest.mark.parametrize(
    "literal",
    ["sk-proj-abcdefghijklmnop", "AIzaSyA1234567890123456789012", "hunter2hunter2", "$NAME"],
)
def test_a_literal_secret_is_refused_with_advice_and_never_repeated(tmp_path: Path, literal: str) -> None:
    """Keys belong into the environment or into their own file."""
    found = problems(tmp_path, FULL.replace("${OPENAI_API_KEY}", literal))
    assert [(line, field) for line, field, _ in found] == [(9, "providers[0].api_key")]
    assert "${NAME}" in found[0][2]
    assert literal not in found[0][2]


@pytest.mark.parametrize(
    "text",
    [
        "sk-ant-api03-abcdefghijklmnop",
        "https://user:secret@api.example/v1",
        "https://api.example/v1?key=abc",
        "mag-abcdefghjkmn-xxxxxxxx",
    ],
)
def test_a_secret_in_any_other_place_is_refused_too(tmp_path: Path, text: str) -> None:
    """People paste keys into base URLs and comments of other fields."""
    found = problems(tmp_path, LEAST + f"policies: {text}\n")
    assert any("looks like it holds a secret" in message for _, _, message in found)
    assert all(text not in message for _, _, message in found)


@pytest.mark.parametrize("environ", [{}, {"OPENAI_API_KEY": ""}, {"OPENAI_API_KEY": "a\nb"}])
def test_an_unset_empty_or_multi_line_secret_is_an_error(tmp_path: Path, environ: dict[str, str]) -> None:
    """A header cannot hold it, and an empty key fails later and farther away."""
    assert [field for _, field, _ in problems(tmp_path, FULL, **environ)] == ["providers[0].api_key"]


def test_an_unreadable_file_says_what_to_do(tmp_path: Path) -> None:
    """The first thing a new user meets."""
    with pytest.raises(ConfigurationError, match="magistrate init"):
        load(tmp_path / "none.yaml", {})


@pytest.mark.requirement("X2")
def test_without_a_file_and_without_keys_the_simulator_answers() -> None:
    """The embedded default needs nothing."""
    config = load(None, {})
    assert config.simulated
    (endpoint,) = catalogue(config)
    assert (endpoint.id, endpoint.model, endpoint.api) == ("simulator/*", "*", "simulator")


def test_without_a_file_each_provider_key_in_the_environment_brings_its_provider() -> None:
    """Two keys, two providers, no simulator between them."""
    config = embedded_default({"OPENAI_API_KEY": "a", "GEMINI_API_KEY": "b", "ANTHROPIC_API_KEY": " "})
    assert [each.name for each in config.providers] == ["openai", "gemini"]
    assert {each.api for each in catalogue(config)} == {"openai", "gemini"}
    assert all(each.price is None for each in catalogue(config))


def test_the_catalogue_carries_what_policy_and_routing_need(tmp_path: Path) -> None:
    """Region, certifications, operations, price and rank, per endpoint."""
    first, pattern, simulator = catalogue(load(written(tmp_path, FULL), {"OPENAI_API_KEY": "k"}))
    assert first.id == "openai-eu/gpt-5-mini"
    assert first.upstream_model == "gpt-5-mini-2026"
    assert first.region == "eu"
    assert first.certifications == ("soc2", "gdpr-dpa")
    assert first.operations == OPERATIONS["openai"]
    assert first.price is not None
    assert (first.price.input_nano, first.price.output_nano, first.price.cached_nano) == (250, 2000, 25)
    assert (pattern.model, pattern.upstream_model) == ("gpt-*", "gpt-*")
    assert simulator.priority == 5


@given(st.decimals(0, 1000, places=3), st.decimals(0, 1000, places=3))
def test_three_decimals_a_million_tokens_are_exact(input_: object, output: object) -> None:
    """Every published price so far: no float ever touches money."""
    setting = PriceSetting(input_, output)  # type: ignore[arg-type]
    found = price(setting)
    assert (found.input_nano, found.output_nano) == (setting.input * 1000, setting.output * 1000)
    assert price(setting).version == found.version


def test_a_price_finer_than_a_nano_unit_is_rounded_up_and_a_new_price_is_a_new_version() -> None:
    """Cost is never understated, and records tell prices apart."""
    fine = price(PriceSetting(Decimal("0.0375")))
    assert fine.input_nano == 38
    assert fine.version != price(PriceSetting(Decimal("0.0385"))).version


@pytest.mark.parametrize(("text", "host", "port"), [("[::1]:80", "::1", 80), ("a.b:8484", "a.b", 8484)])
def test_an_address_splits_into_host_and_port(text: str, host: str, port: int) -> None:
    """IPv6 loses its brackets."""
    assert split_address(text) == (host, port)


def test_the_published_schema_is_the_one_the_reader_obeys() -> None:
    """`docs/magistrate.schema.json` is generated; editors and the reader agree."""
    path = Path(__file__).parents[3] / "docs" / "magistrate.schema.json"
    assert json.loads(path.read_text()) == json_schema()


def test_endpoints_serve_exactly_the_operations_that_routes_send_upstream() -> None:
    """A route that no endpoint could serve, or an operation that no route asks for, would be a spelling mistake."""
    asked = {f"{route.dialect}:{route.operation}" for route in ROUTES if route.upstream}
    assert set(OPERATIONS["simulator"]) == asked
    assert {name for api in ("openai", "anthropic", "gemini") for name in OPERATIONS[api]} == asked
