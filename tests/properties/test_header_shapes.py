"""Headers read by a pattern, beside the careful way: what a pattern accepts the careful way accepts, and reads alike."""

import random
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from magistrate.evidence import shapes
from magistrate.evidence.canonical import LARGEST_INTEGER, decode, encode
from magistrate.evidence.reading import read_of
from magistrate.evidence.record import check_shape
from magistrate.evidence.segment import folder_of
from magistrate.evidence.shapes import Read, Shape, Shapeless, Shapes

DIGITS = "0123456789abcdef"
PLAIN = st.text(st.sampled_from("ab,:[]{}-_ 0.~!"), max_size=6)
ODD = st.one_of(PLAIN, st.text(max_size=4), st.sampled_from(['"', "\\", "\n", "\x7f", "é", "\ud7ff"]))
NUMBER = st.sampled_from([0, 1, 7, 10, 999_999_999, 2**30, 2**30 + 1, 9 * 10**15 - 1, LARGEST_INTEGER, -1])
HASH = st.integers(0, 2**256 - 1).map(lambda number: f"{number:064x}")
EID = st.uuids().map(str)


def careful(raw: bytes) -> Read | None:
    """The obvious way, value by value."""
    try:
        header = decode(raw)
        check_shape(header)
    except ValueError:
        return None
    return read_of(header, raw)


def body(part: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"part": st.just(part), "len": st.integers(0, 10**9 - 1), "ct": HASH, "cm": HASH},
        optional={"kid": PLAIN, "media": PLAIN, "alg": st.just("A256GCM")},
    )


def header(
    texts: st.SearchStrategy[str], numbers: st.SearchStrategy[int]
) -> st.SearchStrategy[dict[str, Any]]:
    """Headers of calls: with what every record has, and much of what only some have."""
    rules = st.lists(texts, max_size=3)
    value = st.one_of(texts, numbers, st.booleans(), st.none(), rules)
    usage = st.fixed_dictionaries({"in": numbers, "out": numbers}, optional={"prices": texts})
    return st.fixed_dictionaries(
        {
            "eid": EID,
            "log": texts,
            "prev": st.one_of(st.just(""), HASH),
            "tenant": texts,
            "trace": texts,
            "ts": st.integers(0, 9 * 10**15 - 1),
            "wid": texts,
            "wseq": st.integers(1, 9 * 10**15 - 1),
            "t": st.sampled_from(["llm.request", "llm.response"]),
            "phase": st.sampled_from(["intent", "outcome"]),
            "ret": st.fixed_dictionaries(
                {"class": texts, "days": st.integers(0, 4000), "until": st.integers(0, 9 * 10**15 - 1)}
            ),
        },
        optional={
            "actor": st.fixed_dictionaries({"kind": st.sampled_from(["key", "recorder"]), "handle": texts}),
            "body": st.one_of(st.just([]), st.tuples(body("request"), body("judgement")).map(list)),
            "cause": st.lists(texts, max_size=2),
            "closes": st.integers(1, 9),
            "handed": st.integers(0, 9),
            "durability": st.sampled_from(["bounded-async", "before-effect"]),
            "bound": st.fixed_dictionaries({"records": numbers, "ms": numbers}),
            "usage": usage,
            "steps_us": st.lists(st.tuples(texts, numbers).map(list), max_size=3),
            "endpoints": st.lists(st.fixed_dictionaries({"id": texts, "rules": rules}), max_size=3),
            "more": st.dictionaries(PLAIN, value, max_size=3),
            "ext": st.fixed_dictionaries({"records": numbers}),
            "prices": st.fixed_dictionaries({"a": st.fixed_dictionaries({"input": numbers})}),
        },
    )


def agree(shape: Shape, raw: bytes) -> bool:
    """Check that a pattern says of ``raw`` what the careful way says, or nothing; return whether it said something."""
    quick = shape.read(raw.decode("latin-1"), raw)
    if quick is None:
        return False
    slow = careful(raw)
    assert slow is not None, raw
    assert (quick.log, quick.said, quick.bodies) == (slow.log, slow.said, slow.bodies)
    assert folder_of(quick.where) == folder_of(slow.where)
    assert quick.where["ret"] == slow.where["ret"]
    assert quick.where["eid"] == slow.where["eid"]
    return True


def shape_of(found: dict[str, Any]) -> Shape | None:
    raw = encode(found)
    if not raw.isascii() or careful(raw) is None:
        return None
    try:
        return Shape(decode(raw))
    except Shapeless:
        return None


@given(header(PLAIN, st.integers(0, 9 * 10**15 - 1)))
def test_a_pattern_accepts_the_plain_header_it_was_made_of(found: dict[str, Any]) -> None:
    """Else nothing below would be tested. The recorder's own records, and those that say more, have none."""
    shape = shape_of(found)
    if "ext" in found or "prices" in found or found.get("actor", {}).get("kind") == "recorder":
        assert shape is None
    else:
        assert shape is not None
        assert agree(shape, encode(found))


@given(header(ODD, NUMBER), header(ODD, NUMBER))
def test_a_pattern_made_of_one_header_reads_another_as_the_careful_way_does(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    """Any values in the places of the first, and any header whatever."""
    shape = shape_of(one)
    if shape is not None:
        agree(shape, encode(other))
        agree(shape, encode(one | {name: other[name] for name in one if name in other}))


SPOILS = (
    *(
        b'"',
        b"\\",
        b"\n",
        b"\x00",
        b"\x1f",
        b"\x7f",
        b"\x80",
        b"\xe9",
        b"0",
        b"-",
        b".",
        b"e1",
        b"A",
        b" ",
        b"",
        b",",
    ),
    *(b"{}", b"[]", b'""', b',""', b',"x"', b"null", b"true", b"\\u0041"),
)


@given(
    header(PLAIN, NUMBER),
    st.lists(st.tuples(st.integers(0, 4000), st.sampled_from(SPOILS)), min_size=1, max_size=3),
)
def test_what_the_careful_way_refuses_no_pattern_accepts(
    found: dict[str, Any], spoiled: list[tuple[int, bytes]]
) -> None:
    """Bytes put in, taken out and changed anywhere in the very header that the pattern was made of."""
    shape = shape_of(found)
    if shape is None:
        return
    raw = encode(found)
    for at, other in spoiled:
        place = at % len(raw)
        for end in (place, place + 1):
            agree(shape, raw[:place] + other + raw[end:])


def call(number: int, **more: object) -> dict[str, Any]:
    chance = random.Random(number)
    digest = "".join(chance.choices(DIGITS, k=64))
    return {
        "v": 1,
        "eid": f"01a210e7-0edf-7cd8-a2ba-{number:012x}",
        "log": "shapes.example/log",
        "t": "llm.request",
        "phase": "intent",
        "ts": 1_795_603_842_169_423 + number,
        "trace": f"{number:032x}",
        "tenant": "default",
        "wid": "w",
        "wseq": number + 1,
        "prev": "",
        "labels": ["pii.email"] * (number % 3),
        "ret": {"class": "standard", "days": 366, "until": 1_827_226_242_172_893},
        "body": [{"part": "request", "len": number, "ct": digest, "cm": digest, "kid": "k-1"}],
        **more,
    }


def taught(count: int, **more: object) -> Shapes:
    """Return what a reader knows that read so many headers of one shape, all by the careful way."""
    known = Shapes()
    for number in range(count):
        raw = encode(call(number, **more))
        known.learn(decode(raw), raw)
    return known


@pytest.mark.requirement("A2")
def test_a_shape_that_is_often_seen_is_read_by_its_pattern() -> None:
    """And one that was seen too seldom is not, nor are headers of another shape."""
    often = encode(call(7))
    assert taught(shapes.SAMPLED * shapes.SEEN - 1).read(often) is None
    known = taught(shapes.SAMPLED * shapes.SEEN)
    found = known.read(often)
    assert found is not None
    assert found.said == read_of(decode(often), often).said
    assert known.read(encode(call(7, closes=2))) is None


@pytest.mark.parametrize("filled", [False, True])
def test_whatever_is_put_at_any_place_of_a_header_is_accepted_by_both_ways_or_by_none(
    *, filled: bool
) -> None:
    """Every byte of a whole header, with everything in it that a pattern knows, its lists empty or not."""
    more: dict[str, Any] = {
        "actor": {"kind": "key", "handle": "key-1"},
        "bound": {"records": 5, "ms": 7},
        "cause": ["a", "b"] * filled,
        "closes": 2,
        "durability": "bounded-async",
        "endpoints": [{"id": "one", "rules": ["a"]}, {"id": "two", "rules": []}] * filled,
        "handed": 3 * filled,
        "rewritten": False,
        "steps_us": [["a", 1], ["b", 20]] * filled,
        "usage": {"in": 1, "out": 0, "prices": "p"},
        "version": None,
    }
    found = call(2 * filled, **more)
    raw, shape = encode(found), shape_of(found)
    assert shape is not None
    assert agree(shape, raw)
    accepted = 0
    for place in range(len(raw)):
        for other in SPOILS:
            accepted += agree(shape, raw[:place] + other + raw[place:])
            accepted += agree(shape, raw[:place] + other + raw[place + 1 :])
    assert accepted > len(raw)


SPOILING = {
    "eid": "01A210E7-0EDF-7CD8-A2BA-000000000001",
    "prev": "g" * 64,
    "wseq": 0,
    "ts": -1,
    "trace": 5,
    "wid": None,
    "log": True,
    "cause": "x",
    "closes": 0,
    "body": [{"part": "request", "len": 2**30 + 1, "ct": "0" * 64, "cm": "0" * 64, "kid": "k-1"}],
}


@pytest.mark.parametrize("name", SPOILING)
def test_a_field_that_breaks_a_record_is_refused_where_patterns_know_all_others(name: str) -> None:
    known = taught(shapes.SAMPLED * shapes.SEEN, cause=[], closes=1)
    good = call(1, cause=[], closes=1)
    assert known.read(encode(good)) is not None
    bad = encode(good | {name: SPOILING[name]})
    assert careful(bad) is None
    assert known.read(bad) is None


def test_two_parts_of_one_name_have_no_pattern() -> None:
    """Names stand in a pattern word for word: of those that differ none accepts those that do not."""
    both = [{"part": part, "len": 1, "ct": "0" * 64, "cm": "0" * 64, "kid": "k"} for part in ("sent", "said")]
    known = taught(shapes.SAMPLED * shapes.SEEN, body=both)
    assert known.read(encode(call(1, body=both))) is not None
    assert known.read(encode(call(1, body=[both[0], both[0]]))) is None


def test_ever_new_shapes_fill_no_memory() -> None:
    known = Shapes()
    for number in range(shapes.SAMPLED * (shapes.MOST_SEEN + 4) * shapes.SEEN):
        if number % shapes.SAMPLED == shapes.SAMPLED - 1:
            found = call(number, **{f"k{number // shapes.SAMPLED // shapes.SEEN}": 1})
            known.learn(found, encode(found))
        else:
            known.learn({}, b"")
    assert len(known._known) == shapes.MOST_SHAPES  # noqa: SLF001  because a bound is what is tested
    assert len(known._seen) <= shapes.MOST_SEEN  # noqa: SLF001  because a bound is what is tested
    assert known._made == shapes.MOST_MADE  # noqa: SLF001  because a bound is what is tested


def test_a_header_longer_than_a_leaf_is_left_to_the_careful_way() -> None:
    known = taught(shapes.SAMPLED * shapes.SEEN)
    long = orjson.dumps(call(1) | {"labels": ["x" * 66_000]}, option=orjson.OPT_SORT_KEYS)
    assert known.read(long) is None
    assert careful(long) is None
