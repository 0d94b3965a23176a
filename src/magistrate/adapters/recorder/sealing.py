"""The process that seals: a child of the recorder, so that the loop that acknowledges never waits for the interpreter.

Sealing a second of heavy traffic takes some 70 ms of processor time. In a thread of the recorder that is time
in which records wait again and again for the interpreter's lock. The child has a lower priority, too: the kernel lets it run in
what others leave.

It reads what is durable from the write-ahead log and is told how far that is. Whatever it has open it lets go of before the
recorder itself touches segments, index or register, so that each of them has one writer at a time. Its death is the recorder's:
the next start recovers, as after any crash. It holds the lock on the directory as long as it lives.
"""

import contextlib
import ctypes
import logging
import os
import signal
import socket
import sqlite3
from collections.abc import Mapping
from typing import NoReturn

import msgspec

from magistrate.adapters.recorder.disk import Disk
from magistrate.adapters.recorder.index import Index
from magistrate.adapters.recorder.keys import keys_in_force
from magistrate.adapters.recorder.opening import Stores
from magistrate.adapters.recorder.rotation import origin_in_force, shards_before
from magistrate.adapters.recorder.sealer import Sealer
from magistrate.adapters.recorder.settings import Settings
from magistrate.adapters.recorder.storage import Altered, StoreUnavailable
from magistrate.adapters.recorder.tail import Tail
from magistrate.adapters.recorder.wal import WalBroken
from magistrate.evidence.tiles import Missing
from magistrate.exchange.errors import ConfigurationError

LOWER_PRIORITY = 5
"""Steps of `nice` below the recorder: a third of a processor against one who wants it as much, so that sealing keeps up."""

LARGEST_MESSAGE = 256 * 1024
"""A checkpoint with its signatures, or what failed."""

PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15
"""Linux, prctl(2)."""

log = logging.getLogger("magistrate.recorder")


class _Wanted(msgspec.Struct, frozen=True):
    """Seal everything below ``end``; None: let go of everything. ``days``: how long each retention class is kept."""

    end: int | None
    days: dict[str, int] = {}


class _Failure(msgspec.Struct, frozen=True):
    """What `_spelled` makes of an error and `_raised` of it again."""

    kind: str
    says: str
    errno: int = 0


class _Done(msgspec.Struct, frozen=True):
    """The checkpoint that is in place (empty: as it was), and why it does not cover everything that was wanted."""

    note: bytes
    failure: _Failure | None = None


_wanted = msgspec.msgpack.Decoder(_Wanted)
_done = msgspec.msgpack.Decoder(_Done)


def seal_durable(sealer: Sealer, tail: Tail, end: int) -> None:
    """Seal everything below ``end``, which is durable, piece by piece.

    Raises:
        OSError, sqlite3.Error: the disk refuses; what is not sealed stays durable and first in line.
        WalBroken: another recorder signed for this log, or the tree or the write-ahead log on disk is damaged.
    """
    try:
        while sealer.size < end:
            sealer.seal(tail.read(sealer.size, end))
    except Missing as missing:
        raise WalBroken(f"the tree on disk is damaged: {missing}") from missing
    except Altered as altered:
        raise WalBroken(str(altered)) from altered


class SealingProcess:
    """The recorder's end. One caller at a time.

    Begun before the recorder opens a database or starts a thread: neither outlives a fork in good order. ``keeps`` are
    descriptors that the child holds as long as it lives.
    """

    def __init__(self, settings: Settings, disk: Disk, stores: Stores | None, keeps: tuple[int, ...]) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        parent = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            _live(parent, theirs, _Work(settings, disk, stores), keeps)
        theirs.close()
        self._connection = ours
        self._busy = False

    def seal(self, end: int, days: Mapping[str, int]) -> tuple[bytes, Exception | None]:
        """Have everything below ``end`` sealed. Return the checkpoint that is in place, and what kept it from covering all, if anything.

        Raises:
            WalBroken: the process is dead.
        """
        self._busy = True
        done = _done.decode(self._ask(_Wanted(end, dict(days))))
        return done.note, _raised(done.failure)

    def let_go(self) -> bool:
        """Have it let go of everything; False: there was nothing. The next `seal` begins with what is on disk then.

        Raises:
            WalBroken: the process is dead.
        """
        if not self._busy:
            return False
        self._ask(_Wanted(None))
        self._busy = False
        return True

    def close(self) -> None:
        """Have it let go of everything and end."""
        self._connection.close()
        if self._pid:
            os.waitpid(self._pid, 0)
            self._pid = 0

    def _ask(self, wanted: _Wanted) -> bytes:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._connection.send(msgspec.msgpack.encode(wanted))
            if answer := self._connection.recv(LARGEST_MESSAGE):
                return answer
        status = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1]) if self._pid else 0
        self._pid = 0
        raise WalBroken(f"the process that seals has died (exit status {status})")


class _Work:
    """What the child does. Opened with the first wish, and anew after everything was let go of."""

    def __init__(self, settings: Settings, disk: Disk, stores: Stores | None) -> None:
        self._settings = settings
        self._disk = disk
        self._stores = stores
        self._opened: tuple[Sealer, Tail] | None = None
        self._closing = contextlib.ExitStack()

    def obey(self, wanted: _Wanted) -> _Done:
        if wanted.end is None:
            self.let_go()
            return _Done(b"")
        note, failure = b"", None
        try:
            sealer, tail = self._opened or self._open(wanted.days)
            try:
                seal_durable(sealer, tail, wanted.end)
            finally:
                note = sealer.note
        except (OSError, sqlite3.Error, Altered, WalBroken, ConfigurationError) as error:
            failure = _spelled(error)
        return _Done(note, failure)

    def let_go(self) -> None:
        self._opened = None
        self._closing.close()

    def _open(self, days: Mapping[str, int]) -> tuple[Sealer, Tail]:
        root, keys_dir = self._settings.evidence, self._settings.vault
        number = len(shards_before(root)) + 1
        stores = self._stores or Stores(root, self._settings.places, self._disk, days)
        with contextlib.ExitStack() as closing:
            storage = stores.written(number)
            closing.callback(storage.objects.close)
            register = stores.register(number)
            closing.callback(register.close)
            keys = keys_in_force(root, keys_dir, origin_in_force(root, self._settings.origin), self._disk)
            index = Index(root / "index" / "records.db", writable=True)
            closing.callback(index.close)
            sealer = Sealer(root, keys, index, self._disk, register, storage, rests=True)
            sealer.recover()
            tail = Tail(root / "wal")
            closing.callback(tail.close)
            self._closing = closing.pop_all()
        self._opened = sealer, tail
        return self._opened


def _live(parent: int, connection: socket.socket, work: _Work, keeps: tuple[int, ...]) -> NoReturn:
    """Be the child until the other end closes."""
    status = 1
    try:
        _settle(parent, {connection.fileno(), *keeps})
        while message := connection.recv(LARGEST_MESSAGE):
            connection.send(msgspec.msgpack.encode(work.obey(_wanted.decode(message))))
        work.let_go()
        status = 0
    except (
        BaseException
    ):  # whatever it was, it ends here: behind this frame stands what the parent was about to do
        log.exception("the process that seals failed")
    finally:
        os._exit(status)  # past the parent's handlers at exit


def _settle(parent: int, keeps: set[int]) -> None:
    """Part from the parent: signals to the group are meant for it, its descriptors are its own, and it is not to be outlived."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl(PR_SET_NAME, b"sealer")
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)  # it died before it could be followed
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    below = 3
    for descriptor in [*sorted(one for one in keeps if one >= below), os.sysconf("SC_OPEN_MAX")]:
        os.closerange(below, descriptor)
        below = descriptor + 1
    os.nice(LOWER_PRIORITY)


def _spelled(error: Exception) -> _Failure:
    says = str(error)
    if isinstance(error, StoreUnavailable):
        return _Failure("store", says)
    if isinstance(error, OSError):
        return _Failure("disk", error.strerror or says, error.errno or 0)
    return _Failure("database" if isinstance(error, sqlite3.Error) else "broken", says)


def _raised(failure: _Failure | None) -> Exception | None:
    if failure is None:
        return None
    match failure.kind:
        case "store":
            return StoreUnavailable(failure.says)
        case "disk":
            return OSError(failure.errno, failure.says)
        case "database":
            return sqlite3.OperationalError(failure.says)
        case _:
            return WalBroken(failure.says)
