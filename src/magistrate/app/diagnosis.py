"""What is configured, what is weak, and what to do about it: one small check a matter, each returning findings."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from magistrate.adapters.state.database import StateUnavailable
from magistrate.adapters.state.keys import KeyStore
from magistrate.app.catalogue import base_url
from magistrate.app.diagnosed_evidence import evidence, shards, stores
from magistrate.app.findings import GIB, Finding, Level, World, existing, is_loopback
from magistrate.app.settings import Config
from magistrate.exchange.decision import Mode

__all__ = ["GIB", "Finding", "Level", "World", "diagnose"]


def diagnose(config: Config, world: World) -> list[Finding]:
    """Return the findings of every check, in the order of the configuration."""
    checks = (
        _mode,
        _providers,
        _listeners,
        _files,
        _keys,
        _policies,
        evidence,
        shards,
        stores,
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
        if url.startswith("http://") and not is_loopback(url.removeprefix("http://").split("/")[0]):
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
        if not is_loopback(address) and config.tls is None:
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


def _disk(config: Config, world: World) -> Iterator[Finding]:
    free = world.free_bytes(existing(config.evidence_dir))
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
