"""Policy text: where each policy stands, and what its annotations mean."""

import json
import re
from collections.abc import Iterator
from typing import Any

import cedarpy
import msgspec

from magistrate.exchange.decision import Action, Mode, ObligationKind, TokenMethod

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}")
"""What a policy may be called: its name travels in headers, records and metrics."""

_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")
_LABELS = re.compile(r"[a-z0-9_.*?-]+(\s*,\s*[a-z0-9_.*?-]+)*")
LONGEST_MESSAGE = 500

_CONTEXT_LABELS = {".": {"left": {"Var": "context"}, "attr": "labels"}}
_TOKENS = re.compile(r'//[^\n]*|"(?:\\.|[^"\\])*"|;|@|\b(?:permit|forbid)\b')

GENERAL = frozenset({"id", "description", "mode", "message", "code"})
ON_FORBID = GENERAL | {"verdict"}
ON_OBLIGATION: dict[ObligationKind, frozenset[str]] = {
    ObligationKind.REDACT: frozenset({"labels", "except"}),
    ObligationKind.TOKENISE: frozenset({"labels", "except", "method", "restore"}),
    ObligationKind.ROUTE: frozenset({"prefer"}),
    ObligationKind.CAP: frozenset({"max_output_tokens"}),
    ObligationKind.WARN: frozenset(),
}
"""The annotations that each obligation takes besides the general ones."""

RESTORED_IN = ("text", "tools")
"""Where a reversible token is put back: what is shown, and the arguments of tool calls. ``@restore("text")`` is one of them."""

SPARED = "restored"
"""What a redact or tokenise of answers may leave alone: values that the principal said themselves and gets back."""

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


def labels_named(statement: Statement) -> frozenset[str]:
    """Return the labels and label patterns that a policy speaks of: in ``@labels`` and of ``context.labels``."""
    written = {label.strip() for label in statement.annotations.get("labels", "").split(",")}
    for condition in statement.tree["conditions"]:
        written.update(_labels_in(condition["body"]))
    return frozenset(written - {""})


def _labels_in(tree: Any) -> Iterator[str]:
    if isinstance(tree, list):
        for each in tree:
            yield from _labels_in(each)
    elif isinstance(tree, dict):
        for operator, operands in tree.items():
            if operator in {"contains", "containsAll", "containsAny"} and operands["left"] == _CONTEXT_LABELS:
                right = operands["right"]
                yield from (each["Value"] for each in right.get("Set", [right]) if "Value" in each)
            else:
                yield from _labels_in(operands)


class Problem(msgspec.Struct, frozen=True, order=True):
    """One thing that is wrong, and where."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


def read_statements(file: str, text: str) -> tuple[list[Statement], list[Problem]]:
    """Return the policies in ``text`` in their order, and what is wrong with it: use them only if nothing is."""
    places = _places(text)
    try:
        trees = json.loads(cedarpy.policies_to_json_str(text))
    except ValueError as error:
        return [], [Problem(file, _first_unreadable(places), f"not Cedar: {error}")]
    if trees["templates"] or trees["templateLinks"]:
        return [], [
            Problem(file, 1, "templates (`?principal`, `?resource`) are not supported; write the policy out")
        ]
    if len(places) != len(trees["staticPolicies"]):
        return [], [
            Problem(file, 1, "the places of its policies cannot be told; write one policy after another")
        ]
    statements: list[Statement] = []
    problems: list[Problem] = []
    for index, (line, source) in enumerate(places):
        tree = trees["staticPolicies"][f"policy{index}"]
        annotations = {name: value or "" for name, value in tree.get("annotations", {}).items()}
        statement = Statement(file, line, source, tree["effect"], annotations, tree)
        problems += [Problem(file, line, reason) for reason in _wrong_annotations(statement)]
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
    elif not ID.fullmatch(notes["id"]):
        wrong.append("`@id` is up to 100 letters, digits and `._:/-`, beginning with a letter or digit")
    if "code" in notes and not _CODE.fullmatch(notes["code"]):
        wrong.append("`@code` is up to 64 lower-case letters, digits and `_`")
    message = notes.get("message", "x")
    if not message or len(message) > LONGEST_MESSAGE or not message.isprintable():
        wrong.append(f"`@message` is one line of 1 to {LONGEST_MESSAGE} characters")
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
        if kind == ObligationKind.TOKENISE:
            wrong += _wrong_method(statement)
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
    if not _LABELS.fullmatch(notes.get("labels", "*")):
        return ["`@labels` is a list of labels or patterns: `pii.*,pci.pan`; leave it out for all of them"]
    if notes.get("except", SPARED) != SPARED:
        return [f"`@except` can be `{SPARED}` and nothing else, not `{notes['except']}`"]
    prefer = notes.get("prefer", "").partition(":")
    if kind is ObligationKind.ROUTE and (prefer[0] not in PREFERENCES or not prefer[2]):
        return [f'a route needs `@prefer("KIND:VALUE")` with KIND one of {", ".join(PREFERENCES)}']
    return []


def _wrong_method(statement: Statement) -> list[str]:
    notes = statement.annotations
    method = notes.get("method", TokenMethod.PSEUDONYM.value)
    if method not in set(TokenMethod):
        return [f"`@method` is one of {', '.join(TokenMethod)}, not `{method}`"]
    if method != TokenMethod.REVERSIBLE:
        return ['`@restore` needs `@method("reversible")`'] if "restore" in notes else []
    wrong = []
    if any(place.strip() not in RESTORED_IN for place in notes.get("restore", "text").split(",")):
        wrong.append(f"`@restore` is a list of {' and '.join(RESTORED_IN)}; leave it out for both")
    if _actions(statement.tree) != {Action.CALL.value}:
        wrong.append(
            "a reversible token is given on the way to an endpoint and put back on the way home: "
            'write `action == Magistrate::Action::"call"`'
        )
    return wrong


def _actions(tree: dict[str, Any]) -> set[str]:
    """Return the actions that a policy's scope names; none where it names all of them."""
    scope = tree["action"]
    entities = scope.get("entities") or [scope["entity"]] if scope["op"] != "All" else []
    return {entity["id"] for entity in entities}
