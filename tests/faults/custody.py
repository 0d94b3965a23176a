"""A ledger in this process, its orders, and our verifier as the judge."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from magistrate.adapters.host import SystemIds
from magistrate.adapters.recorder.custodian import Custodian
from magistrate.adapters.recorder.disk import Disk
from magistrate.adapters.recorder.frames import Ack
from magistrate.adapters.recorder.ledger import Ledger, Settings
from magistrate.adapters.recorder.opening import Stores
from magistrate.adapters.recorder.orders import Answer, Erase, Order
from magistrate.adapters.recorder.reader import EvidenceReader, open_evidence
from magistrate.adapters.recorder.storage import Places
from magistrate.adapters.recorder.writer import Submission
from magistrate.evidence.draft import Body, Draft
from magistrate.evidence.hold import Person
from magistrate.evidence.retention import Schedule
from magistrate.evidence.verify import Report, verify_log

IDS = SystemIds()
WRITER = "gateway-1"
ADA, BOB = Person("t-ada", "Ada"), Person("t-bob", "Bob")
DAY_S = 86_400


def draft(
    subject: str = "grace@hopper.org",
    content: bytes = b"yes",
    *,
    tenant: str = "default",
    retention: str = "standard",
    trace: str = "",
    app: str = "ward",
    phase: str = "intent",
    cause: tuple[str, ...] = (),
    eid: str = "",
) -> Draft:
    header: dict[str, object] = {
        "v": 1,
        "eid": eid or IDS.record(),
        "t": "llm.request" if phase == "intent" else "llm.response",
        "phase": phase,
        "ts": time.time_ns() // 1000,
        "trace": trace or IDS.trace(),
        "tenant": tenant,
        "app": app,
    }
    if cause:
        header["cause"] = list(cause)
    body = Body("request", "text/plain", content)
    return Draft(header, (body,), tenant=tenant, subject=subject, retention=retention)


class Custody:
    """A ledger that is written to and asked, and what an auditor sees of it."""

    def __init__(
        self,
        directory: Path,
        schedule: Schedule | None = None,
        disk: Disk | None = None,
        places: Places | None = None,
        stores: Stores | None = None,
        *,
        apart: bool = False,
    ) -> None:
        self.directory = directory
        self.settings = Settings(
            directory / "evidence",
            directory / "vault",
            directory / "r.sock",
            "test.example/log",
            retention=schedule or Schedule(),
            places=places or Places(),
        )
        self.ledger = Ledger(self.settings, disk, stores, apart=apart)
        self.custodian = Custodian(self.ledger)
        self._seq = 0

    def write(self, *drafts: Draft, wid: str = WRITER) -> list[Ack]:
        acks: list[Ack] = []
        group = []
        for one in drafts:
            self._seq += 1
            group.append(Submission(wid, self._seq, one, acks.append))
        self.ledger.write(group)
        return acks

    def obey(self, order: Order) -> Answer:
        return self.custodian.obey(order, os.getuid())

    def erase(self, subject: str = "grace@hopper.org", tenant: str = "") -> Answer:
        return self.obey(Erase(subject, tenant, "she asked us to", ADA))

    def records(self, kind: str = "") -> list[dict[str, Any]]:
        with self.reader() as reader:
            headers = [orjson.loads(reader.header(index)) for index in range(reader.size)]
        return [header for header in headers if kind in {"", header["t"]}]

    @contextmanager
    def reader(self) -> Iterator[EvidenceReader]:
        self.ledger.seal()
        place = self.settings.places.objects
        reader = open_evidence(self.directory, self.directory / "vault", place=place)
        try:
            yield reader
        finally:
            reader.close()

    def verified(self) -> Report:
        with self.reader() as reader:
            return verify_log(reader.objects, reader.vkey, ciphertext=reader.ciphertext)

    def bodies(self, eid: object) -> dict[str, bytes]:
        (header,) = (header for header in self.records() if header["eid"] == eid)
        with self.reader() as reader:
            return reader.bodies(header)

    def everything(self) -> bytes:
        """Every byte that is kept anywhere."""
        files = (path for path in self.directory.rglob("*") if path.is_file())
        return b"\n".join(path.read_bytes() for path in sorted(files))

    def close(self, *, clean: bool = True) -> None:
        self.ledger.seal()
        self.ledger.close(clean=clean)


@contextmanager
def opened(
    directory: Path,
    schedule: Schedule | None = None,
    disk: Disk | None = None,
    places: Places | None = None,
) -> Iterator[Custody]:
    custody = Custody(directory, schedule, disk, places)
    try:
        yield custody
    finally:
        custody.close()
