"""What callers say of themselves in headers, in our spelling and in those that other gateways made common."""

import pytest

from magistrate.exchange.errors import Refused
from magistrate.exchange.outcome import Code
from magistrate.pipeline.headers import DATASETS, LONGEST_FLOW, MOST_DATASETS, MOST_TAGS, datasets, flow, tags


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({}, ()),
        ({"x-magistrate-tags": "b, a,,a "}, ("a", "b")),
        ({"x-litellm-tags": "batch", "x-magistrate-tags": "night"}, ("batch", "night")),
        ({"x-portkey-metadata": '{"environment": "test", "_user": "7"}'}, ("_user=7", "environment=test")),
        ({"x-portkey-metadata": '{"nested": {"a": 1}}'}, ()),
        ({"x-portkey-metadata": "no JSON"}, ()),
        ({"x-magistrate-tags": "x" * 300}, ()),
    ],
)
def test_tags_are_read_in_every_common_spelling(headers: dict[str, str], found: tuple[str, ...]) -> None:
    """What cannot be read is no tag; tags are claims, so nothing depends on them being there."""
    assert tags(headers) == found


def test_there_is_a_most_of_tags() -> None:
    """A caller cannot make the facts grow without bound."""
    assert len(tags({"x-magistrate-tags": ",".join(map(str, range(100)))})) == MOST_TAGS


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({"x-magistrate-flow": "run-7", "x-litellm-session-id": "other"}, "run-7"),
        ({"x-litellm-session-id": "s1"}, "s1"),
        ({"x-portkey-trace-id": "t1"}, "t1"),
        ({"x-magistrate-flow": "x" * (LONGEST_FLOW + 1)}, ""),
        ({"x-magistrate-flow": "a\tb"}, ""),
        ({}, ""),
    ],
)
def test_a_flow_is_named_by_its_caller(headers: dict[str, str], found: str) -> None:
    """Our own header first; what is too long or not printable is none."""
    assert flow(headers) == found


@pytest.mark.requirement("A8")
@pytest.mark.parametrize(
    ("named", "told"),
    [
        ("", ()),
        ("guidelines@2026-11", ({"id": "guidelines", "version": "2026-11"},)),
        (
            f" kb/icd-10@2026#{'0a' * 32},b@1+2",
            ({"id": "kb/icd-10", "version": "2026", "sha256": "0a" * 32}, {"id": "b", "version": "1+2"}),
        ),
    ],
)
def test_datasets_are_told_with_their_version_and_digest(
    named: str, told: tuple[dict[str, str], ...]
) -> None:
    assert datasets({DATASETS: named} if named else {}) == told


@pytest.mark.parametrize(
    "named",
    ["guidelines", "a@", "@1", "a b@1", "a@1,", "a@1#00", f"a@1#{'0A' * 32}", "ä@1", f"{'a' * 101}@1",
     ",".join(["a@1"] * (MOST_DATASETS + 1))],
)  # fmt: skip
def test_a_dataset_in_another_form_is_refused_because_the_record_would_leave_it_out(named: str) -> None:
    with pytest.raises(Refused) as refused:
        datasets({DATASETS: named})
    assert (refused.value.code, refused.value.param) == (Code.INVALID_REQUEST, DATASETS)
