"""Table tests beside the policies: ``tests/*.yaml``, read strictly, run without a gateway."""

from pathlib import Path
from typing import Any

import msgspec

from magistrate.app import yaml_source
from magistrate.app.bundles import starter
from magistrate.app.catalogue import catalogue
from magistrate.app.settings import Config
from magistrate.app.yaml_source import Reader, Rejected
from magistrate.exchange.errors import ConfigurationError
from magistrate.policy.bundle import Bundle
from magistrate.policy.tables import Case, run

MOST_FILES = 1000


class Outcome(msgspec.Struct, frozen=True):
    """One case, where it stands, and what was wrong with its answer: nothing, when it passed."""

    name: str
    place: str
    wrong: tuple[str, ...]


def run_directory(directory: Path | None, bundle: Bundle, config: Config) -> tuple[Outcome, ...]:
    """Run the tests that stand beside the policies in ``directory``; None is the built-in starter.

    Raises:
        ConfigurationError: a file cannot be read or has mistakes; all mistakes of all files are listed.
    """
    endpoints = {endpoint.id: endpoint for endpoint in catalogue(config)}
    paths = sorted(((directory or starter()) / "tests").glob("*.yaml"))
    if len(paths) > MOST_FILES:
        raise ConfigurationError(f"more than {MOST_FILES} files of tests", str(paths[0].parent))
    cases: list[tuple[str, Case]] = []
    problems: list[str] = []
    for path in paths:
        try:
            cases += read_cases(path)
        except ConfigurationError as error:
            problems.append(str(error))
    if problems:
        raise ConfigurationError("\n".join(problems))
    results = run(bundle, [case for _, case in cases], endpoints)
    return tuple(
        Outcome(result.name, place, result.wrong) for (place, _), result in zip(cases, results, strict=True)
    )


def read_cases(path: Path) -> list[tuple[str, Case]]:
    """Return the cases in ``path`` with the place of each.

    Raises:
        ConfigurationError: the file cannot be read, or (as `Rejected`) it has mistakes: all of them are listed.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"cannot be read ({error.strerror})", str(path)) from None
    reader = Reader({}, {}, _hint)
    root = yaml_source.compose(text, str(path))
    cases: Any = reader.read(root, msgspec.inspect.type_info(tuple[Case, ...]), "")
    if reader.problems:
        raise Rejected(str(path), reader.problems)
    return [(f"{path}:{reader.lines[f'[{index}]']}", case) for index, case in enumerate(cases)]


def _hint(_field: str, _value: str) -> str:
    return ""
