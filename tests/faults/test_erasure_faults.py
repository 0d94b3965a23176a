"""What is erased is gone, from everywhere, and nothing that was signed notices."""

import hashlib
import os
import re
import shutil
import sqlite3
from pathlib import Path

import orjson
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from magistrate.adapters.recorder import vault as vault_module
from magistrate.adapters.recorder.orders import Outcome, RotateRoot
from magistrate.adapters.recorder.segments import FileSegments
from magistrate.adapters.recorder.vault import Erasing, Vault
from magistrate.evidence.retention import Schedule
from magistrate.evidence.seal import SealBroken, _body_key, commitment, open_sealed, opens, seal
from magistrate.evidence.verify import Verdict
from magistrate.exchange.errors import ConfigurationError

from .custody import Custody, draft, opened

LOG = "test.example/log"


def wrapped_keys(vault: Path) -> list[bytes]:
    database = sqlite3.connect(vault / "vault.db")
    found = [bytes(row[0]) for row in database.execute("SELECT wrapped FROM keys")]
    database.close()
    return found


@pytest.mark.requirement("A4", "A10")
def test_an_erased_person_is_gone_and_every_proof_stands(tmp_path: Path) -> None:
    """Keys, name, ciphertext: all gone. Others' content, every leaf and the root: as they were."""
    with opened(tmp_path) as custody:
        hers, his = draft(), draft("alan@turing.org", b"no")
        custody.write(hers, his)
        before = {header["eid"]: header for header in custody.records()}
        answer = custody.erase()
        assert answer.outcome is Outcome.DONE
        after = {header["eid"]: header for header in custody.records()}
        assert {eid: after[eid] for eid in before} == before
        assert custody.bodies(hers.header["eid"]) == {}
        assert custody.bodies(his.header["eid"]) == {"request": b"no"}
        report = custody.verified()
        assert (report.verdict, report.erased, report.pruned) == (Verdict.VALID, 1, 0)
        (order,), (done,) = custody.records("erasure.order"), custody.records("erasure")
        handle = before[hers.header["eid"]]["subj"]
        assert done["subj"] == order["subj"] == handle
        assert done["ext"] == {"keys": 1, "bodies": 1, "kept": {}}
        assert done["cause"] == [order["eid"]]
        with custody.reader() as reader:
            row = reader.erasure(before[hers.header["eid"]])
            assert row is not None
            assert row.eid == order["eid"]
            assert reader.erasure(before[his.header["eid"]]) is None
        assert report.open_calls == 2  # the two drafts have no outcome; the erasure has


@pytest.mark.requirement("A10")
def test_what_was_said_why_outlives_what_was_erased(tmp_path: Path) -> None:
    """The order's reason is the recorder's own: it is kept encrypted under another key."""
    with opened(tmp_path) as custody:
        custody.write(draft())
        custody.erase()
        (order,) = custody.records("erasure.order")
        told = orjson.loads(custody.bodies(order["eid"])["reason"])
    assert told == {"reason": "she asked us to", "by": "Ada"}


@pytest.mark.requirement("A10")
def test_erasing_twice_is_harmless_and_a_stranger_is_told_as_such(tmp_path: Path) -> None:
    """Nobody is left to erase the second time."""
    with opened(tmp_path) as custody:
        custody.write(draft())
        assert custody.erase().outcome is Outcome.DONE
        count = len(custody.records())
        for name in ("grace@hopper.org", "nobody@example.org"):
            answer = custody.erase(name)
            assert answer.outcome is Outcome.NO
            assert "nothing is kept under that name" in answer.says
        assert len(custody.records()) == count
        back = draft(content=b"back again")
        custody.write(back)  # a person who comes back is a new handle, under a new key
        assert custody.bodies(back.header["eid"]) == {"request": b"back again"}
        handles = {header["subj"] for header in custody.records("llm.request")}
        assert len(handles) == 2
        assert custody.verified().verdict is Verdict.VALID


@pytest.mark.fault(52)
@pytest.mark.requirement("A10")
def test_an_erased_body_opens_from_no_store_cache_or_older_vault(tmp_path: Path) -> None:
    """The file of keys is scanned page by page, and a copy from before the new root key is a locked box."""
    with opened(tmp_path) as custody:
        one = draft()
        custody.write(one)
        (meta,) = custody.records("llm.request")[0]["body"]
        with custody.reader() as reader:
            ciphertext = reader.ciphertext(custody.records("llm.request")[0], "request")
        old = tmp_path.parent / f"{tmp_path.name}-backup"
        old.mkdir(mode=0o700)
        custody.ledger.vault._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copy(tmp_path / "vault" / "vault.db", old / "vault.db")
        keys = wrapped_keys(tmp_path / "vault")
        assert any(custody.ledger.vault.key_for("default", "", "standard", "x"))  # caches are warm
        custody.ledger.vault.settle()
        assert custody.erase().outcome is Outcome.DONE
        assert custody.ledger.vault.key("default", meta["kid"]) is None
        kept = custody.everything()
        gone = [key for key in keys if key not in wrapped_keys(tmp_path / "vault")]
        assert len(gone) == 1
        assert gone[0] not in kept
        assert ciphertext
        assert ciphertext[12:] not in kept
        # Before the new root key the old copy still opens: that is what the command is for.
        shutil.copy(tmp_path / "vault" / "root.key", old / "root.key")
        before = Vault(old, writable=False)
        assert before.key("default", meta["kid"]) is not None
        before.close()
        assert custody.obey(RotateRoot()).facts == {"epoch": 2}
        shutil.copy(tmp_path / "vault" / "root.key", old / "root.key")
        with pytest.raises(ConfigurationError, match="root key is not the one"):
            Vault(old, writable=False)
        another = draft(content=b"later")
        custody.write(another)
        assert custody.bodies(another.header["eid"]) == {"request": b"later"}
    with opened(tmp_path) as custody:
        assert custody.bodies(another.header["eid"]) == {"request": b"later"}
        assert [header["ext"]["event"] for header in custody.records("key.event")] == [
            "root.rotate",
            "root.rotated",
        ]


@pytest.mark.fault(57)
@pytest.mark.requirement("A10")
def test_a_short_prompt_cannot_be_guessed_from_what_remains(tmp_path: Path) -> None:
    """Before, with the salt, a guess is confirmed; after, the salt is nowhere and no guess can be."""
    with opened(tmp_path) as custody:
        custody.write(draft(content=b"yes"))
        header = custody.records("llm.request")[0]
        committed = header["body"][0]["cm"]
        with custody.reader() as reader:
            content, salt = reader.opened(header)["request"]
        assert opens(b"yes", salt, committed)
        assert not opens(b"no", salt, committed)
        custody.erase()
        kept = custody.everything()
        assert salt not in kept
        assert salt.hex().encode() not in kept
        # An attacker tries every 32 bytes that are left anywhere, with every answer there is.
        pieces = re.split(rb"\0{64,}", kept)
        spans = {piece[at : at + 32] for piece in pieces for at in range(len(piece) - 31)}
        assert len(spans) > 5_000
        assert not any(commitment(guess, span) == committed for guess in (b"yes", b"no") for span in spans)


@pytest.mark.fault(58)
@pytest.mark.requirement("A6", "A10")
def test_no_file_holds_a_person_s_name_before_or_after(tmp_path: Path) -> None:
    """Log, index, vault and holds are scanned, for the name and for what was said about it."""
    with opened(tmp_path) as custody:
        custody.write(draft(content=b"my secret words"))
        custody.erase("alan@turing.org")
        for _ in range(2):
            kept = custody.everything()
            for word in (b"hopper", b"turing", b"secret words", b"asked us to"):
                assert word not in kept
            custody.erase()
    assert b"hopper" not in custody.everything()


@pytest.mark.requirement("A10")
@pytest.mark.parametrize("step", ["keys", "bodies", "vault"])
def test_an_erasure_cut_short_is_finished_at_the_next_start(
    tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order is on record first; wherever the process dies after it, the next one goes on."""

    class Died(Exception):
        pass

    def die(*_: object) -> None:
        raise Died

    custody = Custody(tmp_path)
    one = draft()
    custody.write(one)
    with monkeypatch.context() as patched:
        if step == "keys":
            patched.setattr(Vault, "begin_erasure", die)
        elif step == "bodies":
            patched.setattr(FileSegments, "empty", die)
        else:
            patched.setattr(Vault, "scrub", die)
        with pytest.raises(Died):
            custody.erase()
    custody.close(clean=False)
    with opened(tmp_path) as again:
        if step == "keys":  # nothing was destroyed, and the open order is named
            (recovery,) = again.records("recovery")
            assert again.records("erasure.order")[0]["eid"] in recovery["ext"]["calls"]
            assert again.bodies(one.header["eid"]) == {"request": b"yes"}
            assert again.erase().outcome is Outcome.DONE
        else:
            assert again.bodies(one.header["eid"]) == {}
            again.custodian.resume()
        assert len(again.records("erasure")) == 1
        assert again.ledger.vault.unfinished() == []
        report = again.verified()
        assert (report.verdict, report.erased) == (Verdict.VALID, 1)


@pytest.mark.requirement("A10")
def test_more_keys_than_one_order_names_go_by_several_and_the_name_with_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut short in between, the name is still there, so that the command can be given again."""
    monkeypatch.setattr("magistrate.adapters.recorder.erasure.KIDS_IN_AN_ORDER", 1)
    with opened(tmp_path) as custody:
        custody.write(*(draft(retention=name) for name in ("standard", "pci", "hipaa")))
        begin, begun = Vault.begin_erasure, []

        def second_fails(vault: Vault, erasing: Erasing) -> None:
            if len(begun) == 1:
                raise sqlite3.OperationalError("disk full")
            begun.append(erasing)
            begin(vault, erasing)

        with monkeypatch.context() as patched:
            patched.setattr(Vault, "begin_erasure", second_fails)
            assert custody.erase().outcome is Outcome.UNABLE
        assert custody.erase().facts["subjects"][0]["keys"] == 2
        report = custody.verified()
        assert (report.verdict, report.erased) == (Verdict.VALID, 3)
        assert len(custody.records("erasure")) == 3
        assert custody.erase().outcome is Outcome.NO


def test_a_vault_that_somebody_reads_is_scrubbed_later(tmp_path: Path) -> None:
    """The keys are destroyed at once; the answer says that their pages are not cleared yet."""
    with opened(tmp_path) as custody:
        custody.write(draft())
        custody.ledger.vault._database.execute("PRAGMA busy_timeout = 50")
        reader = sqlite3.connect(tmp_path / "vault" / "vault.db", isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM keys").fetchall()
        answer = custody.erase()
        assert answer.outcome is Outcome.UNABLE
        assert "the keys are destroyed" in answer.says
        reader.close()
        custody.custodian.resume()
        assert len(custody.records("erasure")) == 1


@pytest.mark.requirement("A4")
def test_a_binding_class_outlives_a_request_and_says_so(tmp_path: Path) -> None:
    """What the law orders to keep is kept, with the name that a later request needs."""
    with opened(tmp_path, Schedule(binding=("sec-17a-4",))) as custody:
        trade, chat = draft(content=b"buy", retention="sec-17a-4"), draft()
        custody.write(trade, chat)
        answer = custody.erase()
        assert answer.outcome is Outcome.NO
        assert "sec-17a-4" in answer.says
        assert custody.bodies(trade.header["eid"]) == {"request": b"buy"}
        assert custody.bodies(chat.header["eid"]) == {}
        assert custody.ledger.vault.find_handle("default", "grace@hopper.org")
        again = custody.erase()
        assert again.outcome is Outcome.NO
        assert "binds the rest" in again.says
        assert len(custody.records("erasure.order")) == 1
        assert custody.verified().verdict is Verdict.VALID


@pytest.mark.fault(54)
@pytest.mark.requirement("A4")
def test_an_administrator_cannot_unbind_a_class(tmp_path: Path) -> None:
    """What a start was once told to keep is kept, whatever later starts are told; the attempt is on record."""
    with opened(tmp_path, Schedule(binding=("hipaa",))) as custody:
        custody.write(draft(retention="hipaa"))
    with opened(tmp_path, Schedule(binding=())) as custody:
        assert custody.erase().outcome is Outcome.NO
        (change,) = custody.records("retention.change")[-1]["ext"]["changes"]
    assert change == {"class": "hipaa", "binding": False, "refused": True}


@pytest.mark.requirement("A4", "A6")
def test_a_body_missing_without_an_order_is_told_from_an_erased_one(tmp_path: Path) -> None:
    """An erasure excuses its own keys and nothing else."""
    with opened(tmp_path) as custody:
        custody.write(draft(), draft("alan@turing.org"))
        custody.erase()
        for path in (tmp_path / "evidence" / "body").rglob("*.seg"):
            path.unlink()
        report = custody.verified()
    assert report.verdict is Verdict.UNDECIDABLE
    assert report.erased == 1
    assert any("not kept here any more" in problem.what for problem in report.findings)


# --- keys


@pytest.mark.fault(60)
@pytest.mark.requirement("A6", "A10")
def test_one_tenant_s_keys_never_open_another_s_bodies(tmp_path: Path) -> None:
    """Not by asking the vault for them, and not by trying them."""
    with opened(tmp_path) as custody:
        custody.write(draft(tenant="north"), draft(tenant="south"))
        north, south = custody.records("llm.request")
        vault = custody.ledger.vault
        north_key = vault.key("north", north["body"][0]["kid"])
        assert north_key is not None
        assert vault.key("south", north["body"][0]["kid"]) is None
        assert vault.key("nowhere", north["body"][0]["kid"]) is None
        with custody.reader() as reader:
            theirs = reader.ciphertext(south, "request")
        assert theirs is not None
        with pytest.raises(SealBroken, match="does not open"):
            open_sealed(theirs, south["body"][0], key=north_key, log=LOG, eid=south["eid"])
        assert custody.erase(tenant="north").outcome is Outcome.DONE
        assert custody.bodies(south["eid"]) == {"request": b"yes"}
        # A wrapped key moved to another tenant's row is no key there either.
        database = sqlite3.connect(tmp_path / "vault" / "vault.db")
        (stolen,) = database.execute("SELECT id FROM tenants ORDER BY id LIMIT 1").fetchone()
        database.close()
        assert stolen
        other = draft(tenant="north", content=b"x")
        custody.write(other)
        custody.ledger.vault._database.execute(
            "UPDATE keys SET tenant = (SELECT id FROM tenants WHERE lookup = ?)",
            (vault._lookup("tenant", "south"),),
        )
        vault._forget_cached()
        (kid,) = (
            h["body"][0]["kid"] for h in custody.records("llm.request") if h["eid"] == other.header["eid"]
        )
        with pytest.raises(InvalidTag):
            vault.key("south", kid)


def _gf_multiply(x: int, y: int) -> int:
    """Multiply in GF(2^128) as GCM orders its bits (NIST SP 800-38D section 6.3)."""
    product = 0
    for bit in range(128):
        if y >> (127 - bit) & 1:
            product ^= x
        x = x >> 1 ^ (0xE1 << 120 if x & 1 else 0)
    return product


def _gf_inverse(x: int) -> int:
    result, power = 1 << 127, x
    for _ in range(127):  # x^(2^128 - 2)
        power = _gf_multiply(power, power)
        result = _gf_multiply(result, power)
    return result


def two_key_ciphertext(first: bytes, second: bytes, nonce: bytes, blocks: int) -> bytes:
    """Return one AES-GCM ciphertext that both keys accept: possible, because GCM does not commit to its key."""

    def ecb(key: bytes, block: bytes) -> int:
        encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305
        return int.from_bytes(encryptor.update(block))

    subkeys = [ecb(key, bytes(16)) for key in (first, second)]
    masks = [ecb(key, nonce + b"\0\0\0\1") for key in (first, second)]
    free = [int.from_bytes(os.urandom(16)) for _ in range(blocks - 1)] + [0]
    lengths = blocks * 128

    def ghash(subkey: int) -> int:
        total = 0
        for block in [*free, lengths]:
            total = _gf_multiply(total ^ block, subkey)
        return total

    # The last block enters the hash times subkey squared: one linear equation in one unknown.
    wanted = ghash(subkeys[0]) ^ masks[0] ^ ghash(subkeys[1]) ^ masks[1]
    factor = _gf_multiply(subkeys[0], subkeys[0]) ^ _gf_multiply(subkeys[1], subkeys[1])
    free[-1] = _gf_multiply(wanted, _gf_inverse(factor))
    tag = ghash(subkeys[0]) ^ masks[0]
    return nonce + b"".join(block.to_bytes(16) for block in free) + tag.to_bytes(16)


@pytest.mark.fault(55)
@pytest.mark.requirement("A2", "A10")
def test_a_ciphertext_made_for_two_keys_is_refused_by_the_commitment() -> None:
    """AES-GCM accepts it under both; the record commits to one text, so at most that one is ever shown."""
    keys = [bytes([number]) * 32 for number in (1, 2)]
    eid = "01a2104d-04bb-782b-9f41-918581b610af"
    bodies = [_body_key(key, LOG, eid, "request") for key in keys]
    forged = two_key_ciphertext(*bodies, nonce=b"n" * 12, blocks=4)
    texts = [AESGCM(key).decrypt(forged[:12], forged[12:], None) for key in bodies]
    assert texts[0] != texts[1]
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
    meta = honest.meta | {"ct": hashlib.sha256(forged).hexdigest()}
    for key in keys:
        with pytest.raises(SealBroken, match="another text"):
            open_sealed(forged, meta, key=key, log=LOG, eid=eid)
    # Even a second ciphertext that is whole under its key is refused: the commitment is the first text's.
    other = seal(
        b"HELLO",
        key=keys[1],
        log=LOG,
        eid=eid,
        part="request",
        media="",
        kid="k",
        salt=b"s" * 32,
        nonce=b"n" * 12,
    )
    with pytest.raises(SealBroken, match="another text"):
        open_sealed(other.ciphertext, honest.meta | {"ct": other.meta["ct"]}, key=keys[1], log=LOG, eid=eid)


PLACE = st.tuples(st.uuids().map(str), st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True))


@pytest.mark.fault(56)
@pytest.mark.requirement("A2", "A10")
@given(st.lists(PLACE, min_size=2, max_size=20, unique=True))
def test_no_two_places_share_a_key_even_when_randomness_stands_still(places: list[tuple[str, str]]) -> None:
    """A pair of key and nonce cannot repeat, because each place in a log has a key of its own."""
    key = b"k" * 32
    assert len({_body_key(key, LOG, eid, part) for eid, part in places}) == len(places)
    assert len({_body_key(key, log, *places[0]) for log in (LOG, "other.example/log")}) == 2


@pytest.mark.fault(56)
@pytest.mark.requirement("A10")
def test_no_two_wrappings_share_a_key_even_when_randomness_stands_still(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same key and nonce under two names give two ciphertexts, and neither opens as the other."""
    monkeypatch.setattr(vault_module.os, "urandom", bytes)
    one, other = (vault_module._wrap(b"k" * 32, b"plain", what) for what in ("key\0a", "key\0b"))
    assert one[13:] != other[13:]
    assert vault_module._unwrap(b"k" * 32, one, "key\0a") == b"plain"
    with pytest.raises(InvalidTag):
        vault_module._unwrap(b"k" * 32, one, "key\0b")


@pytest.mark.fault(56)
@pytest.mark.requirement("A1")
def test_a_draft_handed_over_again_after_a_crash_is_not_sealed_anew(tmp_path: Path) -> None:
    """The id is in the log, so its place, and with it its key, is never used a second time."""
    one = draft()
    custody = Custody(tmp_path)
    first = custody.write(one)
    custody.close(clean=False)
    with opened(tmp_path) as again:
        assert again.write(one)[0].index == first[0].index
        assert sum(header["eid"] == one.header["eid"] for header in again.records()) == 1
        assert again.verified().verdict is Verdict.VALID


@pytest.mark.parametrize("commit", ["lost", "kept"])
def test_a_root_key_change_cut_short_leaves_one_key_that_opens(
    tmp_path: Path, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the commit the old key is in force, after it the new one; both starts find out by themselves."""
    custody = Custody(tmp_path)
    one = draft()
    custody.write(one)
    custody.close()
    vault = Vault(tmp_path / "vault")
    old = (tmp_path / "vault" / "root.key").read_bytes()
    with monkeypatch.context() as patched:
        if commit == "kept":
            patched.setattr(vault._root_key, "put_in_force", _die)
        else:
            patched.setattr(vault_module, "_unwrap", _die)
        with pytest.raises(RuntimeError):
            vault.rotate_root(vault_module.Disk())
    vault.close()
    assert (tmp_path / "vault" / "root.key").read_bytes() == old
    assert (tmp_path / "vault" / "root.key.next").exists()
    with opened(tmp_path) as again:
        assert again.bodies(one.header["eid"]) == {"request": b"yes"}
    assert not (tmp_path / "vault" / "root.key.next").exists()
    assert ((tmp_path / "vault" / "root.key").read_bytes() == old) is (commit == "lost")


def _die(*_: object, **__: object) -> None:
    raise RuntimeError


def test_a_root_key_may_stand_elsewhere_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    """Without it the vault is shut; with it readable by others, the recorder does not start."""
    elsewhere = tmp_path / "hsm" / "root.key"
    elsewhere.parent.mkdir(mode=0o700)
    vault = Vault(tmp_path / "vault", root_key=elsewhere)
    vault.handle("default", "ada")
    vault.settle()
    vault.close()
    assert not (tmp_path / "vault" / "root.key").exists()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Vault(tmp_path / "vault")
    elsewhere.chmod(0o644)
    with pytest.raises(ConfigurationError, match="others may read this key"):
        Vault(tmp_path / "vault", root_key=elsewhere)
    elsewhere.chmod(0o600)
    elsewhere.write_bytes(b"x" * 32)
    with pytest.raises(ConfigurationError, match="not the one this vault was locked with"):
        Vault(tmp_path / "vault", root_key=elsewhere)


def test_an_erasure_s_order_survives_as_it_was_given(tmp_path: Path) -> None:
    """What an interrupted erasure still has to do is kept in the vault, sealed."""
    with opened(tmp_path) as custody:
        custody.write(draft())
        (subject,) = custody.ledger.vault.subjects_named("grace@hopper.org")
        erasing = Erasing("01a2104d-04bb-782b-9f41-918581b610af", subject, ("k-1",), {"pci": 2})
        custody.ledger.vault.begin_erasure(erasing)
        assert custody.ledger.vault.unfinished() == [erasing]
        assert custody.ledger.vault.find_handle("default", "grace@hopper.org") == subject.handle
        custody.ledger.vault.finish_erasure(erasing.id)
