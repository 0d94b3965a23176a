"""``magistrate evidence``: find, show, prove."""

import re
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import msgspec
import orjson
import typer
from rich.console import Console
from rich.tree import Tree

from magistrate.adapters.recorder.reader import EvidenceReader, Row, SearchQuery
from magistrate.app.attestation import configured_trust
from magistrate.app.cli import ANSWER_IS_NO
from magistrate.app.cli.evidence_index import index
from magistrate.app.cli.evidence_keys import rotate_key
from magistrate.app.cli.evidence_monitor import monitor
from magistrate.app.cli.evidence_orders import ByOption, ReasonOption, erase, holds, prune, rotate_root
from magistrate.app.cli.evidence_verify import verify, verify_bundle_file
from magistrate.app.cli.located import ConfigOption, DataOption, JsonOption, configuration
from magistrate.app.cli.moments import moment
from magistrate.app.custody import open_content, person
from magistrate.app.places import open_log
from magistrate.evidence.bundle import Exported, write_bundle
from magistrate.evidence.checkpoint import parse as parse_checkpoint
from magistrate.evidence.links import is_end
from magistrate.evidence.note import Verifier, open_note
from magistrate.evidence.proof import Proof
from magistrate.evidence.said import facts
from magistrate.evidence.seal import SealBroken
from magistrate.evidence.tiles import prove_inclusion
from magistrate.evidence.trust import of_witnesses

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Search, show, verify and export the record."
)

app.command()(index)
app.command()(erase)
app.command()(prune)
app.command("rotate-root")(rotate_root)
app.add_typer(holds, name="hold")

RecordId = Annotated[str, typer.Argument(help="Record id (x-magistrate-record), or its beginning.")]
SEALED_WITHIN_S = 2.0
SHORTEST_PREFIX = 8
_COLOURS = {"allow": "green", "deny": "red", "escalate": "yellow", "indeterminate": "magenta"}


_readers: list[EvidenceReader] = []


@app.callback()
def _evidence(ctx: typer.Context) -> None:
    ctx.call_on_close(_close)


def _open(config: Path | None, data: Path | None) -> EvidenceReader:
    settings = configuration(config, data)
    _readers.append(open_log(settings))
    return _readers[-1]


def _close() -> None:
    while _readers:
        _readers.pop().close()


for _name, _command in (
    ("monitor", monitor),
    ("verify", verify),
    ("verify-bundle", verify_bundle_file),
    ("rotate-key", rotate_key),
):
    app.command(_name)(_command)


@app.command()
def show(
    record: RecordId,
    content: Annotated[bool, typer.Option(help="Also show prompts and answers, decrypted.")] = False,
    reason: ReasonOption = "",
    by: ByOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Show a call's records: the intent and the outcome. Content is shown only once the reading is on record."""
    reader = _open(config, data)
    rows = _rows(reader, record)
    if content:
        _reading(config, data, rows, reason=reason, by=by, selector=f"evidence show {record}")
    shown = [_record(reader, row, content=content) for row in rows]
    if json:
        _print_json(shown)
        return
    console = Console(highlight=False)
    for row, item in zip(rows, shown, strict=True):
        console.rule(f"[bold]{row.phase}[/bold]  record {row.index}  {_when(row.ts_us)}")
        console.print_json(orjson.dumps(item["header"]).decode())
        for part, text in item.get("bodies", {}).items():
            console.rule(part, style="dim")
            console.print(text, markup=False)
        if item.get("gone"):
            console.print(f"[yellow]{item['gone']['says']}[/yellow]")


@app.command()
def trace(
    record: Annotated[str, typer.Argument(help="Record id or trace id.")],
    content: Annotated[bool, typer.Option(help="Also show prompts and answers, decrypted.")] = False,
    reason: ReasonOption = "",
    by: ByOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Show everything of one trace as a tree: from prompt to outcome."""
    reader = _open(config, data)
    rows = reader.trace(record) if re.fullmatch(r"[0-9a-f]{32}", record) else []
    rows = rows or reader.trace(_rows(reader, record)[0].trace)
    headers = {row.eid: orjson.loads(reader.header(row.index)) for row in rows}
    if content:
        _reading(config, data, rows, reason=reason, by=by, selector=f"evidence trace {record}")
        shown = [_record(reader, row, content=True) for row in rows]
    if json:
        _print_json(shown if content else list(headers.values()))
        return
    tree = Tree(f"[bold]trace {rows[0].trace}[/bold]")
    for row in rows:
        if row.phase == "intent":
            _call(
                tree,
                row,
                headers[row.eid],
                [headers[r.eid] for r in rows if r.call == row.eid and r is not row],
            )
        elif row.call not in headers:
            tree.add(f"{row.type} {row.eid}")
    tree.add(_end_of(rows[-1], headers[rows[-1].eid]))
    console = Console(highlight=False)
    console.print(tree)
    for item in shown if content else []:
        for part, text in item.get("bodies", {}).items():
            console.rule(f"record {item['index']}, {part}", style="dim")
            console.print(text, markup=False)


@app.command()
def search(
    trace_id: Annotated[str, typer.Option("--trace", help="Trace id.")] = "",
    user: Annotated[str, typer.Option(help="Whose call.")] = "",
    application: Annotated[str, typer.Option("--app", help="Which application's.")] = "",
    model: Annotated[str, typer.Option(help="Model name as the client wrote it.")] = "",
    endpoint: Annotated[str, typer.Option(help="Endpoint that answered.")] = "",
    verdict: Annotated[str, typer.Option(help="allow, deny, escalate or indeterminate.")] = "",
    rule: Annotated[str, typer.Option(help="A policy's @id that determined it.")] = "",
    label: Annotated[str, typer.Option(help="A label found, for example pii.email or pii.")] = "",
    policy: Annotated[str, typer.Option(help="Beginning of a policy bundle's hash.")] = "",
    since: Annotated[
        str, typer.Option(help="From when: 2026-11-24, 2026-11-24T10:00, or 30m, 12h, 7d ago.")
    ] = "",
    until: Annotated[str, typer.Option(help="Until when; same forms.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=100_000)] = 50,
    heartbeats: Annotated[
        bool, typer.Option("--heartbeats", help="Show heartbeats and ends of traces too.")
    ] = False,
    config: ConfigOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Find records, newest first."""
    reader = _open(config, data)
    query = SearchQuery(
        trace=trace_id,
        user=user,
        app=application,
        model=model,
        endpoint=endpoint,
        verdict=verdict,
        rule=rule,
        label=label,
        policy=policy,
        since_us=moment(since) if since else None,
        until_us=moment(until) if until else None,
        limit=limit,
        heartbeats=heartbeats,
    )
    rows = reader.search(query)
    if json:
        _print_json([msgspec.to_builtins(row) for row in rows])
        return
    console = Console(highlight=False, soft_wrap=True)
    if not rows:
        console.print("no record matches; records are found a second after they are made")
    for call in _calls(rows):
        _told_call(console, call)


@app.command()
def export(
    record: RecordId,
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write.")],
    content: Annotated[bool, typer.Option(help="Include prompts and answers, opened.")] = True,
    reason: ReasonOption = "",
    by: ByOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Write a self-contained bundle of a call and its trace."""
    settings = configuration(config, data)
    reader = _open(config, data)
    call = _rows(reader, record)[0]
    rows = reader.trace(call.trace)
    if content:
        _reading(config, data, rows, reason=reason, by=by, selector=f"evidence export {record}")
    checkpoint, stamps = reader.best_checkpoint(max(row.index for row in rows))
    size = parse_checkpoint(open_note(checkpoint)[0]).size
    keys = [key for key in (reader.vkey, reader.mldsa_vkey) if key]
    policy = configured_trust(settings.evidence, keys) or of_witnesses(
        [Verifier(key) for key in keys], [], None
    )
    exported = []
    for row in rows:
        raw = reader.header(row.index)
        path = prove_inclusion(reader.objects.get, row.index, size)
        opened = reader.opened(orjson.loads(raw)) if content else {}
        exported.append(Exported(raw, Proof(row.index, tuple(path), checkpoint), opened))
    output.write_bytes(write_bundle(call.index, exported, policy.encode(), stamps))
    if json:
        _print_json({"file": str(output), "records": len(exported), "tree_size": size, "vkey": reader.vkey})
        return
    print(f"{output}: {len(exported)} records, proven in a tree of {size}")
    print(f"verify it with: magistrate evidence verify-bundle {output} --vkey '{reader.vkey}'")


def _reading(
    config: Path | None, data: Path | None, rows: list[Row], *, reason: str, by: str, selector: str
) -> None:
    """Put a reading on record before anything of it is shown."""
    settings = configuration(config, data)
    reader = person(settings, by) if by else None
    open_content(settings, tuple(row.eid for row in rows), reason=reason, selector=selector, by=reader)


def _rows(reader: EvidenceReader, record: str) -> list[Row]:
    """Return the records of one call; one made just now is waited for until its checkpoint is published."""
    if not re.fullmatch(rf"[0-9a-f-]{{{SHORTEST_PREFIX},36}}", record):
        raise typer.BadParameter(f"a record id is at least {SHORTEST_PREFIX} of its hex digits and dashes")
    deadline = time.monotonic() + SEALED_WITHIN_S
    while True:
        rows = reader.find(record)
        if rows:
            break
        if time.monotonic() >= deadline:
            Console(stderr=True).print(f"no record `{record}` in this log", markup=False)
            raise typer.Exit(ANSWER_IS_NO)
        time.sleep(0.1)
    calls = {row.call for row in rows}
    if len(calls) > 1:
        raise typer.BadParameter(f"`{record}` is the beginning of {len(calls)} records; write more of it")
    return rows


def _calls(rows: list[Row]) -> list[list[Row]]:
    """Return the records of each call together, intent first, in the order of ``rows``."""
    calls: dict[str, list[Row]] = {}
    for row in rows:
        calls.setdefault(row.call, []).append(row)
    return [sorted(call, key=lambda row: row.index) for call in calls.values()]


def _told_call(console: Console, call: list[Row]) -> None:
    first, last = call[0], call[-1]
    when = _when(first.ts_us)
    if not first.type.startswith("llm."):
        console.print(f"[dim]{when}  {first.eid}  {first.type}[/dim]")
        return
    colour = _COLOURS.get(first.verdict, "dim")
    ending = "" if first.ending or first is last else f" → {last.ending}"
    console.print(f"{when}  {first.call}  [{colour}]{first.verdict or '?'}[/{colour}]{ending or last.ending}")
    labels = sorted({label for row in call for label in row.labels})
    # Ancestors are implied: what brings `pii.email` brings `pii`.
    shown = [label for label in labels if not any(other.startswith(label + ".") for other in labels)]
    rules = dict.fromkeys(rule for row in call for rule in row.rules)
    console.print(
        f"    {first.subject or '?'} → {first.model or '?'}  {', '.join(rules)}", markup=False, end=""
    )
    console.print(f"  ({', '.join(shown)})" if shown else "", markup=False)


def _record(reader: EvidenceReader, row: Row, *, content: bool) -> dict[str, Any]:
    header = orjson.loads(reader.header(row.index))
    item: dict[str, Any] = {"index": row.index, "header": header}
    if content:
        try:
            item["bodies"] = {
                part: body.decode("utf-8", "replace") for part, body in reader.bodies(header).items()
            }
        except SealBroken as error:
            item["broken"] = str(error)
    gone = _gone(reader, header)
    return item | ({"gone": gone} if gone else {})


def _gone(reader: EvidenceReader, header: dict[str, Any]) -> dict[str, Any] | None:
    """Return why a record's content is not there any more, or None: it is, or nobody ordered it to go."""
    order = reader.erasure(header)
    if order is not None:
        says = f"its content was erased on {_when(order.ts_us)} by record {order.eid}"
        return {"how": "erased", "ts_us": order.ts_us, "record": order.eid, "says": says}
    until = header.get("ret", {}).get("until")
    parts = [str(meta["part"]) for meta in header.get("body", [])]
    if not parts or not isinstance(until, int) or until > time.time_ns() // 1000:
        return None
    if any(reader.ciphertext(header, part) for part in parts):
        return None
    says = f"its retention ended on {_when(until)} and its content was pruned"
    return {"how": "pruned", "ts_us": until, "says": says}


def _end_of(last: Row, header: dict[str, Any]) -> str:
    if not is_end(header):
        return "[dim]not closed yet: whether more follows is not on record[/dim]"
    records = header.get("closes") or facts(header).get("records", "?")
    return f"[dim]closed after {records} records, by record {last.index}[/dim]"


def _call(tree: Tree, row: Row, intent: dict[str, Any], others: list[dict[str, Any]]) -> None:
    verdict = intent.get("verdict", {})
    colour = _COLOURS.get(verdict.get("effect", ""), "dim")
    route = intent.get("route", {})
    head = f"[bold]{row.eid}[/bold]  {_when(row.ts_us)}  {row.subject} → {row.model or '?'}"
    branch = tree.add(f"{head}  ({route.get('dialect', '?')} {route.get('operation', '')})")
    rules = ", ".join(verdict.get("rules", []))
    decision = branch.add(f"decision: [{colour}]{verdict.get('effect', '?')}[/{colour}]  {rules}")
    if intent.get("labels"):
        decision.add("labels: " + ", ".join(intent["labels"]))
    for endpoint in intent.get("endpoints", []):
        decision.add(f"{endpoint['id']}: {endpoint['effect']}  {', '.join(endpoint['rules'])}")
    decision.add(f"policy {intent.get('policy', {}).get('bundle', '')[:16]}, record {row.index}")
    if not others:
        branch.add("[yellow]never ended: no outcome is on record[/yellow]")
    for outcome in others:
        _outcome(branch, outcome)


def _outcome(branch: Tree, outcome: dict[str, Any]) -> None:
    ended, usage, model = outcome.get("outcome", {}), outcome.get("usage", {}), outcome.get("model", {})
    node = branch.add(
        f"outcome: {ended.get('ending')} {ended.get('status')} {ended.get('code', '')}".rstrip()
    )
    if model.get("endpoint"):
        node.add(f"answered by {model['endpoint']} as {model.get('version') or '?'}")
    for attempt in outcome.get("attempts", []):
        node.add(f"tried {attempt['id']}: {attempt['result']} {attempt['status'] or ''}".rstrip())
    for place in outcome.get("eligibility", []):
        if not place["ok"]:
            node.add(f"not {place['id']}: {place['why']}")
    if outcome.get("labels"):
        node.add("labels in the answer: " + ", ".join(outcome["labels"]))
    for what in ("rewritten", "restored"):
        if outcome.get(what):
            node.add(f"{what}: " + ", ".join(f"{label} x {n}" for label, n in outcome[what].items()))
    if usage.get("in") is not None:
        cost = (
            f", {usage['cost_nano'] / 1e9:.6f} {usage['currency']} (prices {usage.get('prices', '?')})"
            if usage.get("cost_nano") is not None
            else ""
        )
        node.add(f"tokens: {usage['in']} in, {usage.get('out')} out{cost}")
    timings = "  ".join(f"{name} {us / 1000:.2f}" for name, us in outcome.get("steps_us", []))
    if timings:
        node.add(f"milliseconds: {timings}")


def _when(ts_us: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(ts_us / 1e6))


def _print_json(value: object) -> None:
    sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_INDENT_2) + b"\n")
