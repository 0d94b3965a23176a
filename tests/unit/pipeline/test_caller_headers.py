"""What callers say of themselves in headers, in our spelling and in those that other gateways made common."""

import pytest

from magistrate.pipeline.headers import LONGEST_FLOW, MOST_TAGS, flow, tags


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
