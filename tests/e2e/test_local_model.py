"""The local model: a real one, small, without a network."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing

import httpx
import pytest

from magistrate.adapters.upstreams.local_model import MODEL, OPERATIONS, Engine, LocalModel
from magistrate.exchange.endpoint import Endpoint
from magistrate.pipeline.ports import UpstreamRequest
from magistrate.wire.dialects import DIALECTS

pytestmark = [pytest.mark.tool("local-model"), pytest.mark.requirement("X2")]

ENDPOINT = Endpoint(
    id=MODEL,
    provider="local",
    api="openai",
    model=MODEL,
    upstream_model="smollm2",
    operations=OPERATIONS,
)
ASK = [{"role": "user", "content": "Name a colour."}]
DIALECT_PATHS = {"openai.chat": "/chat/completions", "anthropic.messages": "/messages"}


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """One engine for all tests here, as a gateway has one for its life."""
    started = Engine.start()
    yield started
    started.stop()


@pytest.fixture
async def model(engine: Engine) -> AsyncIterator[LocalModel]:
    async with LocalModel(engine) as reached:
        yield reached


def asking(dialect: str, tokens: int, *, stream: bool) -> UpstreamRequest:
    body = {"model": "smollm2", "messages": ASK, "max_tokens": tokens, "stream": stream}
    return UpstreamRequest("POST", DIALECT_PATHS[dialect], (), json.dumps(body).encode(), stream)


@pytest.mark.parametrize("dialect", sorted(DIALECT_PATHS))
async def test_it_answers(model: LocalModel, dialect: str) -> None:
    """The answer reads as the dialect's, with words in it, and it keeps to the limit of tokens."""
    answer = await model.call(ENDPOINT, asking(dialect, 8, stream=False))
    read = DIALECTS[dialect].read_answer(await answer.read(1 << 20))
    assert answer.status == 200
    assert read.model == MODEL
    assert any(part.text.strip() for part in read.parts)
    assert read.usage.output_tokens is not None
    assert 0 < read.usage.output_tokens <= 8


@pytest.mark.parametrize("dialect", sorted(DIALECT_PATHS))
async def test_it_streams(model: LocalModel, dialect: str) -> None:
    """Pieces arrive one by one and the stream ends as the dialect says it must."""
    answer = await model.call(ENDPOINT, asking(dialect, 12, stream=True))
    reader = DIALECTS[dialect].open_stream()
    events = [event async for chunk in answer.chunks() for event in reader.feed(chunk)] + reader.finish()
    assert len([delta for event in events for delta in event.deltas if delta.text]) >= 2
    assert any(event.terminal for event in events)


async def test_closing_an_answer_stops_the_generation(model: LocalModel) -> None:
    """The one slot is free again at once: the next call does not wait for a thousand tokens."""
    long = await model.call(ENDPOINT, asking("openai.chat", 1000, stream=True))
    async with aclosing(long.chunks()) as chunks:
        async for chunk in chunks:
            assert chunk
            break
    await long.aclose()
    short = await model.call(ENDPOINT, asking("openai.chat", 1, stream=False))
    read = DIALECTS["openai.chat"].read_answer(await short.read(1 << 20))
    assert read.usage.output_tokens == 1


def test_it_ends_with_the_gateway() -> None:
    """When the gateway is gone, however it went, the kernel closes the pipe and the model's process ends."""
    engine = Engine.start()
    engine.stop()
    assert engine.process.returncode == 0


async def test_its_port_is_no_way_around_the_gateway(engine: Engine) -> None:
    """Whoever finds the port on the machine is refused without the key that only the gateway holds."""
    async with httpx.AsyncClient(trust_env=False) as stranger:
        answer = await stranger.post(
            f"{engine.address}/v1/chat/completions", json={"model": "m", "messages": ASK}
        )
    assert answer.status_code == 401
