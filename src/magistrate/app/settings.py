"""What `magistrate.yaml` says, as frozen values. One struct per block; `config` reads them.

Every field's doc line is also what the published JSON Schema says about it.
"""

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from magistrate.exchange.decision import Mode

Api = Literal["openai", "anthropic", "gemini", "azure", "simulator"]
"""How a provider is spoken to. ``bedrock`` has its own error message: it is not supported yet."""

Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
ModelName = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9*?][A-Za-z0-9*?._:@/+-]{0,127}$",
        description="A model's public name, or a pattern (`*`, `gpt-*`): any such name at this provider.",
    ),
]
AddressText = Annotated[
    str,
    Meta(
        pattern=r"^([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\]):[0-9]{1,5}$",
        description="`host:port`; IPv6 in brackets.",
    ),
]
Amount = Annotated[
    Decimal, Meta(extra_json_schema={"type": "number", "minimum": 0, "description": "Per `per` tokens."})
]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]


class Secret(msgspec.Struct, frozen=True):
    """A secret by reference. Printing it shows the reference only; `reveal` is the one way to the value."""

    reference: str
    _value: str = ""

    def reveal(self) -> str:
        """Return the value; empty when the configuration was loaded without resolving secrets."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({self.reference!r})"

    __str__ = __repr__


class PriceSetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a model costs. Exact decimals: they become integer nano-units per token."""

    input: Amount
    output: Amount = Decimal(0)
    cached: Amount | None = None
    per: Literal["1", "1K", "1M"] = "1M"
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}$")] = "USD"


class ModelSetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model at a provider. In the file a bare string is short for `{name: …}`."""

    name: ModelName
    upstream: str = ""
    """The provider's own name for it; empty means the same."""
    price: PriceSetting | None = None
    priority: Annotated[int, Meta(ge=0, le=1000)] | None = None
    weight: Annotated[int, Meta(ge=0, le=1000)] | None = None

    @property
    def pattern(self) -> bool:
        return "*" in self.name or "?" in self.name


class ProviderSetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A place where models are served: one account, region and set of guarantees."""

    name: Name
    api: Api
    models: tuple[ModelSetting, ...]
    base_url: str = ""
    """Empty means the vendor's public address; for `azure` it is required."""
    api_key: Secret | None = None
    region: str = ""
    certifications: tuple[Name, ...] = ()
    priority: Annotated[int, Meta(ge=0, le=1000, description="Lower is tried first.")] = 0
    weight: Annotated[int, Meta(ge=0, le=1000)] = 1
    timeout_s: Seconds = 600.0
    """The longest silence of an endpoint: before its answer begins and within it."""
    connect_timeout_s: Seconds = 10.0


class EvidenceSetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the log is kept."""

    durability: Literal["before-effect", "bounded-async"] = "before-effect"
    origin: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9./_-]{0,126}$")] = "magistrate.local/evidence"
    """The log's name in checkpoints (C2SP tlog-checkpoint: unique, schema-less URL)."""
    vault_dir: str = ""
    """Where the keys of encrypted bodies live; empty means `data_dir/vault`. Another disk in production."""
    witness: tuple[str, ...] = ()
    timestamp: tuple[str, ...] = ()


class LimitSetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hard bounds of one exchange, in bytes: of its request and of its answer."""

    body_bytes: Annotated[int, Meta(ge=1024, le=1 << 30)] = 32 << 20
    answer_bytes: Annotated[int, Meta(ge=1024, le=1 << 30)] = 32 << 20


class ThresholdSetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Scores of your own, in thousandths, from which a model's finding counts. Unset: what the model was measured at."""

    threats: Annotated[int, Meta(ge=1, le=1000)] | None = None
    unsafe: Annotated[int, Meta(ge=1, le=1000)] | None = None


class InspectionSetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The model tier: trained models that read requests after the rules did."""

    model_tier: Literal["on", "off"] = "on"
    deadline_ms: Annotated[int, Meta(ge=1, le=60_000)] = 250
    """For all models together. What is not judged by then is indeterminate, and refused in mode `enforce`."""
    sensitivity: Literal["normal", "high"] = "normal"
    """`normal` takes one harmless text of two hundred for an attack, `high` one of a hundred (measured on sources that
    training left out)."""
    unsafe: Literal["on", "off"] = "off"
    """Requests for harm and abusive language, in users' words. A signal, not a moderation service."""
    thresholds: ThresholdSetting = ThresholdSetting()


class LogSetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What processes write to stderr. Never content."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "text"] = "auto"
    """`auto` writes text on a terminal and JSON lines elsewhere."""


class TlsSetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """PEM files for both listeners."""

    cert: str
    key: str


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that configures Magistrate. Relative paths were resolved against the file's directory."""

    providers: tuple[ProviderSetting, ...]
    listen: AddressText = "127.0.0.1:8484"
    control: AddressText = "127.0.0.1:8485"
    control_hosts: tuple[Name, ...] = ()
    """Names under which the control plane is reached besides its own address (Host header check)."""
    data_dir: str = "./data"
    mode: Mode = Mode.ENFORCE
    policies: str = ""
    """Directory of Cedar policies; empty means the built-in starter policies."""
    evidence: EvidenceSetting = EvidenceSetting()
    limits: LimitSetting = LimitSetting()
    inspection: InspectionSetting = InspectionSetting()
    log: LogSetting = LogSetting()
    tls: TlsSetting | None = None

    @property
    def data(self) -> Path:
        return Path(self.data_dir)

    @property
    def evidence_dir(self) -> Path:
        return self.data / "evidence"

    @property
    def vault_dir(self) -> Path:
        return Path(self.evidence.vault_dir) if self.evidence.vault_dir else self.data / "vault"

    @property
    def state_db(self) -> Path:
        return self.data / "state.db"

    @property
    def run_dir(self) -> Path:
        """Where sockets between our processes live."""
        return self.data / "run"

    @property
    def policies_dir(self) -> Path | None:
        return Path(self.policies) if self.policies else None

    @property
    def simulated(self) -> bool:
        """True when no real provider is configured."""
        return all(provider.api == "simulator" for provider in self.providers)


def split_address(text: str) -> tuple[str, int]:
    """Return host and port of ``host:port``; brackets of an IPv6 host are taken off."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)
