"""The export bundle: a call and its whole trace in one file that needs nobody's server and nobody's trust.

It is a zip archive of the exact leaf bytes, their proofs, and (if wished) the opened bodies with the salts that show they
are what the leaves commit to. Keys inside it are information; the verifier's key comes from elsewhere.
"""

import hashlib
import io
import zipfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import resources
from typing import Any, BinaryIO

import msgspec

from magistrate.evidence.attested import text_of
from magistrate.evidence.canonical import decode
from magistrate.evidence.links import Custody, is_end
from magistrate.evidence.members import UNREADABLE, Members
from magistrate.evidence.note import NoteError, Verifier
from magistrate.evidence.noted import Noted
from magistrate.evidence.page import LAYOUT, page
from magistrate.evidence.proof import Proof, ProofError, check, parse
from magistrate.evidence.record import check_shape
from magistrate.evidence.report import Report, Verdict, worst
from magistrate.evidence.said import said
from magistrate.evidence.seal import SALT_BYTES, opens_in_pieces
from magistrate.evidence.timestamp import Authority, Forged, StampError, first_to_hold
from magistrate.evidence.trust import Trust

PAGE = "index.html"
_EPOCH = (1980, 1, 1, 0, 0, 0)


class Exported(msgspec.Struct, frozen=True):
    """One record for a bundle: its exact bytes, its proof, and its opened bodies (content, salt) by part."""

    raw: bytes
    proof: Proof
    bodies: Mapping[str, tuple[bytes, bytes]] = {}


def write_bundle(call: int, records: Sequence[Exported], policy: str, stamps: Sequence[bytes] = ()) -> bytes:
    """Return the bundle of the records of one trace; ``call`` is the log index of the one it is about.

    ``policy`` says who signs and who cosigns (`trust.Trust.encode`); ``stamps`` are time-stamp tokens for the checkpoint
    that the proofs lead to. The same input gives the same bytes.
    """
    chosen = next(record for record in records if record.proof.index == call)
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
        index = record.proof.index
        files[f"trace/{index}.json"] = record.raw
        files[f"trace/{index}.tlog-proof"] = record.proof.encode()
        for part, (content, salt) in record.bodies.items():
            files[f"bodies/{index}-{part}"] = content
            files[f"salts/{index}-{part}"] = salt
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
    data: bytes | BinaryIO,
    vkey: str,
    *,
    trust: Trust | None = None,
    authorities: Sequence[Authority] = (),
    now_us: int = 0,
) -> Report:
    """Verify a bundle against keys, a policy and authorities that did not come with it.

    ``data`` is the archive, or a file of it that can be sought in: then only pieces of it are in memory, however large it
    is. ``now_us``: a cosignature from a later time does not count; 0: none is too late.
    """
    noted = Noted()
    try:
        verifier = Verifier(vkey)
    except NoteError as error:
        noted.undecidable("key", str(error))
        return _report(noted)
    try:
        files = Members(io.BytesIO(data) if isinstance(data, bytes) else data)
        files.check()
    except UNREADABLE as error:
        noted.tampered("bundle", str(error))
        return _report(noted)
    for name in ("record.json", "record.tlog-proof"):
        if name not in files:
            noted.tampered("bundle", f"`{name}` is missing")
            return _report(noted)
    headers = _check_records(files, verifier, noted)
    bodies = _check_bodies(files, headers, noted)
    _check_custody(files, headers, noted)
    _check_page(files, noted)
    checkpoint = _checkpoint(files)
    stamps = _check_stamps(files, checkpoint, authorities, noted)
    cosigned = _check_witnesses(checkpoint, trust, noted, now_us // 1_000_000) if trust else {}
    return _report(noted, len(headers), bodies, stamps, cosigned)


def _report(
    noted: Noted, size: int = 0, bodies: int = 0, stamps: int = 0, cosigned: Mapping[str, int] = {}
) -> Report:
    found, told = tuple(noted.problems), tuple(noted.remarks)
    return Report(worst(found), size, bodies, 0, found, told, stamps, dict(cosigned))


def _check_records(files: Members, verifier: Verifier, noted: Noted) -> dict[int, dict[str, Any]]:
    headers: dict[int, dict[str, Any]] = {}
    for name in sorted(files):
        if not name.endswith(".json"):
            continue
        try:
            proof = parse(files.get(name.removesuffix(".json") + ".tlog-proof", b""))
            check(proof, files[name], verifier)
            if name.startswith("trace/"):
                if name != f"trace/{proof.index}.json":
                    raise ProofError(f"the proof is of record {proof.index}")
                header = decode(files[name])
                check_shape(header)
                headers[proof.index] = header
        except ValueError as error:
            noted.tampered(name, str(error))
    chosen = files["record.json"]
    if not any(files[f"trace/{index}.json"] == chosen for index in headers):
        noted.tampered("record.json", "is not a record of the trace")
    return headers


def _check_bodies(files: Members, headers: Mapping[int, dict[str, Any]], noted: Noted) -> int:
    count = 0
    for name in sorted(files):
        if not name.startswith("bodies/"):
            continue
        count += 1
        number, _, part = name.removeprefix("bodies/").partition("-")
        metas = {meta["part"]: meta for meta in headers.get(int(number), {}).get("body", [])}
        salt = files.get(name.replace("bodies/", "salts/", 1), b"")
        if (
            part not in metas
            or len(salt) != SALT_BYTES
            or not opens_in_pieces(files.pieces(name), salt, metas[part]["cm"])
        ):
            noted.tampered(name, "is not what its record commits to")
    return count


def _check_custody(files: Members, headers: Mapping[int, dict[str, Any]], noted: Noted) -> None:
    custody = Custody(noted)
    for index in sorted(headers):
        place = f"trace/{index}.json"
        custody.add(place, said(headers[index], files[place]))
    custody.finish()
    if headers and not is_end(headers[max(headers)]):
        noted.remark(
            f"trace/{max(headers)}.json",
            "is the last record here, and its trace was not closed yet: whether others followed is not shown",
        )
    for place, eid, _ in custody.open():
        noted.undecidable(
            place,
            f"the outcome of `{eid}` is not here: the call was under way, never ended, or it was left out",
        )


def _check_page(files: Members, noted: Noted) -> None:
    """Make the page again from what was verified: nobody may read on it what no record says."""
    if PAGE not in files or worst(noted.problems) is Verdict.TAMPERED:
        return  # a page of records that are not proven is not worth making
    found, head = hashlib.sha256(), b""
    for piece in files.pieces(PAGE):
        found.update(piece)
        head = head or piece[:1000]
    if found.digest() == hashlib.sha256(page(files)).digest():
        return
    if LAYOUT in head:
        noted.tampered(PAGE, "tells something else than the records beside it")
    else:
        noted.remark(
            PAGE, "is of another version's making, and was not compared with the records; do not rely on it"
        )


def _checkpoint(files: Members) -> bytes:
    """Return the checkpoint that the proof of the record leads to; empty if there is none to read."""
    try:
        return parse(files["record.tlog-proof"]).checkpoint
    except ProofError:
        return b""


def _check_stamps(files: Members, checkpoint: bytes, authorities: Sequence[Authority], noted: Noted) -> int:
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


def _check_witnesses(checkpoint: bytes, trust: Trust, noted: Noted, now_s: int) -> Mapping[str, int]:
    try:
        seen = trust.witnessed(checkpoint, now_s=now_s)
    except NoteError as error:
        noted.tampered("record.tlog-proof", str(error))
        return {}
    for line in seen.wrong:
        noted.tampered("record.tlog-proof", line)
    for line in seen.untimely:
        noted.remark("record.tlog-proof", line)
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
