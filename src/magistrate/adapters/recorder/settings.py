"""What one recorder is told."""

from dataclasses import dataclass, field
from pathlib import Path

from magistrate.adapters.recorder.attesting import Plan
from magistrate.adapters.recorder.rotation import Limits
from magistrate.adapters.recorder.storage import Places
from magistrate.evidence.retention import Schedule


@dataclass(frozen=True, slots=True)
class Settings:
    """Where everything stands. ``origin`` empty: the log's own, or a new random one.

    ``root_key``: a file outside of the vault. ``writers``: users who may hand records over, and nothing else.
    """

    evidence: Path
    vault: Path
    socket: Path
    origin: str = ""
    heartbeat_s: float = 10.0
    trace_idle_s: float = 60.0
    """A trace that is silent for so long and has no open call is closed by a record of its count."""
    root_key: Path | None = None
    retention: Schedule = field(default_factory=Schedule)
    writers: frozenset[int] = frozenset()
    plan: Plan = field(default_factory=Plan)
    """Who is asked to vouch for the log."""
    places: Places = field(default_factory=Places)
    """Where published files and the newest checkpoint are kept, if not in ``evidence``."""
    seal_every_s: float = 1.0
    keep_awake: bool = True
    """Whether processors are kept ready while drafts follow closely, see `alertness`."""
    limits: Limits = field(default_factory=Limits)
    """When the log goes on in a new shard by itself."""
