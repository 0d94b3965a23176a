"""``magistrate evidence export``: a call and its trace, in the form that somebody else's tools read."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from magistrate.adapters.recorder.archive import Archive
from magistrate.adapters.recorder.reader import Row
from magistrate.app.cli.evidence_opened import RecordId, open_archive, print_json, reading, rows_of
from magistrate.app.cli.evidence_orders import ByOption, ReasonOption
from magistrate.app.cli.located import ConfigOption, DataOption, JsonOption, configuration
from magistrate.app.config import Config
from magistrate.app.exporting import bundle_of, receipt_of, trail_of


class Format(StrEnum):
    """What is written."""

    BUNDLE = "bundle"
    COSE = "cose"
    AAT = "aat"


def export(
    record: RecordId,
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write.")],
    form: Annotated[
        Format,
        typer.Option(
            "--format",
            help="bundle: everything, in a zip. cose: a COSE receipt (RFC 9942) of the one record, whose exact bytes are "
            "written beside it as OUTPUT.json. aat: the trace as an agent audit trail (JSON lines). The latter two hold no content.",
        ),
    ] = Format.BUNDLE,
    content: Annotated[bool, typer.Option(help="Include prompts and answers, opened.")] = True,
    reason: ReasonOption = "",
    by: ByOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Write a call and its trace for somebody who has nothing else of ours: a self-contained bundle, by default."""
    settings = configuration(config, data)
    reader = open_archive(config, data)
    call = rows_of(reader, record)[0]
    rows = reader.trace(call.trace)
    if form is not Format.BUNDLE:
        _tell_written(_written(reader, settings, call, rows, output, form), json=json)
        return
    if content:
        reading(config, data, rows, reason=reason, by=by, selector=f"evidence export {record}")
    made = bundle_of(reader, settings, call, rows, content=content)
    output.write_bytes(made.data)
    vkey = reader.current.vkey
    if json:
        print_json({"file": str(output), "records": len(rows), "tree_size": made.size, "vkey": vkey})
        return
    print(f"{output}: {len(rows)} records, proven in a tree of {made.size}")
    print(f"verify it with: magistrate evidence verify-bundle {output} --vkey '{vkey}'")


def _written(
    reader: Archive, settings: Config, call: Row, rows: list[Row], output: Path, form: Format
) -> dict[str, object]:
    if form is Format.AAT:
        output.write_bytes(trail_of(reader, rows))
        return {"file": str(output), "records": len(rows)}
    beside = output.with_name(f"{output.name}.json")
    output.write_bytes(receipt_of(reader, settings, call))
    beside.write_bytes(reader.header(call))
    return {"file": str(output), "record": str(beside), "vkey": reader.of(call).vkey}


def _tell_written(facts: dict[str, object], *, json: bool) -> None:
    if json:
        print_json(facts)
    else:
        print(", ".join(f"{name} {value}" for name, value in facts.items()))
