"""What waits for the sealer is counted by group, and let go of by whole groups."""

from hypothesis import given
from hypothesis import strategies as st

from magistrate.adapters.recorder.waiting import Waiting


@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(1, 9)), max_size=6),
    st.lists(st.tuples(st.integers(1, 4), st.integers(0, 99))),
    st.data(),
)
def test_what_waits_is_what_no_checkpoint_covers_whole(
    begun: list[tuple[int, int]], groups: list[tuple[int, int]], data: st.DataObject
) -> None:
    """Against the obvious list, whenever checkpoints come; one that comes before its group is counted is counted with the next."""
    end = data.draw(st.integers(0, 50))
    obvious = []
    for records, weight in begun:
        end += records
        obvious.append((end, weight))
    waiting = Waiting(obvious)
    for records, weight in groups:
        end += records
        waiting.add(end, weight)
        obvious.append((end, weight))
        size = data.draw(st.integers(0, end + 2))
        waiting.sealed(size)
        obvious = [one for one in obvious if one[0] > size]
        assert waiting.bytes == sum(weight for _, weight in obvious)
