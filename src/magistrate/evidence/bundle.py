"""The export bundle: a call and its whole trace in one file that needs nobody's server and nobody's trust.

It is a zip archive of the exact leaf bytes, their proofs, and (if wished) the opened bodies with the salts that show they
are what the leaves commit to. Keys inside it are information; the verifier's key comes from elsewhere.
"""

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import resources
from typing import Any

import msgspec

from magistrate.evidence.attested import text_of
from magistrate.evidence.canonical import decode
from magistrate.evidence.checkpoint import parse as parse_checkpoint
from magistrate.evidence.links import Custody, Noted
from magistrate.evidence.note import NoteError, Verifier
from magistrate.evidence.page import LAYOUT, page
from magistrate.evidence.proof import Proof, ProofError, check_in, parse
from magistrate.evidence.reached import Reached
from magistrate.evidence.record import check_shape
from magistrate.evidence.report import Report, Verdict, worst
from magistrate.evidence.seal import SALT_BYTES, opens
from magistrate.evidence.shards import Beginning
from magistrate.evidence.succession import Step, kept_steps
from magistrate.evidence.timestamp import Authority, Forged, StampError, first_to_hold
from magistrate.evidence.trust import Trust

LARGEST_BUNDLE = 256 * 1024 * 1024
LARGEST_MEMBER = 128 * 1024 * 1024
LARGEST_WHOLE = 512 * 1024 * 1024
MOST_MEMBERS = 20_000
_NAME = re.compile(r"(?:record\.(?:json|tlog-proof)|trace/(?:[0-9]{1,4}\.)?[0-9]{1,16}\.(?:json|tlog-proof)"
                   r"|(?:bodies|salts)/(?:[0-9]{1,4}\.)?[0-9]{1,16}-[a-z0-9][a-z0-9._-]{0,63}"
                   r"|(?:succession|shards)/[0-9]{1,4}\.(?:json|tlog-proof)"
                   r"|checkpoint(?:\.[1-9])?\.tsr|policy\.txt|READ-ME\.txt|verify\.mjs|index\.html)")  # fmt: skip
PAGE = "index.html"
_COMPRESSIONS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED = 0x1
_EPOCH = (1980, 1, 1, 0, 0, 0)


class Exported(msgspec.Struct, frozen=True):
    """One record for a bundle: its exact bytes, its proof, its opened bodies (content, salt) by part, and its shard."""

    raw: bytes
    proof: Proof
    bodies: Mapping[str, tuple[bytes, bytes]] = {}
    shard: int = 1


class Lineage(msgspec.Struct, frozen=True):
    """How keys have followed one another up to those that signed, oldest first, and how shards began, by number."""

    steps: Sequence[Step] = ()
    beginnings: Mapping[int, Beginning] = {}


NO_LINEAGE = Lineage()


def write_bundle(
    call: int,
    records: Sequence[Exported],
    policy: str,
    stamps: Sequence[bytes] = (),
    *,
    shard: int = 1,
    lineage: Lineage = NO_LINEAGE,
) -> bytes:
    """Return the bundle of the records of one trace; ``call`` in ``shard`` is the index of the one it is about.

    ``policy`` says who signs and who cosigns (`trust.Trust.encode`); ``stamps`` are time-stamp tokens for the checkpoint
    that the proofs lead to. The same input gives the same bytes.
    """
    chosen = next(record for record in records if (record.shard, record.proof.index) == (shard, call))
    several = len({record.shard for record in records}) > 1
    files: dict[str, bytes] = {
        "READ-ME.txt": _text("read-me.txt"),
        "verify.mjs": _text("verify.mjs"),
        "policy.txt": policy.encode(),
        "record.json": chosen.raw,
        "record.tlog-proof": chosen.proof.encode(),
    }
    for number, token in enumerate(stamps):
        files[f"checkpoint.{number}.tsr" if number else "checkpoint.tsr"] = token
    for record in records:
        index = f"{record.shard}.{record.proof.index}" if several else f"{record.proof.index}"
        files[f"trace/{index}.json"] = record.raw
        files[f"trace/{index}.tlog-proof"] = record.proof.encode()
        for part, (content, salt) in record.bodies.items():
            files[f"bodies/{index}-{part}"] = content
            files[f"salts/{index}-{part}"] = salt
    for number, step in enumerate(lineage.steps, 1):
        files[f"succession/{number}.json"] = step.raw
        files[f"succession/{number}.tlog-proof"] = step.proof.encode()
    for number, beginning in lineage.beginnings.items():
        files[f"shards/{number}.json"] = beginning.raw
        files[f"shards/{number}.tlog-proof"] = beginning.proof.encode()
    files[PAGE] = page(files)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            member = zipfile.ZipInfo(name, _EPOCH)
            member.external_attr = 0o644 << 16
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, files[name])
    return out.getvalue()


def verify_bundle(
    data: bytes, vkey: str, *, trust: Trust | None = None, authorities: Sequence[Authority] = ()
) -> Report:
    """Verify a bundle against keys, a policy and authorities that did not come with it."""
    noted = Noted()
    try:
        verifier = Verifier(vkey)
    except NoteError as error:
        noted.undecidable("key", str(error))
        return _report(noted)
    try:
        files = _unpack(data)
    except (
        ValueError,
        OSError,
        EOFError,
        RuntimeError,
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
    ) as error:
        noted.tampered("bundle", str(error))
        return _report(noted)
    try:
        reached = _reached(files, verifier)
    except ValueError as error:
        noted.tampered("succession", str(error))
        return _report(noted)
    headers = _check_records(files, reached, noted)
    bodies = _check_bodies(files, headers, noted)
    _check_custody(files, headers, noted)
    _check_page(files, noted)
    checkpoint = _checkpoint(files)
    stamps = _check_stamps(files, checkpoint, authorities, noted)
    cosigned = _check_witnesses(checkpoint, trust, noted) if trust else {}
    return _report(noted, len(headers), bodies, stamps, cosigned)


def _report(
    noted: Noted, size: int = 0, bodies: int = 0, stamps: int = 0, cosigned: Mapping[str, int] = {}
) -> Report:
    found, told = tuple(noted.problems), tuple(noted.remarks)
    return Report(worst(found), size, bodies, 0, found, told, stamps, dict(cosigned))


def _unpack(data: bytes) -> dict[str, bytes]:
    if len(data) > LARGEST_BUNDLE:
        raise ValueError("the bundle is too large")
    files: dict[str, bytes] = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        if len(members) > MOST_MEMBERS or sum(member.file_size for member in members) > LARGEST_WHOLE:
            raise ValueError("the bundle unpacks to too much")
        for member in members:
            if not _NAME.fullmatch(member.filename) or member.filename in files:
                raise ValueError(
                    f"`{member.filename[:80]!a}` does not belong into a bundle, or stands in it twice"
                )
            if member.flag_bits & _ENCRYPTED or member.compress_type not in _COMPRESSIONS:
                raise ValueError(f"`{member.filename}` is encrypted, or packed in an unknown way")
            if member.file_size > LARGEST_MEMBER:
                raise ValueError(f"`{member.filename}` is too large")
            with archive.open(member) as file:
                content = file.read(member.file_size + 1)
            if len(content) != member.file_size:
                raise ValueError(f"`{member.filename}` is longer than it says")
            files[member.filename] = content
    for name in ("record.json", "record.tlog-proof"):
        if name not in files:
            raise ValueError(f"`{name}` is missing")
    return files


def _reached(files: Mapping[str, bytes], verifier: Verifier) -> Reached:
    """Return what the trusted key vouches for, by the steps that the bundle carries. Raises ValueError."""
    shown = sorted(
        (int(name.removeprefix("shards/").removesuffix(".json")), name)
        for name in files
        if name.startswith("shards/") and name.endswith(".json")
    )
    beginnings = [Beginning(files[name], parse(_proof_of(files, name))) for _, name in shown]
    return Reached(verifier, kept_steps(files.get), beginnings)


def _check_records(files: Mapping[str, bytes], reached: Reached, noted: Noted) -> dict[str, dict[str, Any]]:
    """Return the proven records of the trace by place, in the order of the log."""
    headers: dict[str, dict[str, Any]] = {}
    for name in sorted(files, key=_order):
        if not name.endswith(".json") or name.startswith(("succession/", "shards/")):
            continue
        try:
            proof = parse(_proof_of(files, name))
            check_in(proof, files[name], reached.checkpoint(proof.checkpoint))
            if name.startswith("trace/"):
                place = name.removeprefix("trace/").removesuffix(".json")
                if place.rpartition(".")[2] != str(proof.index):
                    raise ProofError(f"the proof is of record {proof.index}")
                header = decode(files[name])
                check_shape(header)
                if header["log"] != parse_checkpoint(text_of(proof.checkpoint)).origin:
                    raise ProofError(f"is a record of another log, `{header['log']}`")
                headers[place] = header
        except ValueError as error:
            noted.tampered(name, str(error))
    if files["record.json"] not in {files[f"trace/{place}.json"] for place in headers}:
        noted.tampered("record.json", "is not a record of the trace")
    return headers


def _check_bodies(files: Mapping[str, bytes], headers: Mapping[str, dict[str, Any]], noted: Noted) -> int:
    count = 0
    for name in sorted(files):
        if not name.startswith("bodies/"):
            continue
        count += 1
        place, _, part = name.removeprefix("bodies/").partition("-")
        metas = {meta["part"]: meta for meta in headers.get(place, {}).get("body", [])}
        salt = files.get(name.replace("bodies/", "salts/", 1), b"")
        if part not in metas or len(salt) != SALT_BYTES or not opens(files[name], salt, metas[part]["cm"]):
            noted.tampered(name, "is not what its record commits to")
    return count


def _check_custody(files: Mapping[str, bytes], headers: Mapping[str, dict[str, Any]], noted: Noted) -> None:
    custody = Custody(noted)
    for index, header in headers.items():
        place = f"trace/{index}.json"
        custody.add(place, header, files[place])
    custody.finish()
    for place, eid, _ in custody.open():
        noted.undecidable(
            place,
            f"the outcome of `{eid}` is not here: the call was under way, never ended, or it was left out",
        )


def _proof_of(files: Mapping[str, bytes], name: str) -> bytes:
    return files.get(name.removesuffix(".json") + ".tlog-proof", b"")


def _order(name: str) -> tuple[str, list[int], str]:
    """Return where a file stands: records of a trace in the order of the log, the others by name."""
    folder, _, rest = name.rpartition("/")
    place = rest.removesuffix(".json").split(".") if folder == "trace" else []
    return folder, [int(part) for part in place if part.isdigit()], name


def _check_page(files: Mapping[str, bytes], noted: Noted) -> None:
    """Make the page again from what was verified: nobody may read on it what no record says."""
    found = files.get(PAGE)
    if found is None or worst(noted.problems) is Verdict.TAMPERED or found == page(files):
        return  # a page of records that are not proven is not worth making
    if LAYOUT in found[:1000]:
        noted.tampered(PAGE, "tells something else than the records beside it")
    else:
        noted.remark(
            PAGE, "is of another version's making, and was not compared with the records; do not rely on it"
        )


def _checkpoint(files: Mapping[str, bytes]) -> bytes:
    """Return the checkpoint that the proof of the record leads to; empty if there is none to read."""
    try:
        return parse(files["record.tlog-proof"]).checkpoint
    except ProofError:
        return b""


def _check_stamps(
    files: Mapping[str, bytes], checkpoint: bytes, authorities: Sequence[Authority], noted: Noted
) -> int:
    names = [name for name in sorted(files) if name.endswith(".tsr")]
    if not checkpoint or not names:
        return 0
    if not authorities:
        noted.remark("time-stamps", f"{len(names)} were not checked: no authority is trusted")
        return 0
    verified = 0
    for name in names:
        try:
            stamp = first_to_hold(files[name], text_of(checkpoint).encode(), authorities)
        except Forged as error:
            noted.tampered(name, str(error))
        except (StampError, NoteError) as error:
            noted.undecidable(name, str(error))
        else:
            verified += 1
            noted.remark(name, f"existed at {_spelled(stamp.time_us)}, says {stamp.authority}")
    return verified


def _check_witnesses(checkpoint: bytes, trust: Trust, noted: Noted) -> Mapping[str, int]:
    try:
        seen = trust.witnessed(checkpoint)
    except NoteError as error:
        noted.tampered("record.tlog-proof", str(error))
        return {}
    for line in seen.wrong:
        noted.tampered("record.tlog-proof", line)
    if not seen.quorum:
        noted.undecidable(
            "witnesses",
            f"no quorum: {len(seen.cosigned)} cosigned, {', '.join(seen.missing) or 'nobody'} did not",
        )
    return seen.cosigned


def _spelled(time_us: int) -> str:
    return datetime.fromtimestamp(time_us / 1e6, UTC).isoformat(timespec="seconds")


def _text(name: str) -> bytes:
    return (resources.files("magistrate.evidence") / "bundled" / name).read_bytes()
