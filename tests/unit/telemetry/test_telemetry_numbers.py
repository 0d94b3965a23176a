"""Numbers arrive, add up and stay bounded; nothing waits for them."""

import asyncio
import io
import json
import logging
import re
import stat
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from magistrate.adapters.telemetry.exposition import Bounded, Counter, Histogram, render
from magistrate.adapters.telemetry.feed import BEHIND, KEPT, WATCHERS, Feed, lines
from magistrate.adapters.telemetry.logs import configure
from magistrate.adapters.telemetry.metrics import Metrics
from magistrate.adapters.telemetry.receiver import Receiver
from magistrate.adapters.telemetry.sender import TelemetrySender
from magistrate.pipeline.ports import Observation

SEEN = Observation(
    record="r",
    trace="t",
    ts_us=1,
    dialect="openai.chat",
    operation="chat",
    model="gpt-5",
    endpoint="openai/gpt-5",
    user="ada",
    application="app",
    verdict="allow",
    ending="completed",
    status=200,
    code="",
    rules=("r1",),
    labels=("pii", "pii.email"),
    stream=False,
    total_us=1500,
    steps_us=(("read", 80), ("call", 900), ("call", 100)),
    input_tokens=7,
    output_tokens=11,
    cost_nano=2_500_000_000,
)


def seen(**changes: object) -> Observation:
    return msgspec.structs.replace(SEEN, **changes)


class Road:
    """A sender and a receiver on one socket path."""

    def __init__(self, path: Path) -> None:
        self.got: list[Observation] = []
        self.lost = [0, 0]
        self.path = path / "telemetry.sock"
        self.sender = TelemetrySender(self.path)

    def listen(self) -> Receiver:
        return Receiver(self.path, self.got.append, self.note)

    def note(self, dropped: int, malformed: int) -> None:
        self.lost[0] += dropped
        self.lost[1] += malformed


@pytest.fixture
def road(tmp_path: Path):
    made = Road(tmp_path)
    yield made
    made.sender.close()


async def test_observations_arrive_whole_and_in_order(road: Road) -> None:
    """Every field survives the datagram."""
    receiver = road.listen()
    sent = [seen(record=str(n)) for n in range(300)]
    for each in sent:
        road.sender.observe(each)
    road.sender.flush()
    receiver.drain()
    receiver.close()
    assert road.got == sent
    assert road.lost == [0, 0]


def test_a_sender_flushes_by_itself_inside_a_loop(road: Road) -> None:
    """Nobody has to start a task for it."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        receiver = road.listen()
        receiver.attach(loop)
        road.sender.observe(SEEN)
        assert not road.got
        async with asyncio.timeout(10):
            while not road.got:
                await asyncio.sleep(0.005)
        receiver.close(loop)

    asyncio.run(run())
    assert road.got == [SEEN]


def test_what_nobody_receives_is_dropped_counted_and_told_later(road: Road) -> None:
    """No receiver, then one: the loss is known, the rest goes on."""
    for _ in range(5):
        road.sender.observe(SEEN)
    assert road.sender.dropped == 5
    receiver = road.listen()
    road.sender.observe(SEEN)
    receiver.drain()
    receiver.close()
    assert road.got == [SEEN]
    assert road.lost == [5, 0]
    assert road.sender.dropped == 0


def test_a_receiver_that_is_behind_never_makes_the_sender_wait(road: Road) -> None:
    """The socket's buffer fills; the sender counts, and nothing is unaccounted for."""
    receiver = road.listen()
    for _ in range(20_000):
        road.sender.observe(seen(application="x" * 500))
    assert road.sender.dropped > 0
    while True:
        before = len(road.got)
        receiver.drain()
        if len(road.got) == before:
            break
    receiver.close()
    assert len(road.got) + road.lost[0] + road.sender.dropped == 20_000


def test_an_observation_that_cannot_travel_is_dropped_without_a_word(road: Road) -> None:
    """Too long, or a number out of range: never an exception on the governed path."""
    road.sender.observe(seen(application="x" * 100_000))
    road.sender.observe(seen(total_us=1 << 70))
    assert road.sender.dropped == 2


def test_what_is_not_ours_is_counted_as_malformed(road: Road) -> None:
    """Another program's datagram, or another version's."""
    receiver = road.listen()
    for junk in (b"", b"\xff" * 50, msgspec.msgpack.encode((0, ({"a": 1},)))):
        road.sender._socket.sendto(junk, str(road.path))
    receiver.drain()
    receiver.close()
    assert road.lost == [0, 3]


def test_only_our_user_can_write_to_the_socket(road: Road) -> None:
    """0600, and gone after closing."""
    receiver = road.listen()
    assert stat.S_IMODE(road.path.stat().st_mode) == 0o600
    receiver.close()
    assert not road.path.exists()


SAMPLE = re.compile(r'^([a-z_]+)(\{(?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*\})? (-?[0-9.e+-]+)$')


def parsed(text: bytes) -> dict[str, float]:
    """The obvious reader of the exposition format: fails on any line that is not a comment or a sample."""
    found: dict[str, float] = {}
    assert text.endswith(b"\n")
    for line in text.decode().splitlines():
        if not line.startswith("#"):
            sample = SAMPLE.match(line)
            assert sample, line
            found[sample[1] + (sample[2] or "")] = float(sample[3])
    return found


@pytest.mark.requirement("O2")
def test_metrics_add_up_to_what_was_observed() -> None:
    """Requests, refusals, tokens, cost, labels, steps, durations."""
    metrics = Metrics("1")
    metrics.observe(SEEN)
    metrics.observe(
        seen(verdict="deny", ending="refused", code="policy_denied", would="deny", input_tokens=None)
    )
    metrics.lost(3, 1)
    found = parsed(metrics.render())
    where = 'dialect="openai.chat",operation="chat",model="gpt-5",endpoint="openai/gpt-5"'
    assert found[f'magistrate_requests_total{{{where},verdict="allow",ending="completed"}}'] == 1
    assert found[f'magistrate_requests_total{{{where},verdict="deny",ending="refused"}}'] == 1
    assert found['magistrate_refusals_total{code="policy_denied"}'] == 1
    assert found['magistrate_shadow_total{verdict="deny"}'] == 1
    assert found['magistrate_findings_total{label="pii.email"}'] == 2
    assert found['magistrate_tokens_total{endpoint="openai/gpt-5",model="gpt-5",direction="input"}'] == 7
    assert found['magistrate_tokens_total{endpoint="openai/gpt-5",model="gpt-5",direction="output"}'] == 22
    assert found['magistrate_cost_total{endpoint="openai/gpt-5",model="gpt-5"}'] == 5
    assert found['magistrate_step_duration_seconds_sum{step="call"}'] == pytest.approx(0.002)
    assert found['magistrate_step_duration_seconds_count{step="call"}'] == 2
    durations = 'magistrate_request_duration_seconds_bucket{dialect="openai.chat",operation="chat",le='
    assert found[durations + '"0.001"}'] == 0
    assert found[durations + '"0.0025"}'] == 2
    assert found["magistrate_telemetry_dropped_total"] == 3
    assert found["magistrate_telemetry_malformed_total"] == 1


def test_names_that_clients_invent_cannot_grow_the_metrics() -> None:
    """Ten thousand model names are a hundred and `other`."""
    metrics = Metrics("1")
    for number in range(10_000):
        metrics.observe(seen(model=f"m{number}", rules=(f"r{number}",), labels=(f"l{number}",)))
    found = parsed(metrics.render())
    assert len(found) < 1_500
    assert (
        sum(value for name, value in found.items() if name.startswith("magistrate_requests_total")) == 10_000
    )


def test_a_counter_past_its_series_limit_keeps_counting_as_other() -> None:
    """Nothing is lost from the sum."""
    counter = Counter("c_total", "C.", ("a",), most_series=2)
    for value in ("x", "y", "z", "w", "x"):
        counter.add(1, value)
    assert parsed(render([counter])) == {'c_total{a="x"}': 2, 'c_total{a="y"}': 1, 'c_total{a="other"}': 2}
    assert [Bounded(1)(value) for value in ("a",)] == ["a"]


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_any_label_value_is_written_so_that_it_reads_back(value: str) -> None:
    """Quotes, backslashes and newlines are escaped; one sample is one line."""
    counter = Counter("c_total", "C.", ("a",))
    counter.add(1, value)
    last = render([counter]).decode()[:-1].split("\n")[-1]
    inner = last.removeprefix('c_total{a="').removesuffix('"} 1')
    assert re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], inner) == value


@given(
    st.lists(st.floats(0, 100), max_size=50), st.lists(st.floats(0, 100), min_size=1, max_size=8, unique=True)
)
def test_a_histogram_equals_counting_everything_below_each_bound(
    values: list[float], bounds: list[float]
) -> None:
    """`le` means less or equal, and buckets are cumulative."""
    histogram = Histogram("h", "H.", (), bounds)
    for value in values:
        histogram.observe(value)
    counts = [float(line.rpartition(" ")[2]) for line in histogram.lines() if line.startswith("h_bucket")]
    expected = [sum(value <= bound for value in values) for bound in sorted(bounds)] + [len(values)]
    assert counts == (expected if values else [])


async def first(source: object, count: int) -> bytes:
    got = b""
    for _ in range(count):
        got += await anext(source)  # type: ignore[call-overload]
    await source.aclose()  # type: ignore[attr-defined]
    return got


@pytest.mark.requirement("O1")
async def test_a_watcher_sees_recent_events_and_then_each_new_one() -> None:
    """Numbered, as server-sent events, without content."""
    feed = Feed()
    for number in range(5):
        feed.publish(seen(record=f"old-{number}"))
    source = lines(feed, last=2)
    history = await anext(source)
    assert re.findall(rb'"record":"([^"]+)"', history) == [b"old-3", b"old-4"]
    feed.publish(seen(record="new"))
    event = await anext(source)
    assert event.startswith(b"id: 6\ndata: {")
    assert json.loads(event.split(b"data: ")[1])["record"] == "new"
    await source.aclose()


async def test_a_reconnecting_watcher_continues_after_the_last_event_it_saw() -> None:
    """`Last-Event-ID` is honoured as far as events are kept."""
    feed = Feed()
    for number in range(KEPT + 10):
        feed.publish(seen(record=str(number)))
    assert [number for number, _ in feed.recent(5, after=KEPT + 7)] == [KEPT + 8, KEPT + 9, KEPT + 10]
    assert len(feed.recent(10**6)) == KEPT
    assert feed.recent(0) == []


async def test_a_slow_watcher_is_told_how_much_it_missed() -> None:
    """It loses the oldest events; memory stays bounded and nobody else waits."""
    feed = Feed()
    source = lines(feed)
    await anext(source)
    for _ in range(BEHIND + 7):
        feed.publish(SEEN)
    event = await anext(source)
    assert event.startswith(b'event: skipped\ndata: {"skipped":7}\n\n')
    assert event.count(b"\nid: ") + event.count(b"\n\nid") >= BEHIND - 1
    await source.aclose()


async def test_a_quiet_feed_sends_comments_so_that_a_dead_connection_is_noticed() -> None:
    """Comments are no events."""
    assert await first(lines(Feed(), every_s=0.001), 2) == b": magistrate\n\n: quiet\n\n"


async def test_there_are_only_so_many_watchers_and_a_place_is_free_again_after_leaving() -> None:
    """The control plane cannot be worn down by open feeds."""
    feed = Feed()
    sources = [lines(feed) for _ in range(WATCHERS)]
    for source in sources:
        await anext(source)
    assert b"too many watchers" in await first(lines(feed), 1)
    await sources[0].aclose()
    assert b"too many" not in await first(lines(feed), 1)
    for source in sources[1:]:
        await source.aclose()


@pytest.fixture
def root_logger():
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield root
    root.handlers[:] = before
    root.setLevel(level)


def test_a_log_event_is_one_json_line_without_keys_or_exception_texts(root_logger: logging.Logger) -> None:
    """Line breaks cannot forge a second event, and a stray key is cut to its public part."""
    out = io.StringIO()
    configure("info", "auto", "gateway", out)
    log = logging.getLogger("magistrate.test")
    try:
        int("the customer's words")
    except ValueError:
        log.exception('failed\n{"forged": 1} for mag-abcdefghjkmn-%s', "S" * 43)
    log.debug("not written")
    (line,) = out.getvalue().splitlines()
    event = json.loads(line)
    assert event["level"] == "error"
    assert event["process"] == "gateway"
    assert event["message"] == 'failed\\n{"forged": 1} for mag-abcdefghjkmn-[redacted]'
    assert re.fullmatch(r"ValueError at test_telemetry_numbers\.py:\d+", event["error"])
    assert "customer" not in line
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", event["ts"])


def test_people_get_text(root_logger: logging.Logger) -> None:
    """When asked for, or on a terminal."""
    out = io.StringIO()
    configure("warning", "text", "control", out)
    logging.getLogger("x").warning("keys are closed")
    logging.getLogger("x").info("not written")
    assert out.getvalue().endswith("warning control: keys are closed\n")
    assert out.getvalue().count("\n") == 1
