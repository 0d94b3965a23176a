"""Line: everything a call needs, wired once and swapped whole on reload."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from magistrate.classify.sinks import Sinks
from magistrate.classify.urls import HostList
from magistrate.evidence.retention import Schedule
from magistrate.exchange.decision import Mode
from magistrate.exchange.endpoint import Endpoint
from magistrate.pipeline.durability import Durabilities
from magistrate.pipeline.failmode import CLOSED, FailModes
from magistrate.pipeline.ports import Classifier, Clock, EvidenceLog, Ids, KeyRing, Telemetry, Upstream
from magistrate.pipeline.vault import TokenVault
from magistrate.policy.bundle import Bundle
from magistrate.route.catalogue import Catalogue
from magistrate.route.health import Health, advance
from magistrate.wire.dialect import Dialect


class HealthBoard:
    """The endpoints' health as last seen. The value is pure; this cell is what holds the newest one."""

    def __init__(self) -> None:
        self.now = Health()

    def note(self, endpoint: Endpoint, *, success: bool, now_us: int) -> None:
        """Fold one attempt into the board."""
        self.now = advance(self.now, endpoint.id, success=success, now_us=now_us)


@dataclass(frozen=True, slots=True)
class Limits:
    """Most bytes of one body on the way in and of one answer on the way out; most tries of one call."""

    request_bytes: int = 32 * 1024 * 1024
    answer_bytes: int = 64 * 1024 * 1024
    attempts: int = 3


@dataclass(frozen=True, slots=True)
class Line:
    """What the steps ask. Frozen: a reload makes a new line, and calls under way finish on theirs."""

    clock: Clock
    ids: Ids
    draw: Callable[[], float]
    """A number in [0, 1) that spreads load by weight."""
    keys: KeyRing
    dialects: Mapping[str, Dialect]
    classifier: Classifier
    bundle: Bundle
    catalogue: Catalogue
    evidence: EvidenceLog
    upstream: Upstream
    telemetry: Telemetry
    token_key: bytes
    """Secret from which the keys of `tokenise` follow."""
    sinks: Sinks = field(default_factory=lambda: Sinks(HostList()))
    """Where links and images in answers may lead; without a list, nowhere."""
    mode: Mode = Mode.ENFORCE
    limits: Limits = Limits()
    retention: Schedule = field(default_factory=Schedule)
    fail_modes: FailModes = field(default_factory=lambda: CLOSED)
    durability: Durabilities = field(default_factory=Durabilities)
    """How durable the intent of a call must be before it goes ahead, by route."""
    health: HealthBoard = field(default_factory=HealthBoard)
    vault: TokenVault = field(default_factory=TokenVault)
