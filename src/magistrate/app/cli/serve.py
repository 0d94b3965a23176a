"""``magistrate serve``: start gateway, recorder and control, and say how to begin."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console

from magistrate.adapters.upstreams.local_model import INSTALL, MODEL, installed
from magistrate.app.bundles import PolicySource
from magistrate.app.config import Config, load
from magistrate.app.first_start import Credentials, first_credentials, prepare_data
from magistrate.app.processes import settled
from magistrate.app.stores import variables
from magistrate.app.supervisor import Child, Supervisor, command, environment, without_secrets
from magistrate.exchange.errors import ConfigurationError

DEFAULT_CONFIG = Path("magistrate.yaml")


def serve(
    config: Annotated[
        Path | None, typer.Option(help="Configuration file. Default: ./magistrate.yaml if it is there.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Data directory, instead of the file's.")] = None,
    listen: Annotated[str | None, typer.Option(help="host:port of the data plane.")] = None,
    control: Annotated[str | None, typer.Option(help="host:port of the control plane.")] = None,
    local_model: Annotated[
        bool,
        typer.Option("--local-model", help="Serve a real small model in process (see `make local-model`)."),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print what was started as one JSON line.")] = False,
) -> None:
    """Start the gateway, the evidence recorder and the control plane."""
    path = config or (DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None)
    settings = settled(load(path, os.environ), data=data, listen=listen, control=control)
    # What would stop the gateway later is found now, while somebody is looking at the terminal.
    bundle = PolicySource(settings.policies_dir).load()
    if local_model:
        _require_local_model()
    prepare_data(settings)
    credentials = first_credentials(settings)
    console = Console(stderr=True, highlight=False)
    supervisor = Supervisor(
        _children(settings, path, local_model=local_model), say=lambda text: console.print(text, markup=False)
    )

    def on_ready() -> None:
        if json:
            sys.stdout.write(orjson.dumps(_facts(settings, credentials, bundle.digest)).decode() + "\n")
            sys.stdout.flush()
        else:
            _welcome(settings, credentials, bundle.digest, path, local_model=local_model)

    raise typer.Exit(asyncio.run(supervisor.run(on_ready)))


def _children(config: Config, path: Path | None, *, local_model: bool) -> list[Child]:
    shared = ["--data", str(config.data.resolve()), "--listen", config.listen, "--control", config.control]
    if path is not None:
        shared += ["--config", str(path.resolve())]
    everything = environment()
    names = [
        p.api_key.reference[2:-1]
        for p in config.providers
        if p.api_key and p.api_key.reference.startswith("${")
    ]
    scrubbed = without_secrets(everything, names)
    stores = variables(config)

    def process(name: str, *more: str) -> list[str]:
        return command("magistrate.app.processes", name, *shared, *more)

    return [
        Child("recorder", process("recorder"), scrubbed),
        Child("control", process("control"), without_secrets(scrubbed, stores)),
        Child(
            "gateway",
            process("gateway", *(["--local-model"] if local_model else [])),
            without_secrets(everything, stores),
        ),
    ]


def _facts(config: Config, credentials: Credentials, digest: str) -> dict[str, object]:
    return {
        "listen": config.listen,
        "control": config.control,
        "data": str(config.data.resolve()),
        "policies": digest,
        "simulated": config.simulated,
        "key": credentials.key,
        "admin_token_file": str(credentials.token_file),
    }


def _welcome(
    config: Config, credentials: Credentials, digest: str, path: Path | None, *, local_model: bool
) -> None:
    out = Console(highlight=False, soft_wrap=True)
    base = f"http{'s' if config.tls else ''}://{config.listen}"
    model = MODEL if local_model else next((m.name for p in config.providers for m in p.models), "m")
    model = model.replace("*", "demo")
    out.print(f"[bold]magistrate[/bold] is judging calls at [bold]{base}[/bold]")
    out.print(f"  configuration  {path or 'the embedded default (`magistrate init` writes files to change)'}")
    out.print(f"  policies       {digest[:16]}, mode {config.mode.value}")
    out.print(f"  evidence       {config.evidence_dir}")
    out.print(f"  control plane  http://{config.control}  (token in {credentials.token_file})")
    for provider in config.providers:
        where = "a simulator: its answers are made up" if provider.api == "simulator" else provider.api
        out.print(f"  provider       {provider.name} ({where})")
    if credentials.key:
        out.print(f"\nYour first key, shown once:\n  [bold]{credentials.key}[/bold]")
    key = credentials.key or "$MAGISTRATE_KEY"
    out.print("\nTry it:")
    out.print(
        f"  curl -i {base}/v1/chat/completions -H 'authorization: Bearer {key}' \\\n"
        f"    -H 'content-type: application/json' \\\n"
        f'    -d \'{{"model": "{model}", "messages": [{{"role": "user", "content": "mail ada@example.org"}}]}}\'',
        markup=False,
    )
    out.print(
        "\nThen: magistrate evidence search · magistrate evidence verify · magistrate tail · magistrate doctor"
    )


def _require_local_model() -> None:
    if not installed():
        raise ConfigurationError(INSTALL)
