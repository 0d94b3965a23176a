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
from magistrate.evidence.beacon import BEACON, BeaconError, Source, Unverifiable, published
from magistrate.evidence.canonical import decode
from magistrate.evidence.checkpoint import parse as parse_checkpoint
from magistrate.evidence.links import Custody, is_end
from magistrate.evidence.members import UNREADABLE, Members
from magistrate.evidence.note import NoteError, Verifier
from magistrate.evidence.noted import Noted
from magistrate.evidence.page import LAYOUT, page
from magistrate.evidence.proof import Proof, ProofError, check_in, parse
from magistrate.evidence.reached import Reached
from magistrate.evidence.record import check_shape
from magistrate.evidence.report import Report, Verdict, worst
from magistrate.evidence.said import said
from magistrate.evidence.seal import SALT_BYTES, opens_in_pieces
from magistrate.evidence.shards import Beginning
from magistrate.evidence.succession import Step, kept_steps
from magistrate.evidence.timestamp import Authority, Forged, StampError, first_to_hold
from magistrate.evidence.trust import Trust

PAGE, BEACON_FILE = "index.html", "beacon.json"
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
    beacon: Exported | None = None,
) -> bytes:
    """Return the bundle of the records of one trace; ``call`` in ``shard`` is the log index of the one it is about.

    ``policy`` says who signs and who cosigns (`trust.Trust.encode`); ``stamps`` are time-stamp tokens for the checkpoint
    that the proofs lead to; ``beacon`` is the record of the newest beacon before the call, in its shard. The same input
    gives the same bytes.
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
        place = f"{record.shard}.{record.proof.index}" if several else f"{record.proof.index}"
        files |= _proven(f"trace/{place}", record.raw, record.proof)
        for part, (content, salt) in record.bodies.items():
            files[f"bodies/{place}-{part}"] = content
            files[f"salts/{place}-{part}"] = salt
    if beacon is not None:
        files |= _proven("beacon", beacon.raw, beacon.proof)
    for number, step in enumerate(lineage.steps, 1):
        files |= _proven(f"succession/{number}", step.raw, step.proof)
    for number, beginning in lineage.beginnings.items():
        files |= _proven(f"shards/{number}", beginning.raw, beginning.proof)
    files[PAGE] = page(files)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            member = zipfile.ZipInfo(name, _EPOCH)
            member.external_attr = 0o644 << 16
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, files[name])
    return out.getvalue()


def _proven(name: str, raw: bytes, proof: Proof) -> dict[str, bytes]:
    return {f"{name}.json": raw, f"{name}.tlog-proof": proof.encode()}


def verify_bundle(
    data: bytes | BinaryIO,
    vkey: str,
    *,
    trust: Trust | None = None,
    authorities: Sequence[Authority] = (),
    sources: Sequence[Source] = (),
    now_us: int = 0,
) -> Report:
    """Verify a bundle against keys, a policy, authorities and beacons' sources that did not come with it.

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
    try:
        reached = _reached(files, verifier)
    except ValueError as error:
        noted.tampered("succession", str(error))
        return _report(noted)
    headers = _check_records(files, reached, noted)
    bodies = _check_bodies(files, headers, noted)
    _check_custody(files, headers, reached, noted)
    _check_page(files, noted)
    checkpoint = _checkpoint(files)
    stamps = _check_stamps(files, checkpoint, authorities, noted)
    beacons = _check_beacon(files, checkpoint, sources, noted)
    cosigned = _check_witnesses(checkpoint, trust, noted, now_us // 1_000_000) if trust else {}
    return _report(noted, len(headers), bodies, stamps, cosigned, beacons)


def _report(
    noted: Noted,
    size: int = 0,
    bodies: int = 0,
    stamps: int = 0,
    cosigned: Mapping[str, int] = {},
    beacons: int = 0,
) -> Report:
    found, told = tuple(noted.problems), tuple(noted.remarks)
    return Report(worst(found), size, bodies, 0, found, told, stamps, dict(cosigned), beacons=beacons)


def _reached(files: Members, verifier: Verifier) -> Reached:
    """Return what the trusted key vouches for, by the steps that the bundle carries. Raises ValueError."""
    shown = sorted(
        (int(name.removeprefix("shards/").removesuffix(".json")), name)
        for name in files
        if name.startswith("shards/") and name.endswith(".json")
    )
    beginnings = [Beginning(files[name], parse(_proof_of(files, name))) for _, name in shown]
    return Reached(verifier, kept_steps(files.get), beginnings)


def _check_records(files: Members, reached: Reached, noted: Noted) -> dict[str, dict[str, Any]]:
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
    chosen = files["record.json"]
    if not any(files[f"trace/{place}.json"] == chosen for place in headers):
        noted.tampered("record.json", "is not a record of the trace")
    return headers


def _proof_of(files: Members, name: str) -> bytes:
    return files.get(name.removesuffix(".json") + ".tlog-proof", b"")


def _order(name: str) -> tuple[str, list[int], str]:
    """Return where a file stands: records of a trace in the order of the log, the others by name."""
    folder, _, rest = name.rpartition("/")
    place = rest.removesuffix(".json").split(".") if folder == "trace" else []
    return folder, [int(part) for part in place if part.isdigit()], name


def _check_bodies(files: Members, headers: Mapping[str, dict[str, Any]], noted: Noted) -> int:
    count = 0
    for name in sorted(files):
        if not name.startswith("bodies/"):
            continue
        count += 1
        place, _, part = name.removeprefix("bodies/").partition("-")
        metas = {meta["part"]: meta for meta in headers.get(place, {}).get("body", [])}
        salt = files.get(name.replace("bodies/", "salts/", 1), b"")
        if (
            part not in metas
            or len(salt) != SALT_BYTES
            or not opens_in_pieces(files.pieces(name), salt, metas[part]["cm"])
        ):
            noted.tampered(name, "is not what its record commits to")
    return count


def _check_custody(
    files: Members, headers: Mapping[str, dict[str, Any]], reached: Reached, noted: Noted
) -> None:
    if not headers:
        return
    logs = [str(header["log"]) for header in headers.values()]
    custody = Custody(noted, follows=reached.follows(logs[0]))
    for (place, header), following in zip(headers.items(), [*logs[1:], None], strict=True):
        custody.add(f"trace/{place}.json", said(header, files[f"trace/{place}.json"]))
        if following == header["log"]:
            continue
        if not is_end(header):
            where = "here" if following is None else f"of `{header['log']}` here"
            noted.remark(
                f"trace/{place}.json",
                f"is the last record {where}, and its trace was not closed yet: whether others followed is not shown",
            )
        custody.next_shard()
    custody.finish()
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


def _check_beacon(files: Members, checkpoint: bytes, sources: Sequence[Source], noted: Noted) -> int:
    """Say what the newest beacon before the call proves of it. That its record stands in the log was checked."""
    if BEACON_FILE not in files or worst(noted.problems) is Verdict.TAMPERED:
        return 0
    try:
        proof, own = parse(_proof_of(files, BEACON_FILE)), parse(_proof_of(files, "record.json"))
        header = decode(files[BEACON_FILE])
        check_shape(header)
        record, tree = said(header, files[BEACON_FILE]), text_of(checkpoint)
        ours = text_of(proof.checkpoint) == tree and header["log"] == parse_checkpoint(tree).origin
        if not ours or not record.own or record.t != BEACON or proof.index >= own.index:
            raise BeaconError("is no record of a beacon that stands before the call in its tree")
        source, time_us = published(sources, record.ext)
    except Unverifiable as error:
        noted.remark(BEACON_FILE, f"was not checked: {error}")
    except ValueError as error:
        noted.tampered(BEACON_FILE, str(error))
    else:
        noted.remark(BEACON_FILE, f"not before {_spelled(time_us)}, proves a value of `{source.name}`")
        return 1
    return 0


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
