"""The export bundle: a call and its whole trace in one file that needs nobody's server and nobody's trust.

It is a zip archive of the exact leaf bytes, their proofs, and (if wished) the opened bodies with the salts that show they
are what the leaves commit to. Keys inside it are information; the verifier's key comes from elsewhere.
"""

import hashlib
import io
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import msgspec

from magistrate.evidence.canonical import decode
from magistrate.evidence.note import NoteError, Verifier
from magistrate.evidence.proof import Proof, ProofError, check, parse
from magistrate.evidence.record import check_shape
from magistrate.evidence.seal import SALT_BYTES, opens
from magistrate.evidence.verify import Problem, Report, Verdict

LARGEST_BUNDLE = 256 * 1024 * 1024
LARGEST_MEMBER = 128 * 1024 * 1024
LARGEST_WHOLE = 512 * 1024 * 1024
MOST_MEMBERS = 20_000
_NAME = re.compile(r"(?:record\.(?:json|tlog-proof)|trace/[0-9]{1,16}\.(?:json|tlog-proof)|(?:bodies|salts)/[0-9]{1,16}-[a-z0-9][a-z0-9._-]{0,63}"
                   r"|policy\.txt|READ-ME\.txt|verify\.mjs)")  # fmt: skip
_COMPRESSIONS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED = 0x1
_EPOCH = (1980, 1, 1, 0, 0, 0)


class Exported(msgspec.Struct, frozen=True):
    """One record for a bundle: its exact bytes, its proof, and its opened bodies (content, salt) by part."""

    raw: bytes
    proof: Proof
    bodies: Mapping[str, tuple[bytes, bytes]] = {}


def write_bundle(call: int, records: Sequence[Exported], vkey: str) -> bytes:
    """Return the bundle of the records of one trace; ``call`` is the log index of the one it is about.

    The same input gives the same bytes.
    """
    chosen = next(record for record in records if record.proof.index == call)
    files: dict[str, bytes] = {
        "READ-ME.txt": _text("read-me.txt"),
        "verify.mjs": _text("verify.mjs"),
        "policy.txt": f"log {vkey}\n".encode(),
        "record.json": chosen.raw,
        "record.tlog-proof": chosen.proof.encode(),
    }
    for record in records:
        index = record.proof.index
        files[f"trace/{index}.json"] = record.raw
        files[f"trace/{index}.tlog-proof"] = record.proof.encode()
        for part, (content, salt) in record.bodies.items():
            files[f"bodies/{index}-{part}"] = content
            files[f"salts/{index}-{part}"] = salt
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            member = zipfile.ZipInfo(name, _EPOCH)
            member.external_attr = 0o644 << 16
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, files[name])
    return out.getvalue()


def verify_bundle(data: bytes, vkey: str) -> Report:
    """Verify a bundle against a verifier key that did not come with it."""
    findings: list[Problem] = []
    try:
        verifier = Verifier(vkey)
    except NoteError as error:
        return Report(Verdict.UNDECIDABLE, 0, 0, 0, (Problem(Verdict.UNDECIDABLE, "key", str(error)),))
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
        return Report(Verdict.TAMPERED, 0, 0, 0, (Problem(Verdict.TAMPERED, "bundle", str(error)),))
    headers = _check_records(files, verifier, findings)
    bodies = _check_bodies(files, headers, findings)
    _check_chain(files, headers, findings)
    verdict = Verdict.TAMPERED if findings else Verdict.VALID
    return Report(verdict, len(headers), bodies, 0, tuple(findings))


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


def _check_records(
    files: Mapping[str, bytes], verifier: Verifier, findings: list[Problem]
) -> dict[int, dict[str, Any]]:
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
            findings.append(Problem(Verdict.TAMPERED, name, str(error)))
    if files["record.json"] not in {files[f"trace/{index}.json"] for index in headers}:
        findings.append(Problem(Verdict.TAMPERED, "record.json", "is not a record of the trace"))
    return headers


def _check_bodies(
    files: Mapping[str, bytes], headers: Mapping[int, dict[str, Any]], findings: list[Problem]
) -> int:
    count = 0
    for name in sorted(files):
        if not name.startswith("bodies/"):
            continue
        count += 1
        number, _, part = name.removeprefix("bodies/").partition("-")
        metas = {meta["part"]: meta for meta in headers.get(int(number), {}).get("body", [])}
        salt = files.get(name.replace("bodies/", "salts/", 1), b"")
        if part not in metas or len(salt) != SALT_BYTES or not opens(files[name], salt, metas[part]["cm"]):
            findings.append(Problem(Verdict.TAMPERED, name, "is not what its record commits to"))
    return count


def _check_chain(
    files: Mapping[str, bytes], headers: Mapping[int, dict[str, Any]], findings: list[Problem]
) -> None:
    last: dict[str, str] = {}
    ids: set[str] = set()
    for index in sorted(headers):
        header = headers[index]
        trace = header["trace"]
        if header["prev"] and header["prev"] != last.get(trace):
            findings.append(
                Problem(Verdict.TAMPERED, f"trace/{index}.json", "the record before it is missing")
            )
        findings += [
            Problem(Verdict.TAMPERED, f"trace/{index}.json", f"its cause `{cause}` is missing")
            for cause in header.get("cause", [])
            if cause not in ids
        ]
        ids.add(header["eid"])
        last[trace] = hashlib.sha256(files[f"trace/{index}.json"]).hexdigest()


def _text(name: str) -> bytes:
    return (resources.files("magistrate.evidence") / "bundled" / name).read_bytes()
