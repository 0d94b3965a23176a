"""Bundle: policies validated, hashed and compiled; a bundle that exists is valid."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

import cedarpy
import msgspec

from magistrate.exchange.decision import Mode, Obligation
from magistrate.exchange.errors import ConfigurationError
from magistrate.policy.source import Problem, Statement, read_statements

if TYPE_CHECKING:
    from collections.abc import Callable

    from magistrate.exchange.decision import Decision

SCHEMA = "schema.cedarschema"
MOST_BYTES = 4 * 1024 * 1024
MOST_POLICIES = 10_000
OBLIGATION_PARAMS = ("except", "max_output_tokens", "message", "method", "prefer", "restore")
REMEMBERED_DECISIONS = 4096
"""Equal situations are decided once per bundle; a decision holds about a kilobyte."""


class Does(StrEnum):
    """What a policy that matches does."""

    PERMIT = "permit"
    DENY = "deny"
    ESCALATE = "escalate"
    OBLIGE = "oblige"


class Control(msgspec.Struct, frozen=True):
    """A policy as deciding needs it; ``obligation`` exactly where it obliges."""

    does: Does
    mode: Mode
    obligation: Obligation | None = None


class Bundle:
    """A valid set of policies. Immutable; two bundles with the same digest decide alike.

    ``compiled`` holds every policy under its own ``@id`` and *as a permit*. Cedar names only the policies that
    determined its answer, so a forbid would hide the permits, and a permit that grants would hide nothing but say
    nothing of obligations. With permits alone its answer is the whole list of policies whose scope and conditions
    hold, in one question per endpoint; what each does stands in ``controls``, and ``decide`` combines them.
    """

    def __init__(self, files: Mapping[str, bytes], statements: Iterable[Statement]) -> None:
        self.files = dict(files)
        self.digest = digest(files)
        self.statements = {statement.id: statement for statement in statements}
        self.controls = {name: _control(statement) for name, statement in self.statements.items()}
        self.has_shadow = any(control.mode is Mode.SHADOW for control in self.controls.values())
        self.compiled = _compile(self.statements.values())
        self.memo: Callable[..., Decision] | None = None

    def remember(self, decide: "Callable[..., Decision]") -> "Callable[..., Decision]":
        """Return ``decide`` bound to this bundle and remembering its last answers: it is a function of values."""
        if self.memo is None:

            @lru_cache(maxsize=REMEMBERED_DECISIONS)
            def memo(*values: object) -> "Decision":
                return decide(self, *values)

            self.memo = memo
        return self.memo


def digest(files: Mapping[str, bytes]) -> str:
    """Return the SHA-256 (hex) over the files' names and contents, in order of name."""
    total = hashlib.sha256(b"magistrate/bundle/v1\0")
    for name in sorted(files):
        for part in (name.encode(), files[name]):
            total.update(len(part).to_bytes(8) + part)
    return total.hexdigest()


def load(files: Mapping[str, bytes]) -> Bundle:
    """Read, validate and compile.

    ``files`` holds ``schema.cedarschema`` and any number of ``*.cedar`` by name.

    Raises:
        ConfigurationError: listing every problem as ``file:line: reason``.
    """
    if sum(map(len, files.values())) > MOST_BYTES:
        raise ConfigurationError(f"the policies are larger than {MOST_BYTES} bytes together")
    problems: list[Problem] = []
    statements: list[Statement] = []
    schema = _schema(files, problems)
    for name in sorted(files):
        if not name.endswith(".cedar"):
            if name != SCHEMA:
                problems.append(Problem(name, 1, f"neither a `.cedar` file nor `{SCHEMA}`"))
            continue
        try:
            text = files[name].decode()
        except UnicodeDecodeError:
            problems.append(Problem(name, 1, "not UTF-8"))
            continue
        found, wrong = read_statements(name, text)
        statements += found
        problems += wrong
        if schema is not None and found:
            problems += _validate(name, text, found, schema)
    problems += _clashes(statements)
    if not statements and not problems:
        problems.append(Problem("*.cedar", 1, "no policy at all: everything would be denied"))
    if len(statements) > MOST_POLICIES:
        problems.append(Problem("*.cedar", 1, f"more than {MOST_POLICIES} policies"))
    if problems:
        raise ConfigurationError("\n".join(map(str, sorted(problems))))
    return Bundle(files, statements)


def _schema(files: Mapping[str, bytes], problems: list[Problem]) -> cedarpy.Schema | None:
    if SCHEMA not in files:
        problems.append(
            Problem(SCHEMA, 1, "missing: policies are validated against it; `magistrate init` writes it")
        )
        return None
    try:
        return cedarpy.Schema.from_str(files[SCHEMA].decode())
    except ValueError as error:
        problems.append(Problem(SCHEMA, 1, f"not a Cedar schema: {error}"))
        return None


def _validate(name: str, text: str, found: list[Statement], schema: cedarpy.Schema) -> list[Problem]:
    result = cedarpy.validate_policies(text, schema)
    problems = []
    for error in result.errors:
        index = error.policy_id.removeprefix("policy")
        line = found[int(index)].line if index.isdigit() and int(index) < len(found) else 1
        reason = error.error.removeprefix(f"for policy `{error.policy_id}`, ")
        problems.append(Problem(name, line, reason))
    if not result.validation_passed and not problems:
        problems.append(Problem(name, 1, "does not validate against the schema"))
    return problems


def _clashes(statements: list[Statement]) -> list[Problem]:
    count = Counter(statement.id for statement in statements)
    return [
        Problem(
            s.file,
            s.line,
            f"`@id` `{s.id}` is used {count[s.id]} times; records name it, so it must be one policy's",
        )
        for s in statements
        if s.id and count[s.id] > 1
    ]


def _control(statement: Statement) -> Control:
    notes, kind = statement.annotations, statement.obligation
    if kind is not None:
        labels = tuple(label.strip() for label in notes.get("labels", "").split(",") if label.strip())
        params = tuple((name, notes[name]) for name in OBLIGATION_PARAMS if name in notes)
        return Control(Does.OBLIGE, statement.mode, Obligation(kind, statement.id, labels, params))
    if statement.effect == "permit":
        return Control(Does.PERMIT, statement.mode)
    return Control(Does(notes.get("verdict", Does.DENY.value)), statement.mode)


def _compile(statements: Iterable[Statement]) -> cedarpy.PolicySet:
    trees = {statement.id: {**statement.tree, "effect": "permit"} for statement in statements}
    return cedarpy.PolicySet.from_json_str(
        json.dumps({"templates": {}, "staticPolicies": trees, "templateLinks": []})
    )
