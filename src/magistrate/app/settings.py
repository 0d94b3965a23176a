"""What `magistrate.yaml` says, as frozen values. One struct per block; `config` reads them.

Every field's doc line is also what the published JSON Schema says about it.
"""

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from magistrate.evidence.retention import BINDING, BUILT_IN, STANDARD, Schedule
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
ClassName = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
Host = Annotated[
    str,
    Meta(
        pattern=r"^(\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$",
        description="A host name in ASCII (`xn--…` for others), or `*.name` for every host below a name.",
    ),
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


class RetentionClassSetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long bodies of one class are kept."""

    name: ClassName
    days: Annotated[int, Meta(ge=1, le=36_525)]


class RetentionLabelSetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which class content with a label gets. `phi` speaks for `phi.mrn` too."""

    label: Annotated[str, Meta(pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)*$")]
    retention: ClassName


class RetentionSetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Retention classes. Built in: hipaa, sec-17a-4, pci, eu-ai-act, standard."""

    classes: tuple[RetentionClassSetting, ...] = ()
    """Classes of your own, or longer days for built-in ones. Never shortened once in use."""
    labels: tuple[RetentionLabelSetting, ...] = (
        RetentionLabelSetting("phi", "hipaa"),
        RetentionLabelSetting("pci", "pci"),
    )
    default: ClassName = STANDARD
    """What a record gets that no label claims."""
    binding: tuple[ClassName, ...] = BINDING
    """Classes whose keys an erasure leaves alone until their time is over, because a law binds more than the request."""

    def schedule(self) -> Schedule:
        """Return it as one value."""
        return Schedule(
            {**BUILT_IN, **{each.name: each.days for each in self.classes}},
            {each.label: each.retention for each in self.labels},
            self.default,
            self.binding,
        )


Url = Annotated[str, Meta(pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$", description="An http(s) URL.")]


MOST_ADDRESSES = 8
"""Each may take some seconds to fail, and others wait their turn."""


class WitnessSetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A witness that cosigns the log (C2SP tlog-witness)."""

    url: Url
    """Its submission prefix: `add-checkpoint` is asked for below it."""
    vkey: Annotated[str, Meta(max_length=4096)]
    """Its verifier key, as `magistrate witness --show-key` prints it."""
    also: Annotated[tuple[Url, ...], Meta(max_length=MOST_ADDRESSES)] = ()
    """Other addresses of the same witness, asked in turn while those before them do not answer well."""


class TimestampSetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A time-stamping authority (RFC 3161)."""

    url: Url
    ca: str
    """PEM file of the certificates that its stamps are verified with, ending in a root."""
    also: Annotated[tuple[Url, ...], Meta(max_length=MOST_ADDRESSES)] = ()
    """Other addresses of the same authority, asked in turn while those before them do not answer well."""


class BeaconSetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A beacon: a source of values that nobody knew before their time."""

    url: Url
    """Where it tells its newest value; a drand network's `…/public/latest`."""
    source: str
    """JSON file that says who signs: what a drand network answers at `…/info`, or `{"kind": "signed", "name", "public_key"}`."""
    also: Annotated[tuple[Url, ...], Meta(max_length=MOST_ADDRESSES)] = ()
    """Other addresses of the same beacon, asked in turn while those before them do not answer well."""


Promised = Literal["before-effect", "bounded-async"]
"""How durable the record of a decision must be before its call goes ahead."""


class DurableRouteSetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What calls of a model and an operation are promised. The first route that covers a call counts."""

    durability: Promised
    model: ModelName = "*"
    """The model as clients name it, or a pattern."""
    operation: Literal["", "chat", "responses", "messages", "generate", "embeddings", "count_tokens"] = ""
    """Empty: any."""


class BoundSetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much may have gone ahead without being durable yet, of one gateway. Beyond it calls wait."""

    records: Annotated[int, Meta(ge=1, le=1024)] = 64
    bytes: Annotated[int, Meta(ge=65_536, le=67_108_864)] = 8_388_608
    ms: Annotated[int, Meta(ge=1, le=1000)] = 100
    """Between the hand-over of the oldest record that is not durable yet and that of the newest."""


Reference = Annotated[
    str,
    Meta(
        pattern=r"^(\$\{[A-Za-z_][A-Za-z0-9_]*\}|file:.+)?$",
        description="A secret by reference: `${NAME}` or `file:PATH`. Read by who opens the store, and by nobody else.",
    ),
]
Prefix = Annotated[
    str, Meta(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*/?)?$", max_length=256)
]


class S3Setting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A bucket, at Amazon or any server that speaks S3."""

    bucket: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
    prefix: Prefix = ""
    """What every key begins with; two logs never share one."""
    endpoint: Annotated[str, Meta(pattern=r"^(https?://[^\s/?#@]+)?$")] = ""
    """The server's address; empty means Amazon's for the region."""
    region: Annotated[str, Meta(pattern=r"^[a-z0-9-]{0,40}$")] = "us-east-1"
    access_key: Reference = ""
    """Empty, like `secret_key`: what the AWS SDK finds (environment, profile, instance role)."""
    secret_key: Reference = ""
    ca: str = ""
    """PEM file of the authority that the server's certificate is checked with; empty means the system's."""
    lock: Literal["compliance", "none"] = "compliance"
    """`compliance`: bodies and full tiles cannot be deleted before their time by anybody (S3 Object Lock). The bucket
    must have been made with it. Not used for the register."""


class PostgresSetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A PostgreSQL database."""

    url: Reference
    """A reference to its address, for example of `postgresql://user:password@host/db?sslmode=verify-full`."""
    prefix: Prefix = ""
    """The log's name in the tables; two logs never share one."""


class StoreSetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One store: `s3` or `postgres`. Neither: the evidence directory."""

    s3: S3Setting | None = None
    postgres: PostgresSetting | None = None


class ShardSetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When the log goes on in a new shard by itself. `magistrate evidence rotate` does it at any time."""

    records: Annotated[int, Meta(ge=1000, le=1 << 40)] | None = None
    """A shard of so many records is closed; empty: size does not matter."""
    days: Annotated[float, Meta(ge=0.01, le=36_500)] | None = None
    """A shard that began so many days ago is closed; empty: age does not matter. Half a year is usual."""


class EvidenceSetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the log is kept."""

    durability: Promised = "before-effect"
    """Where no route says otherwise. `bounded-async` is weaker: docs/evidence.md says what it can lose."""
    routes: Annotated[tuple[DurableRouteSetting, ...], Meta(max_length=1000)] = ()
    """Routes with a promise of their own. Refusals, outcomes and whatever may bear tools are `before-effect` anyway."""
    bounded: BoundSetting = BoundSetting()
    origin: Annotated[str, Meta(pattern=r"^([A-Za-z0-9][A-Za-z0-9./_-]{0,126})?$")] = ""
    """The log's name in checkpoints (C2SP tlog-checkpoint: unique, schema-less URL), for example
    `evidence.hospital.example/gateway`. Empty: the log names itself, at random, when it begins."""
    vault_dir: str = ""
    """Where the keys of encrypted bodies live; empty means `data_dir/vault`. Another disk in production."""
    root_key: Annotated[str, Meta(pattern=r"^(file:.+)?$")] = ""
    """`file:PATH` of the vault's root key (32 bytes, mode 0600); empty means `root.key` in the vault."""
    socket: str = ""
    """Where the recorder listens; empty means `data_dir/run/recorder.sock`."""
    writers: tuple[Annotated[str, Meta(pattern=r"^([a-z_][a-z0-9_-]{0,31}|[0-9]{1,10})$")], ...] = ()
    """Users besides the recorder's own who may hand records over, and nothing else: the gateway's, when it has its own."""
    retention: RetentionSetting = RetentionSetting()
    trace_idle_s: Annotated[float, Meta(ge=1, le=86_400)] = 60.0
    """A trace that is silent for so long, and has no open call, is closed by a record of its count."""
    witness: tuple[WitnessSetting, ...] = ()
    """Who cosigns the log's checkpoints; run by others than those who run Magistrate."""
    quorum: Annotated[int, Meta(ge=1, le=64)] | None = None
    """So many of the witnesses make a checkpoint a witnessed one; empty means all of them."""
    witness_every_s: Annotated[float, Meta(ge=1, le=3600)] = 30.0
    timestamp: tuple[TimestampSetting, ...] = ()
    """Who time-stamps checkpoints."""
    timestamp_every_s: Annotated[float, Meta(ge=10, le=86_400)] = 600.0
    beacon: tuple[BeaconSetting, ...] = ()
    """Whose values are written into the log, so that what follows them is provably not older."""
    beacon_every_s: Annotated[float, Meta(ge=1, le=86_400)] = 600.0
    objects: StoreSetting = StoreSetting()
    """Where what is published goes: tiles, checkpoints, encrypted bodies. The write-ahead log stays local."""
    register: StoreSetting = StoreSetting()
    """Where the newest signed checkpoint is compared and swapped, so that two recorders never sign for one log."""
    seal_every_s: Annotated[float, Meta(ge=1, le=60)] = 1.0
    """A checkpoint covers a record at most this long after it is durable; a store far away is asked less often."""
    shard: ShardSetting = ShardSetting()
    keep_awake: bool = True
    """Whether processors are kept from sleeping while records follow each other closely: docs/operations.md, Speed."""


LabelName = Annotated[
    str,
    Meta(
        pattern=r"^[a-z][a-z0-9_]{0,31}(\.[a-z0-9_]{1,32}){0,3}$",
        description="A label: dotted, as in docs/labels.md, or one of your own.",
    ),
]


class PatternSetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A pattern of your own."""

    id: Name
    label: LabelName
    pattern: str
    """In the common syntax without look-around; its longest match has at most 1024 characters, 96 with white space."""
    ignore_case: bool = False
    score: Annotated[float, Meta(gt=0, le=1)] = 0.9


class DictionarySetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Values of your own, found by keyed hash."""

    id: Name
    label: LabelName
    file: str
    """Made by `magistrate dictionary`; it holds hashes only."""
    key: Secret
    """The key it was made with."""


class RemoteSetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A detector that is asked over HTTP, for requests and answers."""

    id: Name
    url: Annotated[str, Meta(pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$")]
    token: Secret | None = None
    timeout_s: Annotated[float, Meta(gt=0, le=10)] = 0.5
    on_failure: Literal["indeterminate", "skip"] = "indeterminate"
    """What its silence means: `indeterminate` is denied unless the fail-mode table says otherwise; `skip` is a finding."""
    streams: Literal["read", "indeterminate", "skip"] = "read"
    """`read`: it is asked about streamed answers sentence by sentence, and the text waits for it. The others: it is not
    asked about them, and that is indeterminate, or a finding."""


class DetectorSetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is looked for beside the built-in rules."""

    trusted_hosts: tuple[Annotated[str, Meta(pattern=r"^[A-Za-z0-9.-]{1,253}$")], ...] = ()
    """Hosts, with those below them, to which links may carry data: they give no `exfil.url`."""
    patterns: tuple[PatternSetting, ...] = ()
    dictionaries: tuple[DictionarySetting, ...] = ()
    remote: tuple[RemoteSetting, ...] = ()


class LimitSetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hard bounds of one exchange, in bytes: of its request and of its answer."""

    body_bytes: Annotated[int, Meta(ge=1024, le=1 << 30)] = 32 << 20
    answer_bytes: Annotated[int, Meta(ge=1024, le=1 << 30)] = 32 << 20


class ThresholdSetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Scores of your own, in thousandths, from which a model's finding counts. Unset: what the model was measured at."""

    threats: Annotated[int, Meta(ge=1, le=1000)] | None = None
    entities: Annotated[int, Meta(ge=1, le=1000)] | None = None
    unsafe: Annotated[int, Meta(ge=1, le=1000)] | None = None


class InspectionSetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The model tier: trained models that read requests and answers after the rules did."""

    model_tier: Literal["on", "off"] = "off"
    """Off unless you ask: it costs time, and a call whose inspection misses its deadline is refused."""
    answers: Literal["on", "off"] = "on"
    """Whether it reads answers too, sentence by sentence. A stream then comes in sentences instead of words."""
    deadline_ms: Annotated[int, Meta(ge=1, le=60_000)] = 250
    """For all models together, over a request, or over up to 64 sentences of an answer. What is not judged by then is
    indeterminate, and refused in mode `enforce`."""
    sensitivity: Literal["normal", "high"] = "normal"
    """`normal` takes one harmless text of two hundred for an attack, `high` one of a hundred (measured on sources that
    training left out)."""
    entities: Literal["on", "off"] = "off"
    """Names of people, places and organisations, addresses, dates about a person, health near a person. Off unless you ask: with
    the starter policies every name is redacted on its way to an endpoint without an agreement, the famous ones too."""
    languages: Literal["on", "off"] = "off"
    """Which language each text of a user is in, as a label for policy (`language.de`). It speaks of nothing bad."""
    unsafe: Literal["on", "off"] = "off"
    """Requests for harm in users' words, abusive language there and in answers. A signal, not a moderation service."""
    thresholds: ThresholdSetting = ThresholdSetting()


class LogSetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What processes write to stderr. Never content."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "text"] = "auto"
    """`auto` writes text on a terminal and JSON lines elsewhere."""


class SinkSetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where links and images in answers may lead. What leads elsewhere is labelled `sink.link` or `sink.image`."""

    allow: tuple[Host, ...] = ()


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
    detectors: DetectorSetting = DetectorSetting()
    limits: LimitSetting = LimitSetting()
    inspection: InspectionSetting = InspectionSetting()
    log: LogSetting = LogSetting()
    sinks: SinkSetting = SinkSetting()
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
    def recorder_socket(self) -> Path:
        return Path(self.evidence.socket) if self.evidence.socket else self.run_dir / "recorder.sock"

    @property
    def root_key(self) -> Path | None:
        """The root key's file where it is not in the vault."""
        reference = self.evidence.root_key
        return Path(reference.removeprefix("file:")) if reference else None

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
