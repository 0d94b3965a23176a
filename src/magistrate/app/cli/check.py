"""``magistrate check``: everything that can be known to be wrong before anything runs."""

import difflib
import os
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from magistrate.app.bundles import PolicySource, starter
from magistrate.app.cli.located import JsonOption, chosen
from magistrate.app.config import Config, load
from magistrate.app.detectors import own_labels
from magistrate.app.policy_tests import run_directory
from magistrate.classify.entities import LABELS
from magistrate.classify.languages import FAMILY as LANGUAGE
from magistrate.classify.rules import RULES
from magistrate.classify.taxonomy import TAXONOMY
from magistrate.exchange.errors import ConfigurationError
from magistrate.policy.bundle import Bundle
from magistrate.policy.source import labels_named


class Report(msgspec.Struct):
    """``problems`` and ``notes`` read ``file:line: reason``; without problems, the installation may start."""

    config: str
    policies: str
    problems: list[str]
    notes: list[str]
    bundle: str = ""
    rules: int = 0
    tests: int = 0


def check(
    config: Annotated[
        Path | None, typer.Argument(help="Configuration file. Default: ./magistrate.yaml if it is there.")
    ] = None,
    secrets: Annotated[
        bool,
        typer.Option("--secrets/--no-secrets", help="Also require that every referenced secret is there."),
    ] = True,
    json: JsonOption = False,
) -> None:
    """Check configuration, policies and their tests. Exit 1 naming each place that is wrong."""
    report = examine(chosen(config), secrets=secrets)
    if json:
        print(msgspec.json.encode({"ok": not report.problems, **msgspec.to_builtins(report)}).decode())
    elif report.problems:
        for problem in report.problems:
            typer.echo(problem, err=True)
    else:
        print(f"{report.config}: good")
        print(f"{report.policies}: good, {report.rules} policies, {report.tests} tests passed")
        print(f"bundle {report.bundle}")
    if not json:
        for note in report.notes:
            typer.echo(f"note: {note}", err=True)
    raise typer.Exit(int(bool(report.problems)))


def examine(path: Path | None, *, secrets: bool) -> Report:
    """Return what is wrong with the configuration at ``path`` and the policies it names."""
    report = Report(config=str(path or "the embedded default"), policies="", problems=[], notes=[])
    settings: Config | None = None
    try:
        settings = load(path, os.environ, resolve=secrets)
    except ConfigurationError as error:
        report.problems += str(error).splitlines()
    if settings is None and secrets:
        # A missing secret must not hide what is wrong with the policies.
        try:
            settings = load(path, os.environ, resolve=False)
        except ConfigurationError:
            return report  # its problems are listed already
    if settings is not None:
        _policies(settings, report)
    return report


def _policies(config: Config, report: Report) -> None:
    directory = config.policies_dir
    root = directory or starter()
    report.policies = str(directory or "the built-in starter policies")
    try:
        bundle = PolicySource(directory).load()
    except ConfigurationError as error:
        # Bundles know their files by name; joining leaves a place that is a whole path as it is.
        report.problems += [str(root / line) for line in str(error).splitlines()]
        return
    report.bundle, report.rules = bundle.digest, len(bundle.statements)
    report.notes += [str(root / note) for note in _unknown_labels(bundle, own_labels(config))]
    report.notes += [str(root / note) for note in _labels_of_the_idle(bundle, config)]
    try:
        outcomes = run_directory(directory, bundle, config)
    except ConfigurationError as error:
        report.problems += str(error).splitlines()
        return
    report.tests = len(outcomes)
    report.problems += [f"{o.place}: `{o.name}`: {reason}" for o in outcomes for reason in o.wrong]


def _unknown_labels(bundle: Bundle, own: frozenset[str]) -> Iterator[str]:
    """Yield what policies say of labels that no detector is known to give: most often a slip of the pen."""
    given = {name for name, label in TAXONOMY.items() if not label.reserved} | own
    known = sorted({family for name in given for family in _family(name)})
    for statement in bundle.statements.values():
        for label in sorted(labels_named(statement)):
            if not any(fnmatchcase(name, label) for name in known):
                near = difflib.get_close_matches(label, known, 1)
                meant = f"; did you mean `{near[0]}`?" if near else ""
                yield f"{statement.file}:{statement.line}: no built-in detector gives the label `{label}`{meant}"


def _labels_of_the_idle(bundle: Bundle, config: Config) -> Iterator[str]:
    """Yield which policies ask for labels that only a model gives which is off."""
    setting = config.inspection
    states = {
        "entities": (setting.entities, LABELS),
        "languages": (setting.languages, tuple(name for name in TAXONOMY if name.startswith(f"{LANGUAGE}."))),
    }
    others = {name for rule in RULES for name in _family(rule.label)} | own_labels(config)
    for model, (state, labels) in states.items():
        if setting.model_tier == state == "on":
            continue
        idle = {name for label in labels for name in _family(label)} - others
        for statement in bundle.statements.values():
            for label in sorted(set(labels_named(statement)) & idle):
                where = f"{statement.file}:{statement.line}"
                yield f"{where}: nothing gives the label `{label}` while `inspection.{model}` or `inspection.model_tier` is off"


def _family(label: str) -> list[str]:
    steps = label.split(".")
    return [".".join(steps[:n]) for n in range(1, len(steps) + 1)]
