"""Gemini's token texts beside an answer: kept only where they repeat it (see `openai_logprobs`)."""

from collections.abc import Mapping

from magistrate.exchange.content import Json, Part, Path, Role, Tree
from magistrate.wire.gemini_names import get, objects
from magistrate.wire.shapes import Visit, array, ident, record, scalar, scalars

_ENTRY = {"token", "tokenId", "logProbability"}


def _nothing(_value: Json, _path: Path, _role: Role, _out: list[Part]) -> None:
    """The chosen tokens, which `drop_foreign_tokens` has compared with the text."""


_top = array(
    record({"candidates": array(record({"token": ident, **scalars("tokenId", "logProbability")}))}),
    nullable=True,
)
TOKENS: Visit = record(
    {"chosenCandidates": _nothing, "topCandidates": _top, "logProbabilitySum": scalar}, nullable=True
)
"""``logprobsResult``: alternatives are filed as metadata, the chosen tokens are the text itself."""


def drop_foreign_tokens(candidate: Tree, *, alternatives: bool) -> None:
    """Drop ``logprobsResult`` from a freshly parsed candidate unless it says what the candidate's text says.

    ``alternatives`` False drops it also when it holds tokens that were not chosen: over a stream they could spell
    a text.
    """
    candidate.pop("logprobs_result", None)
    result = candidate.get("logprobsResult")
    if result is None:
        return
    chosen = result.get("chosenCandidates") if type(result) is dict else None
    if (
        chosen is None
        or not (alternatives or not result.get("topCandidates"))
        or _said(chosen) != _text(candidate)
    ):
        del candidate["logprobsResult"]


def _said(entries: Json) -> str | None:
    if type(entries) is not list:
        return None
    tokens: list[str] = []
    for entry in entries:
        if type(entry) is not dict or not entry.keys() <= _ENTRY or type(entry.get("token")) is not str:
            return None
        if not all(type(entry.get(name, 0)) in (int, float) for name in ("tokenId", "logProbability")):
            return None
        tokens.append(entry["token"])
    return "".join(tokens)


def _text(candidate: Mapping[str, Json]) -> str:
    parts = objects(get(candidate.get("content"), "parts"))
    return "".join(part["text"] for part in parts if type(part.get("text")) is str)
