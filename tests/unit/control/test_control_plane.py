"""The control plane answers its own people only, strictly, and never shows a secret twice."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from magistrate.adapters.listeners.control import MOST_BODY, Control, Sources
from magistrate.adapters.listeners.control_api import OPERATIONS
from magistrate.adapters.state.keys import KeyStore
from magistrate.identity.admin import Right

NOW = 1_800_000_000_000_000


class Plane:
    """A control plane over a real key store, asked through ASGI."""

    def __init__(self, path: Path) -> None:
        self.store = KeyStore(path / "state.db", now_us=lambda: NOW)
        self.token, _ = self.store.create_token()
        self.metrics_token, _ = self.store.create_token(Right.METRICS)
        self.broken = False
        self.control = Control(
            Sources(
                keys=self.store,
                metrics=lambda: b"up 1\n",
                feed=self.feed,
                status=self.status,
                now_us=lambda: NOW,
                version="1",
                hosts=("gate.example",),
            )
        )
        self.feeds_closed = 0

    async def feed(self, last: int, after: int) -> AsyncIterator[bytes]:
        try:
            yield f"{last} {after}".encode()
            await asyncio.Event().wait()
        finally:
            self.feeds_closed += 1

    def status(self) -> dict[str, object]:
        if self.broken:
            raise RuntimeError("secret detail")
        return {"mode": "enforce"}

    async def ask(
        self,
        method: str,
        path: str,
        body: object = b"",
        *,
        token: str | None = "",
        query: str = "",
        until: asyncio.Event | None = None,
        **headers: str,
    ) -> tuple[int, bytes]:
        sent = {
            "host": "127.0.0.1:8485",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        if token is not None:
            sent["authorization"] = f"Bearer {token or self.token}"
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        if raw:
            sent.setdefault("content-type", "application/json")
        waiting = [{"type": "http.request", "body": raw[:10], "more_body": True}]
        waiting.append({"type": "http.request", "body": raw[10:]})
        got: list[dict] = []

        async def receive() -> dict:
            if waiting:
                return waiting.pop(0)
            await (until or asyncio.Event()).wait()
            return {"type": "http.disconnect"}

        async def send(message: dict) -> None:
            got.append(message)
            if until is not None and message.get("body"):
                until.set()

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
        }
        await self.control(scope, receive, send)
        assert [each["type"] for each in got].count("http.response.start") == 1
        assert not got[-1].get("more_body", False)
        return got[0]["status"], b"".join(each.get("body", b"") for each in got[1:])


@pytest.fixture
def plane(tmp_path: Path):
    made = Plane(tmp_path)
    yield made
    made.store.close()


PATHS = [(each.method, each.path.replace("{id}", "abcdefghjkmn"), each.right) for each in OPERATIONS]


@pytest.mark.requirement("I1")
@pytest.mark.parametrize(("method", "path", "right"), PATHS)
async def test_every_route_but_the_health_probe_asks_for_a_token(
    plane: Plane, method: str, path: str, right: Right | None
) -> None:
    """Also on loopback; a virtual key or a half token is none."""
    key, _ = plane.store.create(user="ada")
    for token in (None, "x", key, plane.token[:-1]):
        status, body = await plane.ask(method, path, token=token)
        assert status == (200 if right is None else 401), path
        assert right is None or json.loads(body)["error"]["code"] == "authentication_failed"


@pytest.mark.parametrize(("method", "path", "right"), PATHS)
async def test_a_metrics_token_opens_metrics_and_nothing_else(
    plane: Plane, method: str, path: str, right: Right | None
) -> None:
    """A scraper holds no more than it needs."""
    status, _ = await plane.ask(method, path, token=plane.metrics_token)
    assert status == (403 if right is Right.ADMIN else 200)


async def test_a_revoked_token_is_refused_at_once(plane: Plane) -> None:
    """No cache of rights."""
    token = next(each for each in plane.store.tokens() if each.right is Right.ADMIN)
    plane.store.revoke_token(token.id)
    assert (await plane.ask("GET", "/api/keys"))[0] == 401


@pytest.mark.requirement("I1")
async def test_a_key_is_created_listed_rotated_and_revoked(plane: Plane) -> None:
    """The whole life of a key over HTTP; its secret appears exactly when it is new."""
    asked = {"user": "ada", "groups": ["care"], "models": ["gpt-*"], "expires_in_s": 60}
    status, body = await plane.ask("POST", "/api/keys", asked)
    assert status == 200
    created = json.loads(body)
    key, key_id = created["key"], created["record"]["id"]
    assert plane.store.snapshot().authenticate(key, NOW).groups == ("care",)
    assert created["record"]["expires"] == "2027-01-15T08:01:00Z"
    _, listed = await plane.ask("GET", "/api/keys")
    assert key.split("-", 2)[2].encode() not in listed
    assert b"digest" not in listed
    assert json.loads(listed)["keys"][0]["status"] == "active"
    _, body = await plane.ask("POST", f"/api/keys/{key_id}/rotate", {"grace_s": 5})
    renewed = json.loads(body)["key"]
    assert renewed != key
    ring = plane.store.snapshot()
    assert ring.authenticate(key, NOW) == ring.authenticate(renewed, NOW)
    status, body = await plane.ask("POST", f"/api/keys/{key_id}/revoke")
    assert json.loads(body)["keys"][0]["status"] == "revoked"
    assert (await plane.ask("POST", f"/api/keys/{key_id}/revoke"))[0] == 404


async def test_a_key_expires_unless_somebody_says_never(plane: Plane) -> None:
    """Ninety days by default."""
    _, body = await plane.ask("POST", "/api/keys", {"user": "a"})
    assert json.loads(body)["record"]["expires"] == "2027-04-15T08:00:00Z"
    _, body = await plane.ask("POST", "/api/keys", {"user": "a", "expires_in_s": None})
    assert json.loads(body)["record"]["expires"] is None


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "content-type"),
        (b"{", ""),
        (b"[]", ""),
        (b'{"user": "a", "user": "b"}', "user"),
        ({}, "user"),
        ({"user": ""}, "user"),
        ({"user": "a\nb"}, "user"),
        ({"user": 1}, "user"),
        ({"user": "a", "wat": 1}, "wat"),
        ({"user": "a", "groups": ["x"] * 101}, "groups"),
        ({"user": "a", "expires_in_s": 0}, "expires_in_s"),
        ({"user": "a", "expires_in_s": 1.5}, "expires_in_s"),
    ],
)
async def test_a_body_that_does_not_fit_is_refused_with_its_place(
    plane: Plane, body: object, says: str
) -> None:
    """Strict: no unknown, doubled, missing or mistyped fields; nothing is created."""
    status, answer = await plane.ask("POST", "/api/keys", body)
    assert status == 400
    assert says in json.loads(answer)["error"]["message"]
    assert plane.store.list() == ()


async def test_large_foreign_and_unexpected_bodies_are_refused(plane: Plane) -> None:
    """Size, media type, and bodies where none belongs."""
    assert (await plane.ask("POST", "/api/keys", b" " * (MOST_BODY + 1)))[0] == 413
    assert (await plane.ask("POST", "/api/keys", {"user": "a"}, content_type="text/plain"))[0] == 400
    assert (await plane.ask("GET", "/api/keys", {"user": "a"}))[0] == 400


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8485", 200),
        ("[::1]:8485", 200),
        ("localhost", 200),
        ("LOCALHOST.:1", 200),
        ("10.1.2.3", 200),
        ("gate.example:443", 200),
        ("attacker.example", 400),
        ("127.0.0.1.attacker.example", 400),
        ("localhost@attacker.example", 400),
        ("", 400),
    ],
)
async def test_a_request_must_name_a_host_that_is_ours(plane: Plane, host: str, status: int) -> None:
    """DNS rebinding ends here, also at the open probe."""
    assert (await plane.ask("GET", "/api/status", host=host))[0] == status
    assert (await plane.ask("GET", "/healthz", token=None, host=host))[0] == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "http://127.0.0.1:8485"}, 200),
        ({"sec_fetch_site": "same-origin"}, 200),
        ({"origin": "http://attacker.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://127.0.0.1:9999"}, 403),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"sec_fetch_site": "same-site"}, 403),
    ],
)
async def test_requests_from_other_sites_pages_are_refused(
    plane: Plane, headers: dict[str, str], status: int
) -> None:
    """Even with a valid token."""
    assert (await plane.ask("GET", "/api/status", **headers))[0] == status


async def test_a_token_in_the_url_is_refused(plane: Plane) -> None:
    """URLs stand in logs and histories."""
    assert (await plane.ask("GET", "/api/status", token=None, query=f"access_token={plane.token}"))[0] == 401


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/api/keys/x/rotate", 404),
        ("DELETE", "/api/keys", 405),
        ("GET", "/api/keys/", 404),
    ],
)
async def test_unknown_paths_and_methods_are_told(plane: Plane, method: str, path: str, status: int) -> None:
    """Nothing falls through."""
    assert (await plane.ask(method, path))[0] == status


async def test_a_fault_is_an_incident_without_its_details(
    plane: Plane, caplog: pytest.LogCaptureFixture
) -> None:
    """The client quotes the id; the log has the place."""
    plane.broken = True
    status, body = await plane.ask("GET", "/api/status")
    assert status == 500
    assert b"secret detail" not in body
    incident = json.loads(body)["error"]["message"].split("`")[1]
    assert incident in caplog.text


async def test_an_unreadable_key_store_is_told_and_admits_nobody(plane: Plane, tmp_path: Path) -> None:
    """Fails closed."""
    (tmp_path / "state.db").rename(tmp_path / "away")
    plane.store.close()
    status, _ = await plane.ask("GET", "/api/status")
    assert status >= 500


@pytest.mark.requirement("O1")
async def test_a_feed_streams_until_the_client_leaves(plane: Plane) -> None:
    """And its source is closed then."""
    status, body = await plane.ask(
        "GET", "/api/feed", query="last=7", until=asyncio.Event(), last_event_id="3"
    )
    assert (status, body) == (200, b"7 3")
    assert plane.feeds_closed == 1


async def test_a_stopping_server_ends_open_feeds(plane: Plane) -> None:
    """So that it can stop."""
    asking = asyncio.ensure_future(plane.ask("GET", "/api/feed"))
    await asyncio.sleep(0)
    await plane.control.stop()
    status, _ = await asking
    assert status == 200
    assert plane.feeds_closed <= 1


@pytest.mark.parametrize("query", ["last=-1", "last=x", "last=9999", "last=%D9%A1"])
async def test_a_feed_refuses_what_is_not_a_count(plane: Plane, query: str) -> None:
    """Bounded, plain digits."""
    assert (await plane.ask("GET", "/api/feed", query=query))[0] == 400


async def test_the_description_names_every_route_and_resolves_every_reference(plane: Plane) -> None:
    """OpenAPI and the route table are one."""
    _, body = await plane.ask("GET", "/api/openapi.json")
    described = json.loads(body)
    assert {(method.upper(), path) for path, each in described["paths"].items() for method in each} == {
        (each.method, each.path) for each in OPERATIONS
    }
    for reference in {part.split('"')[0] for part in body.decode().split('"$ref":"')[1:]}:
        found = described
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]
        assert found
