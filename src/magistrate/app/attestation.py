"""Who vouches for the log: what the configuration says of witnesses and authorities, for the recorder and for verifiers."""

from collections.abc import Callable, Sequence
from pathlib import Path

from magistrate.adapters.recorder.attesting import Plan, read_standings
from magistrate.adapters.telemetry.exposition import Gauge, render
from magistrate.app.settings import EvidenceSetting
from magistrate.app.verifying import read_authorities, read_sources
from magistrate.evidence.beacon import NEEDS, Drand, Source, installed, read_source
from magistrate.evidence.note import Verifier
from magistrate.evidence.timestamp import Authority
from magistrate.evidence.trust import Trust, of_witnesses
from magistrate.exchange.errors import ConfigurationError

Note = Callable[[str, str], None]
"""Takes a field and what is wrong with it."""


def check_trust(evidence: EvidenceSetting, base: Path, note: Note) -> None:
    """Note every key, quorum and certificate that will not do; relative paths stand on ``base``."""
    keys: list[Verifier] = []
    for index, witness in enumerate(evidence.witness):
        try:
            keys.append(_witness_key(witness.vkey))
        except ValueError as error:
            note(f"evidence.witness[{index}].vkey", str(error))
    if len({key.public for key in keys}) < len(keys):
        note("evidence.witness", "names one key twice; two names do not make two witnesses")
    if evidence.quorum is not None and evidence.quorum > len(evidence.witness):
        note("evidence.quorum", f"cannot be reached: there are {len(evidence.witness)} witnesses")
    for index, authority in enumerate(evidence.timestamp):
        try:
            Authority((base / Path(authority.ca).expanduser()).read_bytes())
        except OSError as error:
            note(f"evidence.timestamp[{index}].ca", f"cannot be read ({error.strerror})")
        except ValueError as error:
            note(f"evidence.timestamp[{index}].ca", str(error))

    for index, beacon in enumerate(evidence.beacon):
        try:
            source = read_source((base / Path(beacon.source).expanduser()).read_bytes())
        except OSError as error:
            note(f"evidence.beacon[{index}].source", f"cannot be read ({error.strerror})")
        except ValueError as error:
            note(f"evidence.beacon[{index}].source", str(error))
        else:
            if isinstance(source, Drand) and not installed():
                note(f"evidence.beacon[{index}]", NEEDS)


def recorder_plan(evidence: EvidenceSetting) -> Plan:
    """Return whom the recorder asks to vouch for the log.

    Raises:
        ConfigurationError: a key, an authority's file or a beacon's is none.
    """
    authorities = read_authorities([Path(one.ca) for one in evidence.timestamp])
    sources = configured_sources(evidence)
    try:
        return Plan(
            witnesses=tuple((one.url, Verifier(one.vkey)) for one in evidence.witness),
            quorum=evidence.quorum,
            authorities=tuple(
                (one.url, authority) for one, authority in zip(evidence.timestamp, authorities, strict=True)
            ),
            witness_every_s=evidence.witness_every_s,
            stamp_every_s=evidence.timestamp_every_s,
            beacons=tuple((one.url, source) for one, source in zip(evidence.beacon, sources, strict=True)),
            beacon_every_s=evidence.beacon_every_s,
            also={
                **{("witness", one.url): one.also for one in evidence.witness},
                **{("authority", one.url): one.also for one in evidence.timestamp},
                **{("beacon", one.url): one.also for one in evidence.beacon},
            },
        )
    except ValueError as error:
        raise ConfigurationError(str(error), "evidence.witness") from None


def configured_sources(evidence: EvidenceSetting) -> list[Source]:
    """Return the beacons that the configuration names. Raises ConfigurationError."""
    return read_sources([Path(one.source) for one in evidence.beacon])


def configured_trust(evidence: EvidenceSetting, vkeys: Sequence[str]) -> Trust | None:
    """Return the policy that the configuration amounts to, or None: it names no witness."""
    if not evidence.witness:
        return None
    logs = [Verifier(vkey) for vkey in vkeys]
    return of_witnesses(logs, [(one.url, Verifier(one.vkey)) for one in evidence.witness], evidence.quorum)


def vouching_metrics(root: Path) -> bytes:
    """Return how those who vouch for the log in ``root`` stand, as a Prometheus exposition; empty if nobody is asked."""
    told = read_standings(root)
    if told is None:
        return b""
    labels = ("kind", "name")
    up = Gauge(
        "magistrate_evidence_vouching_up",
        "Whether a witness, authority or beacon answered last time.",
        labels,
    )
    records = Gauge("magistrate_evidence_vouched_records", "Records that it vouches for.", labels)
    moment = Gauge(
        "magistrate_evidence_vouched_time_seconds", "When it vouched last, since the epoch.", labels
    )
    grave = Gauge(
        "magistrate_evidence_contradicted",
        "Whether a witness says that the log contradicts what it saw.",
        labels,
    )
    for party in told.parties:
        up.set(not party.fails, party.kind, party.name)
        records.set(party.size, party.kind, party.name)
        moment.set(party.at_us / 1e6, party.kind, party.name)
        grave.set(party.grave, party.kind, party.name)
    return render((up, records, moment, grave))


def _witness_key(vkey: str) -> Verifier:
    verifier = Verifier(vkey)
    if not verifier.cosigns:
        raise ValueError("is a log's key; `magistrate witness --show-key` prints a witness's")
    return verifier
