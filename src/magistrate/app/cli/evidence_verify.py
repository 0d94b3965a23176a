"""``magistrate evidence verify`` and ``verify-bundle``: prove, offline, trusting the keys one is given."""

import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Annotated

import msgspec
import orjson
import typer
from rich.console import Console
from rich.progress import Progress

from magistrate.adapters.parallel import cores, read_copy
from magistrate.adapters.recorder.archive import Archive
from magistrate.adapters.recorder.reader import EvidenceReader
from magistrate.app.attestation import configured_sources, configured_trust
from magistrate.app.cli.evidence_monitor import coloured
from magistrate.app.cli.located import ConfigOption, DataOption, JsonOption, configuration
from magistrate.app.places import open_log
from magistrate.app.settings import Config
from magistrate.app.verifying import read_authorities, read_policy, read_sources, status_of, told
from magistrate.evidence.attested import Attested
from magistrate.evidence.bundle import verify_bundle
from magistrate.evidence.chain import Copy, verify_shards
from magistrate.evidence.reading import Bundles, read_bundles
from magistrate.evidence.report import Report
from magistrate.exchange.errors import ConfigurationError

PolicyOption = Annotated[
    Path | None,
    typer.Option(
        "--policy",
        help="Trust policy (C2SP tlog-policy): logs, witnesses, quorum. Default: the configuration's.",
    ),
]
AuthorityOption = Annotated[
    list[Path] | None,
    typer.Option("--tsa-ca", help="PEM file of a time-stamping authority you trust. Repeatable."),
]


BeaconOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--beacon",
        help="JSON file of a beacon's source that you trust (a drand network's /info). Repeatable. Default: the configuration's.",
    ),
]


def verify(
    vkey: Annotated[
        str | None, typer.Option(help="The verifier key you trust. Default: the one beside the log.")
    ] = None,
    policy: PolicyOption = None,
    tsa_ca: AuthorityOption = None,
    beacon: BeaconOption = None,
    max_age: Annotated[
        float, typer.Option(min=0, help="Seconds; if the newest record is older, exit 3. 0: any age.")
    ] = 0.0,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Exit 2 also for remarks: silences, calls without an end, clocks."),
    ] = False,
    bodies: Annotated[bool, typer.Option(help="Also check every stored body.")] = True,
    processes: Annotated[
        int, typer.Option(min=0, help="So many read at once. 0: one for each core, up to 4.")
    ] = 0,
    config: ConfigOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Derive every hash, tile, link, signature and time-stamp again from what is on disk, offline.

    Exit 0 all is as it was, 1 something was changed or left out, 2 cannot tell, 3 it ends longer ago than --max-age.
    """
    settings = configuration(config, data)
    with closing(open_log(settings)) as archive:
        _verify_log(
            archive,
            settings,
            vkey,
            policy,
            tsa_ca,
            beacon,
            max_age=max_age,
            bodies=bodies,
            processes=processes,
            strict=strict,
            json=json,
        )


def _verify_log(
    archive: Archive,
    settings: Config,
    vkey: str | None,
    policy: Path | None,
    tsa_ca: list[Path] | None,
    beacon: list[Path] | None,
    *,
    max_age: float,
    bodies: bool,
    processes: int,
    strict: bool,
    json: bool,
) -> None:
    newest = archive.current
    trust = read_policy(policy) if policy else configured_trust(settings.evidence, [newest.vkey])
    key = vkey or (trust.logs[0].vkey if policy and trust and trust.logs else None)
    authorities = read_authorities(tsa_ca or [Path(one.ca) for one in settings.evidence.timestamp])
    sources = read_sources(beacon) if beacon else configured_sources(settings.evidence)
    copies = []
    for number, reader in archive.shards.items():
        attested = Attested(
            trust=trust,
            authorities=authorities,
            cosigned=reader.cosigned(),
            tokens=reader.tokens(),
            sources=sources,
            now_us=time.time_ns() // 1000,
            max_age_us=int(max_age * 1e6) if reader is newest else 0,
        )
        copies.append(
            Copy(
                number,
                reader.objects,
                reader.vkey,
                attested,
                _bundles(reader, bodies=bodies, processes=processes),
            )
        )
    with Progress(
        console=Console(stderr=True), transient=True, disable=json or not sys.stderr.isatty()
    ) as bar:
        task = bar.add_task("verifying", total=None)
        report = verify_shards(
            copies,
            key or newest.vkey,
            also=[newest.mldsa_vkey] if newest.mldsa_vkey and key is None else [],
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    _tell(report, json=json, what="log", key_given=key is not None, strict=strict)


def _bundles(reader: EvidenceReader, *, bodies: bool, processes: int) -> Bundles:
    if reader.storage.remote:
        return read_bundles(reader.objects, reader.ciphertext if bodies else None)
    return read_copy(reader.root, bodies=bodies, processes=processes or cores())


def verify_bundle_file(
    file: Annotated[Path, typer.Argument(help="A bundle that `evidence export` wrote.")],
    vkey: Annotated[str | None, typer.Option(help="The verifier key you trust.")] = None,
    vkey_file: Annotated[Path | None, typer.Option(help="A file that holds it.")] = None,
    policy: PolicyOption = None,
    tsa_ca: AuthorityOption = None,
    beacon: BeaconOption = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 2 also for remarks.")] = False,
    json: JsonOption = False,
) -> None:
    """Verify a bundle with nothing but the bundle, a verifier key and whom else you trust."""
    trust = read_policy(policy) if policy else None
    if vkey is not None and vkey_file is not None:
        raise typer.BadParameter("give --vkey or --vkey-file, not both")
    if vkey is None and vkey_file is None:
        if trust is None or not trust.logs:
            raise typer.BadParameter(
                "give --vkey, --vkey-file or a --policy with a `log` line: a key inside the bundle proves nothing"
            )
        vkey = trust.logs[0].vkey
    authorities = read_authorities(tsa_ca or [])
    try:
        key = vkey or (vkey_file.read_text(encoding="ascii").strip() if vkey_file else "")
        with file.open("rb") as archive:
            report = verify_bundle(
                archive,
                key,
                trust=trust,
                authorities=authorities,
                sources=read_sources(beacon or []),
                now_us=time.time_ns() // 1000,
            )
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot be read ({error})", str(file)) from None
    _tell(report, json=json, what="bundle", key_given=True, strict=strict)


def _tell(report: Report, *, json: bool, what: str, key_given: bool, strict: bool) -> None:
    if json:
        sys.stdout.buffer.write(orjson.dumps(msgspec.to_builtins(report), option=orjson.OPT_INDENT_2) + b"\n")
    else:
        first, *others = told(report, what)
        console = Console(highlight=False)
        console.print(coloured(first))
        for line in others:
            console.print(line, markup=False, style="dim" if line.startswith("  remark,") else None)
        if not key_given:
            console.print(
                "  checked against the key beside the log; an auditor gives the key he trusts with --vkey",
                style="dim",
            )
    raise typer.Exit(status_of(report, strict=strict))
