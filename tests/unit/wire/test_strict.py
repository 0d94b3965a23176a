"""Strict JSON refuses what parsers read differently, and says where."""

import json

import pytest

from magistrate.exchange.errors import MalformedAnswer, Unreadable
from magistrate.exchange.outcome import Code
from magistrate.wire.strict import (
    Limits,
    NotJson,
    TooLarge,
    describe,
    dump,
    parse,
    parse_answer,
    parse_inner,
)

pytestmark = pytest.mark.requirement("P9")

REFUSED = {
    "an array": (b"[1]", "not an object", None),
    "a bare string": (b'"x"', "not an object", None),
    "nothing": (b"", "empty", None),
    "blank": (b"  \n", "empty", None),
    "a duplicate key": (b'{"a":1,"a":2}', "`a` stands twice", "a"),
    "a duplicate deep inside": (b'{"m":[{"x":{"k":1,"j":0,"k":1}}]}', "`k` stands twice", "m.0.x.k"),
    "a duplicate in another spelling": (b'{"a":1,"\\u0061":2}', "`a` stands twice", "a"),
    "a duplicate behind white space": (b'{"a" :1, "a"\t\n:2}', "`a` stands twice", "a"),
    "a duplicate with an escaped quote": (b'{"q\\"":1,"q\\"":2}', "stands twice", 'q"'),
    "a duplicate that ends in a backslash": (b'{"q\\\\":1,"q\\\\":2}', "stands twice", "q\\"),
    "a duplicate beside text that looks like keys": (
        b'{"a":"\\"b\\":1","a":"\\"c\\":"}',
        "`a` stands twice",
        "a",
    ),
    "a duplicate beside a key that ends in a backslash": (
        b'{"q\\\\":1,"a":1,"a":2}',
        "`a` stands twice",
        "a",
    ),
    "a duplicate beside a spaced colon": (b'{"q" :1,"a":1,"a":2}', "`a` stands twice", "a"),
    "NaN": (b'{"a":[NaN]}', "`NaN` is not a JSON number", "a.0"),
    "minus infinity": (b'{"a":-Infinity}', "`-Infinity`", "a"),
    "trailing data": (b"{} {}", "not JSON", None),
    "a trailing comma": (b'{"a":1,}', "not JSON", None),
    "a byte order mark": (b"\xef\xbb\xbf{}", "byte order mark", None),
    "UTF-16": ('{"a":1}'.encode("utf-16"), "not", None),
    "invalid UTF-8": (b'{"a":"\xff"}', "not UTF-8", None),
    "a surrogate in UTF-8": (b'{"a":"\xed\xa0\x80"}', "not UTF-8", None),
    "overlong UTF-8": (b'{"a":"\xc0\x80"}', "not UTF-8", None),
    "a lone high surrogate": (b'{"a":{"b":"\\ud800"}}', "half of a surrogate pair", "a.b"),
    "a lone low surrogate": (b'{"a":"\\udc00"}', "half of a surrogate pair", "a"),
    "a lone surrogate in a key": (b'{"\\ud800":1}', "half of a surrogate pair", ""),
    "a huge float": (b'{"a":1e400}', "out of range", None),
    "a huge integer": (b'{"a":' + b"9" * 5000 + b"}", "out of range", None),
    "a control character": (b'{"a":"\x01"}', "not JSON", None),
    "a leading zero": (b'{"a":01}', "not JSON", None),
    "depth 65": (b'{"a":' * 65 + b"1" + b"}" * 65, "deeper than 64", None),
    "depth 100,000": (b"[" * 100_000, "deeper than 64", None),
}


@pytest.mark.parametrize(("body", "says", "place"), REFUSED.values(), ids=REFUSED)
def test_a_body_with_two_readings_is_refused_with_its_place(body, says, place):
    """DESIGN section 3: duplicate keys, NaN, trailing data and over-deep bodies are refused."""
    with pytest.raises(Unreadable) as caught:
        parse(body)
    assert says in caught.value.message
    assert caught.value.param == place
    assert caught.value.code is Code.INVALID_REQUEST


@pytest.mark.parametrize(("body", "says", "place"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_of_a_client_is_malformed_from_an_endpoint(body, says, place):
    """The same parser stands on both sides, so that an answer cannot hide what a request could not."""
    with pytest.raises(MalformedAnswer, match=r".") as caught:
        parse_answer(body)
    assert says in str(caught.value)
    assert not place or place in str(caught.value)


ACCEPTED = [
    b"{}",
    b' {"a" : 1}\n',
    b'{"a":{"a":{"a":1}}}',
    b'{"a":"\\"b\\":\\"c\\"","b":":"}',
    b'{"a":"\\\\","b":"\\\\\\"","c\\\\":1,"d\\"":2}',
    '{"é":"😀","x":"\\ud83d\\ude00"}'.encode(),
    b'{"a":123456789012345678901234567890,"b":-0.0,"c":1E5,"d":5e-324}',
    b'{"a":' * 64 + b"1" + b"}" * 64,
]


@pytest.mark.parametrize("body", ACCEPTED)
def test_one_meaning_goes_in_and_the_same_meaning_comes_out(body):
    """What is sent on is written anew and means what was judged; big integers survive."""
    tree = parse(body)
    assert tree == json.loads(body)
    assert json.loads(dump(tree)) == tree


def test_a_duplicate_among_very_many_keys_is_found():
    """Past the bound's own limit the exact count decides."""
    members = [f'"k{i}":"a:b"' for i in range(2000)]
    assert len(parse(("{" + ",".join(members) + "}").encode())) == 2000
    with pytest.raises(Unreadable, match="`k7` stands twice"):
        parse(("{" + ",".join([*members, '"k7":0']) + "}").encode())


def test_a_body_over_a_limit_is_told_as_too_large():
    """A limit is 413, not 400: the client did nothing wrong in kind."""
    with pytest.raises(TooLarge) as caught:
        parse(b'{"a":"xxxxxxxxxx"}', Limits(max_bytes=10))
    assert caught.value.code is Code.REQUEST_TOO_LARGE
    with pytest.raises(TooLarge, match="more than 3 values"):
        parse(b'{"a":[1,2,3,4,5,6]}', Limits(max_nodes=3))
    assert parse(b'{"a":",,,,,,,,,,,,,,[[[[[{{{{"}', Limits(max_nodes=3)) == {"a": ",,,,,,,,,,,,,,[[[[[{{{{"}


@pytest.mark.parametrize("text", ["", "hello", '{"a":', "{'a':1}", "{} x"])
def test_text_that_no_parser_reads_is_only_text(text):
    with pytest.raises(NotJson):
        parse_inner(text, ("x",))


@pytest.mark.parametrize("text", ['{"a":1,"a":2}', '{"a":NaN}', '{"a":"\\ud800"}', "[" * 5000 + "]" * 5000])
def test_json_text_that_parsers_read_differently_is_refused_at_its_place(text):
    """A client might take the reading that nobody judged."""
    with pytest.raises(Unreadable, match="JSON text") as caught:
        parse_inner(text, ("messages", 0, "arguments"))
    assert caught.value.param == "messages.0.arguments"
    assert "messages.0.arguments" in describe(caught.value)
