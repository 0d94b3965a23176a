"""What the command line opens: the published log, the index for speed, the vault for content."""

from pathlib import Path
from typing import Any

import msgspec
import orjson

from magistrate.adapters.recorder.attesting import LATEST, tokens
from magistrate.adapters.recorder.keys import MLDSA_VKEY, VKEY
from magistrate.adapters.recorder.opening import open_storage
from magistrate.adapters.recorder.retrieval import Records
from magistrate.adapters.recorder.rotation import shards_before
from magistrate.adapters.recorder.row import Row, SearchQuery
from magistrate.adapters.recorder.sealer import CHECKPOINT
from magistrate.adapters.recorder.storage import Place, Storage, of_shard
from magistrate.adapters.recorder.vault import Vault
from magistrate.evidence.checkpoint import parse
from magistrate.evidence.note import NoteError, Verifier
from magistrate.evidence.seal import open_sealed
from magistrate.evidence.stamped import Token
from magistrate.evidence.tiles import entry
from magistrate.exchange.errors import ConfigurationError

__all__ = ["EvidenceReader", "Row", "SearchQuery", "open_evidence"]


class EvidenceReader:
    """Reads what a recorder published, while it runs or after it stopped.

    Records of the last second are not sealed yet; they are found after the next checkpoint.
    """

    def __init__(
        self,
        root: Path,
        vault: Path,
        root_key: Path | None = None,
        storage: Storage | None = None,
        *,
        number: int = 1,
    ) -> None:
        self.root = root
        self.number = number
        """Which shard of the log it is."""
        self.storage = storage or open_storage(root, None)
        self.objects = self.storage.objects
        self.vkey = self._published_key(VKEY)
        self.log = Verifier(self.vkey).name
        self.mldsa_vkey = self._published_key(MLDSA_VKEY)
        """The log's ML-DSA-44 key; empty for a log that an older version wrote."""
        self._vault_path = vault
        self._root_key = root_key
        self._vault: Vault | None = None
        self._index = Records(root)

    def _published_key(self, name: str) -> str:
        path = self.root / name
        data = path.read_bytes() if path.exists() else self.objects.get(name)
        return (data or b"").decode("ascii").strip()

    def checkpoint(self) -> bytes:
        """Return the newest published checkpoint; empty before the first."""
        return self.objects.get(CHECKPOINT) or b""

    @property
    def size(self) -> int:
        """How many records the newest checkpoint covers."""
        note = self.checkpoint()
        return parse(Verifier(self.vkey).verify(note)).size if note else 0

    def cosigned(self) -> bytes:
        """Return the newest checkpoint with the cosignatures of witnesses; empty if there is none."""
        return self.objects.get(LATEST) or b""

    def tokens(self) -> list[Token]:
        """Return the time-stamps that are kept, smallest tree first."""
        return [Token(path, size, data) for path, size, data in tokens(self.objects)]

    def best_checkpoint(self, above: int) -> tuple[bytes, list[bytes]]:
        """Return the checkpoint to prove record ``above`` with, and its time-stamps.

        The newest one with cosignatures and stamps is worth most, then one with cosignatures; else the plain one.
        """
        stamped: dict[int, list[bytes]] = {}
        for token in self.tokens():
            stamped.setdefault(token.size, []).append(token.data)
        for size in sorted(stamped, reverse=True):
            note = self.objects.get(f"cosig/{size}") or b""
            if self._signed_size(note) > above:
                return note, stamped[size]
        note = self.cosigned()
        if self._signed_size(note) > above:
            return note, []
        return self.checkpoint(), stamped.get(self.size, [])

    def _signed_size(self, note: bytes) -> int:
        """Return the size of a checkpoint by the key in force; -1 if it is none, or by a key before it."""
        try:
            return parse(Verifier(self.vkey).verify(note)).size
        except NoteError:
            return -1

    def find(self, prefix: str) -> list[Row]:
        """Return the records of the calls whose id begins with ``prefix``."""
        return [self._named(row) for row in self._index.find(prefix)]

    def trace(self, trace: str) -> list[Row]:
        return [self._named(row) for row in self._index.trace(trace)]

    def search(self, query: SearchQuery) -> list[Row]:
        """Return matching records, newest first. ``user`` is a name; the index knows handles only."""
        if not query.user:
            return [self._named(row) for row in self._index.search(query)]
        rows: list[Row] = []
        for subject in self._opened_vault().subjects_named(query.user):
            rows += self._index.search(msgspec.structs.replace(query, subject=subject.handle))
        rows.sort(key=lambda row: -row.index)
        return [self._named(row) for row in rows[: query.limit]]

    def header(self, index: int) -> bytes:
        """Return the exact leaf bytes of a record, from the tiles."""
        return entry(self.objects.get, index, self.size)

    def ciphertext(self, header: dict[str, Any], part: str) -> bytes | None:
        """Return a body as it is kept, or None: its segment is gone."""
        place = self._index.place(str(header["eid"]), part)
        frame = self.storage.segments.frame(place) if place is not None else None
        if frame is None:
            return None
        return frame.ciphertext or None if (frame.eid, frame.part) == (header["eid"], part) else None

    def bodies(self, header: dict[str, Any]) -> dict[str, bytes]:
        """Return the decrypted bodies that can still be opened, by part."""
        return {part: content for part, (content, _) in self.opened(header).items()}

    def opened(self, header: dict[str, Any]) -> dict[str, tuple[bytes, bytes]]:
        """Return content and salt of each body that can still be opened.

        Raises:
            SealBroken: a body is not what the record commits to.
        """
        found: dict[str, tuple[bytes, bytes]] = {}
        for meta in header.get("body", []):
            ciphertext = self.ciphertext(header, str(meta["part"]))
            key = self._opened_vault().key(str(header["tenant"]), str(meta["kid"]))
            if ciphertext is not None and key is not None:
                opened = open_sealed(ciphertext, meta, key=key, log=self.log, eid=str(header["eid"]))
                found[str(meta["part"])] = opened
        return found

    def erasure(self, header: dict[str, Any]) -> Row | None:
        """Return the order by which keys of this record were destroyed, or None."""
        kids = {meta.get("kid") for meta in header.get("body", [])}
        if not header.get("subj") or not kids:
            return None
        about = SearchQuery(subject=str(header["subj"]), app="magistrate", limit=1000)
        for row in self._index.search(about):
            if row.type == "erasure.order":
                order = orjson.loads(self.header(row.index))
                if kids & set(order["ext"]["kids"]):
                    return msgspec.structs.replace(row, shard=self.number)
        return None

    def close(self) -> None:
        self._index.close()
        self.storage.segments.close()
        self.objects.close()
        if self._vault is not None:
            self._vault.close()

    def _named(self, row: Row) -> Row:
        name = self._opened_vault().subject_of(row.subject) if row.subject else None
        return msgspec.structs.replace(row, subject=name or row.subject, shard=self.number)

    def _opened_vault(self) -> Vault:
        if self._vault is None:
            self._vault = Vault(self._vault_path, root_key=self._root_key, writable=False)
        return self._vault


def open_evidence(
    data: Path, vault: Path | None = None, root_key: Path | None = None, place: Place | None = None
) -> EvidenceReader:
    """Return a reader of the shard that is written, under ``data``; see `archive` for those before it.

    ``place`` is where the log's published files are, if elsewhere.

    Raises:
        ConfigurationError: there is none.
    """
    root = data / "evidence"
    if not (root / "log.vkey").exists() or not (root / "index" / "records.db").exists():
        raise ConfigurationError(
            "no evidence here yet; `magistrate serve` begins a log, `--data` names another place", str(root)
        )
    number = len(shards_before(root)) + 1
    storage = open_storage(root, of_shard(place, number))
    return EvidenceReader(root, vault or data / "vault", root_key, storage, number=number)
