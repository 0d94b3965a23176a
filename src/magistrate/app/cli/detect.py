"""``magistrate detect``: what detectors find in a text, and how well they do on a labelled file."""

import asyncio
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from magistrate.adapters.detectors.remote import RemoteDetector
from magistrate.app.cli.located import ConfigOption, JsonOption, configuration
from magistrate.app.detectors import remote_detectors, scanner_maker
from magistrate.app.inspection import model_tier
from magistrate.app.scoring import Score, covers, rows
from magistrate.classify.by_sentence import without_overlap
from magistrate.classify.languages import FAMILY as LANGUAGE
from magistrate.classify.model_tier import ModelTier
from magistrate.classify.scanner import Scanner
from magistrate.exchange.content import Part, PartKind, Role
from magistrate.exchange.errors import ConfigurationError
from magistrate.exchange.finding import Finding, FindingStatus

LONGEST_TEXT = 64 << 20
COLOURS = {
    "pii": "black on yellow", "phi": "black on bright_magenta", "pci": "white on red", "fin": "black on bright_yellow",
    "secret": "white on red", "marking": "black on cyan", "code": "black on bright_blue", "exfil": "white on magenta",
    "place": "black on green", "org": "black on bright_green", "threat": "white on magenta", "content": "white on magenta",
}  # fmt: skip


def detect(
    file: Annotated[
        str, typer.Argument(help="A text file, or `-` for standard input; may be gzip with --score.")
    ],
    score: Annotated[
        bool,
        typer.Option("--score", help="FILE is JSON Lines of labelled texts: {text, label, spans, kind}."),
    ] = False,
    rules_only: Annotated[
        bool,
        typer.Option(
            "--rules-only", help="Leave the trained models out, as `inspection.model_tier: off` does."
        ),
    ] = False,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Show what rules, trained models and your own detectors find. Exit 1 when something is found (--score: never)."""
    settings = configuration(config, None, resolve=True)
    everything = msgspec.structs.replace(settings.inspection, entities="on", unsafe="on")
    reading = _Reading(scanner_maker(settings.detectors)(), None if rules_only else model_tier(everything))
    if score:
        _score(reading, file, json=json)
        return
    text = _read(file)
    findings = reading.findings(text)
    for remote in remote_detectors(settings.detectors):
        findings += asyncio.run(_asked(remote, _parts(text)))
    findings = tuple(sorted(findings, key=lambda f: (f.start, f.end)))
    if json:
        shown = [_plain(f) for f in findings]
        print(msgspec.json.encode({"versions": reading.versions, "findings": shown}).decode())
    else:
        _show(text, findings)
    if any(f.status is FindingStatus.INDETERMINATE for f in findings):
        raise typer.Exit(2)
    raise typer.Exit(int(any(not covers(f.label, LANGUAGE) for f in findings)))


class _Reading:
    """Rules and models over a text that somebody wrote."""

    def __init__(self, scanner: Scanner, tier: ModelTier | None) -> None:
        self._scanner = scanner
        self._tier = tier
        self.versions = {"always-on": scanner.version, **(tier.versions if tier else {})}

    def findings(self, text: str) -> tuple[Finding, ...]:
        parts = _parts(text)
        found = self._scanner.scan(parts)
        return found + without_overlap(self._tier.judge(parts, lambda: False), found) if self._tier else found


def _parts(text: str) -> tuple[Part, ...]:
    return (Part((), Role.USER, PartKind.TEXT, text),)


async def _asked(remote: RemoteDetector, parts: tuple[Part, ...]) -> tuple[Finding, ...]:
    try:
        return await remote.classify(parts)
    finally:
        await remote.aclose()


def _read(file: str) -> str:
    try:
        if file == "-":
            data = sys.stdin.buffer.read(LONGEST_TEXT + 1)
        else:
            with Path(file).open("rb") as opened:
                data = opened.read(LONGEST_TEXT + 1)
    except OSError as error:
        raise ConfigurationError(f"cannot be read ({error.strerror})", file) from None
    if len(data) > LONGEST_TEXT:
        raise ConfigurationError(f"is longer than {LONGEST_TEXT >> 20} MB", file)
    return data.decode("utf-8", "replace")


def _plain(finding: Finding) -> dict[str, Any]:
    return {
        "label": finding.label, "also": finding.also, "start": finding.start, "end": finding.end, "score": finding.score_milli / 1000,
        "status": finding.status.value, "detector": finding.detector, "version": finding.version, "view": finding.view,
        "rule": finding.detail,
    }  # fmt: skip


def _show(text: str, findings: Sequence[Finding]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    if console.is_terminal:
        marked = Text(_printable(text))
        for finding in findings:
            marked.stylize(_style(finding), finding.start, finding.end)
        console.print(marked)
        console.print()
    if not findings:
        console.print("nothing found")
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("label", "where", "line", "score", "rule", "as"):
        table.add_column(heading, overflow="fold")
    for f in findings:
        label = Text(", ".join(f.labels), _style(f) if console.is_terminal else "")
        where = f"{f.start}-{f.end}" if f.end else ""
        line = str(text.count("\n", 0, f.start) + 1) if f.end else ""
        table.add_row(label, where, line, f"{f.score_milli / 1000:.2f}", Text(f.detail), f.view)
    console.print(table)


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() or c in "\n\t" else "�" for c in text)


def _style(finding: Finding) -> str:
    if finding.status is FindingStatus.INDETERMINATE:
        return "bold red"
    return COLOURS.get(finding.label.partition(".")[0], "reverse")


def _score(reading: _Reading, file: str, *, json: bool) -> None:
    tally = Score()
    errors = Console(stderr=True)
    every: Iterable[Any] = rows(Path("/dev/stdin" if file == "-" else file))
    if errors.is_terminal:
        every = track(every, description="reading", console=errors, transient=True)
    for row in every:
        found = reading.findings(row.text)
        tally.add(row, [(f.label, f.start, f.end) for f in found if f.status is FindingStatus.FOUND])
    report = {"versions": reading.versions, **tally.report()}
    if json:
        print(msgspec.json.encode(report).decode())
        return
    console = Console(highlight=False)
    whole = report["all"]
    console.print(f"{report['texts']} texts; labelled spans {whole['spans']}, found {whole['found']}; "
                  f"precision {_figure(whole['precision'])}, recall {_figure(whole['recall'])}, F1 {_figure(whole['f1'])}")  # fmt: skip
    for title, name, columns in (
        ("labels", "types", ("spans", "found", "right", "beside", "false", "precision", "recall", "f1")),
        ("texts with something to find", "kinds", ("texts", "flagged", "recall")),
        ("texts with nothing to find", "benign", ("texts", "flagged", "rate")),
    ):
        if report[name]:
            console.print(_table(title, report[name], columns))
    if report["not_scored"]:
        console.print(
            "not scored: " + ", ".join(f"{kind} {count}" for kind, count in report["not_scored"].items())
        )


def _table(title: str, lines: dict[str, dict[str, Any]], columns: tuple[str, ...]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column(title)
    for heading in columns:
        table.add_column(heading, justify="right")
    for name, values in lines.items():
        table.add_row(Text(name), *(_figure(values.get(column)) for column in columns))
    return table


def _figure(value: object) -> str:
    return "-" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)
