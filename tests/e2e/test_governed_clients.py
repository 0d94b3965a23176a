"""What clients see of governance: headers, native refusals, redaction, and that a closed connection stops the model."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import anthropic
import httpx
import openai
import pytest

from tests.e2e.answers import Answer
from tests.e2e.gateway import UPSTREAM_KEYS, Governed

pytestmark = pytest.mark.skipif(
    os.environ.get("MAGISTRATE_E2E") == "direct", reason="MAGISTRATE_E2E=direct: nothing is governed"
)

ASK = [{"role": "user", "content": "how is the sea?"}]
KEY = "AKIA" + "QX7ZJ3LMNP2RSTUV"
CARD = "4111 1111 1111 1111"


@pytest.fixture
def client(governed: Governed) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{governed.url}/v1", api_key=governed.key) as made:
        yield made


def leak(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": f"my access key is {text}, use it"}]


@pytest.mark.requirement("A1", "P1")
def test_every_answer_names_its_record(client: openai.OpenAI) -> None:
    """Record, verdict, policy and endpoint stand in the headers of an allowed answer."""
    raw = client.chat.completions.with_raw_response.create(model="gpt-test", messages=ASK)
    headers = raw.headers
    assert len(headers["x-magistrate-record"]) == 36
    assert headers["x-magistrate-verdict"] == "allow"
    assert headers["x-magistrate-policy"]
    assert headers["x-magistrate-model"] == "scripted-openai/gpt-test"


@pytest.mark.requirement("I1")
def test_the_clients_key_stays_here_and_the_providers_goes_up(
    client: openai.OpenAI, governed: Governed
) -> None:
    """No header that arrives holds the virtual key; the provider's own key does."""
    client.chat.completions.create(model="gpt-test", messages=ASK)
    (arrived,) = governed.upstream.seen
    assert governed.key not in str(arrived)
    assert arrived.headers["authorization"] == f"Bearer {UPSTREAM_KEYS['SCRIPTED_OPENAI_KEY']}"


@pytest.mark.requirement("I1")
def test_a_wrong_key_is_refused_in_both_tongues(governed: Governed) -> None:
    """Each SDK raises its own authentication error and does not try again; nothing reaches the endpoint."""
    with (
        openai.OpenAI(base_url=f"{governed.url}/v1", api_key="mag-wrong") as one,
        pytest.raises(openai.AuthenticationError),
    ):
        one.chat.completions.create(model="gpt-test", messages=ASK)
    with (
        anthropic.Anthropic(base_url=governed.url, api_key="mag-wrong") as other,
        pytest.raises(anthropic.AuthenticationError),
    ):
        other.messages.create(model="claude-test", max_tokens=8, messages=ASK)
    assert governed.upstream.seen == []


@pytest.mark.requirement("P3")
def test_a_secret_is_refused_in_openais_tongue(client: openai.OpenAI, governed: Governed) -> None:
    """403 with a stable code and the record to quote, no retry, nothing sent."""
    with pytest.raises(openai.PermissionDeniedError) as caught:
        client.chat.completions.create(model="gpt-test", messages=leak(KEY))
    assert caught.value.code == "policy_denied"
    assert caught.value.response.headers["x-magistrate-record"] in caught.value.response.text
    assert KEY not in caught.value.response.text
    assert governed.upstream.seen == []


@pytest.mark.requirement("P3")
def test_a_secret_is_refused_in_anthropics_tongue(governed: Governed) -> None:
    """The same policy on the other route, as that SDK's own error."""
    with (
        anthropic.Anthropic(base_url=governed.url, api_key=governed.key) as client,
        pytest.raises(anthropic.PermissionDeniedError) as caught,
    ):
        client.messages.create(model="claude-test", max_tokens=8, messages=leak(KEY))
    assert caught.value.body["type"] == "error"
    assert governed.upstream.seen == []


@pytest.mark.requirement("P3", "R2")
def test_personal_data_is_redacted_for_an_endpoint_without_an_agreement(
    client: openai.OpenAI, governed: Governed
) -> None:
    """The text arrives with a placeholder; the answer comes back as usual."""
    governed.upstream.say("openai.chat", Answer("noted"))
    asked = [{"role": "user", "content": f"write to ada.lovelace@example.org about card {CARD}"}]
    answer = client.chat.completions.create(model="plain-test", messages=asked)
    assert answer.choices[0].message.content == "noted"
    arrived = governed.upstream.of("openai.chat")[0].raw
    assert b"ada.lovelace" not in arrived
    assert CARD.encode() not in arrived
    assert b"write to" in arrived


@pytest.mark.requirement("P6")
@pytest.mark.parametrize("size", [1, 3, 7, 400])
def test_a_secret_in_a_stream_does_not_come_through(
    client: openai.OpenAI, governed: Governed, size: int
) -> None:
    """However it is cut, no piece of it is released; what was rightly said is, and the stream ends natively."""
    text = f"all is well. the key is {KEY} and so on"
    pieces = tuple(text[i : i + size] for i in range(0, len(text), size))
    governed.upstream.say("openai.chat", Answer(pieces=pieces))
    said, finish = "", None
    for chunk in client.chat.completions.create(model="gpt-test", messages=ASK, stream=True):
        if chunk.choices:
            said += chunk.choices[0].delta.content or ""
            finish = chunk.choices[0].finish_reason or finish
    assert KEY[:8] not in said
    assert "all is well." in said or size == 400
    assert finish == "content_filter"


@pytest.mark.requirement("P5", "P6")
def test_the_first_words_arrive_while_the_model_still_speaks(
    client: openai.OpenAI, governed: Governed
) -> None:
    """Of a stream that takes two seconds, the first word is there in a fraction of one."""
    governed.upstream.say("openai.chat", Answer("the harbour stays quiet tonight " * 20, pace_s=0.02))
    began = time.monotonic()
    arrived = [
        time.monotonic() - began
        for chunk in client.chat.completions.create(model="gpt-test", messages=ASK, stream=True)
        if chunk.choices and chunk.choices[0].delta.content
    ]
    assert arrived[-1] > 1.5
    assert arrived[0] < 0.5


@pytest.mark.requirement("P9")
def test_a_path_that_nobody_reads_does_not_exist(governed: Governed) -> None:
    """There is no pass-through."""
    with httpx.Client(trust_env=False, headers={"authorization": f"Bearer {governed.key}"}) as client:
        answer = client.post(f"{governed.url}/v1/files", json={"purpose": "assistants"})
    assert answer.status_code == 404
    assert governed.upstream.seen == []


def _hung_up(governed: Governed) -> bool:
    until = time.monotonic() + 5
    while governed.upstream.cancelled == 0 and time.monotonic() < until:
        time.sleep(0.01)
    return governed.upstream.cancelled == 1


@pytest.mark.requirement("P1")
def test_hanging_up_in_a_stream_stops_the_endpoint(client: openai.OpenAI, governed: Governed) -> None:
    """A client that goes away costs nothing more: the upstream connection is closed too."""
    governed.upstream.say("openai.chat", Answer("and so on " * 1_000, pace_s=0.005))
    with client.chat.completions.create(model="gpt-test", messages=ASK, stream=True) as stream:
        next(stream)
    assert _hung_up(governed)


@pytest.mark.requirement("P1")
def test_hanging_up_before_the_answer_stops_the_endpoint(governed: Governed) -> None:
    """The same while the endpoint has not said a word yet."""
    governed.upstream.say("openai.chat", Answer(hang=True))
    with (
        httpx.Client(trust_env=False, timeout=0.5) as client,
        pytest.raises(httpx.ReadTimeout),
    ):
        client.post(
            f"{governed.url}/v1/chat/completions",
            headers={"authorization": f"Bearer {governed.key}"},
            json={"model": "gpt-test", "messages": ASK},
        )
    assert _hung_up(governed)


@pytest.mark.requirement("P1")
def test_a_stream_that_the_endpoint_cuts_does_not_end_as_if_it_were_whole(
    client: openai.OpenAI, governed: Governed
) -> None:
    """Half an answer is never passed off as a whole one, and the reason stands in the stream."""
    governed.upstream.always("openai.chat", Answer("one two three four five", cut_after=4))
    chunks = list(client.chat.completions.create(model="gpt-test", messages=ASK, stream=True))
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "content_filter"
    extra = chunks[-1].model_extra
    assert extra is not None
    assert extra["magistrate"]["code"] == "upstream_error"


@pytest.mark.requirement("A1", "A2")
def test_what_clients_did_is_on_record_and_verifies(client: openai.OpenAI, governed: Governed) -> None:
    """A call through the SDK can be found by its record id, and the log it stands in verifies."""
    raw = client.chat.completions.with_raw_response.create(model="gpt-test", messages=ASK)
    record = raw.headers["x-magistrate-record"]
    for arguments in (["show", record], ["verify"]):
        done = _evidence(governed, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        if arguments[0] == "show":
            assert record in done.stdout


def _evidence(governed: Governed, *arguments: str) -> subprocess.CompletedProcess[str]:
    magistrate = Path(sys.executable).with_name("magistrate")
    return subprocess.run(
        [magistrate, "evidence", *arguments, "--config", str(governed.config)],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | UPSTREAM_KEYS,
        cwd=governed.config.parent,
        check=False,
    )
