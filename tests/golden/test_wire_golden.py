"""One input per dialect, and the listing of every part, delta and closing that is read from it.

After an intended change: ``MAGISTRATE_GOLDEN=write pytest tests/golden``, then read the diff.
"""

import json
import os
from pathlib import Path

import pytest

from magistrate.wire.dialects import DIALECTS
from magistrate.wire.sse import write_event

HERE = Path(__file__).parent / "wire"
NAMED = {"anthropic.messages", "openai.responses"}
"""Dialects whose events carry their type as a name."""

INPUTS = sorted(HERE.glob("*.json"))


def line(part):
    path = ".".join(map(str, part.path))
    if part.inner is not None:
        path += " > " + (".".join(map(str, part.inner)) or "(whole)")
    told = f"{part.media} {part.digest[:12]}" if part.digest else json.dumps(part.text, ensure_ascii=False)
    return f"{part.role.value:10} {part.kind.value:15} {path}: {told}"


def listing(name, case):
    dialect = DIALECTS[name]
    out = ["# request"]
    exchange = dialect.read_request(json.dumps(case["request"]).encode(), case.get("params", {}))
    out.append(
        f"{exchange.operation} {exchange.model} stream={exchange.stream} max={exchange.max_output_tokens} {exchange.tools}"
    )
    out += map(line, exchange.parts)
    answer = dialect.read_answer(json.dumps(case["answer"]).encode())
    out += ["", "# answer", f"{answer.model} {answer.fingerprint} {answer.finish} {answer.usage}"]
    out += map(line, answer.parts)
    if case["stream"]:
        out += ["", "# stream"]
        reader = dialect.open_stream()
        for data in case["stream"]:
            raw = data if isinstance(data, str) else json.dumps(data)
            named = data.get("type", "") if name in NAMED else ""
            for event in reader.feed(write_event(named, raw.encode())):
                out += told(event)
        out += [f"finish: {event}" for event in reader.finish()]
    return "\n".join(out) + "\n"


def told(event):
    marks = [mark for mark in ("closes_all", "terminal", "error") if getattr(event, mark)]
    marks += [f"finish={event.finish}"] if event.finish else []
    marks += [f"usage={event.usage}"] if event.usage else []
    yield f"- {event.name or event.raw.decode().strip() or 'data'} {' '.join(marks)}".rstrip()
    for delta in event.deltas:
        yield f"    {delta.channel} {delta.kind.value} {'.'.join(map(str, delta.path))}: {json.dumps(delta.text)}"
    for part in event.parts:
        yield "    " + line(part)
    for channel in event.closes:
        yield f"    closes {channel}"


@pytest.mark.requirement("P1", "P9")
@pytest.mark.parametrize("path", INPUTS, ids=[path.stem for path in INPUTS])
def test_the_parts_of_every_dialect_are_as_listed(path):
    """DESIGN section 3: every place text can stand is a part."""
    case = json.loads(path.read_text())
    got = listing(path.stem, case)
    expected = path.with_suffix(".txt")
    if os.environ.get("MAGISTRATE_GOLDEN") == "write":
        expected.write_text(got)
    assert got == expected.read_text()


def test_every_golden_file_belongs_to_a_dialect():
    """A listing that no dialect reads would be evidence for nothing."""
    listed = {path.stem for path in INPUTS}
    assert listed <= set(DIALECTS)
    assert {"openai.chat", "openai.embeddings", "anthropic.messages"} <= listed
