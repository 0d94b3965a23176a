"""Export bundles made by somebody who wants to break the verifier, or to convince it with keys of his own."""

import io
import struct
import subprocess
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magistrate.evidence.bundle import Exported, verify_bundle, write_bundle
from magistrate.evidence.canonical import encode
from magistrate.evidence.members import LARGEST_BUNDLE
from magistrate.evidence.note import Signer, Verifier
from magistrate.evidence.proof import LARGEST_PROOF, Proof
from magistrate.evidence.report import Verdict
from magistrate.evidence.seal import commitment
from magistrate.evidence.tiles import prove_inclusion
from magistrate.evidence.trust import of_witnesses
from magistrate.evidence.verify import verify_log
from tests.published import SIGNER, Published


def bundle_of(log: Published, signer: Signer = SIGNER) -> bytes:
    note = log.seal()
    records = [
        Exported(encode(header), Proof(index, tuple(prove_inclusion(log.get, index, log.size)), note))
        for index, header in enumerate(log.headers)
    ]
    return write_bundle(0, records, of_witnesses([Verifier(signer.vkey)], [], None).encode())


def good(signer: Signer = SIGNER) -> bytes:
    log = Published(signer, cosigner=None)
    log.call("a" * 32)
    return bundle_of(log, signer)


def packed(members: dict[str, bytes], *, twice: str = "") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
        if twice:
            with pytest.warns(UserWarning, match="Duplicate"):
                archive.writestr(twice, members[twice])
    return out.getvalue()


def long_log() -> Published:
    """Three hundred records, sealed once: a full tile, partial ones, and a level above."""
    log = Published(cosigner=None)
    for number in range(150):
        log.call(f"{number:032x}")
    log.seal()
    return log


LOG = long_log()


def members(bundle: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_a_good_bundle_is_valid() -> None:
    """Else no verdict below would mean anything."""
    report = verify_bundle(good(), SIGNER.vkey)
    assert (report.verdict, report.size) == (Verdict.VALID, 2), report.findings


def a_bomb() -> bytes:
    """Five members of 120 MB of zeros each."""
    zeros = bytes(120 * 1024 * 1024)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number in range(5):
            archive.writestr(f"bodies/{number}-request", zeros)
    return out.getvalue()


def a_liar() -> bytes:
    """Says 10 bytes and unpacks to 50 MB."""
    data = bytearray(packed({"bodies/0-request": bytes(50 * 1024 * 1024)}))
    directory = data.rindex(b"PK\x01\x02")
    struct.pack_into("<I", data, directory + 24, 10)
    struct.pack_into("<I", data, 22, 10)
    return bytes(data)


def a_way_out() -> bytes:
    return packed(members(good()) | {"../../etc/cron.d/x": b"* * * * * root true"})


def an_absolute_path() -> bytes:
    return packed(members(good()) | {"/etc/passwd": b"x"})


def a_link() -> bytes:
    """A symbolic link to a file of the auditor's, under a name that belongs into a bundle."""
    out = io.BytesIO(good())
    with zipfile.ZipFile(out, "a") as archive:
        link = zipfile.ZipInfo("bodies/0-request")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    return out.getvalue()


def a_name_twice() -> bytes:
    return packed(members(good()), twice="record.json")


def a_huge_proof() -> bytes:
    return packed(members(good()) | {"record.tlog-proof": b"A" * (LARGEST_PROOF + 1)})


def deep_json() -> bytes:
    return packed(members(good()) | {"trace/0.json": b"[" * 30_000 + b"]" * 30_000})


def more_members_than_a_trace_has() -> bytes:
    return packed({f"trace/{number}.json": b"" for number in range(20_001)})


def not_an_archive() -> bytes:
    return b"PK\x03\x04" + bytes(2000)


def a_torn_archive() -> bytes:
    return good()[:-40]


@pytest.mark.requirement("A9")
@pytest.mark.fault(61)
@pytest.mark.parametrize(
    "hostile",
    [a_bomb, a_liar, a_way_out, an_absolute_path, a_link, a_name_twice, a_huge_proof, deep_json,
     more_members_than_a_trace_has, not_an_archive, a_torn_archive],
)  # fmt: skip
def test_a_hostile_bundle_is_refused_quickly_and_touches_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hostile: Callable[[], bytes]
) -> None:
    """A verdict, not an exception; nothing is unpacked to disk, and no limit is passed on the way."""
    bundle = hostile()
    monkeypatch.chdir(tmp_path)
    began = time.monotonic()
    report = verify_bundle(bundle, SIGNER.vkey)
    assert report.verdict is Verdict.TAMPERED
    assert time.monotonic() - began < 5
    assert list(tmp_path.iterdir()) == []


@pytest.mark.fault(61)
def test_a_bundle_larger_than_any_is_not_opened() -> None:
    """By its length alone."""
    report = verify_bundle(bytes(LARGEST_BUNDLE + 1), SIGNER.vkey)
    assert "too large" in report.findings[0].what


@pytest.mark.requirement("A2", "A9")
@pytest.mark.fault(62)
def test_a_bundle_signed_by_the_key_inside_it_convinces_nobody() -> None:
    """Whole in itself, policy and all, and signed by somebody else under the log's name."""
    forger = Signer(SIGNER.name, bytes(31) + b"f")
    bundle = good(forger)
    assert forger.vkey in members(bundle)["policy.txt"].decode()
    assert verify_bundle(bundle, forger.vkey).verdict is Verdict.VALID
    report = verify_bundle(bundle, SIGNER.vkey)
    assert report.verdict is Verdict.TAMPERED
    assert "has not signed" in report.findings[0].what


@pytest.mark.requirement("A2", "A9")
@pytest.mark.fault(62)
@pytest.mark.verifier("node")
@pytest.mark.tool("node")
def test_the_script_takes_its_key_from_the_command_line_only(tmp_path: Path, tool: str) -> None:
    """Without one it says how it is used; with ours it refuses what the key inside would accept."""
    forger = Signer(SIGNER.name, bytes(31) + b"f")
    for name in ("record.json", "record.tlog-proof", "verify.mjs", "policy.txt"):
        (tmp_path / name).write_bytes(members(good(forger))[name])
    for key, status in (([], 2), ([SIGNER.vkey], 1), ([forger.vkey], 0)):
        command = [tool, "verify.mjs", "record.tlog-proof", "record.json", *key]
        run = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=30)
        assert run.returncode == status


GOOD = good()


@pytest.mark.requirement("A2", "A9")
@pytest.mark.fault(61, 63)
@settings(max_examples=300)
@given(
    st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), max_size=6),
    st.integers(0, len(GOOD)),
)
def test_any_bytes_are_a_bundle_with_a_verdict(changes: list[tuple[int, int]], length: int) -> None:
    """Bytes changed anywhere in a good one, or its end cut off: a report, never an exception."""
    spoiled = bytearray(GOOD)
    for at, value in changes:
        spoiled[at] = value
    for data in (bytes(spoiled), bytes(spoiled[:length])):
        assert verify_bundle(data, SIGNER.vkey).verdict in set(Verdict)


@pytest.mark.requirement("A2")
@pytest.mark.fault(1, 3, 16, 18)
@settings(max_examples=300)
@given(st.data())
def test_any_bit_flipped_in_any_file_of_a_log_is_found(data: st.DataObject) -> None:
    """And any file cut short anywhere: records, tiles of every level, full or partial."""
    path = data.draw(st.sampled_from(sorted(name for name in LOG.files if name != "checkpoint")))
    kept = LOG.files[path]
    at = data.draw(st.integers(0, len(kept) * 8 - 1))
    flipped = bytearray(kept)
    flipped[at // 8] ^= 1 << at % 8
    for spoiled in (bytes(flipped), kept[: at // 8]):
        LOG.files[path] = spoiled
        try:
            assert verify_log(LOG, SIGNER.vkey).verdict is Verdict.TAMPERED
        finally:
            LOG.files[path] = kept


# --- memory


@pytest.mark.requirement("A9")
@pytest.mark.fault(61)
def test_a_bundle_of_hundreds_of_megabytes_is_verified_in_little_memory(tmp_path: Path) -> None:
    """Bodies are read a piece at a time, once for the archive, once for what their records commit to, once for the page."""
    log, content, salt = Published(), bytes(100_000_000), bytes(32)
    meta = {
        "part": "request",
        "len": len(content),
        "ct": "0" * 64,
        "cm": commitment(content, salt),
        "kid": "k",
    }
    log.call("a" * 32, body=[meta])
    note = log.seal()
    records = [
        Exported(
            encode(header),
            Proof(index, tuple(prove_inclusion(log.get, index, log.size)), note),
            {"request": (content, salt)} if index == 0 else {},
        )
        for index, header in enumerate(log.headers)
    ]
    path = tmp_path / "call.zip"
    path.write_bytes(write_bundle(0, records, "quorum none\n"))
    del records
    tracemalloc.start()
    try:
        with path.open("rb") as archive:
            report = verify_bundle(archive, SIGNER.vkey)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (report.verdict, report.bodies) == (Verdict.VALID, 1)
    assert peak < 24_000_000, f"{peak} bytes"


@pytest.mark.fault(61)
@pytest.mark.parametrize("spoil", ["contents", "zip64", "comment", "cut"])
def test_a_table_of_contents_beyond_any_bundles_is_not_read(spoil: str) -> None:
    """It would be read whole before its entries could be counted."""
    data = bytearray(good())
    end = len(data) - 22
    if spoil == "contents":
        data[end + 12 : end + 16] = (300 << 20).to_bytes(4, "little")
    elif spoil == "zip64":
        data[end:end] = b"PK\x06\x07" + bytes(16)
    elif spoil == "comment":
        data += b"PK\x05\x06" + bytes(16) + b"\x05\x00hello"
    else:
        del data[-3:]
    report = verify_bundle(bytes(data), SIGNER.vkey)
    assert report.verdict is Verdict.TAMPERED
    assert "more files than any" in report.findings[0].what or "cut short" in report.findings[0].what
