"""Which class a record gets, how long it is kept, and that this only ever grows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magistrate.evidence.absence import Absences
from magistrate.evidence.canonical import LARGEST_INTEGER
from magistrate.evidence.retention import (
    BUILT_IN,
    DAY_US,
    FLOORS,
    Bound,
    Promised,
    Schedule,
    day_of,
    ended,
    span_of,
)
from magistrate.evidence.segment import folder_of

NOW = 1_800_000_000_000_000


@pytest.mark.requirement("A4")
@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ((), "standard"),
        (("pii", "pii.email"), "standard"),
        (("pci.pan",), "pci"),
        (("phi.mrn",), "hipaa"),
        (("pci.pan", "phi"), "hipaa"),
        (("phish",), "standard"),
    ],
)
def test_the_longest_class_that_a_label_asks_for_wins(labels: tuple[str, ...], expected: str) -> None:
    """A family's name speaks for its members, and for nothing that merely begins like it."""
    assert Schedule().class_of(labels) == expected


@pytest.mark.requirement("A4")
def test_the_built_in_classes_keep_as_long_as_their_rules_say() -> None:
    """Six years with two leap days, twelve months of the longest kind, six months of the longest kind."""
    assert FLOORS["hipaa"] >= 6 * 365 + 2
    assert FLOORS["sec-17a-4"] >= 6 * 365 + 2
    assert FLOORS["pci"] >= 366
    assert FLOORS["eu-ai-act"] >= 31 + 30 + 31 + 31 + 30 + 31
    assert BUILT_IN["standard"] >= FLOORS["eu-ai-act"]


NAMES = st.sets(st.sampled_from(["a", "b", "pci"]))
DAYS = st.dictionaries(st.sampled_from(["a", "b", "pci"]), st.integers(1, 4000))


@pytest.mark.requirement("A4")
@given(configured=DAYS, kept=DAYS, binding=NAMES, bound=NAMES)
def test_a_class_is_never_weaker_than_it_was(
    configured: dict[str, int], kept: dict[str, int], binding: set[str], bound: set[str]
) -> None:
    """Whatever is configured: the longer stands, what binds goes on binding, and each refusal is named."""
    asked = Schedule(days=configured, binding=tuple(binding))
    schedule, changes = asked.strengthened_by(Promised(kept, tuple(bound)))
    for name in {*configured, *kept}:
        assert schedule.days[name] == max(configured.get(name, 0), kept.get(name, 0))
    assert set(schedule.binding) == binding | bound
    refused = [(change["class"], "to" in change) for change in changes if change["refused"]]
    shorter = {(name, True) for name in configured if configured[name] < kept.get(name, 0)}
    assert set(refused) == shorter | {(name, False) for name in bound - binding}
    assert schedule.strengthened_by(schedule.kept())[1] == []


@given(begun=st.integers(0, 4 * 10**15), days=st.integers(1, 36_525))
def test_a_day_has_ended_only_when_all_of_it_was_kept_long_enough(begun: int, days: int) -> None:
    """The last record of a day decides, so no body goes before the ``until`` in its record."""
    ret = Schedule(days={"c": days}).stamp("c", begun)
    header = {"ret": ret, "ts": begun - 5 * DAY_US, "tenant": "t"}
    until = ret["until"]
    assert type(until) is int
    day = day_of(header)
    assert day == begun // DAY_US
    assert not ended(day, days, until)
    assert ended(day, days, until + DAY_US)


@pytest.mark.parametrize(
    "ret",
    [None, "x", {}, {"class": 5, "until": 1 << 70, "days": -1}, {"class": "../..", "until": -1, "days": 1}],
)
def test_a_folder_is_made_of_names_whatever_a_record_says(ret: object) -> None:
    """Headers are others' words: nothing in them leaves the evidence directory."""
    parts = folder_of({"ret": ret, "ts": 0, "tenant": "../../etc"}).split("/")
    assert len(parts) == 3
    assert not {"", ".", ".."} & set(parts)


def test_a_class_that_is_not_configured_is_refused() -> None:
    """Nobody would know how long to keep it."""
    with pytest.raises(ValueError, match="not configured"):
        Schedule().stamp("forever", NOW)


def _prune(folder: str, bodies: object, ts: int) -> dict[str, object]:
    return {
        "t": "retention.prune",
        "ts": ts,
        "ext": {"segments": [{"name": f"{folder}/0.seg", "bodies": bodies}]},
    }


@pytest.mark.requirement("A2", "A4")
def test_pruned_is_told_from_missing_and_from_too_early() -> None:
    """A prune excuses as many bodies of its folder as it names, after their time, and none else."""

    def told(missing: int, *orders: dict[str, object]) -> tuple[int, list[bool]]:
        absences = Absences()
        for _ in range(missing):
            absences.missing("record 1, p", ("log", "body/t/c/d"), "k-1", 100)
        for order in orders:
            absences.saw("log", order["t"], order["ts"], order["ext"])
        found = absences.unexplained()
        return absences.pruned, [too_early for _, _, too_early in found]

    assert told(2, _prune("body/t/c/d", 2, 100)) == (2, [])
    assert told(3, _prune("body/t/c/d", 2, 100)) == (0, [False])
    assert told(2, _prune("body/t/c/other", 2, 100)) == (0, [False])
    assert told(2, _prune("body/t/c/d", 2, 99)) == (0, [True])
    assert told(2) == (0, [False])
    again = _prune("body/t/c/d", 1, 100)  # recorded, then a crash before it was removed, then recorded again
    assert told(1, again, again) == (1, [])
    assert told(2, again, again) == (0, [False])
    for nonsense in ("2", None, -3, True, [2]):
        assert told(2, _prune("body/t/c/d", nonsense, 100)) == (0, [False])
    assert told(1, {"t": "erasure.order", "ts": 1, "ext": {"kids": ["k-1", 5]}}) == (0, [])
    assert told(1, {"t": "erasure.order", "ts": 1, "ext": {"kids": "k-1"}}) == (0, [False])


@pytest.mark.requirement("A4")
@given(
    written=st.lists(st.tuples(st.integers(0, 1 << 52), st.integers(1, 4000)), min_size=1),
    days=st.integers(1, 4000),
)
def test_a_key_is_bound_as_long_as_any_of_its_records(written: list[tuple[int, int]], days: int) -> None:
    """Each record by itself, by what it was stamped with or by what its class is now, whichever is later."""
    spans = [span_of({"ret": Schedule({"trade": then}).stamp("trade", when)}) for when, then in written]
    bound = Bound("k", "trade", max(until for _, until in spans), max(begun for begun, _ in spans))
    each = [when + max(then, days) * DAY_US for when, then in written]
    assert Schedule({"trade": days}).end_of(bound) == min(max(each), LARGEST_INTEGER)
    assert Schedule({"trade": days}).end_of(Bound("k", "trade")) is None
