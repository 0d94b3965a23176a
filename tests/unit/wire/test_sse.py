"""Server-sent events by the WHATWG rules."""

import pytest

from magistrate.exchange.errors import MalformedAnswer
from magistrate.exchange.stream import StreamEvent
from magistrate.wire.events import EventReader
from magistrate.wire.sse import COMMENT, SseReader, write_event


def read(data, step=None):
    reader = SseReader()
    step = step or len(data) or 1
    events = [e for i in range(0, len(data), step) for e in reader.feed(data[i : i + step])]
    return [(e.name, e.data, e.comment) for e in events + reader.finish()]


CASES = {
    "newlines": (b"data: a\n\ndata: b\n\n", [("", b"a", False), ("", b"b", False)]),
    "returns": (b"data: a\r\rdata: b\r\r", [("", b"a", False), ("", b"b", False)]),
    "both": (b"event: x\r\ndata: a\r\n\r\n", [("x", b"a", False)]),
    "mixed": (b"event: x\rdata: a\ndata: b\r\n\n", [("x", b"a\nb", False)]),
    "no space": (b"data:a\n\n", [("", b"a", False)]),
    "two spaces": (b"data:  a\n\n", [("", b" a", False)]),
    "empty data": (b"data\n\n", [("", b"", False)]),
    "a colon in the value": (b"data: a:b\n\n", [("", b"a:b", False)]),
    "a name without data is dropped": (b"event: x\n\ndata: a\n\n", [("", b"a", False)]),
    "id, retry and unknown fields": (b"id: 1\nretry: 5\nfoo: x\ndata: a\n\n", [("", b"a", False)]),
    "a byte order mark": (b"\xef\xbb\xbfdata: a\n\n", [("", b"a", False)]),
    "no last blank line": (b"data: a", [("", b"a", False)]),
    "nothing": (b"", []),
    "a comment without its text": (b": my secret\n\n", [("", b"", True)]),
    "separators of other kinds do not end a line": (
        b"data: a\x0bb\x0cc\xe2\x80\xa8d\n\n",
        [("", b"a\x0bb\x0cc\xe2\x80\xa8d", False)],
    ),
}


@pytest.mark.parametrize("step", [None, 1, 2, 3])
@pytest.mark.parametrize(("data", "expected"), CASES.values(), ids=CASES)
def test_every_cut_gives_the_same_events(data, expected, step):
    """WHATWG HTML 9.2.6, and the stream reader's own promise."""
    assert read(data, step) == expected


@pytest.mark.parametrize("step", [1, 1000])
@pytest.mark.parametrize("line", [b"data: " + b"x" * 200, b"data: x\n" * 20, b": " + b"x" * 200])
def test_an_event_without_end_is_malformed(line, step):
    """A bound on what an endpoint can make us keep."""
    reader = SseReader(max_event_bytes=100)
    cuts = [line[i : i + step] for i in range(0, len(line), step)]
    with pytest.raises(MalformedAnswer, match="longer than 100 bytes"):
        list(map(reader.feed, cuts))


def test_many_small_events_are_not_one_long_one():
    reader = SseReader(max_event_bytes=100)
    assert len(reader.feed(b"data: 0123456789\n\n" * 1000)) == 1000


@pytest.mark.parametrize("data", [b"", b"a", b"a\nb", b"\n", b" lead", "é😀".encode()])
def test_what_is_written_is_read_back(data):
    assert read(write_event("name", data)) == [("name", data, False)]


def test_a_stream_that_ends_early_is_cut():
    reader = EventReader(lambda sse: StreamEvent(sse.name, {}, terminal=sse.data == b"end"))
    reader.feed(b"data: a\n\n")
    with pytest.raises(MalformedAnswer, match="cut before its terminal event"):
        reader.finish()


def test_what_follows_the_end_is_dropped():
    reader = EventReader(
        lambda sse: StreamEvent(sse.name, {"d": sse.data.decode()}, terminal=sse.data == b"end")
    )
    events = reader.feed(b": hi\n\ndata: a\n\ndata: end\n\ndata: more\n\n")
    assert [e.data for e in events] == [None, {"d": "a"}, {"d": "end"}]
    assert events[0].raw == COMMENT
    assert reader.feed(b"data: again\n\n") == []
    assert reader.finish() == []
