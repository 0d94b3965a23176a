"""Routes, models and embeddings."""

import json

import pytest

from magistrate.exchange.content import PartKind
from magistrate.exchange.errors import MalformedAnswer, Unreadable
from magistrate.wire.models import ModelsList, list_models
from magistrate.wire.openai_embeddings import OpenAIEmbeddings
from magistrate.wire.routes import ROUTES, match, methods

EMBEDDINGS = OpenAIEmbeddings()


@pytest.mark.requirement("P1", "P9")
@pytest.mark.parametrize("route", ROUTES, ids=lambda r: f"{r.method} {r.path}")
def test_every_route_matches_its_own_path(route):
    found = match(route.method, route.path.replace("{model}", "gemini-2.5-pro"))
    assert found is not None
    assert found[0] is route
    assert found[1]["verb"] == route.verb
    assert found[1].get("model") == ("gemini-2.5-pro" if "{model}" in route.path else None)


@pytest.mark.requirement("P9")
@pytest.mark.parametrize(
    "path",
    [
        "/", "", "/v1", "/v1/chat/completions/", "//v1/chat/completions", "/v1//chat/completions",
        "/v1/chat/../messages", "/v1/chat%2fcompletions", "/V1/chat/completions", "/v1/files", "/v1/completions",
        "/v1/chat/completions\n", "/v1/chat/completions?x=1", "/v1beta/models/a/b:generateContent",
        "/v1beta/models/..:generateContent", "/v1beta/models/%2e%2e:generateContent",
        "/v1beta/models/a%00:generateContent", "/v1beta/models/a%zz:generateContent",
        "/v1beta/models/:generateContent", "/v1beta/models/a:embedContent", "/v1beta/models/a:generateContent/",
        "/v1beta/models/a%ff:generateContent",
    ],
)  # fmt: skip
def test_what_is_not_in_the_table_does_not_exist(path):
    """One enforcement point: no path is passed through, and no path has two readings."""
    assert match("POST", path) is None
    assert methods(path) == frozenset()


def test_another_method_is_told_from_no_path():
    assert match("DELETE", "/v1/messages") is None
    assert methods("/v1/messages") == {"POST"}
    assert methods("/v1/models") == {"GET"}


def test_the_upstream_path_names_the_endpoints_own_model():
    route, params = match("POST", "/v1beta/models/tuned%2Fmine:streamGenerateContent")
    assert params == {"model": "tuned/mine", "verb": "streamGenerateContent"}
    assert route.upstream_path(params, "gemini 2/x?y") == "/models/gemini%202%2Fx%3Fy:streamGenerateContent"
    route, params = match("POST", "/v1/messages/count_tokens")
    assert route.upstream_path(params, "any") == "/messages/count_tokens"


@pytest.mark.requirement("P1")
def test_models_are_listed_in_the_shape_the_client_knows():
    openai = json.loads(list_models(["a", "b"], anthropic=False, created_s=7))
    assert openai["data"][0] == {"id": "a", "object": "model", "created": 7, "owned_by": "magistrate"}
    anthropic = json.loads(list_models(["a", "b"], anthropic=True, created_s=0))
    assert (anthropic["first_id"], anthropic["last_id"], anthropic["has_more"]) == ("a", "b", False)
    assert anthropic["data"][1] == {
        "type": "model",
        "id": "b",
        "display_name": "b",
        "created_at": "1970-01-01T00:00:00Z",
    }
    assert json.loads(list_models([], anthropic=True))["first_id"] is None


def test_a_list_of_models_takes_no_body():
    assert ModelsList().read_request(b"", {}).operation == "models"
    with pytest.raises(Unreadable, match="without a body"):
        ModelsList().read_request(b"{}", {})


@pytest.mark.parametrize(
    ("value", "kinds"),
    [
        ("text", [PartKind.TEXT]),
        (["a", "b"], [PartKind.TEXT, PartKind.TEXT]),
        ([1, 2], [PartKind.OPAQUE]),
        ([[1], [2, 3]], [PartKind.OPAQUE, PartKind.OPAQUE]),
        ([], []),
    ],
)
def test_embedding_inputs_are_text_or_unreadable_tokens(value, kinds):
    exchange = EMBEDDINGS.read_request(json.dumps({"model": "e", "input": value}).encode(), {})
    parts = [part for part in exchange.parts if part.path[0] == "input"]
    assert [part.kind for part in parts] == kinds
    assert json.loads(EMBEDDINGS.write_request(exchange, {}, model="up", cap=3)) == {
        "model": "up",
        "input": value,
    }


@pytest.mark.parametrize("value", [None, 5, {}, [1, "a"], [1.5], [None], [[1, "a"]], [[]], [True]])
def test_other_embedding_inputs_are_refused(value):
    with pytest.raises(Unreadable):
        EMBEDDINGS.read_request(json.dumps({"model": "e", "input": value}).encode(), {})


def test_vectors_are_numbers_or_base64_and_nothing_else():
    def read(vector):
        return EMBEDDINGS.read_answer(json.dumps({"data": [{"index": 0, "embedding": vector}]}).encode())

    assert read([0.5, 1]).parts == ()
    assert read("AACAPw==").parts == ()
    for vector in (["a"], "my secret", None, [[1]], [True]):
        with pytest.raises(MalformedAnswer):
            read(vector)
