"""Beacons of our own, on real HTTP: a drand network with one member, and a source with an Ed25519 key."""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

import pyblst
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from magistrate.evidence.beacon import _G1, _G2, SCHEMES

QUICKNET = {
    "public_key": "83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d1064510d1fec758c921cc22b0e17e63aaf4bcb"
    "5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a",
    "period": 3,
    "genesis_time": 1_692_803_367,
    "schemeID": "bls-unchained-g1-rfc9380",
    "metadata": {"beaconID": "quicknet"},
}
"""The public network's own answer to ``/info``, what of it counts."""

QUICKNET_123 = {
    "round": 123,
    "signature": "b75c69d0b72a5d906e854e808ba7e2accb1542ac355ae486d591aa9d43765482e26cd02df835d3546d23c4b13e0dfc92",
}
MAINNET = {
    "public_key": "868f005eb8e6e4ca0a47c8a77ceaa5309a47978a7c71bc5cce96366b5d7a569937c529eeda66c7293784a9402801af31",
    "period": 30,
    "genesis_time": 1_595_431_050,
    "schemeID": "pedersen-bls-chained",
    "metadata": {"beaconID": "default"},
}
MAINNET_72785 = {
    "round": 72_785,
    "signature": "82f5d3d2de4db19d40a6980e8aa37842a0e55d1df06bd68bddc8d60002e8e959eb9cfa368b3c1b77d18f02a54fe047b8"
    "0f0989315f83b12a74fd8679c4f12aae86eaf6ab5690b34f1fddd50ee3cc6f6cdf59e95526d5a5d82aaa84fa6f181e42",
    "previous_signature": "a609e19a03c2fcc559e8dae14900aaefe517cb55c840f6e69bc8e4f66c8d18e8a609685d9917efbfb0c37f058c2de88f"
    "13d297c7e19e0ab24813079efe57a182554ff054c7638153f9b26a60e7111f71a0ff63d9571704905d3ca6df0b031747",
}
"""Rounds that the public networks have published."""


class Speaks(Protocol):
    """A source: what it tells of itself, and what it answers at a time."""

    info: dict[str, Any]

    def answer(self, now_s: float) -> dict[str, Any]: ...


class Network:
    """A drand network with one member, whose secret key is a number."""

    def __init__(
        self, scheme: str = "bls-unchained-g1-rfc9380", *, secret: int = 0x5EED, period_s: int = 1
    ) -> None:
        self._scheme, self._secret = SCHEMES[scheme], secret
        self.genesis_s = int(time.time()) - 100_000 * period_s
        self.period_s = period_s
        point = (
            pyblst.BlstP2Element.uncompress(_G2)
            if self._scheme.on_g1
            else pyblst.BlstP1Element.uncompress(_G1)
        )
        self.info: dict[str, Any] = {
            "public_key": bytes(point.scalar_mul(secret).compress()).hex(),
            "period": period_s,
            "genesis_time": self.genesis_s,
            "schemeID": scheme,
            "metadata": {"beaconID": "testnet"},
        }

    def round(self, number: int) -> dict[str, Any]:
        """Return a round as drand spells it."""
        before = hashlib.sha256(number.to_bytes(4, "big")).digest() if self._scheme.chained else b""
        message = hashlib.sha256(before + number.to_bytes(8, "big")).digest()
        empty = pyblst.BlstP1Element() if self._scheme.on_g1 else pyblst.BlstP2Element()
        signature = bytes(
            empty.hash_to_group(message, self._scheme.domain).scalar_mul(self._secret).compress()
        )
        told = {
            "round": number,
            "signature": signature.hex(),
            "randomness": hashlib.sha256(signature).hexdigest(),
        }
        return told | ({"previous_signature": before.hex()} if self._scheme.chained else {})

    def answer(self, now_s: float) -> dict[str, Any]:
        return self.round(int(now_s - self.genesis_s) // self.period_s + 1)


class Signer:
    """A source of one's own."""

    def __init__(self, secret: bytes = bytes(32)) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(secret)
        public = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.info: dict[str, Any] = {"kind": "signed", "name": "ours", "public_key": public.hex()}

    def answer(self, now_s: float) -> dict[str, Any]:
        value = hashlib.sha256(str(int(now_s)).encode()).hexdigest()
        signature = self._key.sign(f"magistrate beacon v1\n{int(now_s)}\n{value}\n".encode())
        return {"time": int(now_s), "value": value, "signature": base64.b64encode(signature).decode()}


class Served:
    """A source behind HTTP. ``down``: it answers with 503; ``says``: it answers with these bytes instead."""

    def __init__(self, source: Speaks) -> None:
        self.source = source
        self.down = False
        self.says: bytes | None = None
        self.url = ""

    def body(self) -> bytes:
        return self.says if self.says is not None else json.dumps(self.source.answer(time.time())).encode()


@contextmanager
def serving(source: Speaks) -> Iterator[Served]:
    """Serve a source on a port of this machine."""
    served = Served(source)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # noqa: N802  because http.server calls it so
            body = b"" if served.down else served.body()
            self.send_response(503 if served.down else 200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.url = f"http://127.0.0.1:{server.server_port}/public/latest"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
