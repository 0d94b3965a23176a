"""``magistrate evidence``: find, show, prove."""

import re
import time
from typing import Annotated, Any

import msgspec
import orjson
import typer
from rich.console import Console
from rich.tree import Tree

from magistrate.adapters.recorder.archive import Archive
from magistrate.adapters.recorder.reader import Row, SearchQuery
from magistrate.app.cli.evidence_export import export
from magistrate.app.cli.evidence_index import index
from magistrate.app.cli.evidence_keys import rotate, rotate_key
from magistrate.app.cli.evidence_monitor import monitor
from magistrate.app.cli.evidence_opened import (
    RecordId,
    close_archives,
    open_archive,
    print_json,
    reading,
    rows_of,
)
from magistrate.app.cli.evidence_orders import ByOption, ReasonOption, erase, holds, prune, rotate_root
from magistrate.app.cli.evidence_verify import verify, verify_bundle_file
from magistrate.app.cli.located import ConfigOption, DataOption, JsonOption
from magistrate.app.cli.moments import moment
from magistrate.evidence.links import is_end
from magistrate.evidence.said import facts
from magistrate.evidence.seal import SealBroken

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Search, show, verify and export the record."
)

app.command()(index)
app.command()(erase)
app.command()(prune)
app.command("rotate-root")(rotate_root)
app.add_typer(holds, name="hold")

_COLOURS = {"allow": "green", "deny": "red", "escalate": "yellow", "indeterminate": "magenta"}


@app.callback()
def _evidence(ctx: typer.Context) -> None:
    ctx.call_on_close(close_archives)


for _name, _command in (
    ("monitor", monitor),
    ("verify", verify),
    ("verify-bundle", verify_bundle_file),
    ("rotate-key", rotate_key),
    ("rotate", rotate),
    ("export", export),
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
    reader = open_archive(config, data)
    rows = rows_of(reader, record)
    if content:
        reading(config, data, rows, reason=reason, by=by, selector=f"evidence show {record}")
    shown = [_record(reader, row, content=content) for row in rows]
    if json:
        print_json(shown)
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
    reader = open_archive(config, data)
    rows = reader.trace(record) if re.fullmatch(r"[0-9a-f]{32}", record) else []
    rows = rows or reader.trace(rows_of(reader, record)[0].trace)
    headers = {row.eid: orjson.loads(reader.header(row)) for row in rows}
    if content:
        reading(config, data, rows, reason=reason, by=by, selector=f"evidence trace {record}")
        shown = [_record(reader, row, content=True) for row in rows]
    if json:
        print_json(shown if content else list(headers.values()))
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
    reader = open_archive(config, data)
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
        print_json([msgspec.to_builtins(row) for row in rows])
        return
    console = Console(highlight=False, soft_wrap=True)
    if not rows:
        console.print("no record matches; records are found a second after they are made")
    for call in _calls(rows):
        _told_call(console, call)


def _calls(rows: list[Row]) -> list[list[Row]]:
    """Return the records of each call together, intent first, in the order of ``rows``."""
    calls: dict[str, list[Row]] = {}
    for row in rows:
        calls.setdefault(row.call, []).append(row)
    return [sorted(call, key=lambda row: (row.shard, row.index)) for call in calls.values()]


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


def _record(reader: Archive, row: Row, *, content: bool) -> dict[str, Any]:
    header = orjson.loads(reader.header(row))
    item: dict[str, Any] = {"index": row.index, "shard": row.shard, "header": header}
    if content:
        try:
            item["bodies"] = {
                part: body.decode("utf-8", "replace") for part, body in reader.of(row).bodies(header).items()
            }
        except SealBroken as error:
            item["broken"] = str(error)
    gone = _gone(reader, row, header)
    return item | ({"gone": gone} if gone else {})


def _gone(reader: Archive, row: Row, header: dict[str, Any]) -> dict[str, Any] | None:
    """Return why a record's content is not there any more, or None: it is, or nobody ordered it to go."""
    order = reader.erasure(header)
    if order is not None:
        says = f"its content was erased on {_when(order.ts_us)} by record {order.eid}"
        return {"how": "erased", "ts_us": order.ts_us, "record": order.eid, "says": says}
    until = header.get("ret", {}).get("until")
    parts = [str(meta["part"]) for meta in header.get("body", [])]
    if not parts or not isinstance(until, int) or until > time.time_ns() // 1000:
        return None
    if any(reader.of(row).ciphertext(header, part) for part in parts):
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
    if intent.get("data"):
        decision.add("data: " + ", ".join(f"{one['id']} {one['version']}" for one in intent["data"]))
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
