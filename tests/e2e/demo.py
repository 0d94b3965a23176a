"""The whole story on a real model, told while it happens: ``make demo``.

A small language model runs on this machine behind the gateway. The vendors' own SDKs and Claude Code talk to it (Claude Code
to a scripted upstream, because the small model cannot use tools). Each chapter shows a promise, and ends the story if
the promise does not hold.
"""

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anthropic
import openai

from magistrate.adapters.upstreams import local_model
from magistrate.evidence.note import open_note
from tests.conformance.evidence import go_auditor
from tests.conftest import find_tool
from tests.e2e.answers import Answer, Tool
from tests.e2e.gateway import UPSTREAM_KEYS, Governed, serving
from tests.e2e.upstream import ScriptedUpstream

MAGISTRATE = Path(sys.executable).with_name("magistrate")
CREDENTIAL = "AKIAQ3XK7LMN2PWZ5RTV"  # shaped like an AWS key, and nobody's
CARD, MAIL = "4111 1111 1111 1111", "ada@lovelace.org"
ENDING = {"type": "text", "text": "Answer in one short sentence."}

Say = Callable[[str], None]


class Broken(Exception):
    """A promise that did not hold."""


def require(holds: object, promise: str) -> None:
    if not holds:
        raise Broken(f"this does not hold: {promise}")


class Demo:
    """The gateway with a real model behind it, and what has been found out so far."""

    def __init__(self, governed: Governed, say: Say) -> None:
        self.governed = governed
        self.say = say
        self.openai = openai.OpenAI(
            base_url=f"{governed.url}/v1", api_key=governed.key, max_retries=0, timeout=100
        )
        self.anthropic = anthropic.Anthropic(
            base_url=governed.url, api_key=governed.key, max_retries=0, timeout=100
        )
        self.records: dict[str, str] = {}

    # --- calls

    def answered(self) -> None:
        """The OpenAI and the Anthropic SDK each get an answer from the model."""
        raw = self.openai.chat.completions.with_raw_response.create(
            model=local_model.MODEL, messages=[{"role": "user", "content": "What is the sea?"}], max_tokens=24
        )
        self.records["answered"] = raw.headers["x-magistrate-record"]
        text = raw.parse().choices[0].message.content
        require(text, "the model answers the OpenAI SDK")
        self.say(f"OpenAI SDK, chat completions: {text!r}")
        message = self.anthropic.messages.create(
            model=local_model.MODEL,
            max_tokens=24,
            messages=[{"role": "user", "content": "What is the wind?"}],
        )
        block = message.content[0]
        require(block.type == "text" and block.text, "the model answers the Anthropic SDK")
        self.say(f"Anthropic SDK, messages:      {block.text!r}")

    def streamed(self) -> None:
        """Pieces arrive while the model still speaks."""
        pieces = [
            chunk.choices[0].delta.content
            for chunk in self.openai.chat.completions.create(
                model=local_model.MODEL,
                messages=[{"role": "user", "content": "Count from one to ten."}],
                max_tokens=40,
                temperature=0,  # else it now and then says too little to come in pieces
                stream=True,
            )
            if chunk.choices and chunk.choices[0].delta.content
        ]
        require(len(pieces) > 3, "a stream arrives in pieces")
        self.say(f"streamed in {len(pieces)} pieces: {''.join(pieces)!r}")

    def blocked(self) -> None:
        """A credential does not reach the model; the client learns why in its own format."""
        try:
            self.openai.chat.completions.create(
                model=local_model.MODEL, messages=[{"role": "user", "content": f"Store my key {CREDENTIAL}"}]
            )
        except openai.PermissionDeniedError as refused:
            self.records["blocked"] = refused.response.headers["x-magistrate-record"]
            self.say(f"HTTP {refused.status_code}, {refused.code}: {refused.body['message']}")  # type: ignore[index]
        require("blocked" in self.records, "a credential is refused with 403")
        outcome = self._records("blocked")[-1]["header"]
        require(outcome["attempts"] == [], "nothing was sent anywhere")

    def redacted(self) -> None:
        """A card number and an e-mail address are taken out before the model sees them."""
        raw = self.openai.chat.completions.with_raw_response.create(
            model=local_model.MODEL,
            messages=[{"role": "user", "content": f"Write to {MAIL} about card {CARD}."}],
            max_tokens=16,
        )
        self.records["redacted"] = raw.headers["x-magistrate-record"]
        sent = self._records("redacted")[-1]["bodies"]["sent"]
        require(
            CARD not in sent and MAIL not in sent,
            "no personal data reaches an endpoint that no agreement covers",
        )
        self.say("what the model was asked: " + json.loads(sent)["messages"][0]["content"])

    def coding_agent(self) -> None:
        """Claude Code, unmodified, reads a file and answers: one tool call, governed both ways."""
        claude = find_tool("claude")
        if claude is None:
            self.say("Claude Code is not on this machine; `make clients` installs it")
            return
        home = self.governed.config.parent / "desk"
        home.mkdir()
        note = home / "note.txt"
        note.write_text("forty-two boats are out\n")

        def play(asked: dict[str, Any]) -> Answer:
            if "tool_result" not in json.dumps(asked["messages"]):
                return Answer("Reading.", tools=(Tool("Read", {"file_path": str(note)}, "toolu_1"),))
            require("forty-two boats" in json.dumps(asked["messages"]), "the tool's result reaches the model")
            return Answer("Forty-two boats are out.")

        self.governed.upstream.always("anthropic.messages", play)
        alone = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "NO_PROXY": "127.0.0.1"}
        elsewhere = dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY"), self.governed.upstream.url)
        quiet = dict.fromkeys(
            ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "DISABLE_AUTOUPDATER", "DISABLE_TELEMETRY"), "1"
        )
        there = {
            "ANTHROPIC_BASE_URL": self.governed.url,
            "ANTHROPIC_AUTH_TOKEN": self.governed.key,
            "ANTHROPIC_MODEL": "claude-test",
        }
        done = subprocess.run(
            [claude, "-p", "How many boats does note.txt speak of?", "--allowedTools", "Read"],
            cwd=home,
            env=alone | elsewhere | quiet | there,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
        require("Forty-two boats" in done.stdout, f"Claude Code finishes its task ({done.stderr[:200]})")
        self.say(f"claude -p: {done.stdout.strip()!r}")

    # --- evidence

    def verified(self) -> None:
        """Every hash, tile, link and signature is derived again from what is on disk."""
        self.say(self._evidence("verify").strip())

    def bundled(self) -> None:
        """One call as a file that needs nobody's server: our verifier and Node's standard library agree on it."""
        directory = self.governed.config.parent
        file = directory / "blocked.zip"
        told = json.loads(self._evidence("export", self.records["blocked"], "-o", str(file), "--json"))
        self.say(self._evidence("verify-bundle", str(file), "--vkey", told["vkey"], located=False).strip())
        node = find_tool("node")
        if node is None:
            self.say("Node is not on this machine, so the bundle's own verifier was not run")
            return
        shutil.unpack_archive(file, directory / "bundle")
        done = subprocess.run(
            [node, "verify.mjs", "record.tlog-proof", "record.json", told["vkey"]],
            cwd=directory / "bundle",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        require(done.returncode == 0, f"the bundle verifies with Node alone ({done.stderr[:200]})")
        self.say("node verify.mjs: " + done.stdout.strip())

    def judged_by_others(self) -> None:
        """Go's checksum-database code and OpenSSL read the log that Magistrate wrote."""
        log = self.governed.data_dir / "evidence"
        vkey, note = (log / "log.vkey").read_text().strip(), (log / "checkpoint").read_bytes()
        if go_auditor.available():
            with tempfile.TemporaryDirectory() as directory:
                answer = go_auditor.build(Path(directory))(
                    {"Vkey": vkey, "Checkpoint": note.decode(), "Tiles": str(log)}
                )
            require(
                answer["Checkpoint"] == "" and answer["Derived"], "Go's sumdb accepts checkpoint and tiles"
            )
            self.say(f"Go x/mod/sumdb: signature good, {answer['Size']} records proven from the tiles")
        else:
            self.say(f"Go is not on this machine; {go_auditor.PACKAGES} bring the other verifier")
        openssl = find_tool("openssl")
        if openssl is None:
            self.say("OpenSSL is not on this machine")
            return
        require(_openssl_accepts(openssl, note, vkey), "OpenSSL accepts the checkpoint's signature")
        self.say("openssl pkeyutl -verify: signature good")

    def _records(self, name: str) -> list[dict[str, Any]]:
        """Return a call's records once its outcome is sealed too: a checkpoint may fall between it and its intent."""
        deadline = time.monotonic() + 10
        while True:
            shown: list[dict[str, Any]] = json.loads(
                self._evidence("show", self.records[name], "--content", "--json")
            )
            if shown[-1]["header"]["phase"] == "outcome":
                return shown
            require(time.monotonic() < deadline, "an outcome is sealed within seconds")
            time.sleep(0.2)

    def _evidence(self, *arguments: str, located: bool = True) -> str:
        where = ["--config", str(self.governed.config)] if located else []
        done = subprocess.run(
            [MAGISTRATE, "evidence", *arguments, *where],
            capture_output=True,
            text=True,
            env=os.environ | UPSTREAM_KEYS,
            timeout=60,
            check=False,
        )
        require(
            done.returncode == 0, f"`evidence {arguments[0]}` ({done.stdout[-300:]} {done.stderr[-300:]})"
        )
        return done.stdout


def _openssl_accepts(openssl: str, note: bytes, vkey: str) -> bool:
    text, signatures = open_note(note)
    key_name, _, key = vkey.split("+", 2)
    signature = next(blob for name, _, blob in signatures if name == key_name and len(blob) == 64)
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        # An Ed25519 key as SubjectPublicKeyInfo (RFC 8410) is this prefix and the key.
        (place / "key").write_bytes(bytes.fromhex("302a300506032b6570032100") + base64.b64decode(key)[1:])
        (place / "text").write_text(text)
        (place / "signature").write_bytes(signature)
        command = (
            f"{openssl} pkeyutl -verify -pubin -keyform DER -inkey key -rawin -in text -sigfile signature"
        )
        return (
            subprocess.run(
                command.split(), cwd=place, capture_output=True, check=False, timeout=30
            ).returncode
            == 0
        )


CHAPTERS: tuple[Callable[[Demo], None], ...] = (
    Demo.answered,
    Demo.streamed,
    Demo.blocked,
    Demo.redacted,
    Demo.coding_agent,
    Demo.verified,
    Demo.bundled,
    Demo.judged_by_others,
)


@contextmanager
def staged(directory: Path, say: Say) -> Iterator[Demo]:
    """Start everything the story needs in ``directory``."""
    with ScriptedUpstream() as upstream, serving(directory, upstream, "", "--local-model") as governed:
        yield Demo(governed, say)


def main() -> int:
    """Tell the story; return 1 if a promise did not hold."""
    with tempfile.TemporaryDirectory(prefix="magistrate-demo-") as directory:
        print(
            "starting recorder, control, gateway and a small model (SmolLM2-135M: it shows that things work, not wisdom)"
        )
        with staged(Path(directory), lambda text: print("   " + text.replace("\n", "\n   "))) as demo:
            for number, chapter in enumerate(CHAPTERS, 1):
                print(f"\n{number}. {chapter.__doc__}")
                try:
                    chapter(demo)
                except Broken as broken:
                    print(f"   {broken}")
                    return 1
    print("\nAll of it held.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
