"""The recorder process: one loop that takes drafts and makes them durable, one thread that seals."""

import errno
import fcntl
import logging
import os
import selectors
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec
import orjson

from magistrate.adapters.host import SystemIds
from magistrate.adapters.recorder.disk import Disk
from magistrate.adapters.recorder.frames import HELLO, LARGEST_DRAFT, Ack, pack_acks, read_piece, unpack_draft
from magistrate.adapters.recorder.index import Index
from magistrate.adapters.recorder.sealer import Sealer
from magistrate.adapters.recorder.vault import Vault, secret_file
from magistrate.adapters.recorder.wal import Entry, WalBroken, WriteAheadLog
from magistrate.adapters.recorder.writer import Submission, Writer
from magistrate.evidence.draft import Draft
from magistrate.evidence.note import Signer
from magistrate.evidence.tiles import Missing
from magistrate.exchange.errors import ConfigurationError

SEAL_EVERY_S = 1.0
"""A checkpoint covers a record at most this long after it is durable, plus the time sealing takes."""

HEARTBEAT_S = 10.0
LARGEST_GROUP = 512
MOST_UNSEALED_BYTES = 512 * 1024 * 1024
"""Above it new records wait for the sealer: memory is bounded, and the gateway refuses rather than forgets."""

LARGEST_MESSAGE = 256 * 1024
_CREDENTIALS = struct.Struct("3i")

log = logging.getLogger("magistrate.recorder")


@dataclass(frozen=True, slots=True)
class Settings:
    """Where everything stands."""

    evidence: Path
    vault: Path
    socket: Path
    origin: str


class Recorder:
    """Everything the process owns."""

    def __init__(self, settings: Settings, disk: Disk | None = None) -> None:
        self._settings = settings
        self._disk = disk or Disk()
        settings.evidence.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = _only_one(settings.evidence / "recorder.lock")
        self._vault = Vault(settings.vault)
        signer = Signer(settings.origin, secret_file(settings.vault / "signing.key"))
        self._log = settings.origin
        self._disk.put(settings.evidence / "log.vkey", signer.vkey.encode() + b"\n", mode=0o644)
        self._index = Index(settings.evidence / "index" / "records.db", writable=True)
        self._sealer = Sealer(settings.evidence, signer, self._index, self._disk)
        self._wal = WriteAheadLog(settings.evidence / "wal", self._disk)
        self._unsealed: list[Entry] = []
        self._unsealed_bytes = 0
        self._unsealed_lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = False
        self._fatal: str | None = None
        self._ids = SystemIds()
        self._selector = selectors.DefaultSelector()
        self._connections: dict[socket.socket, _Connection] = {}
        self._clean_stop = settings.evidence / "stopped-cleanly"
        self._writer = self._recover()

    def run(self, ready: Callable[[], None]) -> None:
        """Serve until told to stop.

        Raises:
            WalBroken: the disk can no longer be trusted; whoever starts the process again starts with recovery.
        """
        listener = self._listen()
        sealing = threading.Thread(target=self._seal_loop, name="sealer")
        sealing.start()
        ready()
        next_heartbeat = time.monotonic() + HEARTBEAT_S
        try:
            while not self._stopping and self._fatal is None:
                group = self._take(listener)
                if time.monotonic() >= next_heartbeat:
                    next_heartbeat += HEARTBEAT_S
                    group.append(self._note("heartbeat", {"records": self._writer.next_index}))
                if group:
                    self._write(group)
        finally:
            self._stopping = True
            self._wake.set()
            sealing.join()
            listener.close()
            self._settings.socket.unlink(missing_ok=True)
        if self._fatal is None:
            self._seal_once()
        if self._fatal is not None:
            raise WalBroken(self._fatal)
        self._disk.put(self._clean_stop, b"")
        log.info("stopped with %d records, all sealed", self._sealer.size)

    def stop(self, number: int = 0, stack: FrameType | None = None) -> None:
        """Ask the loop to end; also a signal handler."""
        del number, stack
        self._stopping = True

    # --- taking and writing

    def _take(self, listener: socket.socket) -> list[Submission]:
        """Wait for drafts and return all that have arrived, up to one group."""
        group: list[Submission] = []
        for key, _ in self._selector.select(timeout=0.25):
            if key.fileobj is listener:
                self._accept(listener)
                continue
            connection = self._connections[key.fileobj]  # type: ignore[index]  # because only sockets are registered
            if not connection.receive(group):
                self._selector.unregister(connection.socket)
                del self._connections[connection.socket]
                connection.socket.close()
        return group

    def _accept(self, listener: socket.socket) -> None:
        peer, _ = listener.accept()
        credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        _, uid, _ = _CREDENTIALS.unpack(credentials)
        if uid not in {os.getuid(), 0}:
            log.warning("a connection of user %d was refused: it is not ours", uid)
            peer.close()
            return
        peer.setblocking(False)
        self._connections[peer] = _Connection(peer)
        self._selector.register(peer, selectors.EVENT_READ)

    def _write(self, group: list[Submission]) -> None:
        entries = self._writer.write(group)
        for connection in self._connections.values():
            connection.flush()
        if not entries:
            return
        with self._unsealed_lock:
            self._unsealed += entries
            self._unsealed_bytes += sum(len(e.header) + sum(len(c) for _, c in e.bodies) for e in entries)
        if self._wal.full:
            self._wal.open(self._writer.next_index)
        while self._unsealed_bytes > MOST_UNSEALED_BYTES and self._fatal is None and not self._stopping:
            self._wake.set()
            time.sleep(0.01)

    # --- sealing

    def _seal_loop(self) -> None:
        finished = False
        try:
            while not self._stopping and self._fatal is None:
                started = time.monotonic()
                self._seal_once()
                self._wake.wait(max(0.0, SEAL_EVERY_S - (time.monotonic() - started)))
                self._wake.clear()
            finished = True
        finally:
            # A recorder that goes on without its sealer would promise checkpoints that never come.
            if not finished:
                self._fatal = "the sealer failed; the reason stands above"

    def _seal_once(self) -> None:
        with self._unsealed_lock:
            batch = self._unsealed
            self._unsealed = []
        if not batch:
            return
        try:
            self._sealer.seal(batch)
        except (WalBroken, Missing) as error:
            self._fatal = str(error)
            return
        except OSError as error:
            # Nothing was signed. The records are durable and stay first in line.
            log.error("sealing waits: %s", error.strerror)
            with self._unsealed_lock:
                self._unsealed = batch + self._unsealed
            if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                self._fatal = f"the evidence disk fails: {error.strerror}"
            return
        with self._unsealed_lock:
            self._unsealed_bytes -= sum(len(e.header) + sum(len(c) for _, c in e.bodies) for e in batch)
        self._wal.remove_sealed(self._sealer.size)

    # --- beginning

    def _recover(self) -> Writer:
        clean = self._clean_stop.exists()
        self._clean_stop.unlink(missing_ok=True)
        self._sealer.recover()
        first = self._sealer.size
        entries, torn = self._wal.replay(first)
        writer = Writer(self._log, self._vault, self._wal, first + len(entries))
        self._wal.open(writer.next_index)
        dangling = self._remember(writer, entries)
        self._unsealed = list(entries)
        new = first == 0 and not entries
        if new:
            note = self._note("shard.open", {"origin": self._log})
        elif not clean:
            found = {
                "records": len(entries),
                "torn_bytes": torn,
                "open_calls": len(dangling),
                "calls": dangling[:100],
            }
            log.warning(
                "recovered %d records that were not sealed yet, cut %d bytes of a torn frame, %d calls never ended",
                len(entries),
                torn,
                len(dangling),
            )
            note = self._note("recovery", found)
        else:
            return writer
        self._unsealed += writer.write([note])
        return writer

    def _remember(self, writer: Writer, entries: list[Entry]) -> list[str]:
        """Tell the writer of recent records; return the calls among them that were opened and never closed."""
        opened: dict[str, None] = {}
        recent = [(row.index, self._sealer.header(row.index)) for row in self._index.recent(10_000)]
        for index, raw in [*recent, *((e.index, e.header) for e in entries)]:
            header: dict[str, Any] = orjson.loads(raw)
            writer.remember(index, header, raw)
            if header["phase"] == "intent":
                opened[header["eid"]] = None
            for cause in header.get("cause", []):
                opened.pop(cause, None)
            for call in header.get("ext", {}).get("calls", []):
                opened.pop(call, None)
        return list(opened)

    def _note(self, kind: str, facts: dict[str, object]) -> Submission:
        header: dict[str, object] = {
            "v": 1,
            "eid": self._ids.record(),
            "t": kind,
            "phase": "note",
            "ts": time.time_ns() // 1000,
            "clk": {"src": "system"},
            "trace": "",
            "parent": "",
            "tenant": "default",
            "app": "magistrate",
            "actor": {"kind": "recorder", "handle": ""},
            "ext": facts,
        }
        return Submission("recorder", 0, Draft(header), lambda _ack: None)

    def _listen(self) -> socket.socket:
        path = self._settings.socket
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen(16)
        listener.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ)
        return listener


class _Connection:
    """One gateway."""

    def __init__(self, peer: socket.socket) -> None:
        self.socket = peer
        self._wid = ""
        self._partial = bytearray()
        self._partial_seq = -1
        self._acks: list[Ack] = []

    def receive(self, group: list[Submission]) -> bool:
        """Add complete drafts to ``group``; return False when the gateway is gone or speaks nonsense."""
        while len(group) < LARGEST_GROUP:
            try:
                message = self.socket.recv(LARGEST_MESSAGE)
            except BlockingIOError:
                return True
            except OSError:
                return False
            if not message:
                return False
            if message[:1] == HELLO:
                self._wid = message[1:].decode("ascii", "replace")
                continue
            try:
                submission = self._draft(message)
            except (msgspec.DecodeError, struct.error, ValueError) as error:
                log.error(
                    "a gateway sent what is no draft (%s): its connection is closed", type(error).__name__
                )
                return False
            if submission is not None:
                group.append(submission)
        return True

    def flush(self) -> None:
        """Send the acknowledgements that are due."""
        acks, self._acks = self._acks, []
        for message in pack_acks(acks):
            try:
                self.socket.send(message)
            except OSError:
                return  # the gateway is gone or does not read; it hands the drafts over again when it is back

    def _draft(self, message: bytes) -> Submission | None:
        seq, total, piece = read_piece(message)
        if total > LARGEST_DRAFT:
            raise ValueError("too large")
        if len(piece) == total:
            return Submission(self._wid, seq, unpack_draft(bytes(piece)), self._acks.append)
        if seq != self._partial_seq:
            self._partial, self._partial_seq = bytearray(), seq
        self._partial += piece
        if len(self._partial) < total:
            return None
        whole, self._partial, self._partial_seq = self._partial, bytearray(), -1
        return Submission(self._wid, seq, unpack_draft(whole), self._acks.append)


def _only_one(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise ConfigurationError(
            "another recorder is at work here; stop it first", str(path.parent)
        ) from None
    return descriptor


def serve(settings: Settings, ready: Callable[[], None], disk: Disk | None = None) -> None:
    """Run a recorder in this process until SIGTERM or SIGINT.

    Raises:
        WalBroken: the disk can no longer be trusted.
        ConfigurationError: another recorder runs here, or a key file is broken.
    """
    recorder = Recorder(settings, disk)
    signal.signal(signal.SIGTERM, recorder.stop)
    signal.signal(signal.SIGINT, recorder.stop)
    recorder.run(ready)
