"""The page in a bundle shows a call to people, and nothing that a record or a body says becomes anything but text."""

import hashlib
from html.parser import HTMLParser
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.faults.test_bundle_faults import members, packed
from tests.published import SIGNER, Published

from magistrate.evidence.bundle import Exported, verify_bundle, write_bundle
from magistrate.evidence.canonical import encode
from magistrate.evidence.checkpoint import Checkpoint
from magistrate.evidence.note import Verifier
from magistrate.evidence.page import LAYOUT, page
from magistrate.evidence.proof import Proof
from magistrate.evidence.report import Verdict
from magistrate.evidence.seal import commitment
from magistrate.evidence.tiles import prove_inclusion
from magistrate.evidence.trust import of_witnesses

TAGS = {
    "html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "p", "table", "tr", "th", "td", "ol", "ul", "li",
    "code", "strong", "br", "details", "summary", "pre",
}  # fmt: skip


class Reader(HTMLParser):
    """What a browser would make of it."""

    def __init__(self, document: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(document.decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    def handle_data(self, data: str) -> None:
        self.text += data


def bundle(log: Published, bodies: dict[int, dict[str, tuple[bytes, bytes]]] | None = None) -> bytes:
    note = log.seal()
    records = [
        Exported(
            encode(header),
            Proof(index, tuple(prove_inclusion(log.get, index, log.size)), note),
            (bodies or {}).get(index, {}),
        )
        for index, header in enumerate(log.headers)
    ]
    return write_bundle(0, records, of_witnesses([Verifier(SIGNER.vkey)], [], None).encode())


def told(log: Published) -> Reader:
    return Reader(members(bundle(log))["index.html"])


@pytest.mark.requirement("A9")
def test_it_tells_a_call_from_prompt_to_outcome() -> None:
    """Decision, rules, labels, endpoints, the outcome with its attempts and timings, the proof, and how to verify."""
    log = Published()
    intent = log.call(
        "a" * 32,
        ends=False,
        app="ward",
        tenant="clinic",
        subj="h-7",
        verdict={"effect": "allow", "rules": ["phi-to-certified-only"]},
        labels=["phi.diagnosis"],
        endpoints=[{"id": "openai-eu", "effect": "allow", "rules": ["r1"]}, {"id": "openai-us", "effect": "deny", "rules": ["residency"]}],
        policy={"bundle": "ab" * 32, "mode": "enforce"},
        detectors={"rules": "2026.11"},
    )  # fmt: skip
    outcome: dict[str, Any] = {
        "outcome": {"ending": "answered", "status": 200, "code": "", "rules": [], "detail": ""},
        "attempts": [{"id": "openai-eu", "result": "ok", "status": 200}],
        "eligibility": [{"id": "openai-us", "ok": False, "why": "policy says no"}],
        "usage": {"in": 12, "out": 34, "cost_nano": 5_000_000, "currency": "EUR", "prices": "p1"},
        "steps_us": [["decide", 250], ["call", 12_500]],
    }
    log.add(log.header("llm.response", "outcome", trace="a" * 32, cause=[intent["eid"]], **outcome))
    text = told(log).text
    for words in ("allow", "phi-to-certified-only", "phi.diagnosis", "openai-us: deny residency", "ward", "clinic", "h-7",
                  "answered", "openai-eu: ok 200", "openai-us: policy says no", "12 in, 34 out", "0.005000 EUR", "decide 0.25, call 12.50",
                  "ab" * 32, "number 0, proven in a tree of 2", "magistrate-verify bundle", "2100-01-01 00:00:00.000"):  # fmt: skip
        assert words in text, words


def test_a_call_without_an_outcome_says_so() -> None:
    """Nobody takes silence for success."""
    log = Published()
    log.call("a" * 32, ends=False)
    assert "No outcome is here" in told(log).text


HOSTILE = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</pre><iframe src=//evil>", "&lt;b&gt;", "<!-- x", "{body}{title}",
           "javascript:alert(1)", "]]>", "<style>*{display:none}</style>", "\x00\x1b[2J", "\u202etxt.exe", "</title><base href=//evil>"]  # fmt: skip


def only_text(document: bytes) -> Reader:
    """Assert that a document is made of our own tags alone and asks for nothing."""
    reader = Reader(document)
    for tag, attributes in reader.tags:
        assert tag in TAGS, tag
        if tag != "meta":
            assert set(attributes) <= {"class", "lang"}, attributes
            assert attributes.get("class") in {None, "when", "allow", "deny", "escalate", "indeterminate", "unknown"}  # fmt: skip
    assert sum(tag == "meta" for tag, _ in reader.tags) == 4
    assert sum(tag == "style" for tag, _ in reader.tags) == 1
    assert b"default-src 'none'" in document
    return reader


@pytest.mark.requirement("A9")
@pytest.mark.parametrize("hostile", HOSTILE)
def test_nothing_in_a_record_or_a_body_becomes_markup(hostile: str) -> None:
    """In every field that is told, in the record itself, and in what was said."""
    nested = dict.fromkeys(("effect", "code", "id", "why", "result", "dialect", "operation", "name", "bundle", "mode", "endpoint", "version", "currency", "prices", "ending", "detail", hostile), hostile)  # fmt: skip
    header = {
        "eid": hostile, "phase": "intent", "t": hostile, "ts": hostile, "app": hostile, "tenant": hostile, "subj": hostile,
        "trace": hostile, "verdict": {**nested, "rules": [hostile]}, "labels": [hostile], "endpoints": [nested | {"rules": [hostile]}],
        "route": nested, "model": nested, "policy": nested, "detectors": {hostile: hostile}, "cause": [hostile],
        "body": [{"part": "request"}, {"part": hostile}],
    }  # fmt: skip
    ends = header | {
        "phase": "outcome", "outcome": nested, "attempts": [nested], "eligibility": [nested], "usage": nested | {"in": hostile, "cost_nano": 1},
        "rewritten": {hostile: hostile}, "steps_us": [[hostile, 1]],
    }  # fmt: skip
    files = {
        "record.json": orjson.dumps(header),
        "trace/0.json": orjson.dumps(header),
        "trace/1.json": orjson.dumps(ends),
        "trace/2.json": orjson.dumps(header | {"phase": "note"}),
        "bodies/0-request": hostile.encode(),
        "policy.txt": hostile.encode(),
    }
    reader = only_text(page(files))
    if hostile.isprintable():
        assert reader.text.count(hostile) > 20
    assert "\u202e" not in reader.text
    assert "\x1b" not in reader.text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=9) | st.sampled_from(HOSTILE),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.sampled_from(["id", "rules", "effect", "part", "in"]), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
FIELD = st.sampled_from(
    ["eid", "ts", "verdict", "labels", "endpoints", "outcome", "attempts", "usage", "steps_us", "body", "cause", "policy"]
)  # fmt: skip


@settings(max_examples=150)
@given(st.dictionaries(FIELD, JSON), st.sampled_from(["intent", "outcome", "x", 7]), st.binary(max_size=40))
def test_any_record_gives_a_page(fields: dict[str, Any], phase: object, noise: bytes) -> None:
    """Whatever somebody wrote into a header: a page of our own tags, never an exception."""
    record = orjson.dumps(fields | {"phase": phase})
    files = {
        "record.json": record,
        "trace/0.json": record,
        "trace/7.json": noise,
        "record.tlog-proof": noise,
        "bodies/0-request": noise,
    }
    only_text(page(files))


@pytest.mark.parametrize(
    "body", [b"[" * 900 + b"]" * 900, b"[" * 5000, b'"' + b"x" * 300_000 + b'"', b"\xff\xfe\x00"]
)
def test_any_body_is_shown_or_cut(body: bytes) -> None:
    """Deep, long or no text at all: a page of bounded length."""
    files = {"trace/0.json": b'{"phase":"intent","body":[{"part":"request"}]}', "bodies/0-request": body}
    document = page(files)
    only_text(document)
    assert len(document) < 250_000
    assert (b"the rest is in bodies/" in document) is (len(body) > 200_000)


@pytest.mark.parametrize("body", [b'"' * 199_000, b"[" * 250 + b"1," * 90_000 + b"1" + b"]" * 250])
def test_a_page_is_bounded_however_many_bodies_there_are(body: bytes) -> None:
    """Quotes that grow sixfold, and depths that would be mostly spaces."""
    files = {}
    for index in range(200):
        files[f"trace/{index}.json"] = b'{"phase":"intent","body":[{"part":"request"}]}'
        files[f"bodies/{index}-request"] = body
    document = page(files)
    assert len(document) < 26_000_000
    assert document.count(b"beyond what a page shows") > 150
    assert document.count(b"<h3>Intent") == 200


@pytest.mark.requirement("A9")
def test_a_page_that_tells_something_else_is_tampered() -> None:
    """The records are genuine and proven; the page says allow where they say deny."""
    log = Published(cosigner=None)
    log.call("a" * 32, verdict={"effect": "deny", "rules": ["no"]})
    log.add(log.header("trace.close", "note", wid="recorder-1", trace="a" * 32, ext={"records": 2}))
    files = members(bundle(log))
    assert verify_bundle(packed(files), SIGNER.vkey).verdict is Verdict.VALID
    forged = files["index.html"].replace(b">deny<", b">allow<")
    assert forged != files["index.html"]
    report = verify_bundle(packed(files | {"index.html": forged}), SIGNER.vkey)
    assert report.verdict is Verdict.TAMPERED
    assert "something else than the records" in report.findings[0].what
    other = forged.replace(b"magistrate page 2", b"magistrate page 0")
    report = verify_bundle(packed(files | {"index.html": other}), SIGNER.vkey)
    assert (report.verdict, len(report.remarks)) == (Verdict.VALID, 1)
    assert "do not rely on it" in report.remarks[0].what
    without = {name: data for name, data in files.items() if name != "index.html"}
    assert verify_bundle(packed(without), SIGNER.vkey).remarks == ()


def test_one_layout_is_one_page() -> None:
    """A verifier calls another page of its own layout a forgery, so whoever changes the page counts `LAYOUT` up, here and in page.html."""
    header = {
        "eid": "e", "phase": "intent", "t": "llm.request", "ts": 4_102_444_800_000_001, "app": "ward", "tenant": "clinic", "subj": "h",
        "trace": "t", "verdict": {"effect": "deny", "rules": ["r"], "code": "c"}, "labels": ["pii"], "policy": {"bundle": "b", "mode": "enforce"},
        "endpoints": [{"id": "x", "effect": "deny", "rules": ["r"]}], "route": {"dialect": "d", "operation": "chat"}, "model": {"name": "m"},
        "detectors": {"a": "1"}, "cause": [], "body": [{"part": "request"}, {"part": "judgement"}],
    }  # fmt: skip
    ends = header | {
        "eid": "o", "phase": "outcome", "cause": ["e"], "outcome": {"ending": "refused", "status": 403, "code": "c", "rules": ["r"], "detail": "why"},
        "attempts": [{"id": "x", "result": "ok", "status": 200}], "eligibility": [{"id": "y", "ok": False, "why": "no"}], "body": [],
        "usage": {"in": 1, "out": 2, "cost_nano": 3, "currency": "EUR", "prices": "p"}, "rewritten": {"pii": 2}, "steps_us": [["read", 12]],
    }  # fmt: skip
    files = {
        "record.json": orjson.dumps(header),
        "trace/0.json": orjson.dumps(header),
        "trace/1.json": orjson.dumps(ends),
        "trace/2.json": orjson.dumps({"t": "access.read", "phase": "note", "ts": 0}),
        "bodies/0-request": b'{"a":"<"}',
        "policy.txt": b"quorum none\n",
        "record.tlog-proof": Proof(
            0, (bytes(32),), SIGNER.sign(Checkpoint("o", 2, bytes(32)).text())
        ).encode(),
        "checkpoint.tsr": b"x",
        "succession/1.json": b"x",
        "beacon.json": orjson.dumps({"ext": {"source": "net", "round": 7, "time": 4_102_444_800}}),
    }
    document = page(files)
    assert LAYOUT in document
    assert (LAYOUT[-3:-2], hashlib.sha256(document).hexdigest()[:16]) == (b"2", "83bce686f746b30c")


@pytest.mark.requirement("A9")
def test_a_long_body_is_shown_the_same_whether_it_is_read_whole_or_in_pieces() -> None:
    """Characters that a piece's border cuts, and bytes that are none: the page made from the archive is the one in it."""
    content, salt = ("é€😀" * 400_000).encode()[1:] + b"\xff\xc3", bytes(32)
    log = Published(cosigner=None)
    meta = {
        "part": "request",
        "len": len(content),
        "ct": "0" * 64,
        "cm": commitment(content, salt),
        "kid": "k",
    }
    log.call("a" * 32, body=[meta])
    data = bundle(log, {0: {"request": (content, salt)}})
    assert b"the rest is in bodies/" in members(data)["index.html"]
    assert verify_bundle(data, SIGNER.vkey).verdict is Verdict.VALID
