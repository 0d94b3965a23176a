"""What the recorder does with one gateway's connection."""

import os
import socket

import pytest

from magistrate.adapters.recorder.connection import Connection
from magistrate.adapters.recorder.frames import pack_hello
from magistrate.adapters.recorder.storage import StoreUnavailable
from magistrate.adapters.recorder.writer import Submission


@pytest.mark.requirement("A1")
def test_a_gateway_whose_count_stands_in_a_store_that_is_away_is_sent_off_and_greeted_when_it_comes_again() -> (
    None
):
    """The recorder goes on: others write, and nobody goes on counting from a number that is not known."""
    greeted: list[tuple[str, int]] = []
    away = True

    def greet(wid: str, last_index: int) -> None:
        if away:
            raise StoreUnavailable("the store is away")
        greeted.append((wid, last_index))

    for _ in range(2):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs:
            ours.setblocking(False)
            connection = Connection(ours, greet, os.getuid(), may_order=False)
            theirs.send(pack_hello("gateway-1", 41))
            group: list[Submission] = []
            assert connection.receive(group) is not away
            assert group == []
            assert connection.wid == ("" if away else "gateway-1")
        away = not away
    assert greeted == [("gateway-1", 41)]
