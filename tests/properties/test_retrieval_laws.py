"""Retrieval: hot and cold together answer as one list of records would, wherever the border between them lies."""

import random
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from magistrate.adapters.recorder.compaction import Compaction
from magistrate.adapters.recorder.index import Index
from magistrate.adapters.recorder.retrieval import Records
from magistrate.adapters.recorder.row import Located, Row, SearchQuery

RECORDS, RANGE = 1_000, 256
START_US = 1_700_000_000_000_000
MODELS = ("gpt-5-mini", "claude", "smollm2", "modèle, à virgule", 'with "quotes"')
RULES = ("pii-to-certified-only", "budget", "no-secrets", ",", 'a"b', "règle")
LABELS = ("pii", "pii.email", "secret.key", '"')
VERDICTS = ("allow", "deny", "escalate", "indeterminate", "")
APPS = ("ward", "magistrate", "", "caisse, nº 1")
BUNDLES = ("ab" * 32, "abcd" * 16, "00" * 32, "")
HANDLES = tuple(f"s-{number:024x}" for number in (0, 1, 2**95, 2**96 - 1))
chance = random.Random(20_261_125)


def eid(ts: int) -> str:
    digits = f"{ts // 1000:012x}7{chance.getrandbits(12):03x}{8 | chance.getrandbits(2):x}{chance.getrandbits(60):015x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def some(among: tuple[str, ...]) -> list[str]:
    return [one for one in among if chance.random() < 0.3]


def header(number: int, open_calls: list[dict[str, Any]], traces: list[str]) -> dict[str, Any]:
    # Clocks step: the order of the log is not the order of times.
    ts = START_US + number * 1_000_000 + chance.randrange(-5_000_000, 5_000_000)
    if chance.random() < 0.1:
        return {
            "eid": eid(ts), "t": "heartbeat", "phase": "note", "trace": "", "ts": ts, "subj": "", "app": "magistrate",
        }  # fmt: skip
    intent = open_calls.pop() if open_calls and chance.random() < 0.6 else None
    made: dict[str, Any] = {
        "eid": eid(ts),
        "t": "llm.response" if intent else "llm.request",
        "phase": "outcome" if intent else "intent",
        "ts": ts,
        "trace": intent["trace"] if intent else chance.choice(traces),
        "subj": intent["subj"] if intent else chance.choice((*HANDLES, "")),
        "app": intent["app"] if intent else chance.choice(APPS),
        "model": {"name": chance.choice(MODELS), "endpoint": chance.choice(("eu", "us", ""))},
        "labels": some(LABELS),
        "policy": {"bundle": chance.choice(BUNDLES)},
    }
    if intent:
        made |= {"cause": [intent["eid"]], "outcome": {"ending": "stop", "rules": some(RULES)}}
    else:
        made["verdict"] = {"effect": chance.choice(VERDICTS), "rules": some(RULES)}
        open_calls.insert(0, made)
    return made


def records() -> list[tuple[int, dict[str, Any], tuple[Located, ...]]]:
    open_calls: list[dict[str, Any]] = []
    traces = [f"{chance.getrandbits(128):032x}" for _ in range(200)] + [f"{7:032x}", f"{(7 << 96) | 1:032x}"]
    made = []
    for number in range(RECORDS):
        parts = tuple(
            Located(part, f"body/default/standard/2023-11-{14 + number // 300}/1.seg", number * 1000 + at)
            for at, part in enumerate(("request", "tool.1", "response")[: chance.randrange(4)])
        )
        made.append((number, header(number, open_calls, traces), parts))
    return made


MADE = records()


class Naive:
    """The obvious answer: every record looked at."""

    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows

    def search(self, query: SearchQuery) -> list[Row]:
        return [row for row in reversed(self.rows) if _matches(row, query)][: query.limit]


def _matches(row: Row, query: SearchQuery) -> bool:
    return (
        (query.heartbeats or row.type != "heartbeat")
        and query.trace in {"", row.trace}
        and query.subject in {"", row.subject}
        and query.app in {"", row.app}
        and query.model in {"", row.model}
        and query.endpoint in {"", row.endpoint}
        and query.verdict in {"", row.verdict}
        and (not query.rule or query.rule in row.rules)
        and (not query.label or query.label in row.labels)
        and row.policy.startswith(query.policy.lower())
        and (query.since_us is None or row.ts_us >= query.since_us)
        and (query.until_us is None or row.ts_us < query.until_us)
    )


class World:
    """The same records: in a list, all hot, and with three ranges cold."""

    def __init__(self, directory: Path) -> None:
        for name in ("hot", "split"):
            (directory / name / "index").mkdir(parents=True)
            index = Index(directory / name / "index" / "records.db", writable=True)
            index.add(MADE)
            index.close()
        done = Compaction(directory / "split", RECORDS).run(2**62, records=RANGE)
        assert (done.moved, done.cold, done.hot) == (3 * RANGE, 3 * RANGE, RECORDS - 3 * RANGE)
        self.hot, self.split = Records(directory / "hot"), Records(directory / "split")
        everything = SearchQuery(heartbeats=True, limit=RECORDS)
        self.naive = Naive(self.hot.search(everything)[::-1])
        assert [row.index for row in self.naive.rows] == list(range(RECORDS))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("retrieval"))
    yield made
    made.hot.close()
    made.split.close()


traces = st.sampled_from(sorted({one["trace"] for _, one, _ in MADE} - {""}))
eids = st.sampled_from([one["eid"] for _, one, _ in MADE])
moments = st.none() | st.integers(START_US - 10**7, START_US + (RECORDS + 10) * 10**6)
queries = st.builds(
    SearchQuery,
    trace=st.just("") | traces | st.sampled_from(["0" * 32, "no trace"]),
    subject=st.sampled_from(["", "", *HANDLES, "s-" + "5" * 24, "s-00"]),
    app=st.sampled_from(["", "", "", *APPS]),
    model=st.sampled_from(["", "", *MODELS, "none"]),
    endpoint=st.sampled_from(["", "", "eu", "us"]),
    verdict=st.sampled_from(["", "", *VERDICTS]),
    rule=st.sampled_from(["", "", *RULES, "pii"]),
    label=st.sampled_from(["", "", *LABELS]),
    policy=st.sampled_from(["", "", "ab", "abab", "ABCD", "%", "_", "00" * 32]),
    since_us=moments,
    until_us=moments,
    limit=st.sampled_from([1, 2, 10, 200, RECORDS]),
    heartbeats=st.booleans(),
)
several = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)


@pytest.mark.requirement("A5")
@several
@given(query=queries)
def test_a_search_finds_the_same_wherever_the_records_are(world: World, query: SearchQuery) -> None:
    """Every condition, alone and together, newest first, to the limit."""
    wanted = world.naive.search(query)
    assert world.hot.search(query) == wanted
    assert world.split.search(query) == wanted


@pytest.mark.requirement("A5", "A9")
@several
@given(trace=traces | st.sampled_from(["0" * 32, "no trace"]))
def test_a_trace_is_whole_across_the_border(world: World, trace: str) -> None:
    """Two of the traces share the 32 bits that are looked up first."""
    wanted = [row for row in world.naive.rows if row.trace == trace]
    assert world.hot.trace(trace) == wanted
    assert world.split.trace(trace) == wanted


@pytest.mark.requirement("A5")
@several
@given(
    prefix=st.builds(lambda one, length: one[:length], eids, st.integers(8, 36))
    | st.text(string.hexdigits, min_size=8, max_size=40)
)
def test_the_beginning_of_an_id_finds_all_of_its_call(world: World, prefix: str) -> None:
    """The call's intent may be cold and its outcome hot."""
    wanted = [row for row in world.naive.rows if _begins(row.eid, prefix) or _begins(row.call, prefix)][:200]
    assert world.hot.find(prefix) == wanted
    assert world.split.find(prefix) == wanted


def _begins(one: str, prefix: str) -> bool:
    return one.replace("-", "").startswith(prefix.replace("-", "").lower())


@pytest.mark.requirement("A5")
@several
@given(number=st.integers(0, RECORDS - 1), part=st.sampled_from(["request", "tool.1", "response"]))
def test_a_record_and_its_bodies_are_found_by_its_id(world: World, number: int, part: str) -> None:
    """What erasure, holds and reading rely on."""
    _, made, places = MADE[number]
    wanted = next((place for place in places if place.part == part), None)
    for one in (world.hot, world.split):
        assert one.exact(made["eid"]) == world.naive.rows[number]
        assert one.place(made["eid"], part) == wanted
        assert one.exact("00000000-0000-7000-8000-000000000000") is None


@pytest.mark.requirement("A5", "A10")
@pytest.mark.parametrize("subject", [*HANDLES, "s-" + "5" * 24])
def test_all_bodies_of_a_person_are_found(world: World, subject: str) -> None:
    """Erasure overwrites exactly these."""
    wanted = [(number, place) for number, made, places in MADE if made["subj"] == subject for place in places]
    for one in (world.hot, world.split):
        assert sorted(one.bodies_of(subject), key=_spot) == sorted(wanted, key=_spot)


def _spot(found: tuple[int, Located]) -> tuple[int, str]:
    return found[0], found[1].part
