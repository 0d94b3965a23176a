"""Gemini's generateContent as tables: requests, answers and chunks.

Source: the Gemini API reference and the types of Google's Python SDK 3.4. Protobuf's JSON mapping takes every field
name in two spellings (``systemInstruction``, ``system_instruction``), and so do these tables; an object that holds
both is refused, because which one counts is the parser's choice. Where a list stands, one object may stand too.
"""

from collections.abc import Mapping

from magistrate.exchange.content import Json, Part, PartKind, Path, Role
from magistrate.exchange.errors import Unreadable
from magistrate.wire.gemini_logprobs import TOKENS
from magistrate.wire.gemini_names import snake
from magistrate.wire.shapes import (
    METADATA,
    Visit,
    array,
    bytes_part,
    either,
    free,
    ident,
    locator,
    mapping,
    record,
    scalar,
    scalars,
    schema,
    sealed,
    text,
    under,
    word,
    wrong,
)

ROLES = {"user": Role.USER, "model": Role.ASSISTANT, "function": Role.TOOL}

_meta = free(PartKind.METADATA, METADATA)
_definition = text(PartKind.TOOL_DEFINITION, nullable=True)
_tool = free(PartKind.TOOL_DEFINITION)
_result = free(PartKind.TOOL_RESULT, Role.TOOL)
_signature = either(string=sealed, nullable=True)


def both(fields: Mapping[str, Visit]) -> dict[str, Visit]:
    """Return ``fields`` under both spellings of each name."""
    return {**{snake(name): visit for name, visit in fields.items()}, **fields}


def message(fields: Mapping[str, Visit], *, nullable: bool = False) -> Visit:
    """An object of the API, whose names have two spellings."""
    inner = record(both(fields), nullable=nullable)
    twins = {snake(name): name for name in fields if snake(name) != name}

    def visit(value: Json, path: Path, role: Role, out: list[Part]) -> None:
        if type(value) is dict:
            for key in value:
                if key in twins and twins[key] in value:
                    raise Unreadable(f"`{twins[key]}` and `{key}` are one field: send it once", (*path, key))
        inner(value, path, role, out)

    return visit


def several(item: Visit) -> Visit:
    """A list, or the one object that is its only item."""
    return either(items=array(item), fields=item, nullable=True)


# --- contents -------------------------------------------------------------------------------------------------


def _blob(value: Json, path: Path, role: Role, out: list[Part]) -> None:
    media = value.get("mimeType", value.get("mime_type")) if type(value) is dict else None
    known = media.lower() if type(media) is str else "application/octet-stream"

    def data(raw: Json, where: Path, around: Role, into: list[Part]) -> None:
        if type(raw) is not str:
            raise wrong(raw, where, "a string")
        into.append(bytes_part(raw, where, around, known))

    table = {"mimeType": ident, "data": data, "displayName": text(nullable=True)}
    message(table)(value, path, role, out)


_file = message({"mimeType": ident, "fileUri": locator, "displayName": text(nullable=True)})
_call = message(
    {
        "id": ident,
        "name": ident,
        "args": free(PartKind.TOOL_ARGUMENTS),
        "partialArgs": free(PartKind.TOOL_ARGUMENTS),
        "willContinue": scalar,
    }
)
_code = message({"id": ident, "language": word("PYTHON", "LANGUAGE_UNSPECIFIED"),
                 "code": text(PartKind.TOOL_ARGUMENTS)})  # fmt: skip
_ran = message(
    {
        "id": ident,
        "outcome": word("OUTCOME_OK", "OUTCOME_FAILED", "OUTCOME_DEADLINE_EXCEEDED", "OUTCOME_UNSPECIFIED"),
        "output": text(PartKind.TOOL_RESULT, Role.TOOL, nullable=True),
    }
)


def _returned(value: Json, path: Path, role: Role, out: list[Part]) -> None:
    # Defined by hand because a function's response holds parts again.
    table = {
        "id": ident,
        "name": ident,
        "response": _result,
        "parts": several(PART),
        "willContinue": scalar,
        "scheduling": word("SILENT", "WHEN_IDLE", "INTERRUPT"),
    }
    del role
    message(table)(value, path, Role.TOOL, out)


PART_FIELDS: dict[str, Visit] = {
    "thought": scalar,
    "thoughtSignature": _signature,
    "inlineData": _blob,
    "fileData": _file,
    "functionCall": _call,
    "functionResponse": _returned,
    "executableCode": _code,
    "codeExecutionResult": _ran,
    "toolCall": free(PartKind.TOOL_ARGUMENTS),
    "toolResponse": _result,
    "videoMetadata": _meta,
    "mediaResolution": _meta,
}
"""A part but for its text, which a stream grows."""

_spoken = message({**PART_FIELDS, "text": text(nullable=True)})
_thought = message({**PART_FIELDS, "text": text(PartKind.REASONING, nullable=True)})


def PART(value: Json, path: Path, role: Role, out: list[Part]) -> None:  # noqa: N802  because it is a table like its neighbours
    """One part of a content; a thought's text is reasoning."""
    thought = type(value) is dict and value.get("thought") is True
    (_thought if thought else _spoken)(value, path, role, out)


_content = message({"role": word(*ROLES), "parts": several(PART)})


def CONTENT(value: Json, path: Path, _around: Role, out: list[Part]) -> None:  # noqa: N802  because it is a table like its neighbours
    """A turn; whose words it carries decides how far it is trusted, so an unknown role is refused."""
    name = value.get("role") if type(value) is dict else None
    role = Role.USER if name in (None, "") else ROLES.get(name) if type(name) is str else None
    if role is None:
        place = (*path, "role")
        raise Unreadable(f"`{'.'.join(map(str, place))}` must be one of {', '.join(ROLES)}", place)
    _content(value, path, role, out)


# --- the request ------------------------------------------------------------------------------------------------

_function = message(
    {
        "name": _definition,
        "description": _definition,
        "parameters": schema,
        "parametersJsonSchema": schema,
        "response": schema,
        "responseJsonSchema": schema,
        "behavior": word("BLOCKING", "NON_BLOCKING", "UNSPECIFIED"),
    }
)
_HOSTED = ("googleSearch", "googleSearchRetrieval", "codeExecution", "urlContext", "fileSearch", "computerUse",
           "googleMaps", "mcpServers", "retrieval", "enterpriseWebSearch")  # fmt: skip
_tools = several(
    message({"functionDeclarations": several(_function), **dict.fromkeys(_HOSTED, _tool)}, nullable=True)
)


def _whole_calls_only(value: Json, path: Path, role: Role, out: list[Part]) -> None:
    if value is True:
        raise Unreadable("streamed function arguments are not supported: they are judged as a whole", path)
    scalar(value, path, role, out)


_calling = message(
    {
        "mode": word("AUTO", "ANY", "NONE", "VALIDATED", "MODE_UNSPECIFIED"),
        "allowedFunctionNames": array(ident, nullable=True),
        "streamFunctionCallArguments": _whole_calls_only,
    },
    nullable=True,
)
_config = message(
    {
        "responseSchema": schema,
        "responseJsonSchema": schema,
        "_responseJsonSchema": schema,
        "responseMimeType": ident,
        "responseModalities": array(
            word("TEXT", "IMAGE", "AUDIO", "MODALITY_UNSPECIFIED"), nullable=True
        ),
        "stopSequences": either(string=text(PartKind.METADATA), items=array(text(PartKind.METADATA)), nullable=True),
        "thinkingConfig": message(
            {
                **scalars("includeThoughts", "thinkingBudget"),
                "thinkingLevel": word("MINIMAL", "LOW", "MEDIUM", "HIGH", "minimal", "low", "medium", "high"),
            },
            nullable=True,
        ),
        "speechConfig": _meta,
        "imageConfig": _meta,
        "mediaResolution": ident,
        **scalars(
            "candidateCount", "maxOutputTokens", "temperature", "topP", "topK", "seed", "presencePenalty",
            "frequencyPenalty", "responseLogprobs", "logprobs", "enableEnhancedCivicAnswers", "audioTimestamp",
        ),
    },
    nullable=True,
)  # fmt: skip
_asked: dict[str, Visit] = {
    "model": ident,
    "contents": several(CONTENT),
    "systemInstruction": under(Role.SYSTEM, either(fields=_content, nullable=True)),
    "tools": under(Role.DEFINITION, _tools),
    "toolConfig": message({"functionCallingConfig": _calling, "retrievalConfig": _meta}, nullable=True),
    "safetySettings": several(message({"category": ident, "threshold": ident, "method": ident})),
    "generationConfig": under(Role.DEFINITION, _config),
    "cachedContent": ident,
    "labels": mapping(_meta, nullable=True),
    "serviceTier": ident,
    "store": scalar,
}
REQUEST = message(_asked)
COUNT_REQUEST = message({**_asked, "generateContentRequest": message(_asked)})


_answered = either(fields=_content, nullable=True)


# --- the answer -------------------------------------------------------------------------------------------------

_cited = text(PartKind.CITATION, nullable=True)
_source = message(
    {
        "uri": _cited,
        "title": _cited,
        "license": _cited,
        "publicationDate": _meta,
        **scalars("startIndex", "endIndex"),
    }
)
_HARMS = tuple(
    f"HARM_CATEGORY_{name}"
    for name in ("HARASSMENT", "HATE_SPEECH", "SEXUALLY_EXPLICIT", "DANGEROUS_CONTENT", "CIVIC_INTEGRITY")
)
_ratings = array(
    message(
        {
            "category": word(*_HARMS),
            "probability": word("NEGLIGIBLE", "LOW", "MEDIUM", "HIGH"),
            "severity": ident,
            **scalars("blocked", "probabilityScore", "severityScore"),
        }
    ),
    nullable=True,
)
FINISHES = (
    "STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "LANGUAGE", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII",
    "MALFORMED_FUNCTION_CALL", "IMAGE_SAFETY", "UNEXPECTED_TOOL_CALL", "FINISH_REASON_UNSPECIFIED",
)  # fmt: skip
CANDIDATE_FIELDS: dict[str, Visit] = {
    "finishReason": word(*FINISHES),
    "finishMessage": text(nullable=True),
    "safetyRatings": _ratings,
    "citationMetadata": message(
        {"citations": array(_source, nullable=True), "citationSources": array(_source, nullable=True)},
        nullable=True,
    ),
    "groundingMetadata": free(PartKind.CITATION),
    "groundingAttributions": free(PartKind.CITATION),
    "urlContextMetadata": free(PartKind.CITATION),
    **scalars("index", "tokenCount", "avgLogprobs"),
}
"""A candidate but for its content and its token texts."""

_counts = message(
    {
        **scalars(
            "promptTokenCount", "candidatesTokenCount", "totalTokenCount", "thoughtsTokenCount",
            "cachedContentTokenCount", "toolUsePromptTokenCount",
        ),
        **dict.fromkeys(
            ("promptTokensDetails", "candidatesTokensDetails", "cacheTokensDetails", "toolUsePromptTokensDetails"),
            array(message({"modality": word("TEXT", "IMAGE", "AUDIO", "VIDEO", "DOCUMENT"), "tokenCount": scalar}),
                  nullable=True),
        ),
        "trafficType": ident,
    },
    nullable=True,
)  # fmt: skip
TOP_FIELDS: dict[str, Visit] = {
    "promptFeedback": message(
        {
            "blockReason": word("SAFETY", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "IMAGE_SAFETY"),
            "blockReasonMessage": text(nullable=True),
            "safetyRatings": _ratings,
        },
        nullable=True,
    ),
    "usageMetadata": _counts,
    "modelVersion": ident,
    "responseId": ident,
    "createTime": ident,
}
"""An answer, or a chunk of one, but for its candidates."""

_details = several(
    message({"modality": word("TEXT", "IMAGE", "AUDIO", "VIDEO", "DOCUMENT"), "tokenCount": scalar})
)
COUNT = message(
    {
        **scalars("totalTokens", "cachedContentTokenCount"),
        "promptTokensDetails": _details,
        "cacheTokensDetails": _details,
    }
)
ANSWER = message(
    {
        **TOP_FIELDS,
        "candidates": under(
            Role.ASSISTANT,
            array(
                message(
                    {
                        **CANDIDATE_FIELDS,
                        "content": _answered,
                        "logprobsResult": TOKENS,
                    }
                ),
                nullable=True,
            ),
        ),
    }
)
