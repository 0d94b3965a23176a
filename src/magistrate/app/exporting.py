"""Exports: a call and its trace, out of the shards that hold them, for somebody who has nothing else of ours."""

from collections.abc import Sequence

import msgspec
import orjson

from magistrate.adapters.recorder.archive import Archive
from magistrate.adapters.recorder.orders import Outcome, SignRoot
from magistrate.adapters.recorder.reader import EvidenceReader
from magistrate.adapters.recorder.rotation import kept_signed_root
from magistrate.adapters.recorder.row import Row, SearchQuery
from magistrate.app.attestation import configured_trust
from magistrate.app.custody import obeyed
from magistrate.app.settings import Config
from magistrate.evidence.audit_trail import trail
from magistrate.evidence.beacon import BEACON
from magistrate.evidence.bundle import Exported, Lineage, write_bundle
from magistrate.evidence.checkpoint import parse as parse_checkpoint
from magistrate.evidence.note import Verifier, open_note
from magistrate.evidence.proof import Proof
from magistrate.evidence.receipt import SignedRoot, receipt
from magistrate.evidence.shards import beginning, kept_beginnings
from magistrate.evidence.succession import kept_steps, own_steps
from magistrate.evidence.tiles import prove_inclusion
from magistrate.evidence.trust import of_witnesses
from magistrate.exchange.errors import ConfigurationError

NOTES_LOOKED_AT = 1000
"""So many of the recorder's own records before a call are looked through for a beacon's value."""

CLOCKS_MAY_DIFFER_US = 60_000_000
"""A gateway's clock may be behind the recorder's by so much; what stands behind the call is left out by its index."""


class Bundle(msgspec.Struct, frozen=True):
    """A bundle, and the size of the tree that its call is proven in."""

    data: bytes
    size: int


class _Proving(msgspec.Struct, frozen=True):
    """What the records of one shard are proven with."""

    checkpoint: bytes
    stamps: Sequence[bytes]

    @property
    def size(self) -> int:
        return parse_checkpoint(open_note(self.checkpoint)[0]).size


def bundle_of(archive: Archive, settings: Config, call: Row, rows: Sequence[Row], *, content: bool) -> Bundle:
    """Return the bundle of ``rows``, which are of the trace of ``call``.

    Raises:
        Missing: what proves a record cannot be read.
        SealBroken: a body is not what its record commits to.
    """
    proving = {
        number: _proving(archive, reader, [row.index for row in rows if row.shard == number])
        for number, reader in archive.shards.items()
    }
    exported = []
    for row in rows:
        reader, by = archive.of(row), proving[row.shard]
        raw = reader.header(row.index)
        opened = reader.opened(orjson.loads(raw)) if content else {}
        exported.append(Exported(raw, _proof(reader, row.index, by), opened, row.shard))
    current = archive.current
    keys = [Verifier(key) for key in (current.vkey, current.mldsa_vkey) if key]
    policy = configured_trust(settings.evidence, [key.vkey for key in keys]) or of_witnesses(keys, [], None)
    about = proving[call.shard]
    lineage = _lineage(archive, proving, min(row.shard for row in rows))
    data = write_bundle(
        call.index,
        exported,
        policy.encode(),
        about.stamps,
        shard=call.shard,
        lineage=lineage,
        beacon=_beacon(archive.of(call), call, about),
    )
    return Bundle(data, about.size)


def _proving(archive: Archive, reader: EvidenceReader, indexes: Sequence[int]) -> _Proving:
    """Return the best checkpoint for a shard's records. Of a closed one that is its last: the keys after it sign it too."""
    if reader is not archive.current:
        size = parse_checkpoint(open_note(reader.checkpoint())[0]).size
        cosigned = reader.objects.get(f"cosig/{size}")
        if cosigned or not reader.cosigned():
            stamps = [token.data for token in reader.tokens() if token.size == size]
            return _Proving(cosigned or reader.checkpoint(), stamps)
    return _Proving(*reader.best_checkpoint(max(indexes, default=0)))


def _proof(reader: EvidenceReader, index: int, by: _Proving) -> Proof:
    return Proof(index, tuple(prove_inclusion(reader.objects.get, index, by.size)), by.checkpoint)


def _beacon(reader: EvidenceReader, call: Row, by: _Proving) -> Exported | None:
    """Return the newest record before ``call``, in its shard, that holds a beacon's value; None, if none is near."""
    own = SearchQuery(app="magistrate", until_us=call.ts_us + CLOCKS_MAY_DIFFER_US, limit=NOTES_LOOKED_AT)
    found = next((row for row in reader.search(own) if row.type == BEACON and row.index < call.index), None)
    if found is None:
        return None
    return Exported(reader.header(found.index), _proof(reader, found.index, by), {}, call.shard)


def _lineage(archive: Archive, proving: dict[int, _Proving], oldest: int) -> Lineage:
    read, number = archive.current.objects.get, archive.current.number
    beginnings = {closed: one for closed, one in kept_beginnings(read).items() if closed >= oldest}
    if number > 1:
        beginnings[number] = beginning(read, proving[number].checkpoint)
    return Lineage([*kept_steps(read), *own_steps(read)], beginnings)


def receipt_of(archive: Archive, settings: Config, call: Row) -> bytes:
    """Return the COSE receipt of a record, for its exact bytes.

    Raises:
        ConfigurationError: the recorder does not sign, or what a closed shard kept of its signature is gone.
        Missing: what proves the record cannot be read.
    """
    reader = archive.of(call)
    if reader is archive.current:
        answer = obeyed(settings, SignRoot())
        if answer.outcome is not Outcome.DONE:
            raise ConfigurationError(f"the recorder does not sign: {answer.says}")
        signed = msgspec.convert(answer.facts["root"], SignedRoot)
    else:
        signed = kept_signed_root(reader.objects)
    return receipt(signed, call.index, prove_inclusion(reader.objects.get, call.index, signed.size))


def trail_of(archive: Archive, rows: Sequence[Row]) -> bytes:
    """Return a trace as an agent audit trail. Raises `Missing`."""
    return trail((row.index, archive.header(row)) for row in rows)
