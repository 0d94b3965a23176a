"""Recorded judgements, out of the evidence."""

from collections.abc import Iterator
from typing import Any

import msgspec

from magistrate.adapters.recorder.archive import Archive
from magistrate.adapters.recorder.reader import Row, SearchQuery
from magistrate.evidence.seal import SealBroken
from magistrate.exchange.errors import MagistrateError
from magistrate.policy.explain import Judgement, read_judgement

INTENT = "intent"
"""The phase of the record that holds what was asked and decided, before any effect."""


class NoJudgement(MagistrateError):  # noqa: N818  because it says what there is not
    """A record from which nothing can be decided again; the message says why."""


def one(evidence: Archive, record: str) -> tuple[Row, Judgement]:
    """Return the judgement of the call whose id begins with ``record``.

    Raises:
        NoJudgement: there is no such call, there are several, or what it was decided from is gone.
    """
    rows = [row for row in evidence.find(record) if row.phase == INTENT]
    if not rows:
        raise NoJudgement(
            f"no call has an id that begins with `{record}`; `magistrate evidence search` lists calls"
        )
    if len(rows) > 1:
        raise NoJudgement(f"{len(rows)} calls have an id that begins with `{record}`; write more of it")
    return rows[0], judged(evidence, rows[0])


def several(evidence: Archive, query: SearchQuery) -> Iterator[tuple[Row, Judgement | NoJudgement]]:
    """Yield the judgements of matching calls, newest first, and why there is none where there is none."""
    for row in evidence.search(query):
        if row.phase != INTENT:
            continue
        try:
            yield row, judged(evidence, row)
        except NoJudgement as gone:
            yield row, gone


def judged(evidence: Archive, row: Row) -> Judgement:
    """Return what ``row`` was decided from, and the decision.

    Raises:
        NoJudgement: policy was not asked, or the content was erased, or it is not what was sealed.
    """
    header: dict[str, Any] = msgspec.json.decode(evidence.header(row))
    try:
        body = evidence.of(row).bodies(header).get("judgement")
    except SealBroken as error:
        raise NoJudgement(f"`{row.eid}`: what it was decided from is not what was sealed: {error}") from None
    if body is None:
        raise NoJudgement(f"`{row.eid}`: what it was decided from was erased, or its key is not here")
    document = msgspec.json.decode(body)
    if "judgement" not in document:
        code = header.get("verdict", {}).get("code", "")
        raise NoJudgement(f"`{row.eid}`: policy was not asked; the call was refused before ({code})")
    try:
        return read_judgement(document["judgement"])
    except msgspec.ValidationError as error:
        raise NoJudgement(f"`{row.eid}`: written by another version of Magistrate: {error}") from None
