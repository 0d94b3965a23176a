"""What a client of each dialect holds at the end, whole or streamed: text by place, in one shape for both."""

import json

PATHS = {
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
    "gemini": "/v1beta/models/m:",
}


def question(dialect, text, *, stream=False, choices=1):
    """Return path and body that ask ``text``."""
    turn = [{"role": "user", "content": text}]
    bodies = {
        "chat": {"model": "m", "messages": turn, "stream": stream, "n": choices},
        "responses": {"model": "m", "input": turn, "stream": stream},
        "messages": {"model": "m", "messages": turn, "max_tokens": 99, "stream": stream},
        "gemini": {
            "contents": [{"role": "user", "parts": [{"text": text}]}],
            "generationConfig": {"candidateCount": choices},
        },
    }
    verb = ("streamGenerateContent" if stream else "generateContent") if dialect == "gemini" else ""
    return PATHS[dialect] + verb, bodies[dialect]


def events(body):
    return [json.loads(line[6:]) for line in body.decode().split("\n") if line.startswith("data: {")]


def assembled(dialect, reply):
    """Return place to text: ``(choice, kind)`` with kind text, thoughts, refusal or arguments (decoded)."""
    streamed = reply.headers["content-type"].startswith("text/event-stream")
    held = {}
    read = globals()[f"_{dialect}"]
    for data in events(reply.body) if streamed else [reply.json]:
        for place, text in read(data):
            held[place] = held.get(place, "") + text
    return {place: _decoded(text) if "arguments" in place else text for place, text in held.items() if text}


def _decoded(text):
    try:
        return json.loads(text)
    except ValueError:
        return text


def _chat(data):
    for choice in data.get("choices", ()):
        said = choice.get("delta") or choice.get("message") or {}
        for field, kind in (("content", "text"), ("reasoning_content", "thoughts"), ("refusal", "refusal")):
            yield (choice["index"], kind), said.get(field) or ""
        for position, call in enumerate(said.get("tool_calls") or ()):
            yield (
                (choice["index"], "arguments", call.get("index", position)),
                call["function"].get("arguments") or "",
            )


def _responses(data):
    names = {"response.output_text.delta": "text", "response.refusal.delta": "refusal"}
    names["response.reasoning_summary_text.delta"] = "thoughts"
    kind = data.get("type", "")
    if kind in names:
        yield (0, names[kind]), data["delta"]
    elif kind == "response.function_call_arguments.delta":
        yield (0, "arguments", 0), data["delta"]
    elif "output" in data:
        for item in data["output"]:
            for part in item.get("content") or ():
                yield (
                    (0, "refusal" if part["type"] == "refusal" else "text"),
                    part.get("text") or part.get("refusal"),
                )
            for part in item.get("summary") or ():
                yield (0, "thoughts"), part["text"]
            yield (0, "arguments", 0), item.get("arguments") or ""


def _messages(data):
    delta = data.get("delta") or {}
    yield (0, "text"), delta.get("text") or ""
    yield (0, "thoughts"), delta.get("thinking") or ""
    yield (0, "arguments", 0), delta.get("partial_json") or ""
    for block in data.get("content") or ():
        yield (0, "text"), block.get("text") or ""
        yield (0, "thoughts"), block.get("thinking") or ""
        yield (0, "arguments", 0), json.dumps(block["input"]) if "input" in block else ""


def _gemini(data):
    for candidate in data.get("candidates", ()):
        index = candidate.get("index", 0)
        for part in (candidate.get("content") or {}).get("parts") or ():
            yield (index, "thoughts" if part.get("thought") else "text"), part.get("text") or ""
            if "functionCall" in part:
                yield (index, "arguments", 0), json.dumps(part["functionCall"]["args"])
