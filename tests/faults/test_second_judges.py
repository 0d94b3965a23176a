"""Faults that our own verdict judged alone, shown to somebody else: Go's and Node's libraries, SQLite's shell, grep."""

import asyncio
import base64
import json
import os
import socket
import sqlite3
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from magistrate.adapters.recorder.attesting import Plan
from magistrate.adapters.recorder.client import RecorderClient
from magistrate.adapters.recorder.ledger import Ledger
from magistrate.adapters.recorder.orders import Outcome, RotateShard
from magistrate.adapters.recorder.process import Recorder
from magistrate.adapters.witness.book import Book
from magistrate.adapters.witness.listener import Witness
from magistrate.evidence.checkpoint import Checkpoint, parse
from magistrate.evidence.cosignature import Cosigner, message
from magistrate.evidence.note import NoteError, Signer, Verifier
from magistrate.evidence.retention import BUILT_IN, Schedule
from magistrate.evidence.seal import _body_key, seal
from magistrate.evidence.tiles import grow, prove_consistency
from magistrate.evidence.trust import of_witnesses
from magistrate.evidence.witness import Request
from tests.conformance.evidence.go_auditor import PACKAGES, Ask

from . import test_bundle_faults as bundles
from .custody import ADA, Custody, draft, opened
from .harness import settings
from .test_custody_faults import GRACE, held
from .test_erasure_faults import LOG, two_key_ciphertext

SECOND = Path(__file__).parents[1] / "conformance" / "evidence" / "second.mjs"

Node = Callable[..., dict[str, Any]]


@pytest.fixture
def go(go_ask: Ask | None) -> Ask:
    if go_ask is None:
        pytest.skip(PACKAGES)
    return go_ask


@pytest.fixture
def node(tool: str) -> Node:
    """Return how to ask the script. ``bytes`` travel as base64."""

    def ask(**question: Any) -> dict[str, Any]:
        asked = json.dumps(question, default=lambda value: base64.b64encode(value).decode())
        run = subprocess.run(
            [tool, SECOND], input=asked, capture_output=True, text=True, check=True, timeout=120
        )
        answer: dict[str, Any] = json.loads(run.stdout)
        return answer

    return ask


def audited(go: Ask, directory: Path) -> dict[str, Any]:
    """What Go says of the log; it must be whole."""
    return audited_log(go, directory / "evidence")


def audited_log(go: Ask, root: Path) -> dict[str, Any]:
    vkey, note = (root / "log.vkey").read_text().strip(), (root / "checkpoint").read_text()
    answer = go({"Vkey": vkey, "Checkpoint": note, "Audit": str(root)})
    assert answer["Verdict"] == "valid", answer["Why"]
    told: dict[str, Any] = answer["Told"]
    return told


# --- records and the recorder, by Go


@pytest.mark.fault(19)
@pytest.mark.verifier("go")
@pytest.mark.tool("go")
@pytest.mark.timeout(300)
def test_go_finds_nothing_of_a_leaf_that_was_too_long(tmp_path: Path, go: Ask) -> None:
    """The one that fits to the byte is read whole by Go; of the one beyond nothing was written."""
    with opened(tmp_path) as custody:
        long, longer = draft(app="x" * 64_000), draft(app="x" * 65_536)
        assert sorted(ack.index >= 0 for ack in custody.write(long, longer)) == [False, True]
    assert audited(go, tmp_path)["Kinds"]["llm.request"] == 1


@pytest.mark.fault(37)
@pytest.mark.verifier("go")
@pytest.mark.tool("go")
@pytest.mark.timeout(300)
def test_go_sees_a_clock_that_went_back(tmp_path: Path, go: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour back and a day ahead: recorded as seen, in a log that is whole, and shown by both."""
    real, ahead = time.time_ns, [0]
    monkeypatch.setattr(time, "time_ns", lambda: real() + ahead[0])
    with opened(tmp_path) as custody:
        for ahead[0] in (0, -3600 * 10**9, 86_400 * 10**9):
            custody.ledger.write([custody.ledger.notes.heartbeat()])
        remarks = [remark.what for remark in custody.verified().remarks]
        ahead[0] = 86_400 * 10**9
    told = audited(go, tmp_path)
    assert (told["Back"], told["Kinds"]["heartbeat"]) == (1, 3)
    assert sum("went back" in remark for remark in remarks) == 1


@pytest.mark.requirement("A2")
@pytest.mark.verifier("go")
@pytest.mark.tool("go")
@pytest.mark.timeout(300)
def test_go_reads_each_shard_of_a_rotated_log_as_a_whole_one(tmp_path: Path, go: Ask) -> None:
    """Each by its own key alone. The call that went over the border is open in the first and ends in the second."""
    intent = draft()
    with opened(tmp_path) as custody:
        custody.write(draft(), intent)
        assert custody.obey(RotateShard(by=ADA)).outcome is Outcome.DONE
        custody.write(draft(phase="outcome", cause=(str(intent.header["eid"]),)))
    root = tmp_path / "evidence"
    first, second = audited_log(go, root / "shards" / "1"), audited_log(go, root)
    assert (first["Open"], first["Kinds"]["shard.close"], first["Kinds"]["trace.close"]) == (2, 1, 2)
    assert (second["Open"], second["Kinds"]["llm.response"]) == (1, 1)


@pytest.mark.fault(45)
@pytest.mark.verifier("go")
@pytest.mark.tool("go")
@pytest.mark.timeout(300)
def test_go_counts_the_calls_that_a_recovery_names(tmp_path: Path, go: Ask) -> None:
    """Seven were open, one had ended: the recovery names seven, and none is left."""
    custody = Custody(tmp_path)
    ended = draft()
    custody.write(ended, *(draft() for _ in range(7)))
    custody.write(draft(phase="outcome", trace=str(ended.header["trace"]), cause=(str(ended.header["eid"]),)))
    custody.close(clean=False)
    with opened(tmp_path):
        pass
    told = audited(go, tmp_path)
    assert (told["Named"], told["Open"]) == (7, 0)


@pytest.mark.fault(52)
@pytest.mark.verifier("go")
@pytest.mark.tool("go")
@pytest.mark.timeout(300)
def test_go_finds_an_erased_body_gone_by_order_and_no_other(tmp_path: Path, go: Ask) -> None:
    """The order names the key; no frame of it holds anything; a body that goes without an order is not excused."""
    with opened(tmp_path) as custody:
        custody.write(draft(), draft(), draft("alan@turing.org"))
        assert custody.erase().outcome is Outcome.DONE
    told = audited(go, tmp_path)
    assert (told["Erased"], told["Left"]) == (2, 0)
    for segment in (tmp_path / "evidence" / "body").rglob("*.seg"):
        segment.unlink()
    root = tmp_path / "evidence"
    note = (root / "checkpoint").read_text()
    answer = go({"Vkey": (root / "log.vkey").read_text().strip(), "Checkpoint": note, "Audit": str(root)})
    assert answer["Verdict"] == "undecidable"


@pytest.mark.fault(53)
@pytest.mark.verifier("go")
@pytest.mark.tool("go")
@pytest.mark.timeout(300)
def test_go_reads_that_an_erasure_was_deferred_and_that_the_content_is_there(tmp_path: Path, go: Ask) -> None:
    """Under a hold: a deferral on record, no order, every body in its place."""
    with opened(tmp_path) as custody:
        custody.write(draft())
        held(custody, subject=GRACE)
        assert custody.erase().outcome is Outcome.NO
    told = audited(go, tmp_path)
    assert told["Kinds"]["erasure.deferred"] == 1
    assert "erasure.order" not in told["Kinds"]
    assert told["Erased"] == 0


@pytest.mark.fault(53)
@pytest.mark.verifier("go")
@pytest.mark.tool("go")
@pytest.mark.timeout(300)
def test_go_finds_what_a_class_bound_in_its_place_and_gone_when_its_time_is_over(
    tmp_path: Path, go: Ask, later: Callable[[float], None]
) -> None:
    """One body goes with the request and one stays; ten days later both are gone, each by an order that names its key."""
    with opened(tmp_path, Schedule(days={**BUILT_IN, "trade": 10}, binding=("trade",))) as custody:
        custody.write(draft(), draft(retention="trade"))
        assert custody.erase().outcome is Outcome.NO
        custody.ledger.seal()
        told = audited(go, tmp_path)
        assert (told["Erased"], told["Kinds"]["erasure.deferred"]) == (1, 1)
        later(10)
        assert len(custody.custodian.repeat()) == 1
        custody.ledger.seal()
        told = audited(go, tmp_path)
        assert (told["Erased"], told["Left"], told["Kinds"]["erasure.order"]) == (2, 0, 2)


@pytest.mark.fault(54)
@pytest.mark.verifier("go")
@pytest.mark.tool("go")
@pytest.mark.timeout(300)
def test_go_reads_that_a_shorter_retention_was_refused(tmp_path: Path, go: Ask) -> None:
    """Once, when it was tried."""
    with opened(tmp_path, Schedule(days={**BUILT_IN, "notes": 900})):
        pass
    assert audited(go, tmp_path)["Refused"] == 0
    with opened(tmp_path, Schedule(days={**BUILT_IN, "notes": 30})):
        pass
    assert audited(go, tmp_path)["Refused"] == 1


# --- witnesses, by Node and Go

TREE_LOG = Signer("log.example/second", bytes(32))
WITNESS = Cosigner("example.com/witness", bytes(32))
NOW_S = 1_700_000_000


class Tree:
    """A log of 40 records, signed as it stood at any size."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.roots = {}
        for size in range(1, 41):
            growth = grow(self.files.get, size - 1, [b"%d" % size])
            self.files.update(growth.files)
            self.roots[size] = growth.root

    def note(self, size: int) -> bytes:
        return TREE_LOG.sign(Checkpoint(TREE_LOG.name, size, self.roots[size]).text())

    def proof(self, old: int, size: int) -> tuple[bytes, ...]:
        return tuple(prove_consistency(self.files.get, old, size)) if 0 < old < size else ()

    def request(self, old: int, size: int) -> bytes:
        return Request(old, self.proof(old, size), self.note(size)).encode()

    def continued(self, go: Ask, old: int, size: int, path: tuple[bytes, ...]) -> bool:
        """Whether Go follows a proof."""
        question = {
            "Vkey": TREE_LOG.vkey,
            "Checkpoint": self.note(size).decode(),
            "Consistency": [{"Size": old, "Root": self.roots[old], "Path": list(path)}],
        }
        return bool(go(question)["Consistency"] == [True])


TREE = Tree()


def witness_of(book: Book) -> Witness:
    return Witness(book, [WITNESS], {TREE_LOG.name: [Verifier(TREE_LOG.vkey)]}, lambda: NOW_S)


def times(node: Node, *lines: tuple[bytes, bytes]) -> list[int]:
    """When Node says the witness cosigned each note; -1: it did not."""
    asked = [{"note": (note + line).decode(), "vkey": WITNESS.vkey} for note, line in lines]
    found: list[int] = node(cosigned=asked)["cosigned"]
    return found


@pytest.mark.fault(30)
@pytest.mark.verifier("ours", "node")
@pytest.mark.tool("node")
def test_node_refuses_the_cosignatures_that_we_refuse(node: Node) -> None:
    """Of another origin, and of a time that its field cannot hold: whole in themselves, and of no worth."""
    text = Checkpoint(TREE_LOG.name, 5, TREE.roots[5]).text()
    other = Signer("log.example/other", bytes(32))
    elsewhere = other.sign(Checkpoint(other.name, 5, TREE.roots[5]).text())
    line = WITNESS.line(text, NOW_S)
    beyond = 1 << 63
    signature = WITNESS._key.sign(message(WITNESS.kind, WITNESS.name, beyond, text))  # noqa: SLF001  because it will not sign such a time itself
    blob = base64.b64encode(WITNESS.id + struct.pack(">Q", beyond) + signature)
    late = f"— {WITNESS.name} ".encode() + blob + b"\n"
    cases = [(TREE.note(5), line), (elsewhere, line), (TREE.note(5), late)]
    assert times(node, *cases) == [NOW_S, -1, -1]
    ours = []
    for note, one in cases:
        try:
            cosignature = Verifier(WITNESS.vkey).cosignature(note + one)
            ours.append(cosignature.time_s if cosignature else -1)
        except NoteError:
            ours.append(-1)
    assert ours == [NOW_S, -1, -1]


@pytest.mark.fault(32)
@pytest.mark.verifier("node", "go")
@pytest.mark.tool("node")
@pytest.mark.timeout(300)
def test_what_a_witness_cosigned_in_a_race_is_one_history(tmp_path: Path, node: Node, go: Ask) -> None:
    """Twenty requests at once: each that was cosigned verifies in Node, and Go follows from the smaller to the larger."""
    book = Book(tmp_path, create=True)
    witness, lock = witness_of(book), threading.Lock()
    assert witness.add_checkpoint(TREE.request(0, 5)).status == 200
    answers: dict[int, Any] = {}

    def add(size: int) -> None:
        with lock:  # requests arrive at any time; the listener takes one at a time
            answers[size] = witness.add_checkpoint(TREE.request(5, size))

    threads = [threading.Thread(target=add, args=(size,)) for size in range(6, 26)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cosigned = sorted(size for size, answer in answers.items() if answer.status == 200)
    assert len(cosigned) == 1
    assert all(answer.status == 409 for size, answer in answers.items() if size not in cosigned)
    (size,) = cosigned
    assert times(node, (TREE.note(size), answers[size].body)) == [NOW_S]
    assert TREE.continued(go, 5, size, TREE.proof(5, size))
    assert book.seen(TREE_LOG.name).size == size
    book.close()


@pytest.mark.fault(33)
@pytest.mark.verifier("node", "go")
@pytest.mark.tool("node")
@pytest.mark.timeout(300)
def test_what_a_witness_cosigned_before_and_after_a_restart_is_one_history(
    tmp_path: Path, node: Node, go: Ask
) -> None:
    """It refuses to begin anew, goes on where it was, and both of its lines are good."""
    book = Book(tmp_path, create=True)
    before = witness_of(book).add_checkpoint(TREE.request(0, 9))
    book.close()
    book = Book(tmp_path)
    witness = witness_of(book)
    assert witness.add_checkpoint(TREE.request(0, 3)).status == 409
    after = witness.add_checkpoint(TREE.request(9, 12))
    book.close()
    assert times(node, (TREE.note(9), before.body), (TREE.note(12), after.body)) == [NOW_S, NOW_S]
    assert TREE.continued(go, 9, 12, TREE.proof(9, 12))


@contextmanager
def answering(port: int, witness: Witness) -> Iterator[None]:
    """A witness on the port where nobody answered before."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            answer = witness.add_checkpoint(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(answer.status)
            self.send_header("content-type", answer.media)
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def until(happened: Callable[[], bool]) -> None:
    for _ in range(400):
        if happened():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it did not happen within 20 s")


@pytest.mark.fault(38)
@pytest.mark.verifier("ours", "go")
@pytest.mark.tool("go")
@pytest.mark.timeout(300)
async def test_go_finds_the_log_whole_without_a_silent_witness_and_the_quorum_only_with_it(
    tmp_path: Path, go: Ask
) -> None:
    """It takes connections and says nothing: records are durable and sealed as ever; no policy of one in one takes their checkpoint."""
    silent = socket.create_server(("127.0.0.1", 0))
    silent.settimeout(10)
    port = silent.getsockname()[1]
    plan = Plan(((f"http://127.0.0.1:{port}", Verifier(WITNESS.vkey)),), 1, witness_every_s=0.2)
    own = replace(settings(tmp_path), plan=plan)
    recorder, root, ready = Recorder(own, Ledger(own)), tmp_path / "evidence", threading.Event()
    running = threading.Thread(target=recorder.run, args=(ready.set,))
    running.start()
    assert ready.wait(10)
    vkey = (root / "log.vkey").read_text().strip()

    def sealed() -> int:
        return parse(Verifier(vkey).verify((root / "checkpoint").read_bytes())).size

    def judged(path: str) -> tuple[Any, ...]:
        """Go's verdict on the log, and by Go and by us, whether none or one of the witnesses has to have cosigned."""
        note = (root / path).read_bytes()
        asked = {"Vkey": vkey, "Checkpoint": note.decode(), "Witnesses": [WITNESS.vkey]}
        told = [go({**asked, "Quorum": quorum, "Audit": str(root)}) for quorum in (0, 1)]
        policies = [of_witnesses([Verifier(vkey)], some, None) for some in ((), plan.witnesses)]
        ours = [policy.witnessed(note).quorum for policy in policies]
        return told[0]["Verdict"], [one["Witnessed"] for one in told], ours

    client = RecorderClient(own.socket, wid="gateway-1", deadline_s=2)
    try:
        await client.connect()
        with closing(silent), closing(silent.accept()[0]):
            began = time.monotonic()
            receipts = [await client.append(draft()) for _ in range(100)]
            assert time.monotonic() - began < 2, "nothing waits for a witness"
            await until(lambda: sealed() > receipts[-1].index)
            assert judged("checkpoint") == ("valid", [True, False], [True, False])
        keys = {"test.example/log": [Verifier(vkey)]}
        with (
            closing(Book(tmp_path, create=True)) as book,
            answering(port, Witness(book, [WITNESS], keys, lambda: NOW_S)),
        ):
            await until((root / "cosig" / "latest").exists)
            assert judged("cosig/latest") == ("valid", [True, True], [True, True])
            await client.close()
            recorder.stop()
            running.join()
    finally:
        await client.close()
        recorder.stop()
        running.join()


@pytest.mark.fault(34)
@pytest.mark.verifier("go")
@pytest.mark.tool("go")
@pytest.mark.timeout(300)
def test_go_refuses_a_proof_of_sixty_four_hashes(tmp_path: Path, go: Ask) -> None:
    """And takes the true one; of a tree of nothing it follows no proof at all, which is the witness's own rule to decide."""
    book = Book(tmp_path, create=True)
    witness = witness_of(book)
    assert witness.add_checkpoint(TREE.request(0, 5)).status == 200
    long = (b"x" * 32,) * 64
    assert witness.add_checkpoint(Request(5, long, TREE.note(30)).encode()).status == 400
    assert not TREE.continued(go, 5, 30, long)
    assert TREE.continued(go, 5, 30, TREE.proof(5, 30))
    book.close()


# --- keys and bodies, by Node


@pytest.mark.fault(55)
@pytest.mark.verifier("node")
@pytest.mark.tool("node")
def test_node_opens_a_ciphertext_made_for_two_keys_and_refuses_its_texts(node: Node) -> None:
    """AES-GCM in Node takes it under both, as in Python: only the commitment tells, and Node computes it too."""
    eid = "01a2104d-04bb-782b-9f41-918581b610af"
    keys = [bytes([number]) * 32 for number in (1, 2)]
    forged = two_key_ciphertext(
        *(_body_key(key, LOG, eid, "request") for key in keys), nonce=b"n" * 12, blocks=4
    )
    place = {"eid": eid, "part": "request", "log": LOG}
    honest = seal(
        b"hello",
        key=keys[0],
        log=LOG,
        eid=eid,
        part="request",
        media="",
        kid="k",
        salt=b"s" * 32,
        nonce=b"n" * 12,
    )
    cm = honest.meta["cm"]
    asked = [{"ciphertext": forged, "key": key, "cm": cm, **place} for key in keys]
    asked.append({"ciphertext": honest.ciphertext, "key": keys[0], "cm": cm, **place})
    assert node(open=asked)["open"] == ["opens to another text", "opens to another text", "as committed"]


@pytest.mark.fault(56)
@pytest.mark.verifier("node")
@pytest.mark.tool("node")
def test_node_derives_the_same_keys_and_no_two_alike(node: Node) -> None:
    """HKDF in Node gives our key for each place in a log, and places that differ have keys that differ."""
    places = [(str(uuid4()), part) for _ in range(300) for part in ("request", "response", "r")]
    asked = [{"key": bytes(32), "eid": eid, "part": part, "log": LOG} for eid, part in places]
    keys = node(keys=asked)["keys"]
    assert keys == [_body_key(bytes(32), LOG, eid, part).hex() for eid, part in places]
    assert len(set(keys)) == len(set(places))


@pytest.mark.fault(57)
@pytest.mark.verifier("node")
@pytest.mark.tool("node")
def test_node_guesses_a_short_prompt_before_its_erasure_and_not_after(tmp_path: Path, node: Node) -> None:
    """With the salt in a file beside the rest the guess is confirmed at once; after the erasure nothing that is left confirms it."""
    with opened(tmp_path) as custody:
        custody.write(draft(content=b"yes"))
        header = custody.records("llm.request")[0]
        cm = header["body"][0]["cm"]
        with custody.reader() as reader:
            _, salt = reader.opened(header)["request"]
        custody.erase()
        custody.ledger.seal()
    leak = tmp_path.parent / f"{tmp_path.name}-leak"
    leak.mkdir()
    (leak / "salt").write_bytes(b"before" + salt + b"behind")
    kept = tmp_path / "evidence"
    for spare in [*(kept / "wal").glob("*"), kept / "reserve"]:
        spare.write_bytes(spare.read_bytes().rstrip(b"\0"))  # megabytes of zeros hold no salt
    found, left = node(
        guess=[{"directory": str(place), "guesses": ["no", "yes"], "cm": cm} for place in (leak, tmp_path)]
    )["guess"]
    assert found["found"] == "yes"
    assert left["found"] is None
    assert left["tried"] > 5_000


@pytest.mark.fault(60)
@pytest.mark.verifier("node")
@pytest.mark.tool("node")
def test_node_opens_a_body_with_its_tenant_s_key_and_with_no_other(tmp_path: Path, node: Node) -> None:
    """The key of the south opens what is of the south, to what the record commits to."""
    with opened(tmp_path) as custody:
        custody.write(draft(tenant="north"), draft(tenant="south"))
        north, south = custody.records("llm.request")
        vault = custody.ledger.vault
        with custody.reader() as reader:
            theirs = reader.ciphertext(south, "request")
        asked = [
            {
                "ciphertext": theirs,
                "key": vault.key(one["tenant"], one["body"][0]["kid"]),
                "eid": south["eid"],
                "part": "request",
                "log": LOG,
                "cm": south["body"][0]["cm"],
            }
            for one in (north, south)
        ]
    assert node(open=asked)["open"] == ["does not open", "as committed"]


# --- files, by programs that know nothing of us


@pytest.mark.fault(58)
@pytest.mark.verifier("grep")
@pytest.mark.tool("grep")
def test_grep_finds_no_name(tmp_path: Path, tool: str) -> None:
    """Nor what was said; while it finds the name of the application, which is no secret."""
    with opened(tmp_path) as custody:
        custody.write(draft(content=b"my secret words"))
        for _ in range(2):
            for word, status in (("hopper", 1), ("grace@", 1), ("secret words", 1), ("ward", 0)):
                run = subprocess.run(
                    [tool, "-raiqF", word, tmp_path],
                    check=False,
                    timeout=60,
                    env={**os.environ, "LC_ALL": "C"},
                )
                assert run.returncode == status, word
            custody.erase()


@pytest.mark.fault(44)
@pytest.mark.verifier("sqlite3")
@pytest.mark.tool("sqlite3")
def test_sqlite_s_shell_sees_the_damage_and_the_same_index_again(tmp_path: Path, tool: str) -> None:
    """A register that is no database any more; and an index that is dumped as it was before it was removed."""
    with opened(tmp_path) as custody:
        custody.write(*(draft() for _ in range(20)))
    index, register = tmp_path / "evidence/index/records.db", tmp_path / "evidence/lock.db"

    def shell(path: Path, words: str) -> str:
        run = subprocess.run([tool, path, words], capture_output=True, text=True, check=False, timeout=60)
        return run.stdout + run.stderr

    rows = "SELECT idx, hex(eid), hex(trace), ts, at FROM records LEFT JOIN bodies USING (idx) WHERE idx < 20 ORDER BY idx"
    before = shell(index, rows)
    assert len(before.splitlines()) == 20
    for path in index.parent.iterdir():
        path.unlink()
    with opened(tmp_path):
        pass
    assert shell(index, rows) == before
    assert shell(register, "PRAGMA integrity_check") == "ok\n"
    with closing(sqlite3.connect(register)) as database:
        (note,) = database.execute("SELECT note FROM checkpoint").fetchone()
    assert shell(register, "SELECT hex(note) FROM checkpoint").strip() == note.hex().upper()
    register.write_bytes(b"no database" * 100)
    assert "not a database" in shell(register, "PRAGMA integrity_check")


# --- foreign bytes, by Go


@pytest.mark.fault(61)
@pytest.mark.verifier("go")
@pytest.mark.tool("go")
@pytest.mark.timeout(300)
def test_go_would_not_unpack_what_we_refuse_either(go: Ask) -> None:
    """Its archive/zip finds the bomb, the liar, the ways out, the link and the name twice; the good one passes."""
    kinds = [bundles.a_bomb, bundles.a_liar, bundles.a_way_out, bundles.an_absolute_path, bundles.a_link]
    kinds += [bundles.a_name_twice, bundles.more_members_than_a_trace_has]
    kinds += [bundles.not_an_archive, bundles.a_torn_archive]
    answers = go({"Archives": [kind() for kind in kinds] + [bundles.good()]})["Archives"]
    assert all(answers[:-1]), dict(zip(kinds, answers, strict=False))
    assert answers[-1] == ""


@pytest.mark.fault(63)
@pytest.mark.verifier("ours", "go")
@pytest.mark.tool("go")
@pytest.mark.timeout(300)
def test_of_a_thousand_spoilt_notes_go_takes_those_that_we_take(go: Ask) -> None:
    """Bytes changed, cut, doubled and moved, of a note with three signatures: the same verdict on every one."""
    good = TREE.note(7) + WITNESS.line(Checkpoint(TREE_LOG.name, 7, TREE.roots[7]).text(), NOW_S)
    notes = spoilt(good, 1000)
    theirs = go({"Vkey": TREE_LOG.vkey, "Notes": notes})["Notes"]
    ours = []
    for note in notes:
        try:
            Verifier(TREE_LOG.vkey).verify(note)
            ours.append(True)
        except NoteError:
            ours.append(False)
    assert ours == theirs
    assert 20 < sum(ours) < 980


def spoilt(good: bytes, count: int) -> list[bytes]:
    """``count`` notes, each with one place changed, in ways that come round again and again."""
    out = [good]
    while len(out) < count:
        number = len(out)
        at, to = number * 7919 % len(good), number * 104_729 % len(good)
        out.append(
            (
                good[:at] + bytes([number % 256]) + good[at + 1 :],
                good[:at] + good[at + 1 :],
                good[:at] + good[at : at + 3] + good[at:],
                good[: max(at, 1)],
                good[:at] + good[to:],
                good + good[at:],
                good + "— x.example/y AAAAAAAA\n".encode() * (number % 3),
            )[number % 7]
        )
    return out
