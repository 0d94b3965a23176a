"""What records of one shard say of records in the shard before it: known where both are read, open where one is not, never guessed."""

from typing import Any

import pytest
from tests.published import Published

from magistrate.evidence.canonical import encode
from magistrate.evidence.links import Links
from magistrate.evidence.noted import Noted
from magistrate.evidence.report import Verdict
from magistrate.evidence.said import said

BOUND = {"records": 8, "ms": 20}
PRICES = {"v1": {"input": 2, "output": 3}}


def shard(*, follows: bool = False, calls: dict[str, str] | None = None) -> Published:
    log = Published()
    previous = {"previous": {"origin": "a", "size": 1, "root": "00" * 32}} if follows else {}
    log.note("shard.open", 0, number=2 if follows else 1, calls=calls or {}, **previous)
    if follows:  # ids go on, so that none stands twice
        log.headers[0]["eid"] = "00000000-0000-7000-9000-000000000000"
    return log


def ahead(log: Published, number: int, *, eid: str = "", itself: bool = True) -> dict[str, Any]:
    """A record that a writer handed over as its ``number``-th ahead of its durability, or one that says how many there were."""
    way = {"durability": "bounded-async", "bound": BOUND} if itself else {}
    header = log.header("config.change", "note", at_s=1, handed=number, **way)
    header["eid"] = eid or f"00000000-0000-7000-8000-{number:06x}{id(log) % 0xFFFFFF:06x}"
    return log.add(header)


def judged(*logs: Published) -> list[tuple[Verdict | None, str, str]]:
    """Read shards in their order, as a verifier does; return verdict (None: a remark), place and words of all that is noted."""
    noted, chain = Noted(), list[Links]()
    for number, log in enumerate(logs, 1):
        links = Links(noted.within(f"shard {number}, "), chain[-1] if chain else None)
        for index, header in enumerate(log.headers):
            links.add(f"record {index}", said(header, encode(header)))
        chain.append(links)
    for links in chain:
        links.finish()
    problems = [(one.verdict, one.place, one.what) for one in noted.problems]
    return problems + [(None, one.place, one.what) for one in noted.remarks]


@pytest.mark.requirement("A1", "A2")
def test_a_writer_counts_on_in_the_next_shard() -> None:
    """Alone the second shard is not blamed for what the first one holds; together nothing is missing."""
    first, second = shard(), shard(follows=True)
    for number in (1, 2, 3):
        ahead(first, number)
    for number in (4, 5):
        ahead(second, number)
    assert judged(first) == judged(second) == judged(first, second) == []


@pytest.mark.requirement("A1", "A2")
def test_what_went_ahead_and_is_in_neither_shard_is_found_where_both_are_read() -> None:
    first, second = shard(), shard(follows=True)
    ahead(first, 1)
    ahead(second, 3)
    ((verdict, place, what),) = judged(first, second)
    assert (verdict, place) == (Verdict.UNDECIDABLE, "shard 2, record 1")
    assert "let 1 records go ahead that are not here, the first of them its number 2" in what


@pytest.mark.requirement("A1", "A2")
def test_what_was_handed_over_again_after_the_border_is_not_missing() -> None:
    """Number 2 was refused and comes late: the first shard alone cannot know that."""
    first, second = shard(), shard(follows=True)
    for number in (1, 3):
        ahead(first, number)
    ahead(second, 2)
    ahead(second, 4)
    assert [verdict for verdict, _, _ in judged(first)] == [Verdict.UNDECIDABLE]
    assert judged(first, second) == []


@pytest.mark.requirement("A1", "A2")
def test_a_writer_that_is_heard_after_the_border_did_not_end_with_the_crash_before_it() -> None:
    first, second = shard(), shard(follows=True)
    ahead(first, 1)
    first.note("recovery", 2, records=0, open_calls=0, calls=[])
    ahead(second, 1, itself=False)
    assert [what[:23] for _, _, what in judged(first)] == ["nothing more was heard "]
    assert judged(first, second) == []


@pytest.mark.requirement("A1")
def test_prices_of_an_older_shard_are_those_that_costs_are_checked_with() -> None:
    first, second = shard(), shard(follows=True)
    price = first.header("config.change", "note", prices=PRICES)
    first.add(price)
    usage = {"in": 10, "out": 1, "cost_nano": 99, "prices": "v1"}
    spent = second.header("llm.response", "outcome", usage=usage)
    spent["eid"] = "00000000-0000-7000-9000-000000000001"
    second.add(spent)
    assert judged(second) == []
    ((verdict, _, what),) = judged(first, second)
    assert verdict is None
    assert what == "says a cost of 99 nano-units; its tokens at its prices make 23"


@pytest.mark.requirement("A2")
def test_only_a_call_that_was_open_is_taken_over() -> None:
    first = shard()
    open_one = first.call("a" * 32, ends=False)
    ended = first.call("b" * 32)
    for call, problems in ((open_one, 0), (ended, 1)):
        second = shard(follows=True, calls={call["eid"]: call["trace"]})
        found = judged(first, second)
        assert len(found) == problems, found
    assert found[0][0] is Verdict.TAMPERED
    assert "which was not open" in found[0][2]


@pytest.mark.requirement("A2")
def test_a_cause_in_an_older_shard_is_known_open_or_missing() -> None:
    """Known where that shard was read, undecidable where it was not, tampered where there is no older shard."""
    first, second = shard(), shard(follows=True)
    note = first.add(first.header("erasure.deferred", "note"))
    order = second.header("erasure.order", "intent", cause=[note["eid"]])
    order["eid"] = "00000000-0000-7000-9000-000000000001"
    second.add(order)
    assert judged(first, second) == []
    assert [verdict for verdict, _, _ in judged(second)] == [Verdict.UNDECIDABLE]
    third = shard(follows=True)
    third.headers[0]["eid"] = "00000000-0000-7000-9000-000000000002"
    again = {**order, "eid": "00000000-0000-7000-9000-000000000003"}
    third.add(again)
    assert [verdict for verdict, _, _ in judged(second, third)] == [Verdict.UNDECIDABLE] * 2
    alone = shard()
    alone.add({**order, "eid": "00000000-0000-7000-9000-000000000004"})
    assert [verdict for verdict, _, _ in judged(alone)] == [Verdict.TAMPERED]


@pytest.mark.requirement("A2")
def test_a_record_stands_once_in_all_shards() -> None:
    first, second = shard(), shard(follows=True)
    one = first.add(first.header("config.change", "note"))
    second.add({**one})
    ((verdict, place, what),) = judged(first, second)
    assert (verdict, place) == (Verdict.TAMPERED, "shard 2, record 1")
    assert "was recorded before" in what
