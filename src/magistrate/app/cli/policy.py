"""``magistrate policy``: test policies, explain a recorded judgement, replay recorded traffic."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from magistrate.adapters.recorder.archive import Archive
from magistrate.adapters.recorder.reader import SearchQuery
from magistrate.app.bundles import PolicySource, starter
from magistrate.app.cli.located import ConfigOption, DataOption, JsonOption, configuration
from magistrate.app.custody import open_content
from magistrate.app.judged import NoJudgement, one, several
from magistrate.app.policies import load_stored_bundle
from magistrate.app.policy_tests import run_directory
from magistrate.exchange.decision import Decision, Effect, EndpointVerdict
from magistrate.exchange.errors import ConfigurationError, MagistrateError
from magistrate.policy.explain import Explanation, Judgement
from magistrate.policy.explain import explain as decide_again

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Test, explain and replay policies.")

PoliciesOption = Annotated[
    Path | None, typer.Option("--policies", "-p", help="Ask these policies instead of the recorded ones.")
]


@app.command("test")
def run_tests(
    directory: Annotated[
        Path | None,
        typer.Argument(metavar="[DIR]", help="Directory of policies. Default: the configured one."),
    ] = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Run the policies' table tests (DIR/tests/*.yaml). Exit 1 when a case gets another answer than it expects."""
    settings = configuration(config, None)
    directory = directory or settings.policies_dir
    bundle = PolicySource(directory).load()
    outcomes = run_directory(directory, bundle, settings)
    if not outcomes:
        raise ConfigurationError("there are no tests", str((directory or starter()) / "tests"))
    failed = [outcome for outcome in outcomes if outcome.wrong]
    if json:
        told = {"bundle": bundle.digest, "failed": len(failed), "results": outcomes}
        print(msgspec.json.encode(told).decode())
    else:
        for outcome in failed:
            print(f"{outcome.place}: {outcome.name}")
            print("".join(f"    {reason}\n" for reason in outcome.wrong), end="")
        print(f"{len(outcomes) - len(failed)} passed, {len(failed)} failed (bundle {bundle.digest[:16]})")
    raise typer.Exit(int(bool(failed)))


@app.command()
def explain(
    record: Annotated[
        str, typer.Argument(help="A call's record id, or its beginning: `x-magistrate-record`.")
    ],
    policies: PoliciesOption = None,
    config: ConfigOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Decide a recorded call again and show why. Exit 1 when the answer is not the recorded one."""
    settings = configuration(config, data)
    evidence = Archive(settings.data, settings.vault_dir, settings.root_key)
    try:
        row, judgement = one(evidence, record)
    finally:
        evidence.close()
    open_content(settings, (row.eid,), reason="policy explain", selector=record)
    bundle = (
        PolicySource(policies).load()
        if policies
        else load_stored_bundle(settings.data, judgement.decision.bundle)
    )
    told = decide_again(bundle, judgement)
    if json:
        print(msgspec.json.encode({"record": row.eid, **msgspec.to_builtins(told)}).decode())
    else:
        for line in explained(row.eid, judgement, told):
            print(printable(line))
    raise typer.Exit(int(not told.same))


@app.command()
def replay(
    directory: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="Candidate policies. Default: the configured ones.")
    ] = None,
    last: Annotated[
        int, typer.Option("--last", "-n", min=1, max=100_000, help="How many records back.")
    ] = 1000,
    config: ConfigOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Decide recorded traffic again by other policies and show what changes. Exit 1 when anything does."""
    settings = configuration(config, data)
    bundle = PolicySource(directory or settings.policies_dir).load()
    changed: list[dict[str, object]] = []
    flips: Counter[str] = Counter()
    read: list[str] = []
    asked = gone = 0
    evidence = Archive(settings.data, settings.vault_dir, settings.root_key)
    try:
        for row, judgement in several(evidence, SearchQuery(limit=last)):
            if isinstance(judgement, NoJudgement):
                gone += 1
                continue
            asked += 1
            read.append(row.eid)
            told = decide_again(bundle, judgement)
            if not told.same:
                before, after = told.recorded.effect.value, told.again.effect.value
                flips[f"{before} -> {after}" if before != after else f"{before}, otherwise"] += 1
                changed.append({"record": row.eid, "differences": told.differences})
    finally:
        evidence.close()
    if read:
        open_content(settings, tuple(read), reason="policy replay", selector=f"the last {last} records")
    if json:
        summary = {"bundle": bundle.digest, "asked": asked, "without_judgement": gone, "flips": dict(flips)}
        print(msgspec.json.encode({**summary, "changed": changed}).decode())
    else:
        for change in changed:
            print(change["record"])
            for difference in change["differences"]:  # type: ignore[attr-defined]  # because it was put in above
                print(printable(f"    {difference}"))
        print(f"{asked} calls decided again, {len(changed)} differ, {gone} have no judgement to ask about")
        for flip, count in flips.most_common():
            print(f"    {count:>6}  {flip}")
    if not asked:
        raise MagistrateError("there was nothing to decide again")
    raise typer.Exit(int(bool(changed)))


def explained(record: str, judgement: Judgement, told: Explanation) -> Iterator[str]:
    """Yield the lines that answer: who asked what, what was decided, by which rules, and is it still so."""
    who, facts, again = judgement.principal, judgement.facts, told.again
    groups = f" in {', '.join(who.groups)}" if who.groups else ""
    yield f"record    {record}"
    yield f"who       {who.user}{groups}, key {who.key}, tenant {who.tenant}" + (
        f", application {who.application}" if who.application else ""
    )
    stream = ", streamed" if facts.stream else ""
    yield f"asked     {facts.action.value} {facts.dialect}:{facts.operation}, model {facts.model}{stream}"
    for name, values in (("labels", facts.labels), ("tools", facts.tools), ("tags", facts.tags)):
        if values:
            yield f"{name:<9} {', '.join(values)}"
    if facts.opaque:
        yield "opaque    some of it could not be read by any detector"
    yield f"mode      {judgement.mode.value}, policies {again.bundle[:16]}"
    yield f"decision  {_by(again.effect, again.rules)}" + (f": {again.message}" if again.message else "")
    for verdict in again.endpoints:
        yield from _at(verdict)
    yield from _besides(again)
    for rule in told.rules:
        yield f"\n{rule.place}" + (f"  {rule.description}" if rule.description else "")
        yield from (f"    {line}" for line in rule.text.splitlines())
    yield ""
    if told.same:
        yield "the same answer as recorded" + ("" if told.same_bundle else ", by other policies")
    else:
        yield "not the answer that was recorded:"
        yield from (f"  {difference}" for difference in told.differences)


def _at(verdict: EndpointVerdict) -> Iterator[str]:
    why = f" ({verdict.reason})" if verdict.reason and not verdict.rules else ""
    yield f"  at {verdict.endpoint}: {_by(verdict.effect, verdict.rules)}{why}"
    for duty in verdict.obligations:
        what = ", ".join((*duty.labels, *(f"{name} {value}" for name, value in duty.params)))
        yield f"     must {duty.kind.value} {what} ({duty.rule})"


def _besides(decision: Decision) -> Iterator[str]:
    if decision.would:
        duties = ", ".join(f"{o.kind.value} ({o.rule})" for o in decision.would.obligations)
        yield f"shadow    {_by(decision.would.effect, decision.would.rules)}" + (
            f", {duties}" if duties else ""
        )
    if decision.observed:
        yield f"observed  {', '.join(decision.observed)}"
    if decision.errors:
        yield f"errors    {', '.join(decision.errors)} could not be evaluated"


def _by(effect: Effect, rules: tuple[str, ...]) -> str:
    return effect.value + (f" by {', '.join(rules)}" if rules else "")


def printable(line: str) -> str:
    """Return ``line`` without what a terminal would obey: names of tools and tags come from clients."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in line)
