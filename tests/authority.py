"""A time-stamping authority of OpenSSL's, behind HTTP; and certificates that are wrong in one way each."""

import datetime as dt
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)
CONFIG = """
[one]
serial = {dir}/serial
signer_cert = {dir}/signer.pem
signer_key = {dir}/signer.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
accuracy = secs:1
ess_cert_id_chain = no
"""


@dataclass(frozen=True)
class TestAuthority:
    """Where it lies, and what a verifier trusts."""

    __test__ = False
    directory: Path
    openssl: str

    @property
    def ca(self) -> Path:
        return self.directory / "root.pem"

    def reply(self, request: bytes) -> bytes:
        """Let OpenSSL stamp."""
        question, answer = self.directory / "q.tsq", self.directory / "a.tsr"
        question.write_bytes(request)
        subprocess.run(
            [self.openssl, "ts", "-reply", "-queryfile", question, "-config", self.directory / "ts.cnf", "-section", "one", "-out", answer],
            check=True, capture_output=True, timeout=20,
        )  # fmt: skip
        return answer.read_bytes()

    def forge(self, genuine: bytes, data_for: "TestAuthority") -> bytes:
        """Sign the content of a genuine token with this authority's key, whatever its certificate is for."""
        work = self.directory
        (work / "genuine.tsr").write_bytes(genuine)
        run = [
            self.openssl,
            "ts",
            "-reply",
            "-in",
            work / "genuine.tsr",
            "-token_out",
            "-out",
            work / "genuine.der",
        ]
        subprocess.run(run, check=True, capture_output=True, timeout=20)
        run = [self.openssl, "cms", "-verify", "-inform", "DER", "-in", work / "genuine.der", "-out", work / "info",
               "-CAfile", data_for.ca, "-purpose", "any"]  # fmt: skip
        subprocess.run(run, check=True, capture_output=True, timeout=20)
        run = [self.openssl, "cms", "-sign", "-binary", "-nodetach", "-cades", "-outform", "DER", "-md", "sha256",
               "-econtent_type", "1.2.840.113549.1.9.16.1.4", "-in", work / "info", "-out", work / "forged.der",
               "-signer", work / "signer.pem", "-inkey", work / "signer.key"]  # fmt: skip
        subprocess.run(run, check=True, capture_output=True, timeout=20)
        body = bytes.fromhex("3003020100") + (work / "forged.der").read_bytes()
        return b"\x30\x82" + len(body).to_bytes(2) + body

    def accepts(self, token: bytes, data: bytes) -> bool:
        """Ask OpenSSL, the second opinion."""
        (self.directory / "data").write_bytes(data)
        (self.directory / "t.tsr").write_bytes(token)
        run = subprocess.run(
            [self.openssl, "ts", "-verify", "-data", self.directory / "data", "-in", self.directory / "t.tsr", "-CAfile", self.ca],
            capture_output=True, timeout=20,
        )  # fmt: skip
        return run.returncode == 0


def make(
    directory: Path,
    openssl: str,
    *,
    use: x509.ObjectIdentifier = ExtendedKeyUsageOID.TIME_STAMPING,
    valid: tuple[dt.datetime, dt.datetime] = (NOW - 30 * DAY, NOW + 30 * DAY),
    name: str = "Test authority",
) -> TestAuthority:
    """Write root, signer and configuration of an authority."""
    directory.mkdir(parents=True, exist_ok=True)
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name} root")])
    signer_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    root = (
        x509.CertificateBuilder()
        .subject_name(root_name)
        .issuer_name(root_name)
        .public_key(root_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - 400 * DAY)
        .not_valid_after(NOW + 400 * DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    signer = (
        x509.CertificateBuilder()
        .subject_name(signer_name)
        .issuer_name(root_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(valid[0])
        .not_valid_after(valid[1])
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([use]), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (directory / "root.pem").write_bytes(root.public_bytes(pem))
    (directory / "signer.pem").write_bytes(signer.public_bytes(pem))
    (directory / "signer.key").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (directory / "serial").write_text("01\n")
    (directory / "ts.cnf").write_text(CONFIG.format(dir=directory))
    return TestAuthority(directory, openssl)


@contextmanager
def serving(authority: TestAuthority) -> Iterator[str]:
    """Serve an authority over HTTP on loopback; yield its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            answer = authority.reply(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-type", "application/timestamp-reply")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
