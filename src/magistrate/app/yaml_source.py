"""A YAML file into one of our structs, strictly, with the line of every mistake.

PyYAML composes the node tree (nodes know their lines); a walk along the struct's type turns nodes into values.
All mistakes are collected, because a person fixes a file faster than one error per run allows. There are no
anchors, aliases, merges or tags: the file means what it shows.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
import yaml
from msgspec import inspect as shapes

from magistrate.exchange.errors import ConfigurationError

MAX_BYTES = 1 << 20
MAX_DEPTH = 24
_KIND = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "null": "nothing",
}


class Problem(msgspec.Struct, frozen=True, order=True):
    """One mistake: the 1-based line, the dotted path of the field, and what to do."""

    line: int
    field: str
    message: str

    def told(self, source: str) -> str:
        return f"{source}:{self.line}: {f'`{self.field}` ' if self.field else ''}{self.message}"


class Rejected(ConfigurationError):  # noqa: N818  because it is what happened to the file
    """The file has mistakes; ``problems`` are all of them, in the order of lines."""

    def __init__(self, source: str, problems: list[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(problem.told(source) for problem in self.problems))


class _Loader(yaml.SafeLoader):
    """Composes nodes without aliases and only so deep (a recursive composer meets its stack otherwise)."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]  # because the stubs leave it out
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise yaml.MarkedYAMLError(
                problem="anchors and aliases are not read here; write it out", problem_mark=event.start_mark
            )
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(
                problem=f"is nested deeper than {MAX_DEPTH}", problem_mark=event.start_mark
            )
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


def compose(text: bytes, source: str) -> yaml.Node:
    """Return the root node of the one document in ``text``.

    Raises:
        Rejected: it is too large, not UTF-8, not YAML, empty, or more than one document.
    """
    if len(text) > MAX_BYTES:
        raise Rejected(source, [Problem(1, "", f"is larger than {MAX_BYTES} bytes")])
    try:
        root = yaml.compose(text.decode(), Loader=_Loader)
    except UnicodeDecodeError as error:
        line = text[: error.start].count(b"\n") + 1
        raise Rejected(source, [Problem(line, "", "is not UTF-8 text")]) from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise Rejected(source, [Problem(line, "", f"is not readable YAML: {error.problem}")]) from None
    except yaml.YAMLError as error:
        raise Rejected(
            source, [Problem(1, "", f"is not readable YAML: {str(error).splitlines()[0]}")]
        ) from None
    if root is None:
        raise Rejected(source, [Problem(1, "", "is empty; `magistrate init` writes a file to start from")])
    assert isinstance(root, yaml.Node)
    return root


class Reader:
    """Walks nodes along types. `problems` grows; `read` returns None where it could not read.

    ``shorthand`` names, by struct, the field that a bare scalar stands for. ``scalars`` reads some structs from a
    single value in the caller's own way (secrets). ``hints`` say more about a refused value, by field name.
    """

    def __init__(
        self,
        shorthand: Mapping[type, str],
        scalars: Mapping[type, "Callable[[Reader, yaml.Node, str], Any]"],
        hints: Callable[[str, str], str],
    ) -> None:
        self.problems: list[Problem] = []
        self.lines: dict[str, int] = {}
        self._shorthand = shorthand
        self._scalars = scalars
        self._hints = hints

    def note(self, node: yaml.Node, field: str, message: str) -> None:
        self.problems.append(Problem(node.start_mark.line + 1, field, message))

    def read(self, node: yaml.Node, shape: shapes.Type, field: str) -> Any:
        self.lines[field] = node.start_mark.line + 1
        match shape:
            case shapes.UnionType():
                return self._union(node, shape, field)
            case shapes.Metadata():
                return self.read(node, shape.type, field)
            case shapes.StructType() if shape.cls in self._scalars:
                return self._scalars[shape.cls](self, node, field)
            case shapes.StructType():
                return self._struct(node, shape, field)
            case shapes.VarTupleType():
                return self._list(node, shape, field)
        return self._scalar(node, shape, field)

    def _union(self, node: yaml.Node, shape: shapes.UnionType, field: str) -> Any:
        if _tag(node) == "null" and any(isinstance(each, shapes.NoneType) for each in shape.types):
            return None
        (inner,) = (each for each in shape.types if not isinstance(each, shapes.NoneType))
        return self.read(node, inner, field)

    def _list(self, node: yaml.Node, shape: shapes.VarTupleType, field: str) -> Any:
        if not isinstance(node, yaml.SequenceNode):
            return self.note(node, field, f"must be a list, not {_kind(node)}")
        if shape.max_length is not None and len(node.value) > shape.max_length:
            return self.note(
                node, field, f"has {len(node.value)} values, and may have at most {shape.max_length}"
            )
        return tuple(
            self.read(item, shape.item_type, f"{field}[{index}]") for index, item in enumerate(node.value)
        )

    def _struct(self, node: yaml.Node, shape: shapes.StructType, field: str) -> Any:
        short = self._shorthand.get(shape.cls)
        fields = {each.encode_name: each for each in shape.fields}
        if short and isinstance(node, yaml.ScalarNode):
            values = {short: self.read(node, fields[short].type, field)}
            return None if values[short] is None else shape.cls(**values)
        if not isinstance(node, yaml.MappingNode):
            return self.note(node, field, f"must be a block of `key: value`, not {_kind(node)}")
        before = len(self.problems)
        values = self._members(node, fields, field)
        prefix = f"{field}." if field else ""
        for name, each in fields.items():
            if each.required and name not in values:
                self.note(node, f"{prefix}{name}", "is missing")
        return shape.cls(**values) if len(self.problems) == before else None

    def _members(self, node: yaml.MappingNode, fields: dict[str, shapes.Field], field: str) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else ""
            where = f"{field}.{name}" if field else name
            if name in values:
                self.note(key, where, "stands here twice; keep one")
            elif name not in fields:
                self.note(key, where, f"is not a setting; here stand: {', '.join(fields)}")
            else:
                values[name] = self.read(value, fields[name].type, where)
        return values

    def _scalar(self, node: yaml.Node, shape: shapes.Type, field: str) -> Any:
        if not isinstance(node, yaml.ScalarNode):
            return self.note(node, field, f"must be a single value, not {_kind(node)}")
        tag = _tag(node)
        match shape:
            case shapes.StrType():
                return self._text(node, shape, field)
            case shapes.IntType() if tag == "int" and node.value.lstrip("-").isdigit():
                return self._bounded(node, int(node.value), shape, field)
            case shapes.FloatType() if tag in {"int", "float"}:
                number = _decimal(node.value)
                return (
                    self.note(node, field, "must be a plain number")
                    if number is None
                    else self._bounded(node, float(number), shape, field)
                )
            case shapes.DecimalType() if tag in {"int", "float"}:
                number = _decimal(node.value)
                return (
                    self.note(node, field, "must be a plain number, 0 or more") if number is None else number
                )
            case shapes.BoolType() if node.value in {"true", "false"}:
                return node.value == "true"
            case shapes.LiteralType():
                return self._choice(node, tuple(str(each) for each in shape.values), field)
            case shapes.EnumType():
                chosen = self._choice(node, tuple(each.value for each in shape.cls), field)
                return None if chosen is None else shape.cls(chosen)
        wanted = {"IntType": "int", "FloatType": "float", "DecimalType": "float", "BoolType": "bool"}
        return self.note(
            node, field, f"must be {_KIND[wanted.get(type(shape).__name__, 'str')]}, not {_kind(node)}"
        )

    def _text(self, node: yaml.ScalarNode, shape: shapes.StrType, field: str) -> str | None:
        if _tag(node) != "str":
            self.note(node, field, f"must be text; `{node.value}` is {_kind(node)}: put quotes around it")
            return None
        if shape.pattern is not None and not _matches(shape.pattern, node.value):
            self.note(node, field, f"does not have the form `{shape.pattern}`")
            return None
        if shape.max_length is not None and len(node.value) > shape.max_length:
            self.note(node, field, f"may have at most {shape.max_length} characters")
            return None
        return node.value  # type: ignore[no-any-return]

    def _choice(self, node: yaml.ScalarNode, choices: tuple[str, ...], field: str) -> str | None:
        if node.value not in choices:
            hint = self._hints(field.rpartition(".")[2], node.value)
            self.note(node, field, hint or f"must be one of {', '.join(choices)}")
            return None
        return node.value  # type: ignore[no-any-return]

    def _bounded(self, node: yaml.Node, number: float, shape: Any, field: str) -> Any:
        low, high = shape.ge, shape.le
        if (low is not None and number < low) or (shape.gt is not None and number <= shape.gt):
            return self.note(
                node,
                field,
                f"must be {'at least' if low is not None else 'more than'} {low or shape.gt or 0}",
            )
        if high is not None and number > high:
            return self.note(node, field, f"must be at most {high}")
        return number


def _matches(pattern: str, text: str) -> bool:
    return re.fullmatch(pattern.removeprefix("^").removesuffix("$"), text) is not None


def _decimal(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() and number >= 0 else None


def _tag(node: yaml.Node) -> str:
    return str(node.tag).rpartition(":")[2]


def _kind(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "a block"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    return _KIND.get(_tag(node), f"`{node.tag}`")
