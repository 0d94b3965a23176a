"""Configuration: one YAML file, read once and strictly, or the embedded default from the environment."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from magistrate.app import yaml_source
from magistrate.app.attestation import check_trust
from magistrate.app.catalogue import catalogue
from magistrate.app.settings import (
    Config,
    DetectorSetting,
    ModelSetting,
    ProviderSetting,
    RetentionSetting,
    Secret,
    split_address,
)
from magistrate.app.stores import check_stores, rooted
from magistrate.app.yaml_source import Problem, Reader, Rejected
from magistrate.evidence.retention import FLOORS
from magistrate.exchange.errors import ConfigurationError

__all__ = [
    "Config",
    "Problem",
    "Rejected",
    "Secret",
    "catalogue",
    "embedded_default",
    "load",
    "split_address",
]

_ENV = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_LOOKS_SECRET = re.compile(
    r"(?:^|[^A-Za-z0-9])(?:sk-[A-Za-z0-9_-]{12,}|AIza[A-Za-z0-9_-]{20,}|mag-[a-z0-9]{12}-|gh[pousr]_[A-Za-z0-9]{20,}"
    r"|AKIA[A-Z0-9]{12,}|eyJ[A-Za-z0-9_-]{16,}\.|xox[abp]-|-----BEGIN)"
    r"|://[^/@\s]*:[^/@\s]+@|[?&](?:api[-_]?)?key="
)
_MAX_SECRET = 64 << 10
_REFERENCE_ADVICE = "put it into the environment and write `${NAME}`, or into a file and write `file:PATH`"

EMBEDDED = (
    ("OPENAI_API_KEY", "openai"),
    ("ANTHROPIC_API_KEY", "anthropic"),
    ("GEMINI_API_KEY", "gemini"),
)
"""Which environment variable brings which provider when there is no file."""

_EMBEDDED_MODELS: dict[str, tuple[str, ...]] = {
    "openai": ("gpt-*", "o?", "o?-*", "chatgpt-*", "text-embedding-*"),
    "anthropic": ("claude-*",),
    "gemini": ("gemini-*",),
}
SIMULATOR = ProviderSetting(name="simulator", api="simulator", models=(ModelSetting("*"),), region="local")


def load(path: Path | None, environ: Mapping[str, str], *, resolve: bool = True) -> Config:
    """Return the configuration in ``path``, or the embedded default when ``path`` is None.

    Relative paths in the file are resolved against its directory. ``resolve`` False leaves secrets unread, for
    commands that do not call providers.

    Raises:
        ConfigurationError: the file cannot be read, or (as `Rejected`) it has mistakes: all of them are listed.
    """
    if path is None:
        return embedded_default(environ)
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"cannot be read ({error.strerror}); `magistrate init` writes one to start from", str(path)
        ) from None
    root = yaml_source.compose(text, str(path))
    reader = Reader({ModelSetting: "name"}, {Secret: _SecretReader(path.parent, environ, resolve)}, _hint)
    _refuse_literals(root, reader, "")
    config: Config | None = reader.read(root, msgspec.inspect.type_info(Config), "")
    if config is not None:
        _cross_check(config, reader, path.parent)
    if reader.problems or config is None:
        raise Rejected(str(path), reader.problems)
    return _rooted(config, path.parent)


def embedded_default(environ: Mapping[str, str]) -> Config:
    """Return what runs without a file: the providers whose keys are in ``environ``, else the simulator.

    No shipped price list: prices change weekly and a wrong one is worse than none, so cost is unknown here.
    """
    providers = tuple(
        ProviderSetting(
            name=api,
            api=api,  # type: ignore[arg-type]  # because the table above holds only members of Api
            models=tuple(ModelSetting(name) for name in _EMBEDDED_MODELS[api]),
            api_key=Secret(f"${{{variable}}}", environ[variable].strip()),
        )
        for variable, api in EMBEDDED
        if environ.get(variable, "").strip()
    )
    return Config(providers=providers or (SIMULATOR,))


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of the file, for editors."""
    schema = msgspec.json.schema(Config)
    definitions = schema["$defs"]
    definitions["Secret"] = {
        "title": "Secret",
        "type": "string",
        "pattern": r"^(\$\{[A-Za-z_][A-Za-z0-9_]*\}|file:.+)$",
        "description": "A secret by reference: `${NAME}` or `file:PATH`. Never the secret.",
    }
    definitions["ProviderSetting"]["properties"]["models"]["items"] = {
        "anyOf": [
            definitions["ModelSetting"]["properties"]["name"],
            {"$ref": "#/$defs/ModelSetting"},
        ]
    }
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "magistrate.yaml", **schema}
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(whole))  # tuples become lists
    return plain


def _hint(field: str, value: str) -> str:
    if field == "api" and value == "bedrock":
        return "`bedrock` is not supported yet; reach those models through an `openai`-compatible endpoint"
    return ""


class _SecretReader:
    """Reads one reference. The value of a literal is never repeated."""

    def __init__(self, base: Path, environ: Mapping[str, str], resolve: bool) -> None:
        self._base = base
        self._environ = environ
        self._resolve = resolve

    def __call__(self, reader: Reader, node: yaml.Node, field: str) -> Secret | None:
        text = node.value if isinstance(node, yaml.ScalarNode) else ""
        variable = _ENV.fullmatch(text)
        if variable is None and not (text.startswith("file:") and len(text) > len("file:")):
            reader.note(node, field, f"must be a reference, not the secret itself: {_REFERENCE_ADVICE}")
            return None
        if variable is None:
            text = f"file:{(self._base / Path(text.removeprefix('file:')).expanduser()).resolve()}"
        if not self._resolve:
            return Secret(text)
        value = self._from_environ(variable[1]) if variable else _first_line(Path(text.removeprefix("file:")))
        if not value or not value.isprintable():
            what = "is not set (or empty)" if variable else "cannot be read as one line of text"
            reader.note(node, field, f"refers to `{text}`, which {what}")
            return None
        return Secret(text, value)

    def _from_environ(self, name: str) -> str:
        return self._environ.get(name, "").strip()


def _first_line(path: Path) -> str:
    """Return what stands in a secret's file, or nothing when it cannot be read as text."""
    try:
        with path.open("rb") as file:
            return file.read(_MAX_SECRET).decode().strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _refuse_literals(node: yaml.Node, reader: Reader, field: str) -> None:
    """Note every scalar, anywhere, that looks like a secret; the advice never repeats it."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            _refuse_literals(value, reader, f"{field}.{key.value}" if field else str(key.value))
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _refuse_literals(item, reader, f"{field}[{index}]")
    elif _LOOKS_SECRET.search(str(node.value)) and not field.endswith("api_key"):
        reader.note(node, field, f"looks like it holds a secret: {_REFERENCE_ADVICE}")


def _cross_check(config: Config, reader: Reader, base: Path) -> None:
    """Note what single fields cannot see."""

    def note(field: str, message: str) -> None:
        parent = re.sub(r"(\.[^.\[]+|\[\d+\])$", "", field)
        line = reader.lines.get(field) or reader.lines.get(parent) or 1
        reader.problems.append(Problem(line, field, message))

    if not config.providers:
        note("providers", "must list at least one provider (`api: simulator` needs no key)")
    names: set[str] = set()
    for index, provider in enumerate(config.providers):
        place = f"providers[{index}]"
        if provider.name in names:
            note(f"{place}.name", f"`{provider.name}` is already taken; provider names are unique")
        names.add(provider.name)
        _check_provider(provider, place, note)
    if config.detectors != DetectorSetting():
        from magistrate.app.detectors import problems  # noqa: PLC0415  because small commands need no automaton

        for field, reason in problems(config.detectors, base):
            note(field, reason)
    for field in ("listen", "control"):
        if not 0 < split_address(getattr(config, field))[1] < 1 << 16:
            note(field, "has no port between 1 and 65535")
    if config.listen == config.control:
        note("control", "must differ from `listen`: the control plane is never in the data path")
    _check_retention(config.evidence.retention, note)
    check_stores(config, note)
    check_trust(config.evidence, base, note)


def _check_retention(retention: RetentionSetting, note: Any) -> None:
    schedule, place = retention.schedule(), "evidence.retention"
    for index, each in enumerate(retention.classes):
        floor = FLOORS.get(each.name, 0)
        if each.days < floor:
            note(
                f"{place}.classes[{index}].days", f"must be at least {floor}: `{each.name}` is a rule's name"
            )
    named = [(f"labels[{i}].retention", each.retention) for i, each in enumerate(retention.labels)]
    named += [
        ("default", retention.default),
        *((f"binding[{i}]", n) for i, n in enumerate(retention.binding)),
    ]
    for field, name in named:
        if name not in schedule.days:
            note(f"{place}.{field}", f"`{name}` is no class; there are {', '.join(sorted(schedule.days))}")


def _check_provider(provider: ProviderSetting, place: str, note: Any) -> None:
    if provider.base_url and not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", provider.base_url):
        note(f"{place}.base_url", "must be an http(s) URL without user, query or fragment")
    if provider.api == "azure" and not provider.base_url:
        note(
            f"{place}.base_url",
            "is missing: `azure` has no common address (https://NAME.openai.azure.com/openai/v1)",
        )
    if provider.api == "simulator" and (provider.base_url or provider.api_key):
        note(place, "`simulator` runs in process: it takes neither `base_url` nor `api_key`")
    if not provider.models:
        note(f"{place}.models", 'must name at least one model; `["*"]` passes every name on')
    seen: set[str] = set()
    for index, model in enumerate(provider.models):
        where = f"{place}.models[{index}]"
        if model.name in seen:
            note(where, f"`{model.name}` stands here twice")
        seen.add(model.name)
        if model.pattern and model.upstream:
            note(f"{where}.upstream", "cannot stand beside a pattern: the client's name is passed on")
        if model.price and max(model.price.input, model.price.output) > 10**6:
            note(f"{where}.price", "is more than a million a `per`; check the unit")


def _rooted(config: Config, base: Path) -> Config:
    """Return ``config`` with its relative paths standing on ``base``."""

    def root(text: str) -> str:
        return str((base / Path(text).expanduser()).resolve()) if text else ""

    tls = config.tls and msgspec.structs.replace(
        config.tls, cert=root(config.tls.cert), key=root(config.tls.key)
    )
    return msgspec.structs.replace(
        config,
        data_dir=root(config.data_dir),
        policies=root(config.policies),
        evidence=msgspec.structs.replace(
            config.evidence,
            vault_dir=root(config.evidence.vault_dir),
            socket=root(config.evidence.socket),
            root_key=f"file:{root(str(config.root_key))}" if config.root_key else "",
            timestamp=tuple(
                msgspec.structs.replace(one, ca=root(one.ca)) for one in config.evidence.timestamp
            ),
            beacon=tuple(
                msgspec.structs.replace(one, source=root(one.source)) for one in config.evidence.beacon
            ),
            objects=rooted(config.evidence.objects, root),
            register=rooted(config.evidence.register, root),
        ),
        detectors=msgspec.structs.replace(
            config.detectors,
            dictionaries=tuple(
                msgspec.structs.replace(each, file=root(each.file)) for each in config.detectors.dictionaries
            ),
        ),
        tls=tls,
    )
