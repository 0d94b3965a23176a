"""A request is plain if everything in it is known to have nothing to do with tools; what is new or unknown is not."""

import copy
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from tests.bypass.examples import REQUESTS

from magistrate.exchange.content import Exchange, PartKind
from magistrate.wire.dialects import DIALECTS
from magistrate.wire.gemini_names import snake
from magistrate.wire.plain import PLAIN, is_plain

PLAIN_REQUESTS: dict[str, dict[str, Any]] = {
    "openai.chat": {
        "model": "m",
        "messages": [
            {"role": "system", "content": "be brief", "name": "sys"},
            {"role": "developer", "content": [{"type": "text", "text": "be kind"}]},
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a.b/c.png", "detail": "low"}}]},
            {"role": "assistant", "content": "hello", "refusal": None},
        ],
        "max_tokens": 5, "max_completion_tokens": 5, "temperature": 0.5, "top_p": 1, "top_k": 3, "min_p": 0, "n": 1,
        "seed": 7, "stop": ["END"], "stream": True, "stream_options": {"include_usage": True, "include_obfuscation": False},
        "user": "u", "safety_identifier": "s", "prompt_cache_key": "k", "reasoning_effort": "low", "verbosity": "low",
        "service_tier": "auto", "prompt_cache_retention": "24h", "store": False, "frequency_penalty": 0,
        "presence_penalty": 0, "repetition_penalty": 1, "logprobs": True, "top_logprobs": 2,
        "response_format": {"type": "json_object"},
    },
    "openai.responses": {
        "model": "m",
        "instructions": "be brief",
        "input": [
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hello"}]},
            {"role": "user", "content": [{"type": "input_image", "image_url": "https://a.b/c.png", "detail": "low"}]},
            {"role": "assistant", "content": [{"type": "output_text", "text": "hi"}]},
        ],
        "reasoning": {"effort": "low", "summary": "auto"}, "text": {"format": {"type": "text"}, "verbosity": "low"},
        "max_output_tokens": 9, "store": False, "temperature": 1, "top_p": 1, "top_logprobs": 1, "truncation": "auto",
        "frequency_penalty": 0, "presence_penalty": 0, "stream": True, "stream_options": {"include_obfuscation": False},
        "service_tier": "auto", "prompt_cache_retention": "24h", "prompt_cache_key": "k", "safety_identifier": "s", "user": "u",
    },
    "openai.embeddings": {
        "model": "m", "input": ["one", "two"], "encoding_format": "float", "dimensions": 8, "user": "u", "input_type": "query",
    },
    "anthropic.messages": {
        "model": "m",
        "max_tokens": 9,
        "system": [{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral", "ttl": "5m"}}],
        "messages": [
            {"role": "user", "content": [
                {"type": "text", "text": "look"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGVsbG8="}},
                {"type": "image", "source": {"type": "url", "url": "https://a.b/c.png"}},
            ]},
            {"role": "assistant", "content": "a picture"},
        ],
        "metadata": {"user_id": "u"}, "stop_sequences": ["END"], "temperature": 1, "top_p": 1, "top_k": 1, "stream": True,
        "thinking": {"type": "enabled", "budget_tokens": 1024, "display": "omitted"}, "service_tier": "auto",
        "speed": "fast", "output_config": {"effort": "low"},
    },
    "gemini": {
        "contents": [
            {"role": "user", "parts": [{"text": "look"}, {"inlineData": {"mimeType": "image/png", "data": "aGVsbG8="}}]},
            {"role": "model", "parts": [{"text": "a picture"}]},
        ],
        "systemInstruction": {"parts": [{"text": "be brief"}]},
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
        "generationConfig": {
            "temperature": 1, "topP": 1, "topK": 1, "seed": 1, "candidateCount": 1, "maxOutputTokens": 9,
            "stopSequences": ["END"], "responseMimeType": "text/plain", "presencePenalty": 0, "frequencyPenalty": 0,
            "responseLogprobs": True, "logprobs": 1,
            "thinkingConfig": {"includeThoughts": True, "thinkingBudget": 1, "thinkingLevel": "LOW"},
        },
    },
}  # fmt: skip
"""The fullest plain request of each dialect: every key that is listed as plain, where its API has it."""

NEW_WAYS: dict[str, list[dict[str, Any]]] = {
    "openai.chat": [
        {"tools": []}, {"tools": [{"type": "function", "function": {"name": "go"}}]}, {"functions": [{"name": "go"}]},
        {"web_search_options": {}}, {"tool_choice": "auto"}, {"function_call": "auto"}, {"parallel_tool_calls": True},
        {"messages": [{"role": "tool", "tool_call_id": "t", "content": ""}]},
        {"messages": [{"role": "function", "name": "go", "content": ""}]},
        {"messages": [{"role": "assistant", "content": None, "tool_calls": []}]},
        {"messages": [{"role": "assistant", "content": None, "function_call": {"name": "go", "arguments": "{}"}}]},
        {"messages": [{"role": "user", "content": [{"type": "brand_new"}]}]},
        {"brand_new": None}, {"metadata": {"k": "v"}},
    ],
    "openai.responses": [
        {"tools": [{"type": "web_search"}]}, {"tools": [{"type": "mcp", "server_label": "x"}]}, {"tool_choice": "auto"},
        {"previous_response_id": "r"}, {"conversation": "c"}, {"prompt": {"id": "p"}}, {"background": True},
        {"input": [{"type": "function_call", "call_id": "c", "name": "go", "arguments": "{}"}]},
        {"input": [{"type": "function_call_output", "call_id": "c", "output": ""}]},
        {"input": [{"type": "mcp_approval_response", "approval_request_id": "a", "approve": True}]},
        {"input": [{"type": "item_reference", "id": "i"}]}, {"input": [{"type": "brand_new"}]}, {"include": []},
    ],
    "openai.embeddings": [{"tools": []}, {"brand_new": 1}],
    "anthropic.messages": [
        {"tools": [{"name": "go", "input_schema": {}}]}, {"tools": [{"type": "bash_20250124", "name": "bash"}]},
        {"mcp_servers": []}, {"container": "c"}, {"tool_choice": {"type": "none"}}, {"context_management": {}},
        {"messages": [{"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "go", "input": {}}]}]},
        {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t"}]}]},
        {"messages": [{"role": "assistant", "content": [{"type": "server_tool_use", "id": "t", "name": "x", "input": {}}]}]},
        {"messages": [{"role": "user", "content": [{"type": "brand_new"}]}]},
    ],
    "gemini": [
        {"tools": [{"googleSearch": {}}]}, {"tools": [{"functionDeclarations": []}]}, {"tools": []}, {"toolConfig": {}},
        {"tool_config": {}}, {"cachedContent": "c"}, {"cached_content": "c"},
        {"contents": [{"role": "model", "parts": [{"functionCall": {"name": "go"}}]}]},
        {"contents": [{"role": "user", "parts": [{"function_response": {"name": "go", "response": {}}}]}]},
        {"contents": [{"role": "model", "parts": [{"executableCode": {"code": "x", "language": "PYTHON"}}]}]},
        {"contents": [{"role": "user", "parts": [{"brandNewPart": {}}]}]},
    ],
}  # fmt: skip


def read(dialect: str, body: dict[str, Any]) -> Exchange:
    return DIALECTS[dialect].read_request(
        msgspec.json.encode(body), {"model": "m", "verb": "generateContent"}
    )


def keys_of(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, member in value.items():
            yield key
            yield from keys_of(member)
    elif isinstance(value, list):
        for item in value:
            yield from keys_of(item)


@pytest.mark.requirement("A1")
@pytest.mark.parametrize("dialect", sorted(PLAIN))
def test_every_plain_key_stands_in_its_dialects_own_table(dialect: str) -> None:
    """A key that the table does not know is swept with its name as a part; none of a plain request is."""
    exchange = read(dialect, PLAIN_REQUESTS[dialect])
    assert is_plain(exchange)
    assert not [part.path for part in exchange.parts if part.kind is PartKind.KEY]
    assert not [part.path for part in exchange.parts if part.kind.value.startswith("tool")]


@pytest.mark.requirement("A1")
@pytest.mark.parametrize(
    ("dialect", "change"), [(dialect, change) for dialect, changes in NEW_WAYS.items() for change in changes]
)
def test_what_declares_calls_or_answers_tools_is_never_plain(dialect: str, change: dict[str, Any]) -> None:
    """Nor is what is new, or refers to state that is kept elsewhere."""
    assert not is_plain(read(dialect, PLAIN_REQUESTS[dialect] | change))


@pytest.mark.parametrize("row", sorted(REQUESTS))
def test_the_fullest_request_of_every_route_is_not_plain(row: str) -> None:
    dialect = {"anthropic.count_tokens": "anthropic.messages", "gemini.count_tokens": "gemini"}.get(
        row, row
    ).split()[0]
    assert not is_plain(read(dialect, REQUESTS[row][1]))


@pytest.mark.parametrize("dialect", sorted(PLAIN))
def test_a_key_nobody_knows_anywhere_makes_a_request_not_plain(dialect: str) -> None:
    """At every depth, in every object."""
    tried = 0
    for path in list(_objects(PLAIN_REQUESTS[dialect])):
        body = copy.deepcopy(PLAIN_REQUESTS[dialect])
        place: Any = body
        for step in path:
            place = place[step]
        place["brand_new"] = {}
        assert not is_plain(read(dialect, body)), path
        tried += 1
    assert tried == sum(1 for _ in _objects(PLAIN_REQUESTS[dialect]))


def test_a_dialect_without_a_list_has_no_plain_requests() -> None:
    exchange = read("openai.chat", PLAIN_REQUESTS["openai.chat"])
    assert not is_plain(msgspec.structs.replace(exchange, dialect="brand.new"))


def test_every_listed_key_is_tried_here() -> None:
    """A key is plain only while this file shows what it stands for."""
    for dialect, plain in PLAIN.items():
        shown = {snake(key) for key in keys_of(PLAIN_REQUESTS[dialect])}
        assert plain.keys - shown <= {"model"}, (dialect, plain.keys - shown)


def _objects(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict):
        yield path
        for key, member in value.items():
            yield from _objects(member, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _objects(item, (*path, index))
