"""Every reader of bytes that somebody else wrote, what it refuses with, and bytes that it takes.

`test_every_parser` damages the seeds in every way and looks for anything but a value or the documented refusal; it also looks for
modules that decode and stand neither here nor in `OWN`.
"""

import gzip
import io
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import msgspec
import orjson
import zstandard
from tests.beacons import QUICKNET_123
from tests.beacons import Signer as OwnBeacon
from tests.properties import signed
from tests.published import COSIGNER, ORIGIN, SIGNER, Published

from magistrate.adapters.detectors import remote
from magistrate.adapters.recorder import frames, orders, wal
from magistrate.app import scoring, yaml_source
from magistrate.classify import dictionary, encodings, links
from magistrate.evidence import (
    beacon,
    bundle,
    canonical,
    checkpoint,
    malformed,
    members,
    note,
    page,
    proof,
    seal,
    segment,
    shards,
    tiles,
    timestamp,
    trust,
    witness,
)
from magistrate.evidence.draft import Body, Draft
from magistrate.evidence.hold import Person
from magistrate.exchange.errors import ConfigurationError, MalformedAnswer, Refused
from magistrate.pipeline import headers
from magistrate.policy import source
from magistrate.wire import compression, sse, strict

PLACE = "a-place"
MOST = 1 << 20
UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Parser(NamedTuple):
    """``refusals``: what its docstring says it raises. ``seeds``: bytes that it takes. ``by``: modules that decode in it."""

    name: str
    read: Callable[[bytes], Any]
    refusals: tuple[type[BaseException], ...]
    seeds: tuple[bytes, ...]
    by: tuple[ModuleType, ...]


LOG = Published()
LOG.call("a" * 32, closes=2)
NOTE = LOG.seal()
RAW = canonical.encode(LOG.headers[0])
PROOF = proof.Proof(0, tuple(tiles.prove_inclusion(LOG.files.get, 0, LOG.size)), NOTE)
KEY, EID = bytes(range(32)), "00000000-0000-7000-8000-000000000001"
SEALED = seal.seal(
    b"a body, a body, a body", key=KEY, log="l", eid=EID, part="request", media="", kid="k", salt=bytes(32), nonce=bytes(12)
)  # fmt: skip
DRAFT = Draft({"eid": EID, "t": "x"}, (Body("request", "text/plain", b"yes"),), tenant="default")
ORDER = orders.pack_order(orders.Erase("ada", "default", "she asked", Person("t", "Ada")))
BUNDLE = bundle.write_bundle(
    0, [bundle.Exported(RAW, PROOF, {"request": (b"hello", bytes(32))}, 1)], "quorum none\n"
)
RULE = b'@id("a") @mode("enforce")\npermit (principal, action, resource) when { context.labels.contains("pii") };\n'
SEEDS = Path(__file__).parent / "seeds"
STAMP, ROOT = ((SEEDS / name).read_bytes() for name in ("stamp.tsr", "stamp.pem"))
"""OpenSSL's stamp of ``hello``, and the root of its authority (`tests.authority`)."""
AUTHORITY = timestamp.Authority(ROOT)
PULSE = orjson.dumps(OwnBeacon().answer(1_700_000_000))
SIGNED_BEACON = orjson.dumps({"kind": "signed", "name": "ours", "public_key": "aa" * 32})


def listed(read: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    return lambda data: list(read(data))


def unpacked(data: bytes) -> dict[str, bytes]:
    archive = members.Members(io.BytesIO(data))
    archive.check()
    return {name: b"".join(archive.pieces(name)) for name in archive}


def text_of(read: Callable[[str], Any]) -> Callable[[bytes], Any]:
    return lambda data: read(data.decode("utf-8", "replace"))


def opened(data: bytes) -> bytes:
    return seal.unseal(data, SEALED.meta, key=KEY, log="l", eid=EID)


def told(data: bytes) -> Any:
    text = data.decode("latin-1")
    return headers.tags({"x-portkey-metadata": text, "x-magistrate-tags": text})


JSON_SEEDS = (b'{"a": [1, 2.5, null, true, "x\\u00e9"], "b": {"c": {}}}', b"[]", b'"x"')
SSE = b'event: message\nid: 1\ndata: {"a":1}\n\n: a comment\r\ndata: [DONE]\r\n\r\n'

PARSERS = (
    Parser("a request's JSON", strict.parse, (Refused,), (b'{"model": "m", "messages": []}', *JSON_SEEDS[:1]), (strict,)),
    Parser("an answer's JSON", strict.parse_answer, (MalformedAnswer,), JSON_SEEDS[:1], (strict,)),
    Parser("JSON inside text", text_of(lambda text: strict.parse_inner(text, ("a",))), (Refused, strict.NotJson), JSON_SEEDS, (strict,)),
    Parser("a gzip body", lambda data: compression.decompress(data, "gzip", MOST), (Refused,),
           (gzip.compress(b"a body" * 50, mtime=0),), (compression,)),
    Parser("a zstd body", lambda data: compression.decompress(data, "zstd", MOST), (Refused,),
           (zstandard.compress(b"a body" * 50),), (compression,)),
    Parser("server-sent events", lambda data: sse.SseReader(4096).feed(data), (MalformedAnswer,), (SSE,), (sse,)),
    Parser("what a client says of itself", told, (), (b'{"environment": "test"}', b"a, b"), (headers,)),
    Parser("datasets that a client names", lambda data: headers.datasets({headers.DATASETS: data.decode("latin-1")}), (Refused,),
           (b"guidelines@2026-11, icd-10@2026#" + b"0a" * 32,), (headers,)),
    Parser("a remote detector's answer", remote.read_answer, UNDECODABLE,
           (b'{"findings": [{"part": 0, "start": 1, "end": 2, "label": "a.b", "score": 1}], "version": "1"}',), (remote,)),
    Parser("a signed note", note.open_note, (note.NoteError,), (NOTE,), (note, malformed)),
    Parser("a verifier's key", text_of(note.Verifier), (note.NoteError,), (SIGNER.vkey.encode(), COSIGNER.vkey.encode()), (note, malformed)),
    Parser("a log's signature", note.Verifier(SIGNER.vkey).verify, (note.NoteError,), (NOTE,), (note,)),
    Parser("a cosignature", note.Verifier(COSIGNER.vkey).cosignature, (note.NoteError,), (NOTE,), (note,)),
    Parser("a checkpoint", text_of(checkpoint.parse), (note.NoteError,), (f"{ORIGIN}\n2\n{'A' * 43}=\n".encode(),), (checkpoint, malformed)),
    Parser("a proof", proof.parse, (proof.ProofError, note.NoteError), (PROOF.encode(),), (proof, malformed)),
    Parser("an entry bundle", tiles.decode_bundle, (ValueError,), (LOG.files["tile/entries/000.p/2"],), (tiles,)),
    Parser("a record's header", canonical.decode, (ValueError,), (RAW,), (canonical,)),
    Parser("a sealed body", opened, (seal.SealBroken,), (SEALED.ciphertext,), (seal,)),
    Parser("a segment", listed(segment.frames), (ValueError,), (segment.encode_frame(EID, "request", b"sealed") * 2,), (segment,)),
    Parser("a frame of a segment", lambda data: segment.read_frame(io.BytesIO(data)), (ValueError,),
           (segment.encode_frame(EID, "request", b"sealed"),), (segment,)),
    Parser("a shard's first record", lambda data: shards.beginning({"checkpoint": data, **LOG.files}.get, data),
           (note.NoteError, tiles.Missing), (NOTE,), (shards,)),
    Parser("a witness policy", text_of(trust.parse), (trust.TrustError,),
           (f"log {SIGNER.vkey}\nwitness w {COSIGNER.vkey}\nquorum w\n".encode(),), (trust,)),
    Parser("a beacon's description", beacon.read_source, (beacon.BeaconError,), (SIGNED_BEACON,), (beacon,)),
    Parser("a beacon's answer", partial(beacon.drawn, signed.BEACON), (beacon.BeaconError,), (PULSE,), (beacon,)),
    Parser("a drand round", partial(beacon.drawn, signed.DRAND), (beacon.BeaconError,), (orjson.dumps(QUICKNET_123),), (beacon,)),
    Parser("a time-stamp", timestamp.decode, (timestamp.StampError,), (STAMP,), (timestamp,)),
    Parser("a time-stamp that is verified", lambda data: AUTHORITY.verify(data, b"hello"), (timestamp.StampError,), (STAMP,), (timestamp,)),
    Parser("an authority's certificates", timestamp.Authority, (timestamp.StampError,), (ROOT,), (timestamp,)),
    Parser("a bundle's archive", unpacked, members.UNREADABLE, (BUNDLE,), (members,)),
    Parser("a bundle", lambda data: bundle.verify_bundle(data, SIGNER.vkey), (), (BUNDLE,), (bundle, members, page)),
    Parser("a log that its operator signed", signed.judged_log, (), signed.SEEDS, ()),
    Parser("an exported call that its operator signed", signed.judged_bundle, (), signed.SEEDS, ()),
    Parser("a request to a witness", witness.parse, (witness.Refusal,), (witness.Request(1, PROOF.path, NOTE).encode(),), (witness,)),
    Parser("a witness's answer", lambda data: witness.cosignatures(data, NOTE, note.Verifier(COSIGNER.vkey)), (note.NoteError,),
           (COSIGNER.line(LOG.text(LOG.size), 1_700_000_000),), (witness,)),
    Parser("a draft", frames.unpack_draft, UNDECODABLE,
           (frames.pack_draft(1, DRAFT)[0][13:],), (frames,)),
    Parser("a piece of a draft", lambda data: frames.read_piece(memoryview(data)), (struct.error,),
           (frames.pack_draft(1, DRAFT)[0],), (frames,)),
    Parser("a writer's greeting", lambda data: frames.read_hello(memoryview(data)), (struct.error, ValueError),
           (frames.pack_hello("gateway-1", 7),), (frames,)),
    Parser("acknowledgements", frames.unpack_acks, UNDECODABLE,
           (next(frames.pack_acks([frames.Ack(1, 2, bytes(32))])),), (frames,)),
    Parser("an order", orders.unpack_order, UNDECODABLE, (ORDER,), (orders,)),
    Parser("a write-ahead group", lambda data: wal._group_at(memoryview(data), 0, wal._decoder), UNDECODABLE,
           (wal.pack_group([wal.Entry(3, b"{}", (("request", b"sealed"),))]),), (wal,)),
    Parser("a configuration", lambda data: yaml_source.compose(data, PLACE), (ConfigurationError,),
           (b"providers:\n  - name: a\n    models: [demo]\n",), (yaml_source,)),
    Parser("a policy", text_of(lambda text: source.read_statements("a.cedar", text)), (), (RULE,), (source,)),
    Parser("a dictionary", lambda data: dictionary.read(data, PLACE), (ConfigurationError,),
           (orjson.dumps(msgspec.to_builtins(dictionary.make(["Ada Lovelace"], KEY))),), (dictionary,)),
    Parser("a labelled text", lambda data: scoring.read_row(data, PLACE), (ConfigurationError,),
           (b'{"text": "a b", "label": 1, "kind": "pii", "spans": [[0, 1, "x"]]}',), (scoring,)),
    Parser("what is encoded in a text", text_of(lambda text: encodings.Decoded(text).text), (),
           (b"say aGVsbG8sIHdvcmxkISBob3cgYXJlIHlvdT8= and 68656c6c6f2c20776f726c642121, s e c r e t s !",), (encodings,)),
    Parser("a link", text_of(links.carries), (), (b"https://user@example.com:443/a?b=c#d", b"http://0x7f.1/"), (links,)),
)  # fmt: skip
