"""What is configured, what is weak, and what to do about it: one small check a matter, each returning findings."""

import ctypes
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path

import msgspec

from magistrate.adapters.recorder.attesting import Standings, read_standings
from magistrate.adapters.recorder.outage import StoreStanding, read_store
from magistrate.adapters.recorder.shelf import ShardStanding, read_shards
from magistrate.adapters.state.database import StateUnavailable
from magistrate.adapters.state.keys import KeyStore
from magistrate.app.catalogue import base_url
from magistrate.app.durability import weaker
from magistrate.app.listening import taken
from magistrate.app.settings import Config, StoreSetting
from magistrate.exchange.decision import Mode

GIB = 1 << 30
DAY_US = 86_400_000_000
OVERDUE = 1.1
"""A shard so much beyond its limit was not closed when it should have been."""

MANY_RECORDS, MANY_DAYS = 50_000_000, 366
"""Beyond either a log that nobody divides is worth a word."""

_TIME_ERROR = 5
"""What adjtimex(2) returns while the clock is not synchronised."""


def clock_synchronised() -> bool | None:
    """Return what the kernel says through adjtimex(2) (reading only), or None where it cannot be asked."""
    try:
        library = ctypes.CDLL(None, use_errno=True)
        state = library.adjtimex(ctypes.create_string_buffer(1024))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _TIME_ERROR


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    NOTE = "note"
    WEAK = "weak"
    """It works, and a promise is weaker than it could be."""
    BAD = "bad"
    """It does not work, or a promise is broken."""


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at. ``advice`` is empty exactly when there is nothing to do."""

    level: Level
    subject: str
    says: str
    advice: str = ""


class World(msgspec.Struct, frozen=True):
    """What is asked of the machine, so that a check can be shown every state of it."""

    running: bool
    """True when a magistrate of ours answers on the control port; its ports are then taken by itself."""
    free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free
    device: Callable[[Path], int] = lambda path: path.stat().st_dev
    owner: Callable[[Path], int] = lambda path: path.stat().st_uid
    user: Callable[[], int] = os.getuid
    synchronised: Callable[[], bool | None] = clock_synchronised
    taken: Callable[[str], str | None] = taken
    now_us: Callable[[], int] = lambda: time.time_ns() // 1000
    standings: Callable[[Path], Standings | None] = read_standings
    store: Callable[[Path], StoreStanding | None] = read_store
    shards: Callable[[Path], ShardStanding | None] = read_shards


def diagnose(config: Config, world: World) -> list[Finding]:
    """Return the findings of every check, in the order of the configuration."""
    checks = (
        _mode,
        _providers,
        _listeners,
        _files,
        _keys,
        _policies,
        _evidence,
        _shards,
        _stores,
        _users,
        _disk,
        _clock,
    )
    return [finding for check in checks for finding in check(config, world)]


def _mode(config: Config, _: World) -> Iterator[Finding]:
    if config.mode is Mode.ENFORCE:
        yield Finding(Level.OK, "mode", "policies are enforced")
    else:
        yield Finding(
            Level.WEAK, "mode", f"`{config.mode.value}`: nothing is refused", "set `mode: enforce` when ready"
        )


def _providers(config: Config, _: World) -> Iterator[Finding]:
    for provider in config.providers:
        subject = f"provider {provider.name}"
        if provider.api == "simulator":
            yield Finding(
                Level.WEAK,
                subject,
                "is a simulator: its answers are made up",
                "configure a real provider, or set OPENAI_API_KEY, ANTHROPIC_API_KEY or GEMINI_API_KEY",
            )
            continue
        url = base_url(provider)
        if url.startswith("http://") and not _loopback(url.removeprefix("http://").split("/")[0]):
            yield Finding(
                Level.BAD,
                subject,
                "is reached without TLS: keys and content travel in the clear",
                "use https",
            )
        if not provider.region:
            yield Finding(
                Level.NOTE, subject, "has no region, so residency policies never allow it", "set `region`"
            )
        unpriced = [model.name for model in provider.models if model.price is None]
        if unpriced:
            yield Finding(
                Level.NOTE, subject, f"has no price for {', '.join(unpriced)}: cost is unknown", "set `price`"
            )
        if provider.region and not unpriced:
            yield Finding(Level.OK, subject, f"{provider.api} in {provider.region}")


def _listeners(config: Config, world: World) -> Iterator[Finding]:
    for setting in ("listen", "control"):
        address = getattr(config, setting)
        if not _loopback(address) and config.tls is None:
            yield Finding(
                Level.WEAK, setting, f"`{address}` is open to the network without TLS",
                "set `tls`, or put a proxy that terminates TLS on this host and listen on loopback",
            )  # fmt: skip
        why = world.taken(address)
        if world.running:
            yield Finding(Level.OK, setting, f"magistrate is running; `{address}` is its own")
        elif why is not None:
            yield Finding(
                Level.BAD, setting, f"`{address}` {why}", "stop that process or choose another port"
            )
        else:
            yield Finding(Level.OK, setting, f"`{address}` is free")


def _files(config: Config, _: World) -> Iterator[Finding]:
    private = [config.data, config.state_db, config.data / "control.token", config.run_dir, config.vault_dir]
    private += [config.evidence_dir, *(config.vault_dir / name for name in ("vault.db", "signing.key"))]
    private += [config.root_key or config.vault_dir / "root.key"]
    if config.tls is not None:
        private.append(Path(config.tls.key))
    private += [
        Path(provider.api_key.reference.removeprefix("file:"))
        for provider in config.providers
        if provider.api_key is not None and provider.api_key.reference.startswith("file:")
    ]
    seen = 0
    for path in private:
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
        except FileNotFoundError:
            continue
        seen += 1
        if mode & 0o077:
            yield Finding(
                Level.BAD, "permissions", f"`{path}` is open to others ({mode:04o})", f"chmod go= '{path}'"
            )
    if not seen:
        yield Finding(
            Level.NOTE, "data", f"`{config.data}` is not there yet", "`magistrate serve` creates it"
        )
    elif not os.access(config.data, os.W_OK):
        yield Finding(Level.BAD, "data", f"`{config.data}` cannot be written to", "run as its owner")


def _keys(config: Config, world: World) -> Iterator[Finding]:
    if not config.state_db.exists():
        yield Finding(Level.NOTE, "keys", "there are none yet", "magistrate keys create --user NAME")
        return
    try:
        store = KeyStore(config.state_db, create=False)
        try:
            keys = store.list()
        finally:
            store.close()
    except StateUnavailable as error:
        yield Finding(Level.BAD, "keys", str(error), "until then nobody is authenticated")
        return
    now = world.now_us()
    active = [
        key for key in keys if key.revoked_us is None and (key.expires_us is None or key.expires_us > now)
    ]
    if not active:
        yield Finding(Level.NOTE, "keys", "none is active", "magistrate keys create --user NAME")
    endless = [key.id for key in active if key.expires_us is None]
    if endless:
        yield Finding(
            Level.WEAK, "keys", f"{len(endless)} never expire: {' '.join(endless[:5])}",
            "replace them by keys with `--expires`, then revoke them",
        )  # fmt: skip
    wide = [key.id for key in active if not key.models and not key.groups]
    if wide:
        yield Finding(
            Level.NOTE, "keys", f"{len(wide)} have neither a model ceiling nor a group: {' '.join(wide[:5])}",
            "give keys `--group` so that policy can tell them apart",
        )  # fmt: skip
    if active and not endless:
        yield Finding(Level.OK, "keys", f"{len(active)} active, all expire")


def _policies(config: Config, _: World) -> Iterator[Finding]:
    directory = config.policies_dir
    if directory is None:
        yield Finding(
            Level.NOTE,
            "policies",
            "the built-in starter policies are in force",
            "`magistrate init` writes your own",
        )
        return
    if not any(directory.glob("*.cedar")):
        yield Finding(
            Level.BAD,
            "policies",
            f"there is no `*.cedar` in `{directory}`",
            "`magistrate init` writes some to start from",
        )
        return
    if any((directory / "tests").glob("*.yaml")):
        yield Finding(Level.OK, "policies", f"`{directory}`, with tests (`magistrate policy test` runs them)")
    else:
        yield Finding(
            Level.WEAK,
            "policies",
            "have no tests",
            f"describe what must be refused in `{directory / 'tests'}/*.yaml`",
        )


def _evidence(config: Config, world: World) -> Iterator[Finding]:
    evidence = config.evidence
    if not evidence.origin:
        yield Finding(
            Level.NOTE,
            "evidence",
            "the log has a random name",
            "set `evidence.origin` to a name only you use",
        )
    yield from _durability(config)
    yield from _vouching(config, world)
    if config.vault_dir.is_relative_to(config.data):
        yield Finding(
            Level.WEAK, "vault", "the keys of encrypted bodies lie beside the bodies",
            "set `evidence.vault_dir` to another disk",
        )  # fmt: skip
    elif _same_device(config.vault_dir, config.evidence_dir, world):
        yield Finding(Level.NOTE, "vault", "is on the log's disk", "put it on another one")
    else:
        yield Finding(Level.OK, "vault", f"`{config.vault_dir}`")
    if _same_device(config.evidence_dir, Path("/"), world):
        yield Finding(
            Level.NOTE,
            "evidence",
            "shares the system's disk: a full disk stops calls",
            "give `data_dir` its own disk",
        )


def _durability(config: Config) -> Iterator[Finding]:
    routes, bounded = weaker(config), config.evidence.bounded
    if not routes:
        yield Finding(Level.OK, "durability", "no call goes ahead before its record is durable")
    for route in routes:
        yield Finding(
            Level.WEAK,
            "durability",
            f"{route}: goes ahead before its record is durable; a power failure can lose up to {bounded.records} "
            f"records of calls begun within {bounded.ms} ms",
            "write `before-effect` where every call must be on record",
        )


def _shards(config: Config, world: World) -> Iterator[Finding]:
    """Which shard of the log is written, and whether it should have been closed by now."""
    standing, limits = world.shards(config.evidence_dir), config.evidence.shard
    if standing is None:
        return
    days = (world.now_us() - standing.began_us) / DAY_US if standing.began_us else 0.0
    says = f"shard {standing.number} stands open with {standing.records} records of {days:.0f} days"
    if standing.number > 1:
        away = f", {len(standing.away)} of them put away" if standing.away else ""
        says += f"; {standing.number - 1} closed{away}"
    full = limits.records is not None and standing.records > limits.records * OVERDUE
    old = limits.days is not None and days > limits.days * OVERDUE
    if full or old:
        yield Finding(
            Level.WEAK, "shards", f"{says}: the next one was to begin before",
            "the recorder's log says why it does not; `magistrate evidence rotate` asks for it",
        )  # fmt: skip
    elif (limits.records is None and limits.days is None) and (
        standing.records > MANY_RECORDS or days > MANY_DAYS
    ):
        yield Finding(
            Level.NOTE, "shards", f"{says}, and no end is configured",
            "set `evidence.shard`, so that old records can be put away: docs/evidence.md",
        )  # fmt: skip
    else:
        yield Finding(Level.OK, "shards", says)


def _stores(config: Config, world: World) -> Iterator[Finding]:
    """Whether the log's stores answer, and what they leave to whoever holds their credentials."""
    objects, register = config.evidence.objects, config.evidence.register
    if objects == register == StoreSetting():
        return
    standing = world.store(config.evidence_dir)
    if standing is not None and standing.fails:
        minutes = (world.now_us() - standing.since_us) // 60_000_000
        waits = f"{standing.records} records ({standing.bytes >> 20} of 512 MiB) wait"
        yield Finding(
            Level.BAD, "store", f"{standing.fails}, for {minutes} min; {waits}, calls go on",
            "bring it back: when 512 MiB wait, every call is refused",
        )  # fmt: skip
    elif standing is not None:
        yield Finding(Level.OK, "store", "answered when the recorder asked last")
    for name, store in (("objects", objects), ("register", register)):
        endpoint = store.s3.endpoint if store.s3 is not None else ""
        if endpoint.startswith("http://") and not _loopback(endpoint.removeprefix("http://")):
            yield Finding(Level.BAD, f"store {name}", "is reached without TLS", "use https")
    if objects.s3 is not None and objects.s3.lock == "none":
        yield Finding(
            Level.WEAK, "store objects", "is not locked: who holds its credentials can delete bodies and tiles",
            "use a bucket with Object Lock and `lock: compliance`",
        )  # fmt: skip
    if objects.postgres is not None:
        yield Finding(
            Level.NOTE, "store objects", "PostgreSQL locks nothing: who holds its credentials can delete rows",
            "use S3 with Object Lock where records must be beyond everybody's reach",
        )  # fmt: skip
    if objects != StoreSetting() and register == StoreSetting():
        yield Finding(
            Level.NOTE, "store register", "is on this machine, and the log is not: who loses it cannot go on",
            "set `evidence.register`",
        )  # fmt: skip


def _users(config: Config, world: World) -> Iterator[Finding]:
    """Who owns what: with one user for all, a compromised gateway could read the vault and give orders."""
    if not config.vault_dir.exists() or not config.state_db.exists():
        return
    recorder, gateway = world.owner(config.vault_dir), world.owner(config.state_db)
    one = {"recorder": recorder, "gateway": gateway, "you": world.user()}
    sharing = [name for name, user in one.items() if user == recorder]
    if len(sharing) > 1:
        yield Finding(
            Level.NOTE,
            "users",
            f"{' and '.join(sharing)} share user {recorder}: that user can read and erase content",
            "give the recorder a user of its own: docs/retention-and-erasure.md",
        )
    else:
        yield Finding(Level.OK, "users", f"the recorder has a user of its own ({recorder})")


def _vouching(config: Config, world: World) -> Iterator[Finding]:
    """Who vouches for the log, and whether they do."""
    evidence = config.evidence
    if not evidence.witness:
        yield Finding(
            Level.WEAK, "witness", "none cosigns the log: who holds its key could show two people two histories",
            "let somebody else run `magistrate witness` and name it under `evidence.witness`",
        )  # fmt: skip
    if not evidence.timestamp:
        yield Finding(
            Level.NOTE, "time-stamp", "no authority stamps checkpoints: times in the record are this host's word",
            "name one under `evidence.timestamp`",
        )  # fmt: skip
    told = world.standings(config.evidence_dir)
    if told is None:
        return
    wanted = {one.url for one in evidence.witness} | {one.url for one in evidence.timestamp}
    for party in told.parties:
        if party.url not in wanted:
            continue
        subject = f"{party.kind} {party.name}"
        if party.grave:
            yield Finding(
                Level.BAD, subject, party.fails,
                "stop, keep both histories, and find out which one is true (docs/evidence.md, contradictions)",
            )  # fmt: skip
        elif party.fails:
            minutes = (world.now_us() - party.since_us) // 60_000_000
            yield Finding(
                Level.WEAK, subject, f"{party.fails}, for {minutes} min; calls are not affected",
                f"see whether `{party.url}` is up and reached from here",
            )  # fmt: skip
        else:
            yield Finding(Level.OK, subject, f"vouches for the first {party.size} records")


def _disk(config: Config, world: World) -> Iterator[Finding]:
    free = world.free_bytes(_existing(config.evidence_dir))
    says = f"{free / GIB:.1f} GiB free for evidence"
    if free < GIB:
        yield Finding(Level.BAD, "disk", says, "make room: without durable evidence every call is refused")
    elif free < 10 * GIB:
        yield Finding(Level.WEAK, "disk", says, "make room: a busy day takes about 12 GiB")
    else:
        yield Finding(Level.OK, "disk", says)


def _clock(_: Config, world: World) -> Iterator[Finding]:
    known = world.synchronised()
    if known is None:
        yield Finding(
            Level.NOTE, "clock", "it cannot be told whether it is synchronised", "run chrony or timesyncd"
        )
    elif known:
        yield Finding(Level.OK, "clock", "is synchronised")
    else:
        yield Finding(
            Level.WEAK,
            "clock",
            "is not synchronised: timestamps in evidence may be wrong",
            "run chrony or timesyncd",
        )


def _loopback(address: str) -> bool:
    """Return whether ``host`` or ``host:port`` is this machine's own."""
    bare = address.rpartition("]")[0].strip("[") if address.startswith("[") else address.partition(":")[0]
    return bare in {"localhost", "::1"} or bare.startswith("127.")


def _same_device(one: Path, other: Path, world: World) -> bool:
    return world.device(_existing(one)) == world.device(_existing(other))


def _existing(path: Path) -> Path:
    """Return ``path`` or its nearest ancestor that exists."""
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path
