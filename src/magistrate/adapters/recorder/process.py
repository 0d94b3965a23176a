"""The recorder process: one loop that takes drafts and makes them durable, one thread that has them sealed."""

import errno
import logging
import os
import select
import signal
import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType

from magistrate.adapters.recorder.alertness import Alertness, Processors
from magistrate.adapters.recorder.connection import LARGEST_GROUP, Connection, user_of
from magistrate.adapters.recorder.custodian import REFUSALS, Custodian
from magistrate.adapters.recorder.daily import DailyPrune
from magistrate.adapters.recorder.disk import Disk
from magistrate.adapters.recorder.ledger import Ledger, Settings
from magistrate.adapters.recorder.orders import Prune, RotateShard
from magistrate.adapters.recorder.outage import Outage
from magistrate.adapters.recorder.rotating import Rotating
from magistrate.adapters.recorder.storage import StoreUnavailable
from magistrate.adapters.recorder.vouching import Vouching
from magistrate.adapters.recorder.wal import WalBroken
from magistrate.adapters.recorder.writer import Submission

__all__ = ["Recorder", "Settings", "serve"]

WAIT_S = 0.25
"""Without drafts, so often it is looked whether a heartbeat is due, a trace has ended or the end was told."""

SWITCH_S = 0.0001
"""How long another thread (who vouches, what is pruned) may keep the interpreter from the loop that acknowledges."""

REPEAT_EVERY_S = 60.0
"""How often it is asked whether a deferred erasure may be carried out."""

CLOSINGS_EVERY_S = 0.008
"""How often ended traces are looked for: with `traces.FEW` at a time up to two thousand a second are closed, and nobody
waits longer than a millisecond for it."""

MOST_UNSEALED_BYTES = 512 * 1024 * 1024
"""Above it new records wait for the sealer: memory is bounded, and the gateway refuses rather than forgets."""

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})

log = logging.getLogger("magistrate.recorder")


class Recorder:
    """A ledger and those who write to it."""

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        self._settings = settings
        self._ledger = ledger
        self._custodian = Custodian(ledger)
        self._pruning = DailyPrune(ledger, self._custodian)
        self._next_repeat = 0.0
        places = settings.places
        self._outage = Outage(settings.evidence, ledger.disk) if places.objects or places.register else None
        self._vouching = Vouching(settings, ledger)
        self._rotating = Rotating(ledger, self._custodian, self._vouching, settings.limits)
        self._wake = threading.Event()
        self._stopping = False
        self._fatal: str | None = None
        self._epoll = select.epoll()
        self._alertness = Alertness(Processors()) if settings.keep_awake else None
        """None: between drafts the processors may sleep."""
        self._connections: dict[int, Connection] = {}

    def run(self, ready: Callable[[], None]) -> None:
        """Serve until told to stop.

        Raises:
            WalBroken: the disk can no longer be trusted; whoever starts the process again starts with recovery.
        """
        try:
            self._custodian.resume()
        except REFUSALS as error:
            log.error("an erasure waits to be finished: %s", error)
        listener = self._listen()
        if self._outage is not None:
            self._outage.begin()
        sealing = threading.Thread(target=self._seal_loop, name="sealer")
        sealing.start()
        self._vouching.begin()
        ready()
        try:
            self._work(listener)
            if self._fatal is None:
                self._drain()
                self._close_traces()
                self._write([self._ledger.notes.farewell()])
        finally:
            self._stopping = True
            self._wake.set()
            sealing.join()
            self._pruning.join()
            listener.close()
            self._settings.socket.unlink(missing_ok=True)
            for connection in self._connections.values():
                connection.socket.close()
            self._epoll.close()
            if self._alertness is not None:
                self._alertness.close()
        if self._fatal is None:
            self._seal_once()
            if self._ledger.crossing:
                self._ledger.go_on()
                self._seal_once()
        self._vouching.stop()
        if self._fatal is not None:
            raise WalBroken(self._fatal)
        clean = self._ledger.unsealed_bytes == 0
        self._ledger.close(clean=clean)
        log.info(
            "stopped with %d records sealed%s",
            self._ledger.size,
            "" if clean else "; the rest waits for the next start",
        )

    def _work(self, listener: socket.socket) -> None:
        """Take, write, obey, until told to stop or something is beyond repair."""
        next_heartbeat = time.monotonic() + self._settings.heartbeat_s
        next_closings = time.monotonic()
        while not self._stopping and self._fatal is None:
            group = self._take(listener)
            if time.monotonic() >= next_heartbeat:
                next_heartbeat = time.monotonic() + self._settings.heartbeat_s
                group.append(self._ledger.notes.heartbeat())
            group += self._vouching.drawn()
            if group:
                self._write(group)
            if time.monotonic() >= next_closings:
                next_closings = time.monotonic() + CLOSINGS_EVERY_S
                if closings := self._ledger.notes.closings():
                    self._write(closings)
            self._obey()

    def stop(self, number: int = 0, stack: FrameType | None = None) -> None:
        """Ask the loop to end; also a signal handler."""
        del number, stack
        self._stopping = True

    # --- taking and writing

    def _take(self, listener: socket.socket) -> list[Submission]:
        """Wait for drafts and return all that have arrived, up to one group."""
        group: list[Submission] = []
        for descriptor, events in self._events():
            if descriptor == listener.fileno():
                self._accept(listener)
                continue
            connection = self._connections[descriptor]
            if events & select.EPOLLOUT:
                self._flush(descriptor, connection)
            if events & ~select.EPOLLOUT and len(group) < LARGEST_GROUP and not connection.receive(group):
                if connection.handed >= 0:
                    group.append(self._ledger.notes.parted(connection.wid, connection.handed))
                self._epoll.unregister(descriptor)
                del self._connections[descriptor]
                connection.socket.close()
        return group

    def _events(self) -> Sequence[tuple[int, int]]:
        if self._alertness is None:
            return self._epoll.poll(WAIT_S)
        return self._alertness.wait(self._epoll.poll, WAIT_S)

    def _drain(self) -> None:
        """Take what has arrived already: whoever handed it over before the end was told deserves an answer."""
        while group := [s for c in list(self._connections.values()) for s in self._received(c)]:
            self._write(group)

    def _close_traces(self) -> None:
        """Close every trace: nobody is left who could go on. What cannot be closed now stays open, and that shows."""
        while (closings := self._ledger.notes.closings(all_of_them=True)) and self._ledger.write(closings):
            pass

    def _received(self, connection: Connection) -> list[Submission]:
        group: list[Submission] = []
        if not connection.receive(group) and connection.handed >= 0:
            group.append(self._ledger.notes.parted(connection.wid, connection.handed))
            connection.handed = -1
        return group

    def _accept(self, listener: socket.socket) -> None:
        peer, _ = listener.accept()
        uid = user_of(peer)
        ours = uid in {os.getuid(), 0}
        if not ours and uid not in self._settings.writers:
            log.warning("a connection of user %d was refused: it is not ours", uid)
            peer.close()
            return
        peer.setblocking(False)
        self._connections[peer.fileno()] = Connection(peer, self._ledger.greet, uid, may_order=ours)
        self._epoll.register(peer.fileno(), select.EPOLLIN)

    def _write(self, group: list[Submission]) -> None:
        self._ledger.write(group, self._acknowledge)
        while (
            self._ledger.unsealed_bytes > MOST_UNSEALED_BYTES and self._fatal is None and not self._stopping
        ):
            self._wake.set()
            if not self._pruning.planning:
                self._ledger.go_on()  # what waits may wait for the end of a rotation
            time.sleep(0.01)

    def _acknowledge(self) -> None:
        for descriptor, connection in self._connections.items():
            self._flush(descriptor, connection)

    def _flush(self, descriptor: int, connection: Connection) -> None:
        waiting = connection.flush()
        if waiting != connection.waiting:
            connection.waiting = waiting
            self._epoll.modify(descriptor, select.EPOLLIN | (select.EPOLLOUT if waiting else 0))

    def _obey(self) -> None:
        """Carry out what was ordered. Pruning reads much, so it is planned aside and answered later."""
        for descriptor, connection in list(self._connections.items()):
            orders, connection.orders = connection.orders, []
            for order in orders:
                if isinstance(order, Prune):
                    self._pruning.ask(connection)
                elif isinstance(order, RotateShard):
                    self._rotating.ask(connection, order)
                else:
                    connection.answer(self._custodian.obey(order, connection.uid))
                    self._flush(descriptor, connection)
        now = time.monotonic()
        if now >= self._next_repeat:
            self._next_repeat = now + REPEAT_EVERY_S
            self._repeat()
        answered = self._pruning.tick(now)
        answered += self._rotating.tick(now, busy=self._pruning.planning)
        for connection in answered:
            if self._connections.get(connection.socket.fileno()) is connection:
                self._flush(connection.socket.fileno(), connection)

    def _repeat(self) -> None:
        """Carry out erasures whose time has come: a hold that nobody confirmed lapses without anybody's order."""
        try:
            for done in self._custodian.repeat():
                log.info("an erasure that had waited: %s", done)
        except REFUSALS as error:
            log.error("deferred erasures wait: %s", error)

    # --- sealing

    def _seal_loop(self) -> None:
        finished = False
        try:
            while not self._stopping and self._fatal is None:
                started = time.monotonic()
                self._seal_once()
                self._wake.wait(max(0.0, self._settings.seal_every_s - (time.monotonic() - started)))
                self._wake.clear()
            finished = True
        finally:
            # A recorder that goes on without its sealer would promise checkpoints that never come.
            if not finished:
                self._fatal = "the sealer failed; the reason stands above"

    def _seal_once(self) -> None:
        try:
            self._ledger.seal()
            if self._outage is not None:
                self._outage.answers()
        except WalBroken as error:
            self._fatal = str(error)
        except StoreUnavailable as error:
            if self._outage is not None:
                self._outage.fails(str(error), self._ledger.unsealed_records, self._ledger.unsealed_bytes)
        except OSError as error:
            if error.errno in NO_ROOM:
                log.error("sealing waits: %s", error.strerror)
            else:
                self._fatal = f"the evidence disk fails: {error.strerror}"
        except sqlite3.Error as error:
            log.error("sealing waits for the register: %s", error)

    # --- beginning

    def _listen(self) -> socket.socket:
        path = self._settings.socket
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # Bound under a mask, not changed afterwards: nobody else may connect in between. With writers of another user
        # the kernel's word on who connects is the guard, see `_accept`.
        mask = os.umask(0o111 if self._settings.writers else 0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(mask)
        listener.listen(16)
        listener.setblocking(False)
        self._epoll.register(listener.fileno(), select.EPOLLIN)
        return listener


def serve(settings: Settings, ready: Callable[[], None], disk: Disk | None = None) -> None:
    """Run a recorder in this process until SIGTERM or SIGINT.

    Raises:
        WalBroken: the disk can no longer be trusted, or does not hold what was signed.
        ConfigurationError: another recorder runs here, a key file is broken, or there is no room to recover.
    """
    sys.setswitchinterval(SWITCH_S)
    recorder = Recorder(settings, Ledger(settings, disk, apart=True))
    signal.signal(signal.SIGTERM, recorder.stop)
    signal.signal(signal.SIGINT, recorder.stop)
    recorder.run(ready)
