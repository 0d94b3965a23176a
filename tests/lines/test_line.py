"""The line as a conversation: what a client asks, what an endpoint sees, what is on record, what the client gets."""

import asyncio

import msgspec
import pytest

from magistrate.classify.sinks import Sinks
from magistrate.classify.urls import HostList
from magistrate.exchange.errors import UpstreamError
from magistrate.pipeline.line import Limits

from .world import KEY, Evidence, Reply, Script, Upstream, World, endpoint, policies

CHAT = "/v1/chat/completions"


def chat(text: str = "hello", **fields: object) -> dict[str, object]:
    return {"model": "m", "messages": [{"role": "user", "content": text}], **fields}


def completion(text: str = "hi") -> bytes:
    return msgspec.json.encode(
        {
            "id": "c1",
            "object": "chat.completion",
            "created": 1,
            "model": "m-2026",
            "choices": [
                {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            ],
            "usage": {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8},
        }
    )


def chunk(text: str | None = None, finish: str | None = None) -> bytes:
    delta = {} if text is None else {"content": text}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    data = {
        "id": "c1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m-2026",
        "choices": [choice],
    }
    return b"data: " + msgspec.json.encode(data) + b"\n\n"


DONE = b"data: [DONE]\n\n"


def streamed(body: bytes) -> str:
    """The text a client assembles from a chat stream."""
    text = ""
    for line in body.decode().splitlines():
        if line.startswith("data: ") and line != "data: [DONE]":
            for choice in msgspec.json.decode(line[6:]).get("choices", []):
                text += choice.get("delta", {}).get("content") or ""
    return text


def answering(text: str = "hi") -> Upstream:
    return Upstream(sim=[Script(body=completion(text))])


@pytest.mark.requirement("A1", "A7", "P1")
async def test_an_allowed_call_is_answered_between_two_durable_records() -> None:
    """Intent before the endpoint sees anything, outcome before the client sees anything."""
    world = World(answering())
    order: list[str] = []
    world.evidence.on_append = lambda draft: order.append(
        f"{draft.header['phase']}:{len(world.upstream.calls)}"
    )
    reply = await world.ask(CHAT, chat())
    assert reply.status == 200
    assert reply.json["choices"][0]["message"]["content"] == "hi"
    assert order == ["intent:0", "outcome:1"]
    intent, outcome = (draft.header for draft in world.evidence.drafts)
    assert outcome["cause"] == [intent["eid"]]
    assert reply.headers["x-magistrate-record"] == intent["eid"]
    assert outcome["usage"]["cost_nano"] == 3 * 1000 + 5 * 2000  # type: ignore[index]
    assert outcome["model"]["version"] == "m-2026"  # type: ignore[index]
    assert intent["clk"] == outcome["clk"] == world.clock.standing()


@pytest.mark.requirement("A8", "A1")
async def test_datasets_that_a_caller_names_stand_in_the_record_and_go_no_further() -> None:
    """A claim like the model's name: kept with the intent. What has another form is refused, and that is on record, too."""
    world = World(answering())
    named = "guidelines@2026-11, icd-10@2026"
    reply = await world.ask(CHAT, chat(), x_magistrate_datasets=named)
    assert reply.status == 200
    intent, outcome = (draft.header for draft in world.evidence.drafts)
    told = [{"id": "guidelines", "version": "2026-11"}, {"id": "icd-10", "version": "2026"}]
    assert (intent["data"], "data" in outcome) == (told, False)
    ((_, request),) = world.upstream.calls
    assert "x-magistrate-datasets" not in dict(request.headers)
    refused = await world.ask(CHAT, chat(), x_magistrate_datasets="Alan Turing's letters")
    assert (refused.status, refused.json["error"]["param"]) == (400, "x-magistrate-datasets")
    assert len(world.upstream.calls) == 1
    assert "Turing" not in str([draft.header for draft in world.evidence.drafts])


@pytest.mark.requirement("A2")
async def test_only_a_trace_that_no_client_named_ends_with_its_call() -> None:
    """A client that names its trace may go on in it."""
    world = World(answering())
    await world.ask(CHAT, chat())
    await world.ask(CHAT, chat(), traceparent=f"00-{'a' * 32}-{'b' * 16}-01")
    _, own, _, named = (draft.header for draft in world.evidence.drafts)
    assert own["closes"] == 2
    assert (named["trace"], "closes" in named) == ("a" * 32, False)


async def test_the_endpoint_sees_its_own_model_name_and_none_of_the_clients_credentials() -> None:
    """A virtual key must not travel on."""
    world = World(answering())
    await world.ask(CHAT, chat(), cookie="c=1", anthropic_beta="b1", x_magistrate_tags="t")
    sent = dict(world.upstream.calls[0][1].headers)
    assert world.upstream.sent()["model"] == "m-at-sim"
    assert sent == {"anthropic-beta": "b1"}
    assert KEY not in str(world.upstream.calls)


@pytest.mark.requirement("A1")
@pytest.mark.parametrize(
    ("path", "body", "headers", "status", "code"),
    [
        (CHAT, b"{", {}, 400, "invalid_request"),
        (CHAT, b'{"model":"m","model":"n","messages":[]}', {}, 400, "invalid_request"),
        (CHAT, chat(), {"authorization": "Bearer nope"}, 401, "authentication_failed"),
        (CHAT, {"model": "none", "messages": [{"role": "user", "content": "x"}]}, {}, 404, "model_not_found"),
        ("/v1/files", {}, {}, 404, "not_found"),
        (CHAT, chat("my key is AKIAQ3XK7LMN2PWZ5RTV"), {}, 403, "policy_denied"),
    ],
)
async def test_a_refusal_at_any_step_is_on_record_and_nothing_is_sent(
    path: str, body: object, headers: dict[str, str], status: int, code: str
) -> None:
    """Refusals are evidence too (A1), and a refused call never reaches an endpoint."""
    world = World(answering())
    reply = await world.ask(path, body, reply=None, **headers)
    assert (reply.status, reply.json["error"]["code"]) == (status, code)
    assert world.upstream.calls == []
    assert world.evidence.phases == ["intent", "outcome"]
    assert world.evidence.drafts[1].header["outcome"]["code"] == code  # type: ignore[index]
    assert reply.headers["x-magistrate-record"] in reply.body.decode()


@pytest.mark.requirement("P3", "R2")
async def test_personal_data_is_redacted_on_its_way_to_an_uncertified_endpoint() -> None:
    """The starter policy; the client's own copy of the conversation is not touched."""
    world = World(answering())
    reply = await world.ask(CHAT, chat("write to ada@lovelace.org please"))
    assert reply.status == 200
    assert world.upstream.sent()["messages"][0]["content"] == "write to [EMAIL] please"
    assert world.evidence.drafts[1].header["rewritten"] == {"pii.email": 1}
    assert b"[EMAIL]" in world.evidence.body(1, "sent")


@pytest.mark.requirement("P3")
async def test_a_secret_in_an_answer_is_withheld_in_the_clients_format() -> None:
    """The endpoint's answer is on record; the client gets a refusal that no SDK retries."""
    world = World(answering("the key is AKIAQ3XK7LMN2PWZ5RTV"))
    reply = await world.ask(CHAT, chat())
    assert (reply.status, reply.json["error"]["code"]) == (403, "policy_denied")
    assert b"AKIA" not in reply.body
    assert world.evidence.drafts[1].header["outcome"]["ending"] == "withheld"  # type: ignore[index]
    assert b"AKIA" in world.evidence.body(1, "response")


@pytest.mark.requirement("P6")
@pytest.mark.parametrize("size", [1, 2, 3, 7, 50])
async def test_no_split_of_a_stream_lets_a_card_number_through(size: int) -> None:
    """The starter policy redacts card numbers in answers, however they are cut."""
    text = "Your card 4111 1111 1111 1111 is on file, thanks."
    pieces = [chunk(text[i : i + size]) for i in range(0, len(text), size)]
    world = World(Upstream(sim=[Script(chunks=(*pieces, chunk(finish="stop"), DONE))]))
    reply = await world.ask(CHAT, chat(stream=True))
    assert streamed(reply.body) == "Your card [CARD] is on file, thanks."
    assert reply.body.endswith(DONE)
    assert world.evidence.drafts[1].header["rewritten"] == {"pci.pan": 1}


@pytest.mark.requirement("P6")
async def test_a_secret_in_a_stream_ends_it_properly_and_none_of_it_gets_out() -> None:
    """Never a cut stream: a finish the SDKs know, then the native end."""
    text = "sure: AKIAQ3XK7LMN2PWZ5RTV and more"
    pieces = [chunk(text[i : i + 4]) for i in range(0, len(text), 4)]
    world = World(Upstream(sim=[Script(chunks=(*pieces, chunk(finish="stop"), DONE))]))
    reply = await world.ask(CHAT, chat(stream=True))
    assert reply.status == 200
    assert b"AKIA" not in reply.body
    assert b"content_filter" in reply.body
    assert reply.body.endswith(DONE)
    assert world.evidence.drafts[1].header["outcome"]["ending"] == "withheld"  # type: ignore[index]


@pytest.mark.requirement("A7")
async def test_the_end_of_a_stream_waits_until_its_outcome_is_on_record() -> None:
    """The terminal marker goes out after step 9, not before."""
    world = World(Upstream(sim=[Script(chunks=(chunk("hi"), chunk(finish="stop"), DONE))]))
    reply = Reply()
    before_end: list[bool] = []
    world.evidence.on_append = lambda draft: before_end.append(DONE in reply.body)
    await world.ask(CHAT, chat(stream=True), reply=reply)
    assert before_end == [False, False]
    assert reply.body.endswith(DONE)


FAILING = UpstreamError("connection refused", sent=False)
HUNG_UP = UpstreamError("time-out", sent=True, timed_out=True)


@pytest.mark.requirement("R6")
@pytest.mark.parametrize(
    "first", [Script(error=FAILING), Script(status=503, body=b"{}"), Script(body=b"<html>")]
)
async def test_a_failing_endpoint_is_followed_by_the_next_lawful_one(first: Script) -> None:
    """Connection, status, malformed answer: each moves on before the first byte."""
    world = World(
        Upstream(a=[first], b=[Script(body=completion("from b"))]),
        endpoints=(endpoint("a"), endpoint("b", priority=1)),
    )
    reply = await world.ask(CHAT, chat())
    assert reply.json["choices"][0]["message"]["content"] == "from b"
    assert [name for name, _ in world.upstream.calls] == ["a/m", "b/m"]
    assert reply.headers["x-magistrate-model"] == "b/m"
    attempts = world.evidence.drafts[1].header["attempts"]
    assert [a["id"] for a in attempts] == ["a/m", "b/m"]  # type: ignore[attr-defined]


@pytest.mark.requirement("R5", "R6", "R2")
async def test_a_fallback_that_policy_forbids_is_not_taken_and_the_record_says_why() -> None:
    """Health data stays on certified endpoints, even when they are down."""
    certified = endpoint("a", certifications=("hipaa-baa",))
    world = World(
        Upstream(a=[Script(error=FAILING)], b=[Script(body=completion())]),
        endpoints=(certified, endpoint("b")),
    )
    reply = await world.ask(CHAT, chat("patient MRN: 84736251 was admitted"))
    assert reply.status == 502
    assert {name for name, _ in world.upstream.calls} == {"a/m"}
    eligibility = world.evidence.drafts[1].header["eligibility"]
    assert {e["id"]: e["ok"] for e in eligibility} == {"a/m": True, "b/m": False}  # type: ignore[attr-defined]
    assert all(e["why"] for e in eligibility if not e["ok"])  # type: ignore[attr-defined]


@pytest.mark.parametrize(("error", "status"), [(FAILING, 502), (HUNG_UP, 504)])
async def test_an_endpoint_that_never_answers_is_told_in_the_clients_format(
    error: UpstreamError, status: int
) -> None:
    """And recorded as the endpoint's failure."""
    world = World(Upstream(sim=[Script(error=error)]))
    reply = await world.ask(
        "/v1/messages", {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
    )
    assert reply.status == status
    assert reply.json["type"] == "error"
    assert world.evidence.drafts[1].header["outcome"]["ending"] == "upstream_failed"  # type: ignore[index]


async def test_an_endpoints_own_error_keeps_its_status_and_its_retry_advice() -> None:
    """A rate limit is the client's to wait out."""
    body = msgspec.json.encode(
        {"error": {"message": "slow down", "type": "rate_limit", "param": None, "code": None}}
    )
    world = World(Upstream(sim=[Script(status=429, body=body, headers={"retry-after": "7"})]))
    reply = await world.ask(CHAT, chat())
    assert (reply.status, reply.headers["retry-after"]) == (429, "7")
    assert reply.json["error"]["message"] == "slow down"
    assert len(world.upstream.calls) == 1


async def test_a_stream_that_dies_in_the_middle_ends_with_an_error_the_client_can_read() -> None:
    """What was judged before is delivered; the record says what happened."""
    dead = Script(chunks=(chunk("hello "), chunk("there ")), breaks=UpstreamError("reset", sent=True))
    world = World(Upstream(sim=[dead]))
    reply = await world.ask(CHAT, chat(stream=True))
    assert streamed(reply.body).startswith("hello")
    assert reply.ended
    assert b"upstream_error" in reply.body
    assert world.evidence.drafts[1].header["outcome"]["ending"] == "upstream_failed"  # type: ignore[index]


async def test_a_client_that_leaves_cancels_the_endpoint_and_is_still_recorded() -> None:
    """Nobody pays for an answer that nobody reads, and the record shows it."""
    world = World(Upstream(sim=[Script(chunks=(chunk("one "),), hangs=True)]))
    reply = Reply()
    asked = asyncio.ensure_future(world.ask(CHAT, chat(stream=True), reply=reply))
    while not reply.pieces:
        await asyncio.sleep(0)
    reply.leave()
    await asked
    assert world.upstream.answers[0].closed
    assert world.evidence.drafts[1].header["outcome"]["ending"] == "disconnected"  # type: ignore[index]


@pytest.mark.requirement("A7")
async def test_without_evidence_nothing_is_sent() -> None:
    """The row `open_record` of the fail-mode table, which nobody can open."""
    world = World(answering())
    world.evidence.down = 0
    reply = await world.ask(CHAT, chat())
    assert (reply.status, reply.json["error"]["code"]) == (503, "evidence_unavailable")
    assert world.upstream.calls == []


@pytest.mark.requirement("A7")
async def test_an_answer_whose_outcome_cannot_be_recorded_is_not_given() -> None:
    """The row `close_record`, for a whole answer."""
    world = World(answering("secret plans"))
    world.evidence.down = 1
    reply = await world.ask(CHAT, chat())
    assert reply.status == 503
    assert b"secret plans" not in reply.body


async def test_a_stream_whose_outcome_cannot_be_recorded_does_not_complete() -> None:
    """The row `close_record`, for a stream: it ends with an error instead of its own end."""
    world = World(Upstream(sim=[Script(chunks=(chunk("hi"), chunk(finish="stop"), DONE))]))
    world.evidence.down = 1
    reply = await world.ask(CHAT, chat(stream=True))
    assert b"evidence_unavailable" in reply.body
    assert reply.ended


@pytest.mark.requirement("P9")
async def test_content_that_cannot_be_inspected_is_refused() -> None:
    """The row `classify`: a detector that raised is not a detector that found nothing."""
    world = World(answering())
    world.classifier.indeterminate = True
    reply = await world.ask(CHAT, chat())
    assert (reply.status, reply.json["error"]["code"]) == (403, "policy_denied")
    assert world.upstream.calls == []


async def test_an_answer_that_cannot_be_inspected_is_withheld() -> None:
    """The row `inspect`."""
    world = World(answering("fine"))
    world.evidence.on_append = lambda draft: setattr(world.classifier, "indeterminate", True)
    reply = await world.ask(CHAT, chat())
    assert reply.status == 403
    assert b"fine" not in reply.body


async def test_an_unreadable_key_store_admits_nobody() -> None:
    """The row `identify`."""
    world = World(answering())
    world.keys.unreadable = True
    assert (await world.ask(CHAT, chat())).status == 500
    assert world.upstream.calls == []
    assert world.evidence.phases == ["intent", "outcome"]


@pytest.mark.fault(37)
async def test_a_clock_that_jumps_back_neither_stops_nor_confuses_a_call() -> None:
    """Wall time is recorded as seen; durations come from the monotonic clock."""
    world = World(answering())
    world.evidence.on_append = lambda draft: setattr(
        world.clock, "wall_us", world.clock.wall_us - 3_600_000_000
    )
    reply = await world.ask(CHAT, chat())
    assert reply.status == 200
    intent, outcome = (draft.header for draft in world.evidence.drafts)
    assert int(str(outcome["ts"])) < int(str(intent["ts"]))
    assert all(us >= 0 for _, us in outcome["steps_us"])  # type: ignore[attr-defined]


@pytest.mark.requirement("P7")
async def test_a_shadow_policy_is_told_and_recorded_and_does_not_act() -> None:
    """What would have happened is shown beside what did."""
    bundle = policies(
        '@id("all") permit (principal, action, resource);\n'
        '@id("no-mail") @mode("shadow") forbid (principal, action, resource)'
        ' when { context.labels.contains("pii.email") };'
    )
    world = World(answering(), bundle=bundle)
    reply = await world.ask(CHAT, chat("mail ada@lovelace.org"))
    assert reply.status == 200
    assert reply.headers["x-magistrate-would"] == "deny"
    assert world.evidence.drafts[0].header["verdict"]["would"]["rules"] == ["no-mail"]  # type: ignore[index]


async def test_obligations_cap_warn_and_tokenise_are_carried_out() -> None:
    """One call under three obligations."""
    bundle = policies(
        '@id("all") permit (principal, action, resource);\n'
        '@id("cap") @obligation("cap") @max_output_tokens("50") permit (principal, action == Magistrate::Action::"call", resource);\n'
        '@id("warn") @obligation("warn") @message("be careful") permit (principal, action == Magistrate::Action::"call", resource);\n'
        '@id("tok") @obligation("tokenise") @labels("pii.email") permit (principal, action == Magistrate::Action::"call", resource);'
    )
    world = World(answering(), bundle=bundle)
    reply = await world.ask(CHAT, chat("mail ada@lovelace.org", max_tokens=500))
    sent = world.upstream.sent()
    assert sent["max_tokens"] == 50
    assert "be careful" in reply.headers["x-magistrate-warning"]
    assert "ada@lovelace.org" not in sent["messages"][0]["content"]
    assert sent["messages"][0]["content"].startswith("mail EMAIL_")


@pytest.mark.requirement("P9")
async def test_a_secret_in_a_forwarded_header_is_seen() -> None:
    """A header is a place where text can stand."""
    world = World(answering())
    reply = await world.ask(CHAT, chat(), user_agent="x AKIAQ3XK7LMN2PWZ5RTV")
    assert reply.status == 403
    assert world.upstream.calls == []


async def test_a_stream_longer_than_the_limit_is_ended() -> None:
    """Nothing is unbounded."""
    long = Script(chunks=tuple(chunk("word " * 50) for _ in range(100)))
    world = World(Upstream(sim=[long]), limits=Limits(answer_bytes=5000))
    reply = await world.ask(CHAT, chat(stream=True))
    assert len(reply.body) < 8000
    assert reply.ended


@pytest.mark.requirement("I2")
async def test_the_models_list_shows_what_the_key_may_call() -> None:
    """Rights are evaluated at the gateway, for the list too."""
    bundle = policies('@id("only") permit (principal, action, resource) when { resource.model == "m" };')
    world = World(answering(), endpoints=(endpoint(), endpoint(model="other")), bundle=bundle)
    reply = await world.ask("/v1/models", b"", method="GET")
    assert [m["id"] for m in reply.json["data"]] == ["m"]
    assert world.evidence.phases == ["intent", "outcome"]


def test_the_log_double_keeps_what_it_is_given() -> None:
    """The simulator behind the evidence port starts empty."""
    assert Evidence().phases == []


@pytest.mark.requirement("A8", "P3")
async def test_every_record_names_the_detectors_and_their_versions() -> None:
    """Intent and refusal alike say which rules judged, so that a later reader can judge again with the same ones."""
    world = World(answering())
    await world.ask(CHAT, chat("hello"))
    await world.ask(CHAT, chat("my key is AKIAQ3XK7LMN2PWZ5RTV"))
    intents = [draft.header for draft in world.evidence.drafts if draft.header["phase"] == "intent"]
    assert len(intents) == 2
    for header in intents:
        assert header["detectors"].items() >= world.classifier.versions.items()  # type: ignore[attr-defined]
        assert all(world.classifier.versions.values())


@pytest.mark.requirement("A8", "G7")
async def test_the_record_names_the_version_of_every_detector_and_of_the_list_of_hosts() -> None:
    """Another list is another version."""
    lists = (HostList(), HostList(["ok.example"]))
    versions = []
    for hosts in lists:
        world = World(answering("![x](https://ok.example/p)"), changes={"sinks": Sinks(hosts)})
        reply = await world.ask(CHAT, chat())
        detectors = world.evidence.drafts[1].header["detectors"]
        assert isinstance(detectors, dict)
        assert set(detectors) == {"always-on", "sinks"}
        versions.append(detectors["sinks"])
        assert ("ok.example" in reply.body.decode()) is (hosts is lists[1])
    assert versions[0] != versions[1]
