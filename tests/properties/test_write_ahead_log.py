"""The write-ahead log against the obvious model, a list: whatever is rotated, sealed, reused, torn and opened again."""

import tempfile
import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from magistrate.adapters.recorder import tail as tail_module
from magistrate.adapters.recorder import wal
from magistrate.adapters.recorder.disk import Disk
from magistrate.adapters.recorder.tail import Tail
from magistrate.adapters.recorder.wal import Durable, Entry, WalBroken, WriteAheadLog, pack_group

SMALL_FILE, SMALL_BLOCK = 640, 64
BODIES = msgspec.msgpack.Decoder(tuple[tuple[str, bytes], ...])


@contextmanager
def small_log() -> Iterator[Path]:
    """A directory for a log whose files are full after a few groups."""
    with tempfile.TemporaryDirectory() as directory, pytest.MonkeyPatch.context() as patch:
        patch.setattr(wal, "FILE_BYTES", SMALL_FILE)
        patch.setattr(wal, "BLOCK", SMALL_BLOCK)
        yield Path(directory)


def entries(first: int, sizes: list[int]) -> list[Entry]:
    """Records that differ in their last byte, as ciphertexts do: no old group ends like a new one, or like zeros."""
    return [
        Entry(n, b"h" * size, (("request", b"c" * size + bytes([n % 255 + 1])),))
        for n, size in enumerate(sizes, first)
    ]


def replayed(log: WriteAheadLog, first: int) -> tuple[list[Entry], int]:
    """Return what a start is given, its bodies unpacked at once, and how much was torn."""
    found: list[Entry] = []
    count, torn = log.replay(
        first,
        lambda group: found.extend(Entry(one.index, one.header, BODIES.decode(one.bodies)) for one in group),
    )
    assert count == len(found)
    return found, torn


def newest(directory: Path) -> Path:
    return max(directory.glob("*.wal"))


GROUP = st.lists(st.integers(1, 60), min_size=1, max_size=4)
STEP = (
    st.tuples(st.just("append"), GROUP)
    | st.tuples(st.just("seal"), st.integers(0, 100))
    | st.tuples(st.just("reopen"), st.none())
    | st.tuples(st.just("tear"), st.tuples(GROUP, st.integers(1, 400)))
)


@pytest.mark.fault(40)
@given(st.lists(STEP, max_size=40))
def test_what_was_made_durable_is_read_back_and_nothing_else(steps: list[tuple[str, object]]) -> None:
    """A reused file's old groups are never taken for new ones, and a torn group for none; nor by a reader that follows."""
    with small_log() as directory:
        kept: list[Entry] = []
        sealed = 0
        log = WriteAheadLog(directory, Disk())
        log.open(0)
        tail = Tail(directory)
        for what, value in steps:
            if what == "append":
                group = entries(len(kept), value)  # type: ignore[arg-type]
                log.append(group)
                kept += group
                if log.full:
                    log.open(len(kept))
            elif what == "seal":
                assert tail.read(sealed, len(kept)) == kept[sealed:]
                sealed += (len(kept) - sealed) * int(value) // 100  # type: ignore[call-overload]
                log.remove_sealed(sealed)
                log.prepare()
            else:
                if what == "tear":
                    group, length = value  # type: ignore[misc]
                    whole = pack_group(entries(len(kept), group))
                    with newest(directory).open("r+b") as file:
                        file.seek(log._length)
                        file.write(whole[: min(length, len(whole) - 1)])
                log.close()
                log = WriteAheadLog(directory, Disk())
                found, torn = replayed(log, sealed)
                assert found == kept[sealed:]
                assert torn == 0 or what == "tear"
                log.open(len(kept))
        log.close()
        assert tail.read(sealed, len(kept)) == kept[sealed:]
        tail.close()
        found, _ = replayed(WriteAheadLog(directory, Disk()), sealed)
        assert found == kept[sealed:]


def test_the_tail_is_read_in_pieces_and_never_beyond_what_is_durable() -> None:
    """A piece ends with a group; what follows the durable end is not looked at, and what is missing or damaged is said."""
    with small_log() as directory, pytest.MonkeyPatch.context() as patch:
        log = WriteAheadLog(directory, Disk())
        log.open(0)
        written = [entries(first, [30, 30]) for first in range(0, 12, 2)]
        for group in written:
            log.append(group)
            if log.full:
                log.open(group[-1].index + 1)
        tail = Tail(directory)
        patch.setattr(tail_module, "SEALED_AT_ONCE", 1)
        assert tail.read(0, 12) == written[0]
        assert tail.read(2, 12) == written[1]
        assert tail.read(3, 4) == written[1][1:]
        assert tail.read(4, 4) == []
        with pytest.raises(WalBroken, match="record 12 is durable and cannot be read"):
            tail.read(12, 14)
        damaged = bytearray(newest(directory).read_bytes())
        damaged[40] ^= 1
        newest(directory).write_bytes(damaged)
        patch.setattr(tail_module, "SEALED_AT_ONCE", 1 << 20)
        with pytest.raises(WalBroken, match="cannot be read from the write-ahead log"):
            tail.read(0, 12)
        log.close()


def test_a_file_is_ready_before_it_is_needed_and_not_sooner() -> None:
    """Whoever is acknowledged never waits for a file to be written full of zeros, once the open one is a quarter full."""
    with small_log() as directory:
        log = WriteAheadLog(directory, Disk())
        log.open(0)
        log.prepare()
        assert not list(directory.glob("*.spare")), "an idle log keeps one file"
        log.append(entries(0, [100]))
        log.prepare()
        log.prepare()
        (ready,) = directory.glob("*.spare")
        assert ready.read_bytes() == bytes(SMALL_FILE)
        log._disk = FullDisk()
        log.open(1)
        log.append(entries(1, [20]))
        log.close()
        assert [entry.index for entry in replayed(WriteAheadLog(directory, Disk()), 0)[0]] == [0, 1]


def test_damage_in_front_of_an_acknowledged_group_is_not_cut_away() -> None:
    """Whoever was acknowledged must be found again, so this is the end of trust in the disk."""
    with small_log() as directory:
        log = WriteAheadLog(directory, Disk())
        log.open(0)
        log.append(entries(0, [20]))
        log.append(entries(1, [20]))
        log.close()
        path = newest(directory)
        data = bytearray(path.read_bytes())
        data[20] ^= 1
        path.write_bytes(data)
        with pytest.raises(WalBroken, match="damaged in the middle"):
            replayed(WriteAheadLog(directory, Disk()), 0)


def test_a_lost_file_between_two_is_a_gap() -> None:
    """Records cannot be skipped, however the file went."""
    with small_log() as directory:
        log = WriteAheadLog(directory, Disk())
        for first in (0, 1, 2):
            log.open(first)
            log.append(entries(first, [20]))
        log.close()
        sorted(directory.glob("*.wal"))[1].unlink()
        with pytest.raises(WalBroken, match="record 1 is missing"):
            replayed(WriteAheadLog(directory, Disk()), 0)


def test_a_backlog_is_read_in_the_memory_of_two_files(tmp_path: Path) -> None:
    """However long it is: what was handed on is not kept, and bodies are not unpacked."""
    log = WriteAheadLog(tmp_path, Disk())
    body, count = bytes(range(256)) * 4096, 0
    log.open(0)
    while len(list(tmp_path.glob("*.wal"))) < 9:
        log.append([Entry(count, b"h", (("request", body),))])
        count += 1
        if log.full:
            log.open(count)
    log.close()
    weight = 0

    def take(group: Sequence[Durable]) -> None:
        nonlocal weight
        weight += sum(one.weight for one in group)

    tracemalloc.start()
    assert WriteAheadLog(tmp_path, Disk()).replay(0, take) == (count, 0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    largest = max(path.stat().st_size for path in tmp_path.glob("*.wal"))
    assert weight > 7 * largest
    assert peak < 3.2 * largest, "two files, and the one that is written over once more"


class FullDisk(Disk):
    """Has no room for another file."""

    def write(self, descriptor: int, data: bytes) -> None:
        if len(data) == SMALL_FILE and not any(data):
            raise OSError(28, "No space left on device")
        super().write(descriptor, data)


def test_without_room_for_the_next_file_the_old_one_grows_and_is_read_whole() -> None:
    """A full disk stops nobody who still fits, and the file that could not be made leaves no trace."""
    with small_log() as directory:
        log = WriteAheadLog(directory, Disk())
        log.open(0)
        log.append(entries(0, [20]))
        log._disk = FullDisk()
        with pytest.raises(OSError, match="No space"):
            log.open(1)
        log.append(entries(1, [20]))
        log.close()
        found, torn = replayed(WriteAheadLog(directory, Disk()), 1)
        assert [entry.index for entry in found] == [1]
        assert torn == 0
        assert len(list(directory.glob("*.wal"))) == 1
