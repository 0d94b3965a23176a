"""Policy text: where each policy stands, and what its annotations mean."""

import json
import re
from typing import Any

import cedarpy
import msgspec

from magistrate.exchange.decision import Mode, ObligationKind

_TOKENS = re.compile(r'//[^\n]*|"(?:\\.|[^"\\])*"|;|@|\b(?:permit|forbid)\b')

GENERAL = frozenset({"id", "description", "mode", "message", "code"})
ON_FORBID = GENERAL | {"verdict"}
ON_OBLIGATION: dict[ObligationKind, frozenset[str]] = {
    ObligationKind.REDACT: frozenset({"labels"}),
    ObligationKind.TOKENISE: frozenset({"labels"}),
    ObligationKind.ROUTE: frozenset({"prefer"}),
    ObligationKind.CAP: frozenset({"max_output_tokens"}),
    ObligationKind.WARN: frozenset(),
}
"""The annotations that each obligation takes besides the general ones."""

PREFERENCES = ("region", "provider", "certification")
"""What a route obligation may prefer: ``@prefer("region:eu")``."""


class Statement(msgspec.Struct, frozen=True):
    """One policy as written: ``tree`` is Cedar's own JSON form of it."""

    file: str
    line: int
    text: str
    effect: str
    annotations: dict[str, str]
    tree: dict[str, Any]

    @property
    def id(self) -> str:
        return self.annotations.get("id", "")

    @property
    def mode(self) -> Mode:
        return Mode(self.annotations.get("mode", Mode.ENFORCE.value))

    @property
    def obligation(self) -> ObligationKind | None:
        kind = self.annotations.get("obligation")
        return ObligationKind(kind) if kind else None


class Problem(msgspec.Struct, frozen=True, order=True):
    """One thing that is wrong, and where."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


def read_statements(file: str, text: str) -> tuple[list[Statement], list[Problem]]:
    """Return the policies in ``text``, and what keeps it from being read."""
    places = _places(text)
    try:
        trees = json.loads(cedarpy.policies_to_json_str(text))
    except ValueError as error:
        return [], [Problem(file, _first_unreadable(places), f"not Cedar: {error}")]
    if trees["templates"] or trees["templateLinks"]:
        return [], [
            Problem(file, 1, "templates (`?principal`, `?resource`) are not supported; write the policy out")
        ]
    statements: list[Statement] = []
    problems: list[Problem] = []
    for index, (line, source) in enumerate(places):
        tree = trees["staticPolicies"][f"policy{index}"]
        annotations = {name: value or "" for name, value in tree.get("annotations", {}).items()}
        statement = Statement(file, line, source, tree["effect"], annotations, tree)
        wrong = [Problem(file, line, reason) for reason in _wrong_annotations(statement)]
        problems += wrong
        if not wrong:
            statements.append(statement)
    return statements, problems


def _places(text: str) -> list[tuple[int, str]]:
    """Return line and source of each policy, in order. Cedar numbers policies in the same order."""
    places: list[tuple[int, str]] = []
    start: int | None = None
    seen = False
    for token in _TOKENS.finditer(text):
        word = token[0]
        if word in {"@", "permit", "forbid"} and start is None:
            start = token.start()
        seen = seen or word in {"permit", "forbid"}
        if word == ";" and start is not None and seen:
            places.append((text.count("\n", 0, start) + 1, text[start : token.end()]))
            start, seen = None, False
    if start is not None:
        places.append((text.count("\n", 0, start) + 1, text[start:]))
    return places


def _first_unreadable(places: list[tuple[int, str]]) -> int:
    # Cedar's message carries no place, so each policy is tried by itself.
    for line, source in places:
        try:
            cedarpy.policies_to_json_str(source)
        except ValueError:
            return line
    return 1


def _wrong_annotations(statement: Statement) -> list[str]:
    notes = statement.annotations
    wrong: list[str] = []
    if not notes.get("id"):
        wrong.append('every policy needs an `@id("…")`: records and explanations name it')
    if notes.get("mode", "enforce") not in set(Mode):
        wrong.append(f"`@mode` is `observe`, `shadow` or `enforce`, not `{notes['mode']}`")
    kind = notes.get("obligation")
    if kind is not None:
        if kind not in set(ObligationKind):
            return [*wrong, f"`@obligation` is one of {', '.join(ObligationKind)}, not `{kind}`"]
        if statement.effect != "permit":
            wrong.append("an obligation is written as a permit: it applies where the permit would")
        known = GENERAL | {"obligation"} | ON_OBLIGATION[ObligationKind(kind)]
        wrong += _wrong_values(ObligationKind(kind), notes)
    else:
        known = ON_FORBID if statement.effect == "forbid" else GENERAL
        if notes.get("verdict", "deny") not in {"deny", "escalate"}:
            wrong.append(f"`@verdict` is `deny` or `escalate`, not `{notes['verdict']}`")
    unknown = sorted(set(notes) - known)
    wrong += [f"`@{name}` means nothing here; known are {', '.join(sorted(known))}" for name in unknown]
    return wrong


def _wrong_values(kind: ObligationKind, notes: dict[str, str]) -> list[str]:
    if kind is ObligationKind.CAP and not re.fullmatch(
        r"[1-9][0-9]{0,8}", notes.get("max_output_tokens", "")
    ):
        return ['a cap needs `@max_output_tokens("N")`']
    prefer = notes.get("prefer", "").partition(":")
    if kind is ObligationKind.ROUTE and (prefer[0] not in PREFERENCES or not prefer[2]):
        return [f'a route needs `@prefer("KIND:VALUE")` with KIND one of {", ".join(PREFERENCES)}']
    return []
