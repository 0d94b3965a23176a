"""What a witness enters into its book before it answers, and what happens to the book afterwards."""

import threading
from pathlib import Path

import pytest

from magistrate.adapters.witness.book import Book, read_book
from magistrate.evidence.checkpoint import Checkpoint
from magistrate.evidence.witness import Accepted, Seen
from magistrate.exchange.errors import ConfigurationError

ORIGIN = "log.example/one"


def accepted(before: Seen, size: int, root: bytes = b"r" * 32) -> Accepted:
    return Accepted(Checkpoint(ORIGIN, size, root), before, "text", b"note of %d" % size)


@pytest.mark.fault(33)
@pytest.mark.requirement("A2")
def test_a_restart_loses_nothing(tmp_path: Path) -> None:
    """What was entered is there when the book is opened again."""
    book = Book(tmp_path, create=True)
    assert book.seen(ORIGIN) == Seen()
    assert book.advance(accepted(Seen(), 5), 1)
    book.close()
    book = Book(tmp_path)
    assert book.seen(ORIGIN) == Seen(5, b"r" * 32)
    book.close()


@pytest.mark.fault(32)
@pytest.mark.requirement("A2")
def test_a_judgement_made_before_the_book_moved_on_is_void(tmp_path: Path) -> None:
    """The race of the specification: two requests judged by the same state, the larger one entered first."""
    book = Book(tmp_path, create=True)
    book.advance(accepted(Seen(), 5), 1)
    small, large = accepted(book.seen(ORIGIN), 6), accepted(book.seen(ORIGIN), 9)
    assert book.advance(large, 2)
    assert not book.advance(small, 3)
    assert book.seen(ORIGIN).size == 9
    assert not book.advance(accepted(Seen(), 3), 4), "a first checkpoint after the first"
    assert not book.advance(accepted(Seen(9, b"x" * 32), 10), 5), "after another root of the same size"
    book.close()


def test_two_witnesses_never_share_a_book(tmp_path: Path) -> None:
    """Two books under one key could cosign two histories; a reader may look at any time."""
    book = Book(tmp_path, create=True)
    book.advance(accepted(Seen(), 5), 1)
    failures: list[Exception] = []

    def second() -> None:
        try:
            Book(tmp_path)
        except ConfigurationError as error:
            failures.append(error)

    thread = threading.Thread(target=second)
    thread.start()
    thread.join()
    assert "another witness" in str(failures[0])
    assert [entry.size for entry in read_book(tmp_path)] == [5]
    book.close()


def test_contradictions_are_kept_up_to_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log in the wrong hands cannot fill the disk of its witness."""
    monkeypatch.setattr("magistrate.adapters.witness.book.MOST_CONFLICTS", 5)
    book = Book(tmp_path, create=True)
    book.contradicted(ORIGIN, b"nothing to contradict yet", 1)
    assert book.entries() == []
    book.advance(accepted(Seen(), 5), 1)
    for number in range(8):
        book.contradicted(ORIGIN, b"%d" % number, 2)
    assert book.entries()[0].conflicts == 5
    book.close()


@pytest.mark.requirement("A2")
@pytest.mark.parametrize("spoilt", [b"this is no database, whatever its name", b"", None])
def test_a_broken_or_missing_book_is_no_reason_to_begin_a_new_one(
    tmp_path: Path, spoilt: bytes | None
) -> None:
    """A witness that forgot would cosign a second history."""
    Book(tmp_path, create=True).close()
    (tmp_path / "witness.db").unlink()
    if spoilt is not None:
        (tmp_path / "witness.db").write_bytes(spoilt)
    with pytest.raises(ConfigurationError, match="second history"):
        Book(tmp_path)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_book(tmp_path)
