"""The span that one subject key covers."""

import datetime as dt

import pytest

from magistrate.adapters.recorder.vault import quarter


@pytest.mark.requirement("A4")
def test_a_quarter_ends_with_its_last_microsecond() -> None:
    """On both sides of each border, in whatever order they are asked for."""
    for month, before, after in ((1, "2026Q4", "2027Q1"), (4, "2027Q1", "2027Q2"), (10, "2027Q3", "2027Q4")):
        border = int(dt.datetime(2027, month, 1, tzinfo=dt.UTC).timestamp()) * 1_000_000
        assert (quarter(border), quarter(border - 1)) == (after, before)
        assert quarter(border + 86_400_000_000) == after
