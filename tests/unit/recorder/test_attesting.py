"""The recorder asks others to vouch for its log: what is kept, what is told, and what an outage does not do."""

import logging
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.authority import TestAuthority, make
from tests.published import EVERY_MS, SIGNER, Published

from magistrate.adapters.fetch import Answer, Ask, Unreachable
from magistrate.adapters.recorder.attesting import Attester, Plan, read_standings, tokens
from magistrate.adapters.recorder.store import PosixObjects
from magistrate.adapters.witness.book import Book
from magistrate.adapters.witness.listener import Witness
from magistrate.evidence.cosignature import ED25519, ML_DSA_44, Cosigner
from magistrate.evidence.note import Verifier
from magistrate.evidence.timestamp import Authority, stamped_digest
from magistrate.evidence.trust import parse as parse_policy

W1 = Cosigner("witness.example/w1", bytes(31) + b"1", ED25519)
W2 = Cosigner("witness.example/w2", bytes(31) + b"2", ML_DSA_44)


class World:
    """Witnesses and authorities on the other side of the road, each of which can be cut off."""

    def __init__(self, root: Path, tsa: TestAuthority | None = None) -> None:
        self.root = root / "evidence"
        self.log = Published()
        self.tsa = tsa
        self.cut: dict[str, str] = {}
        self.asked: list[str] = []
        self.stamped: list[bytes] = []
        self.books: dict[str, Book] = {}
        self.witnesses: dict[str, Witness] = {}
        for name, cosigner in (("w1", W1), ("w2", W2)):
            self.books[name] = Book(_made(root / name), create=True)
            keys = {SIGNER.name: [Verifier(SIGNER.vkey)]}
            self.witnesses[name] = Witness(self.books[name], [cosigner], keys, lambda: 1_700_000_000)

    def grow(self, records: int) -> None:
        for _ in range(records):
            self.log.note("heartbeat", 10.0 * len(self.log.headers), heartbeat_ms=EVERY_MS)
        self.log.seal()
        self.publish()

    def publish(self) -> None:
        for path, data in self.log.files.items():
            file = self.root / path
            _made(file.parent)
            file.write_bytes(data)

    def send(self, ask: Ask) -> Answer:
        host = ask.url.removeprefix("http://").partition("/")[0]
        self.asked.append(host)
        if host in self.cut:
            raise Unreachable(self.cut[host])
        assert ask.body is not None
        if host.startswith("tsa"):
            assert self.tsa is not None
            return Answer(200, "application/timestamp-reply", self.tsa.reply(ask.body))
        assert ask.url.endswith("/add-checkpoint")
        answer = self.witnesses[host.partition("-")[0]].add_checkpoint(ask.body)
        return Answer(answer.status, answer.media.partition(";")[0], answer.body)

    def attester(
        self, quorum: int | None = None, also: tuple[str, ...] = (), witness_also: tuple[str, ...] = ()
    ) -> Attester:
        authorities = (("http://tsa/", Authority(self.tsa.ca.read_bytes())),) if self.tsa else ()
        plan = Plan(
            (("http://w1", Verifier(W1.vkey)), ("http://w2/", Verifier(W2.vkey))),
            quorum,
            authorities,
            also={("authority", "http://tsa/"): also, ("witness", "http://w1"): witness_also},
        )
        return Attester(self.root, SIGNER.vkey, plan, stamped=self.stamped.append, send=self.send)

    def cosigners(self, path: str) -> set[str]:
        note = (self.root / path).read_bytes()
        return {c.name for c in (W1, W2) if Verifier(c.vkey).cosignature(note) is not None}


def _made(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    for book in made.books.values():
        book.close()


@pytest.mark.requirement("A2", "A7")
def test_every_witness_cosigns_and_its_line_is_kept_beside_the_checkpoint(world: World) -> None:
    """First from nothing, then with a proof from what each saw last."""
    attester = world.attester()
    attester.cosign()
    assert not (world.root / "cosig").exists(), "nothing is sealed yet, so there is nothing to cosign"
    for size in (5, 300):
        world.grow(size - world.log.size)
        attester.cosign()
        for path in (f"cosig/{size}", "cosig/latest"):
            assert world.cosigners(path) == {W1.name, W2.name}
            assert Verifier(SIGNER.vkey).verify((world.root / path).read_bytes()) == world.log.text(size)
    assert world.asked == ["w1", "w2"] * 2


def test_a_recorder_that_starts_again_asks_the_witness_what_it_saw(world: World) -> None:
    """Nothing of the exchange needs to survive on our side: the 409 tells."""
    world.grow(5)
    world.attester().cosign()
    world.grow(7)
    world.asked.clear()
    world.attester().cosign()
    assert world.cosigners("cosig/latest") == {W1.name, W2.name}
    assert world.asked == ["w1", "w1", "w2", "w2"]


@pytest.mark.fault(38)
@pytest.mark.requirement("A7")
def test_an_outage_is_logged_once_and_shown_until_it_ends(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """The other witness's line is kept; a quorum of one is reached, one of two is not."""
    caplog.set_level(logging.INFO, "magistrate.recorder")
    attester = world.attester(quorum=1)
    world.cut["w1"] = "connection refused"
    for _ in range(3):
        world.grow(2)
        attester.cosign()
    assert [record.message for record in caplog.records] == [
        "witness `witness.example/w1`: connection refused"
    ]
    assert world.cosigners("cosig/latest") == {W2.name}
    standings = read_standings(world.root)
    assert standings is not None
    first, second = standings.parties
    assert (first.fails, first.size, first.grave, second.fails, second.size) == (
        "connection refused",
        0,
        False,
        "",
        6,
    )
    assert (standings.quorum, standings.quorum_size) == (1, 6)
    world.cut.clear()
    attester.cosign()
    assert caplog.records[-1].message == "witness `witness.example/w1` answers again"
    standings = read_standings(world.root)
    assert standings is not None
    assert standings.parties[0].fails == ""


@pytest.mark.fault(11, 13)
@pytest.mark.requirement("A2")
@pytest.mark.parametrize(("size", "says"), [(4, "rolled back"), (9, "forked"), (12, "forked")])
def test_a_witness_that_saw_another_history_is_a_grave_matter(
    world: World, size: int, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The log was restored from a copy, or forked: no cosignature, a critical line, and it stays shown."""
    world.grow(9)
    world.attester().cosign()
    world.log = Published()
    world.log.note("heartbeat", 5, other=True)
    world.grow(size - 1)
    world.attester().cosign()
    ours = [record for record in caplog.records if record.name == "magistrate.recorder"]
    assert all(says in record.message and record.levelno == logging.CRITICAL for record in ours)
    assert len(ours) == 2
    standings = read_standings(world.root)
    assert standings is not None
    assert all(party.grave for party in standings.parties)


def test_a_witness_that_answers_nonsense_is_an_outage(world: World) -> None:
    """A line of another key, an error page, a conflict without a size."""
    world.grow(3)
    answers = iter(
        [
            Answer(200, "text/plain", W1.line(world.log.text(3), 1)),
            Answer(200, "text/plain", b"<html>"),
            Answer(409, "text/x.tlog.size", b"many\n"),
            Answer(502, "text/html", b"bad gateway"),
        ]
    )
    plan = Plan((("http://w2", Verifier(W2.vkey)),))
    attester = Attester(world.root, SIGNER.vkey, plan, send=lambda _: next(answers))
    for says in ("no valid cosignature", "no valid cosignature", "names no size", "status 502"):
        attester.cosign()
        standings = read_standings(world.root)
        assert standings is not None
        assert says in standings.parties[0].fails
        assert not standings.parties[0].grave
    assert not (world.root / "cosig").exists()


def test_of_one_hour_the_last_cosigned_checkpoint_stays(world: World) -> None:
    """A year of cosignatures every half minute is not a million files."""
    attester = world.attester()
    for _ in range(4):
        world.grow(2)
        attester.cosign()
    kept = sorted(path.name for path in (world.root / "cosig").iterdir())
    assert kept[-1] == "latest"
    assert "8" in kept
    assert len(kept) <= 3, "one more if the hour turned just now"


def test_the_policy_is_published_beside_the_log(world: World) -> None:
    """Two of two, in the form that other tools read."""
    world.grow(1)
    attester = world.attester(quorum=2)
    attester.start()
    attester.stop()
    policy = parse_policy((world.root / "policy.txt").read_text())
    assert [log.vkey for log in policy.logs] == [SIGNER.vkey]
    assert policy.witnessed((world.root / "cosig" / "latest").read_bytes()).quorum


@pytest.mark.fault(38)
@pytest.mark.requirement("A7")
def test_a_witness_is_asked_at_its_next_address_while_the_first_is_down(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """One line, of whichever address answers first; an outage is what all of them are away for, and says what each said."""
    caplog.set_level(logging.INFO, "magistrate.recorder")
    attester = world.attester(quorum=2, witness_also=("http://w1-2/below", "http://w1-3/"))
    world.grow(5)
    world.cut |= {"w1": "connection refused", "w1-2": "no route to host"}
    attester.cosign()
    assert world.cosigners("cosig/latest") == {W1.name, W2.name}
    assert world.asked == ["w1", "w1-2", "w1-3", "w2"]
    assert not caplog.records, "it is no outage"
    world.cut.clear()
    world.grow(3)
    attester.cosign()
    assert world.asked[4:] == ["w1", "w2"], (
        "each time from the first, with what the witness saw at any of them"
    )
    world.cut |= {"w1": "connection refused", "w1-2": "no route to host", "w1-3": "does not answer"}
    world.grow(2)
    attester.cosign()
    (told,) = [record.message for record in caplog.records]
    assert "none of 3 addresses does: `http://w1`: connection refused; `http://w1-2/below`: no route" in told
    assert world.cosigners("cosig/latest") == {W2.name}


@pytest.mark.requirement("A7")
def test_a_line_that_is_none_of_the_witness_is_looked_for_at_its_next_address(world: World) -> None:
    """An error page in front of one address is an outage of that address."""
    world.grow(3)
    answers = {"http://w1/": Answer(200, "text/plain", b"<html>"), "http://w1-2/": None}
    plan = Plan((("http://w1/", Verifier(W1.vkey)),), also={("witness", "http://w1/"): ("http://w1-2/",)})

    def send(ask: Ask) -> Answer:
        return answers[ask.url.removesuffix("add-checkpoint")] or world.send(ask)

    Attester(world.root, SIGNER.vkey, plan, send=send).cosign()
    assert world.cosigners("cosig/latest") == {W1.name}


@pytest.mark.fault(11)
@pytest.mark.requirement("A2")
@pytest.mark.parametrize("down", [(), ("w1",)])
def test_a_contradiction_at_any_address_of_a_witness_is_grave_and_no_other_is_asked(
    world: World, down: tuple[str, ...]
) -> None:
    """Nobody is heard who would see less: the next address might be of a copy that has not caught up."""
    world.grow(9)
    world.attester().cosign()
    world.log = Published()
    world.grow(4)
    world.cut |= dict.fromkeys(down, "connection refused")
    world.asked.clear()
    world.attester(witness_also=("http://w1-2/", "http://w1-3/")).cosign()
    standings = read_standings(world.root)
    assert standings is not None
    assert standings.parties[0].grave
    assert "rolled back" in standings.parties[0].fails
    assert "w1-3" not in world.asked
    assert ("w1-2" in world.asked) is bool(down)


@pytest.mark.tool("openssl")
@pytest.mark.requirement("A7")
def test_a_stamp_is_kept_for_the_cosigned_checkpoint_and_named_in_what_follows(
    tmp_path: Path, tool: str
) -> None:
    """Its digest goes to the next heartbeat; an authority that is down stops nothing."""
    world = World(tmp_path, make(tmp_path / "tsa", tool))
    try:
        attester = world.attester()
        world.grow(5)
        attester.cosign()
        world.grow(2)
        assert attester.stamp()
        ((path, size, token),) = tokens(PosixObjects(world.root))
        assert (path, size) == ("receipts/5.tsr", 5)
        assert world.tsa is not None
        assert world.tsa.accepts(token, world.log.text(5).encode())
        assert world.stamped == [stamped_digest(token)]
        world.cut["tsa"] = "does not answer within 5 s"
        assert not attester.stamp()
        standings = read_standings(world.root)
        assert standings is not None
        assert standings.parties[2].fails == "does not answer within 5 s"
        assert len(tokens(PosixObjects(world.root))) == 1
    finally:
        for book in world.books.values():
            book.close()


@pytest.mark.tool("openssl")
@pytest.mark.requirement("A7")
def test_an_authority_is_asked_at_its_next_address_while_the_first_is_down(tmp_path: Path, tool: str) -> None:
    """One stamp, of whoever answers first; an outage is what all of them are away for."""
    world = World(tmp_path, make(tmp_path / "tsa", tool))
    try:
        attester = world.attester(also=("http://tsa-2/",))
        world.grow(5)
        world.cut["tsa"] = "connection refused"
        assert attester.stamp()
        assert (world.asked, len(tokens(PosixObjects(world.root)))) == (["tsa", "tsa-2"], 1)
        world.cut.clear()
        assert attester.stamp()
        assert world.asked[2:] == ["tsa"]
        world.cut |= {"tsa": "connection refused", "tsa-2": "no route to host"}
        assert not attester.stamp()
        standings = read_standings(world.root)
        assert standings is not None
        assert "`http://tsa/`: connection refused; `http://tsa-2/`: no route" in standings.parties[2].fails
    finally:
        for book in world.books.values():
            book.close()


@pytest.mark.parametrize("content", [b"", b"{", b'{"parties": 7}', msgspec.json.encode([1])])
def test_standings_that_cannot_be_read_are_none(tmp_path: Path, content: bytes) -> None:
    """They are told, never relied on."""
    (tmp_path / "attestation.json").write_bytes(content)
    assert read_standings(tmp_path) is None
