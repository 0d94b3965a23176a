"""A light load generator: keep-alive HTTP/1.1 over raw asyncio protocols, so that it takes little of the shared cores.

``python bench/load.py URL --concurrency N --seconds S --body FILE [--header K:V]… [--rate R] [--stream]`` prints one JSON
line with requests, errors, latency percentiles in microseconds and, for streams, time to the first and between chunks.
"""

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import uvloop


class Connection(asyncio.Protocol):
    """One keep-alive connection; one request at a time."""

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.transport = None
        self.done: asyncio.Future | None = None
        self.buffer = b""
        self.status = 0
        self.first_chunk = 0.0
        self.need = -1

    def connection_made(self, transport) -> None:
        self.transport = transport

    def connection_lost(self, _error) -> None:
        if self.done and not self.done.done():
            self.done.set_result(False)
        self.transport = None

    def send(self) -> asyncio.Future:
        self.buffer, self.status, self.first_chunk, self.need = b"", 0, 0.0, -1
        self.done = asyncio.get_running_loop().create_future()
        self.transport.write(self.request)
        return self.done

    def data_received(self, data: bytes) -> None:
        if not self.status:
            self.buffer += data
            head, blank, rest = self.buffer.partition(b"\r\n\r\n")
            if not blank:
                return
            self.status = int(head[9:12])
            lower = head.lower()
            at = lower.find(b"content-length:")
            if at >= 0:
                self.need = int(lower[at + 15 :].split(b"\r\n", 1)[0])
            self.buffer = rest
            if rest:
                self.first_chunk = time.perf_counter()
        else:
            if not self.first_chunk:
                self.first_chunk = time.perf_counter()
            self.buffer = self.buffer[-16:] + data if self.need < 0 else self.buffer + data
        complete = len(self.buffer) >= self.need if self.need >= 0 else self.buffer.endswith(b"0\r\n\r\n")
        if complete and not self.done.done():
            self.done.set_result(self.status == 200)


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] * 1e6 if values else 0.0


async def run(options) -> dict:
    url = urlsplit(options.url)
    body = options.body.read_bytes()
    headers = {"host": url.netloc, "content-type": "application/json", "content-length": str(len(body))}
    headers |= dict(header.split(":", 1) for header in options.header)
    head = f"POST {url.path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items())
    request = head.encode() + b"\r\n" + body
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    firsts: list[float] = []
    errors = 0
    begin = time.perf_counter()
    end = begin + options.seconds

    async def connect() -> Connection:
        _, connection = await loop.create_connection(lambda: Connection(request), url.hostname, url.port)
        return connection

    async def one(connection: Connection, started: float) -> Connection:
        nonlocal errors
        if connection.transport is None:
            connection = await connect()
        good = await asyncio.wait_for(connection.send(), 60)
        if good:
            latencies.append(time.perf_counter() - started)
            firsts.append(connection.first_chunk - started)
        else:
            errors += 1
        return connection

    async def closed() -> None:
        connection = await connect()
        while time.perf_counter() < end:
            connection = await one(connection, time.perf_counter())

    async def opened(number: int) -> None:
        # Open loop: latency counts from when the request was due, so that a stall is not hidden by waiting for it.
        connection = await connect()
        gap = options.concurrency / options.rate
        due = begin + gap * number / options.concurrency
        while due < end:
            wait = due - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            connection = await one(connection, due)
            due += gap

    work = [opened(i) if options.rate else closed() for i in range(options.concurrency)]
    await asyncio.gather(*work)
    took = time.perf_counter() - begin
    return {
        "requests": len(latencies),
        "errors": errors,
        "rate": len(latencies) / took,
        "p50": percentile(latencies, 0.5),
        "p95": percentile(latencies, 0.95),
        "p99": percentile(latencies, 0.99),
        "first_p50": percentile(firsts, 0.5),
        "first_p99": percentile(firsts, 0.99),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--concurrency", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--body", type=Path, required=True)
    parser.add_argument("--header", action="append", default=[])
    parser.add_argument("--rate", type=float, default=0)
    options = parser.parse_args()
    json.dump(uvloop.run(run(options)), sys.stdout)


if __name__ == "__main__":
    main()
