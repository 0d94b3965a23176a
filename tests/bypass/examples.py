"""One request, one answer and one stream per route, each as full as the API allows: the rows of the bypass matrix.

Every string in them is a place where text can stand. The matrix puts a canary into each of them in turn.
"""

from typing import Any

import msgspec

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

SCHEMA = {
    "type": "object",
    "description": "where to",
    "properties": {"city": {"type": "string", "description": "a city", "enum": ["Oslo", "Rome"]}},
    "required": ["city"],
}

CHAT: dict[str, Any] = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "be brief", "name": "sys"},
        {"role": "developer", "content": [{"type": "text", "text": "be kind"}]},
        {
            "role": "user",
            "name": "u1",
            "content": [
                {"type": "text", "text": "what is this"},
                {"type": "image_url", "image_url": {"url": "https://example.org/a.png", "detail": "low"}},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
                {"type": "file", "file": {"filename": "notes.pdf", "file_id": "f1"}},
            ],
        },
        {
            "role": "assistant",
            "content": "calling",
            "refusal": "no",
            "reasoning_content": "let me think",
            "tool_calls": [
                {
                    "id": "t1",
                    "type": "function",
                    "function": {"name": "go", "arguments": '{"city": "Oslo", "deep": [{"note": "x"}]}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "t1", "content": "sunny"},
        {"role": "user", "content": "thanks"},
    ],
    "tools": [
        {"type": "function", "function": {"name": "go", "description": "travel", "parameters": SCHEMA}}
    ],
    "response_format": {"type": "json_schema", "json_schema": {"name": "r", "schema": SCHEMA}},
    "prediction": {"type": "content", "content": "maybe"},
    "stop": ["END"],
    "user": "u-77",
    "metadata": {"team": "blue"},
    "max_tokens": 100,
    "some_new_field": {"hint": "later", "list": ["a", {"b": "c"}]},
}

RESPONSES: dict[str, Any] = {
    "model": "m",
    "instructions": "be brief",
    "input": [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hello"}]},
        {"role": "user", "content": "plain"},
        {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_image", "image_url": "https://example.org/a.png", "detail": "low"}],
        },
        {
            "type": "message",
            "role": "assistant",
            "id": "msg1",
            "status": "completed",
            "content": [{"type": "output_text", "text": "hi", "annotations": []}],
        },
        {"type": "reasoning", "id": "rs1", "summary": [{"type": "summary_text", "text": "thought"}]},
        {"type": "function_call", "call_id": "c1", "name": "go", "arguments": '{"city": "Oslo"}'},
        {"type": "function_call_output", "call_id": "c1", "output": "sunny"},
        {"type": "brand_new_item", "payload": {"deep": "value"}},
    ],
    "tools": [
        {"type": "function", "name": "go", "description": "travel", "parameters": SCHEMA, "strict": True}
    ],
    "text": {"format": {"type": "json_schema", "name": "r", "schema": SCHEMA}},
    "metadata": {"team": "blue"},
    "user": "u-77",
    "some_new_field": {"hint": "later"},
}

MESSAGES: dict[str, Any] = {
    "model": "m",
    "max_tokens": 100,
    "system": [{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "look"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
                {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
                {
                    "type": "document",
                    "title": "paper",
                    "context": "for you",
                    "source": {"type": "text", "media_type": "text/plain", "data": "the paper"},
                    "citations": {"enabled": True},
                },
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hmm", "signature": "c2ln"},
                {"type": "text", "text": "calling"},
                {
                    "type": "tool_use",
                    "id": "t1",
                    "name": "go",
                    "input": {"city": "Oslo", "deep": [{"note": "x"}]},
                },
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "sunny"}]},
                {"type": "tool_result", "tool_use_id": "t2", "content": "rainy", "is_error": True},
                {"type": "brand_new_block", "payload": {"deep": "value"}},
            ],
        },
        {"role": "user", "content": "plain"},
    ],
    "tools": [{"name": "go", "description": "travel", "input_schema": SCHEMA}],
    "stop_sequences": ["END"],
    "metadata": {"user_id": "u-77"},
    "some_new_field": {"hint": "later"},
}

EMBEDDINGS: dict[str, Any] = {
    "model": "m",
    "input": ["one text", "another"],
    "user": "u-77",
    "some_new_field": "later",
}

GEMINI: dict[str, Any] = {
    "contents": [
        {
            "role": "user",
            "parts": [
                {"text": "look"},
                {"inlineData": {"mimeType": "image/png", "data": PNG}},
                {"fileData": {"mimeType": "image/png", "fileUri": "https://example.org/a.png"}},
            ],
        },
        {"role": "model", "parts": [{"functionCall": {"name": "go", "args": {"city": "Oslo"}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "go", "response": {"weather": "sunny"}}}]},
        {"role": "user", "parts": [{"brandNewPart": {"deep": "value"}}]},
    ],
    "systemInstruction": {"parts": [{"text": "be brief"}]},
    "tools": [{"functionDeclarations": [{"name": "go", "description": "travel", "parameters": SCHEMA}]}],
    "generationConfig": {"stopSequences": ["END"], "responseSchema": SCHEMA},
    "someNewField": {"hint": "later"},
}

REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "openai.chat": ("/v1/chat/completions", CHAT),
    "openai.chat stream": ("/v1/chat/completions", CHAT | {"stream": True}),
    "openai.responses": ("/v1/responses", RESPONSES),
    "openai.responses stream": ("/v1/responses", RESPONSES | {"stream": True}),
    "openai.embeddings": ("/v1/embeddings", EMBEDDINGS),
    "anthropic.messages": ("/v1/messages", MESSAGES),
    "anthropic.messages stream": ("/v1/messages", MESSAGES | {"stream": True}),
    "anthropic.count_tokens": (
        "/v1/messages/count_tokens",
        {k: v for k, v in MESSAGES.items() if k not in {"max_tokens", "stop_sequences", "metadata"}},
    ),
    "gemini": ("/v1beta/models/m:generateContent", GEMINI),
    "gemini stream": ("/v1beta/models/m:streamGenerateContent", GEMINI),
    "gemini.count_tokens": ("/v1beta/models/m:countTokens", {"contents": GEMINI["contents"]}),
}
"""Row name to path and fullest body."""

CHAT_ANSWER: dict[str, Any] = {
    "id": "c1",
    "object": "chat.completion",
    "created": 1,
    "model": "m-1",
    "system_fingerprint": "fp",
    "choices": [
        {
            "index": index,
            "finish_reason": "stop",
            "message": {
                "role": "assistant",
                "content": "fine",
                "refusal": "no",
                "reasoning_content": "thought",
                "annotations": [
                    {
                        "type": "url_citation",
                        "url_citation": {
                            "url": "https://example.org",
                            "title": "t",
                            "start_index": 0,
                            "end_index": 1,
                        },
                    }
                ],
                "tool_calls": [
                    {
                        "id": "t1",
                        "type": "function",
                        "function": {"name": "go", "arguments": '{"city": "Oslo"}'},
                    }
                ],
                "new_field": {"deep": "value"},
            },
        }
        for index in (0, 1)
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}

MESSAGES_ANSWER: dict[str, Any] = {
    "id": "msg1",
    "type": "message",
    "role": "assistant",
    "model": "m-1",
    "content": [
        {"type": "thinking", "thinking": "hmm", "signature": "c2ln"},
        {
            "type": "text",
            "text": "fine",
            "citations": [
                {
                    "type": "char_location",
                    "cited_text": "quote",
                    "document_index": 0,
                    "document_title": "paper",
                    "start_char_index": 0,
                    "end_char_index": 1,
                }
            ],
        },
        {"type": "tool_use", "id": "t1", "name": "go", "input": {"city": "Oslo"}},
        {"type": "brand_new_block", "payload": {"deep": "value"}},
    ],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 1},
}

RESPONSES_ANSWER: dict[str, Any] = {
    "id": "resp1",
    "object": "response",
    "created_at": 1,
    "model": "m-1",
    "status": "completed",
    "instructions": "be brief",
    "output": [
        {"type": "reasoning", "id": "rs1", "summary": [{"type": "summary_text", "text": "thought"}]},
        {
            "type": "message",
            "id": "msg1",
            "role": "assistant",
            "status": "completed",
            "content": [
                {
                    "type": "output_text",
                    "text": "fine",
                    "annotations": [
                        {
                            "type": "url_citation",
                            "url": "https://example.org",
                            "title": "t",
                            "start_index": 0,
                            "end_index": 1,
                        }
                    ],
                },
                {"type": "refusal", "refusal": "no"},
            ],
        },
        {
            "type": "function_call",
            "id": "fc1",
            "call_id": "c1",
            "name": "go",
            "arguments": '{"city": "Oslo"}',
            "status": "completed",
        },
        {"type": "brand_new_item", "payload": {"deep": "value"}},
    ],
    "metadata": {"team": "blue"},
    "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2},
}

GEMINI_ANSWER: dict[str, Any] = {
    "candidates": [
        {
            "index": 0,
            "finishReason": "STOP",
            "content": {
                "role": "model",
                "parts": [
                    {"text": "fine"},
                    {"text": "hmm", "thought": True},
                    {"functionCall": {"name": "go", "args": {"city": "Oslo"}}},
                ],
            },
        }
    ],
    "modelVersion": "m-1",
    "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2},
}

ANSWERS: dict[str, dict[str, Any]] = {
    "openai.chat": CHAT_ANSWER,
    "openai.responses": RESPONSES_ANSWER,
    "anthropic.messages": MESSAGES_ANSWER,
    "gemini": GEMINI_ANSWER,
}


def _chunk(**delta: Any) -> dict[str, Any]:
    return {
        "id": "c1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m-1",
        "choices": [{"index": 0, "delta": delta, "finish_reason": None}],
    }


def _call(arguments: str, **head: Any) -> dict[str, Any]:
    return {"index": 0, **head, "function": {"arguments": arguments, **({"name": "go"} if head else {})}}


CHAT_STREAM: list[tuple[str, dict[str, Any]]] = [
    ("", _chunk(role="assistant", content="")),
    ("", _chunk(reasoning_content="thought ")),
    ("", _chunk(content="all ")),
    ("", _chunk(content="fine ")),
    ("", _chunk(refusal="no ")),
    ("", _chunk(new_field={"deep": "value"})),
    ("", _chunk(tool_calls=[_call("", id="t1", type="function")])),
    ("", _chunk(tool_calls=[_call('{"city": "Oslo"}')])),
    ("", {**_chunk(), "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
]

MESSAGES_STREAM: list[tuple[str, dict[str, Any]]] = [
    (
        "message_start",
        {"type": "message_start", "message": {**MESSAGES_ANSWER, "content": [], "stop_reason": None}},
    ),
    (
        "content_block_start",
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "thinking", "thinking": "", "signature": ""},
        },
    ),
    (
        "content_block_delta",
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hmm "}},
    ),
    ("content_block_stop", {"type": "content_block_stop", "index": 0}),
    (
        "content_block_start",
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    ),
    (
        "content_block_delta",
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "fine "}},
    ),
    (
        "content_block_delta",
        {"type": "content_block_delta", "index": 1, "delta": {"type": "brand_new_delta", "payload": "value"}},
    ),
    ("content_block_stop", {"type": "content_block_stop", "index": 1}),
    (
        "content_block_start",
        {
            "type": "content_block_start",
            "index": 2,
            "content_block": {"type": "tool_use", "id": "t1", "name": "go", "input": {}},
        },
    ),
    (
        "content_block_delta",
        {
            "type": "content_block_delta",
            "index": 2,
            "delta": {"type": "input_json_delta", "partial_json": '{"city": "Oslo"}'},
        },
    ),
    ("content_block_stop", {"type": "content_block_stop", "index": 2}),
    (
        "message_delta",
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 1},
        },
    ),
    ("message_stop", {"type": "message_stop"}),
]

_TEXT_ITEM = RESPONSES_ANSWER["output"][1]
RESPONSES_STREAM: list[tuple[str, dict[str, Any]]] = [
    (event["type"], event | {"sequence_number": number})
    for number, event in enumerate(
        [
            {
                "type": "response.created",
                "response": {**RESPONSES_ANSWER, "status": "in_progress", "output": []},
            },
            {
                "type": "response.output_item.added",
                "output_index": 0,
                "item": {
                    "type": "message",
                    "id": "msg1",
                    "role": "assistant",
                    "status": "in_progress",
                    "content": [],
                },
            },
            {
                "type": "response.content_part.added",
                "item_id": "msg1",
                "output_index": 0,
                "content_index": 0,
                "part": {"type": "output_text", "text": "", "annotations": []},
            },
            {
                "type": "response.output_text.delta",
                "item_id": "msg1",
                "output_index": 0,
                "content_index": 0,
                "delta": "fine ",
            },
            {
                "type": "response.output_text.done",
                "item_id": "msg1",
                "output_index": 0,
                "content_index": 0,
                "text": "fine ",
            },
            {
                "type": "response.content_part.done",
                "item_id": "msg1",
                "output_index": 0,
                "content_index": 0,
                "part": {"type": "output_text", "text": "fine ", "annotations": []},
            },
            {"type": "response.output_item.done", "output_index": 0, "item": _TEXT_ITEM},
            {
                "type": "response.output_item.added",
                "output_index": 1,
                "item": {
                    "type": "function_call",
                    "id": "fc1",
                    "call_id": "c1",
                    "name": "go",
                    "arguments": "",
                    "status": "in_progress",
                },
            },
            {
                "type": "response.function_call_arguments.delta",
                "item_id": "fc1",
                "output_index": 1,
                "delta": '{"city": "Oslo"}',
            },
            {
                "type": "response.function_call_arguments.done",
                "item_id": "fc1",
                "output_index": 1,
                "arguments": '{"city": "Oslo"}',
            },
            {"type": "response.output_item.done", "output_index": 1, "item": RESPONSES_ANSWER["output"][2]},
            {"type": "response.brand_new_event", "payload": {"deep": "value"}},
            {"type": "response.completed", "response": RESPONSES_ANSWER},
        ]
    )
]

GEMINI_STREAM: list[tuple[str, dict[str, Any]]] = [
    (
        "",
        {
            "candidates": [{"index": 0, "content": {"role": "model", "parts": [{"text": "all "}]}}],
            "modelVersion": "m-1",
        },
    ),
    (
        "",
        {
            "candidates": [{"index": 0, "content": {"role": "model", "parts": [{"text": "fine "}]}}],
            "modelVersion": "m-1",
        },
    ),
    ("", GEMINI_ANSWER),
]

STREAMS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "openai.chat stream": CHAT_STREAM,
    "openai.responses stream": RESPONSES_STREAM,
    "anthropic.messages stream": MESSAGES_STREAM,
    "gemini stream": GEMINI_STREAM,
}


def spell_stream(row: str, events: list[tuple[str, dict[str, Any]]]) -> tuple[bytes, ...]:
    """The bytes of a stream, one chunk an event."""
    spelt = [
        (f"event: {name}\n".encode() if name else b"") + b"data: " + msgspec.json.encode(data) + b"\n\n"
        for name, data in events
    ]
    return (*spelt, b"data: [DONE]\n\n") if row.startswith("openai.chat") else tuple(spelt)
