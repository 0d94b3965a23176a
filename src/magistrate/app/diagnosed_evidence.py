"""What a diagnosis says of the log: where it stands and with what, who vouches for it, which shard of it is written."""

from collections.abc import Iterator
from pathlib import Path

from magistrate.app.durability import weaker
from magistrate.app.findings import Finding, Level, World, existing, is_loopback
from magistrate.app.settings import Config, StoreSetting

DAY_US = 86_400_000_000
OVERDUE = 1.1
"""A shard so much beyond its limit was not closed when it should have been."""

MANY_RECORDS, MANY_DAYS = 50_000_000, 366
"""Beyond either a log that nobody divides is worth a word."""


def evidence(config: Config, world: World) -> Iterator[Finding]:
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


def shards(config: Config, world: World) -> Iterator[Finding]:
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


def stores(config: Config, world: World) -> Iterator[Finding]:
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
        if endpoint.startswith("http://") and not is_loopback(endpoint.removeprefix("http://")):
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
    wanted |= {one.url for one in evidence.beacon}
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
        elif party.kind == "beacon":
            seconds = (world.now_us() - party.at_us) / 1e6
            yield Finding(Level.OK, subject, f"its newest value on record was published {seconds:.0f} s ago")
        else:
            yield Finding(Level.OK, subject, f"vouches for the first {party.size} records")


def _same_device(one: Path, other: Path, world: World) -> bool:
    return world.device(existing(one)) == world.device(existing(other))
