"""The control plane's requests and answers, and their OpenAPI description."""

import time
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from magistrate.identity.admin import Right
from magistrate.identity.keys import KeyRecord

DAY_S = 86_400
DEFAULT_LIFE_S = 90 * DAY_S

Text = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
OptionalText = Annotated[str, Meta(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]


class CreateKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a new key is for. Without `expires_in_s` it lives 90 days; null means that it never expires."""

    user: Text
    tenant: Text = "default"
    groups: Annotated[tuple[Text, ...], Meta(max_length=100)] = ()
    application: OptionalText = ""
    models: Annotated[tuple[Text, ...], Meta(max_length=100)] = ()
    """Shell-style patterns; empty means every model that policy allows."""
    expires_in_s: Annotated[int, Meta(ge=1, le=10 * 365 * DAY_S)] | None = DEFAULT_LIFE_S


class RotateKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long, in seconds, the old secret stays good beside the new one."""

    grace_s: Annotated[int, Meta(ge=0, le=30 * DAY_S)] = 0


class KeyView(msgspec.Struct, frozen=True):
    """A key as it is shown: no secret, no digest. Times are RFC 3339, UTC."""

    id: str
    user: str
    tenant: str
    groups: tuple[str, ...]
    application: str
    models: tuple[str, ...]
    status: str
    """`active`, `expired` or `revoked`."""
    created: str
    expires: str | None
    revoked: str | None


class KeyList(msgspec.Struct, frozen=True):
    """All keys, oldest first."""

    keys: tuple[KeyView, ...]


class KeyShown(msgspec.Struct, frozen=True):
    """A new key or secret: the only time that it is shown."""

    key: str
    record: KeyView


class Problem(msgspec.Struct, frozen=True):
    """Why the answer is no."""

    code: str
    message: str


class Failure(msgspec.Struct, frozen=True):
    """The shape of every error."""

    error: Problem


class Operation(msgspec.Struct, frozen=True):
    """One row of the control plane's route table. ``{id}`` in the path is a key's id."""

    method: str
    path: str
    name: str
    summary: str
    right: Right | None
    body: Any = None
    answer: Any = None
    media: str = "application/json"


OPERATIONS = (
    Operation("GET", "/healthz", "healthz", "Whether the control plane runs. Open.", None, media="text/plain"),
    Operation(
        "GET", "/metrics", "metrics", "Prometheus exposition.", Right.METRICS, media="text/plain; version=0.0.4"
    ),
    Operation("GET", "/api/keys", "list_keys", "List keys.", Right.ADMIN, answer=KeyList),
    Operation("POST", "/api/keys", "create_key", "Create a key; shown once.", Right.ADMIN, CreateKey, KeyShown),
    Operation(
        "POST", "/api/keys/{id}/rotate", "rotate_key", "Give a key a new secret.", Right.ADMIN, RotateKey, KeyShown
    ),
    Operation(
        "POST", "/api/keys/{id}/revoke", "revoke_key", "End a key; gateways notice within a second.", Right.ADMIN,
        answer=KeyList,
    ),
    Operation("GET", "/api/status", "status", "What runs and how it is configured.", Right.ADMIN),
    Operation(
        "GET", "/api/feed", "feed",
        "Live observations as server-sent events. `last` asks for so many past ones; `Last-Event-ID` continues.",
        Right.ADMIN, media="text/event-stream",
    ),
    Operation("GET", "/api/openapi.json", "openapi", "This description.", Right.ADMIN),
)  # fmt: skip


def view(record: KeyRecord, now_us: int) -> KeyView:
    """Return what may be shown of ``record``."""
    expired = record.expires_us is not None and now_us >= record.expires_us
    return KeyView(
        id=record.id,
        user=record.user,
        tenant=record.tenant,
        groups=record.groups,
        application=record.application,
        models=record.models,
        status="revoked" if record.revoked_us is not None else "expired" if expired else "active",
        created=_instant(record.created_us) or "",
        expires=_instant(record.expires_us),
        revoked=_instant(record.revoked_us),
    )


def openapi(version: str) -> dict[str, Any]:
    """Return the OpenAPI 3.1 description of `OPERATIONS`."""
    types = [t for each in OPERATIONS for t in (each.body, each.answer) if t is not None] + [Failure]
    _, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    paths: dict[str, dict[str, Any]] = {}
    for each in OPERATIONS:
        paths.setdefault(each.path, {})[each.method.lower()] = _described(each)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Magistrate control plane", "version": version, "license": {"name": "Apache-2.0"}},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "mag-admin-…"}},
        },
    }


def _described(each: Operation) -> dict[str, Any]:
    schema = _ref(each.answer) if each.answer else {"type": "object" if "json" in each.media else "string"}
    refusal = {"description": "Refused.", "content": {"application/json": {"schema": _ref(Failure)}}}
    told: dict[str, Any] = {
        "operationId": each.name,
        "summary": each.summary,
        "responses": {
            "200": {"description": "Done.", "content": {each.media: {"schema": schema}}},
            "default": refusal,
        },
        "security": [{"token": []}] if each.right else [],
    }
    parameters: list[dict[str, Any]] = []
    if "{id}" in each.path:
        parameters.append({"name": "id", "in": "path", "required": True, "schema": {"type": "string"}})
    if each.name == "feed":
        bounds = {"type": "integer", "minimum": 0, "maximum": 1000, "default": 0}
        parameters.append({"name": "last", "in": "query", "schema": bounds})
    if parameters:
        told["parameters"] = parameters
    if each.body:
        told["requestBody"] = {"required": True, "content": {"application/json": {"schema": _ref(each.body)}}}
    return told


def _ref(struct: Any) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{struct.__name__}"}


def _instant(us: int | None) -> str | None:
    return None if us is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(us // 1_000_000))
