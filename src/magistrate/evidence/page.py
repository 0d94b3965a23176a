"""The page of an export bundle: a trace from prompt to outcome, for people, in one HTML file that asks for nothing.

It is made of the bundle's other files and of nothing else, so a verifier makes it again and compares. No script, no
resource from elsewhere (its own policy forbids both), and every word of a record or a body stands in it as text.
"""

import codecs
import html
import itertools
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib import resources
from typing import Any

import orjson

from magistrate.evidence.canonical import LONGEST
from magistrate.evidence.checkpoint import parse as parse_checkpoint
from magistrate.evidence.malformed import NoteError
from magistrate.evidence.members import Files, Members
from magistrate.evidence.note import open_note
from magistrate.evidence.proof import ProofError
from magistrate.evidence.proof import parse as parse_proof

LAYOUT = b'<meta name="generator" content="magistrate page 2">'
"""Two pages of one layout, of the same files, are the same bytes: whoever changes what a page says or how counts this up, here
and in page.html, or the bundles of yesterday are called forged."""

LONGEST_SHOWN = 200_000
"""Characters of one body; the file beside the page holds the rest."""

MOST_SHOWN = 4_000_000
"""Bytes of bodies and records together; what comes after them stands in the files alone."""

# What could reorder text on screen, or drive a terminal that the page is copied into, is shown as its number.
_SHOWN = {
    **{code: f"\\u{code:04x}" for code in (*range(0x20), 0x7F, *range(0x80, 0xA0)) if code not in {9, 10}},
    **{code: f"\\u{code:04x}" for code in (*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x206A), 0xFEFF)},
}  # fmt: skip

_ENDLESS = '<li class="deny">No outcome is here: it was under way, never ended, or was left out.</li>'

Header = Mapping[str, Any]


def page(files: Mapping[str, bytes]) -> bytes:
    """Return the page of a bundle's ``files`` (by name; the page itself is not asked). Any bytes will do."""
    shown = _Shown(files if isinstance(files, Members) else Files(files))
    trace = sorted(_trace(shown), key=lambda record: [int(part) for part in record[0].split(".")])
    chosen = _header(shown.get("record.json", b""))
    calls = [(index, header) for index, header in trace if header.get("phase") == "intent"]
    named = {_text(header.get("eid")) for _, header in calls}
    outcomes: dict[str, list[tuple[str, Header]]] = {}
    notes: list[tuple[str, Header]] = []
    for index, header in trace:
        causes = [_text(cause) for cause in _list(header.get("cause"))]
        if header.get("phase") == "outcome" and causes and causes[0] in named:
            outcomes.setdefault(causes[0], []).append((index, header))
        elif header.get("phase") != "intent":
            notes.append((index, header))
    body = [
        f"<h1>Call <code>{_html(chosen.get('eid'))}</code></h1>",
        _summary(chosen),
        "<h2>From prompt to outcome</h2>",
        "<ol>",
        *(_call(shown, index, header, outcomes.get(_text(header.get("eid")), [])) for index, header in calls),
        "</ol>",
    ]
    if notes:
        body += [
            "<h2>Other records of the trace</h2><ul>",
            *(_record(shown, *note) for note in notes),
            "</ul>",
        ]
    body += [_proofs(shown), _how()]
    frame = (resources.files("magistrate.evidence") / "bundled" / "page.html").read_text(encoding="utf-8")
    head, rest = frame.split("{title}")
    middle, tail = rest.split("{body}")
    title = f"Call {_html(chosen.get('eid'))}"
    return "".join((head, title, middle, "\n".join(body), tail)).encode("utf-8", "replace")


class _Shown(Mapping[str, bytes]):
    """The files that the page has room for: records before bodies, then in the order of their names."""

    def __init__(self, files: Members | Files) -> None:
        self._files = files
        left, self._names = MOST_SHOWN, dict[str, None]()
        for name in sorted(files, key=lambda name: (name.startswith("bodies/"), name)):
            if name.startswith(("trace/", "bodies/")):
                left -= min(files.size(name), LONGEST_SHOWN)
            if left > 0 or not name.startswith(("trace/", "bodies/")):
                self._names[name] = None

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __getitem__(self, name: str) -> bytes:
        if name not in self._names:
            raise KeyError(name)
        return self._files[name]

    def size(self, name: str) -> int:
        return self._files.size(name)

    def text(self, name: str) -> tuple[str, int]:
        """Return the beginning of a body as text, and how many characters all of it has."""
        if self.size(name) <= LONGEST_SHOWN:
            text = _readable(self[name])
            return text[:LONGEST_SHOWN], len(text)
        decoder, kept, length = codecs.getincrementaldecoder("utf-8")("replace"), "", 0
        for piece in itertools.chain(self._files.pieces(name), (b"",)):
            text = decoder.decode(piece, final=not piece)
            kept += text[: LONGEST_SHOWN - len(kept)]
            length += len(text)
        return kept, length


def _trace(files: _Shown) -> Iterator[tuple[str, Header]]:
    """Yield the records of the trace by place: a number, or a shard and a number where there are several shards."""
    for name in files:
        place = name.removeprefix("trace/").removesuffix(".json")
        if name == f"trace/{place}.json" and all(part.isdigit() for part in place.split(".")):
            yield place, _header(files[name])


def _summary(header: Header) -> str:
    verdict, model = _map(header.get("verdict")), _map(header.get("model"))
    effect = _text(verdict.get("effect")) or "unknown"
    known = effect if effect in {"allow", "deny", "escalate", "indeterminate"} else "unknown"
    rows = [
        ("Decided", f'<strong class="{known}">{_html(effect)}</strong> {_joined(verdict.get("rules"))}'),
        ("When", _html(_when(header.get("ts")))),
        ("Application", _html(header.get("app")) or "none named"),
        ("Tenant", _html(header.get("tenant"))),
        (
            "Person",
            f"handle <code>{_html(header.get('subj'))}</code>" if header.get("subj") else "none named",
        ),
        ("Model asked for", _html(model.get("name"))),
        ("Policy", _policy(header)),
        ("Trace", f"<code>{_html(header.get('trace'))}</code>"),
    ]
    return _table(rows)


def _call(files: _Shown, index: str, intent: Header, outcomes: Sequence[tuple[str, Header]]) -> str:
    verdict, route, model = (_map(intent.get(name)) for name in ("verdict", "route", "model"))
    endpoints = [
        f"{_html(one.get('id'))}: {_html(one.get('effect'))} {_joined(one.get('rules'))}"
        for one in map(_map, _list(intent.get("endpoints")))
    ]
    rows = [
        ("Asked", f"{_html(route.get('dialect'))} {_html(route.get('operation'))}, model {_html(model.get('name'))}"),
        ("Decision", f"<strong>{_html(verdict.get('effect'))}</strong> {_html(verdict.get('code'))}"),
        ("Rules", _joined(verdict.get("rules"))),
        ("Labels", _joined(intent.get("labels"))),
        ("Endpoints", "<br>".join(endpoints)),
        ("Policy", _policy(intent)),
        ("Data", _joined([f"{_text(one.get('id'))} {_text(one.get('version'))}" for one in map(_map, _list(intent.get("data")))])),
        ("Detectors", _joined([f"{name} {_text(v)}" for name, v in _map(intent.get("detectors")).items()])),
        ("Follows from", _joined(intent.get("cause"))),
    ]  # fmt: skip
    ends = "".join(_outcome(files, *outcome) for outcome in outcomes) or _ENDLESS
    return (
        f"<li><h3>Intent <code>{_html(intent.get('eid'))}</code></h3>"
        f'<p class="when">{_html(_when(intent.get("ts")))}, record {index}</p>'
        f"{_table(rows)}{_bodies(files, index, intent)}{_raw(files, index)}"
        f"<ul>{ends}</ul></li>"
    )


def _outcome(files: _Shown, index: str, header: Header) -> str:
    ended, model, usage = (_map(header.get(name)) for name in ("outcome", "model", "usage"))
    attempts = [
        f"{_html(one.get('id'))}: {_html(one.get('result'))} {_html(one.get('status'))}"
        for one in map(_map, _list(header.get("attempts")))
    ]
    passed = [
        f"{_html(one.get('id'))}: {_html(one.get('why'))}"
        for one in map(_map, _list(header.get("eligibility")))
        if one.get("ok") is not True
    ]
    rewritten = [f"{name} × {_text(count)}" for name, count in _map(header.get("rewritten")).items()]
    cost = usage.get("cost_nano")
    rows = [
        ("Ended", f"<strong>{_html(ended.get('ending'))}</strong> {_html(ended.get('status'))} {_html(ended.get('code'))} {_html(ended.get('detail'))}"),
        ("Rules", _joined(ended.get("rules"))),
        ("Answered by", f"{_html(model.get('endpoint'))} {_html(model.get('version'))}"),
        ("Tried", "<br>".join(attempts)),
        ("Not eligible", "<br>".join(passed)),
        ("Labels in the answer", _joined(header.get("labels"))),
        ("Rewritten", _joined(rewritten)),
        ("Tokens", f"{_html(usage.get('in'))} in, {_html(usage.get('out'))} out" if usage.get("in") is not None else ""),
        ("Cost", f"{cost / 1e9:.6f} {_html(usage.get('currency'))}, prices {_html(usage.get('prices'))}" if type(cost) is int else ""),
        ("Milliseconds", _html(", ".join(_step(step) for step in _list(header.get("steps_us"))))),
    ]  # fmt: skip
    return (
        f"<li><h3>Outcome <code>{_html(header.get('eid'))}</code></h3>"
        f'<p class="when">{_html(_when(header.get("ts")))}, record {index}</p>'
        f"{_table(rows)}{_bodies(files, index, header)}{_raw(files, index)}</li>"
    )


def _record(files: _Shown, index: str, header: Header) -> str:
    return f"<li>{_html(header.get('t'))}, {_html(_when(header.get('ts')))}, record {index}{_raw(files, index)}</li>"


def _bodies(files: _Shown, index: str, header: Header) -> str:
    shown = []
    for meta in map(_map, _list(header.get("body"))):
        part = _text(meta.get("part"))
        name = f"bodies/{index}-{part}"
        if name not in files:
            shown.append(
                f'<p class="when">{_html(part)}: not in this bundle, or beyond what a page shows</p>'
            )
            continue
        text, length = files.text(name)
        more = f"… ({length} characters; the rest is in bodies/)" if length > LONGEST_SHOWN else ""
        shown.append(
            f"<details><summary>{_html(part)}, {files.size(name)} bytes</summary>"
            f"<pre>{_html(text + more)}</pre></details>"
        )
    return "".join(shown)


def _raw(files: _Shown, index: str) -> str:
    text = _readable(files.get(f"trace/{index}.json", b""))
    return f"<details><summary>the record itself</summary><pre>{_html(text)}</pre></details>"


def _proofs(files: _Shown) -> str:
    try:
        proof = parse_proof(files.get("record.tlog-proof", b""))
        text, signatures = open_note(proof.checkpoint)
        checkpoint = parse_checkpoint(text)
    except (ProofError, NoteError) as error:
        return f"<h2>Proofs</h2><p>There is none to read: {_html(error)}</p>"
    stamps = sorted(name for name in files if name.endswith(".tsr"))
    steps = sum(name.startswith("succession/") and name.endswith(".json") for name in files)
    signers = ", ".join(f"{name} ({key.hex()})" for name, key, _ in signatures)
    rows = [
        ("Log", _html(checkpoint.origin)),
        ("This record", f"number {proof.index}, proven in a tree of {checkpoint.size} by {len(proof.path)} hashes"),
        ("Root hash", f"<code>{checkpoint.root.hex()}</code>"),
        ("Lines under the checkpoint", _html(signers)),
        ("Time-stamps", _joined(stamps) or "none"),
        ("Keys that followed", _html(steps or "")),
        ("Written after", _beacon(_header(files.get("beacon.json", b"")))),
        ("Keys and witnesses", f"<details><summary>policy.txt</summary><pre>{_html(_readable(files.get('policy.txt', b'')))}</pre></details>"),
    ]  # fmt: skip
    return f"<h2>Proofs</h2>{_table(rows)}"


def _beacon(header: Header) -> str:
    """Return what the newest beacon before the call says, as its record tells it."""
    told = _map(header.get("ext"))
    if not told:
        return ""
    what = f"round {_text(told.get('round'))}" if "round" in told else f"value {_text(told.get('value'))}"
    when = _when(told["time"] * 1_000_000) if type(told.get("time")) is int else ""
    return _html(f"{what} of the beacon {_text(told.get('source'))}, {when} (beacon.json)")


def _how() -> str:
    return (
        "<h2>How to verify</h2><p>This page proves nothing by itself: whoever could change it could change what it says. "
        "The files beside it are proven by a key that you have from somebody you trust:</p>"
        "<pre>magistrate-verify bundle FILE --vkey 'KEY'\n"
        "node verify.mjs record.tlog-proof record.json 'KEY'</pre>"
        "<p>The first also makes this page again from the proven records and says if it is another one. READ-ME.txt says more.</p>"
    )


# --- words


def _table(rows: Sequence[tuple[str, str]]) -> str:
    """Return the rows that say something. The second of each is HTML already."""
    return "<table>" + "".join(f"<tr><th>{name}</th><td>{said}</td></tr>" for name, said in rows if said.strip(" ,")) + "</table>"  # fmt: skip


def _policy(header: Header) -> str:
    policy = _map(header.get("policy"))
    return f"<code>{_html(policy.get('bundle'))}</code> {_html(policy.get('mode'))}" if policy else ""


def _joined(values: object) -> str:
    return _html(", ".join(_text(value) for value in _list(values)))


def _step(step: object) -> str:
    named = _list(step)
    return f"{_text(named[0])} {named[1] / 1000:.2f}" if len(named) == 2 and type(named[1]) is int else ""


def _when(ts: object) -> str:
    """Return a time in UTC; as it stands, if it is no time of the calendar."""
    try:
        return datetime.fromtimestamp(int(_text(ts)) / 1e6, UTC).isoformat(sep=" ", timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        return _text(ts)


def _readable(data: bytes) -> str:
    """Return a body as text: JSON with its lines, unless it is long or deep; anything else as it is."""
    if len(data) <= LONGEST_SHOWN:
        try:
            text = orjson.dumps(orjson.loads(data), option=orjson.OPT_INDENT_2)
            if len(text) <= 4 * len(data) + 1000:  # else it is mostly the spaces of its depth
                return text.decode()
        except (ValueError, TypeError):
            pass  # no JSON, or nested deeper than it may be written
    return data.decode("utf-8", "replace")


def _header(data: bytes) -> Header:
    try:
        return _map(orjson.loads(data)) if len(data) <= LONGEST else {}
    except ValueError:
        return {}


def _html(value: object) -> str:
    """Return any value as text that no browser takes for anything else."""
    return html.escape(_text(value).translate(_SHOWN))


def _text(value: object) -> str:
    return "" if value is None else value if isinstance(value, str) else str(value)


def _map(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
