// Verifies one record of a transparency log: node verify.mjs PROOF RECORD 'VERIFIER KEY'
// RFC 6962 audit path, C2SP signed note (Ed25519), C2SP tlog-proof. Standard library only.
import { createHash, createPublicKey, verify } from "node:crypto";
import { readFileSync } from "node:fs";

const [proofFile, recordFile, verifierKey] = process.argv.slice(2);
if (!verifierKey) {
  console.error("usage: node verify.mjs PROOF RECORD 'VERIFIER KEY'");
  process.exit(2);
}

const sha256 = (...parts) => createHash("sha256").update(Buffer.concat(parts)).digest();
const base64 = (text) => Buffer.from(text, "base64");
const refuse = (why) => {
  console.log(`REJECTED: ${why}`);
  process.exit(1);
};

// 1. Take the proof apart: path, checkpoint, signatures.
const proof = readFileSync(proofFile, "utf8");
const [pathText, checkpoint, signatures] = proof.split("\n\n");
const lines = pathText.split("\n");
if (lines[0] !== "c2sp.org/tlog-proof@v1" || !signatures?.endsWith("\n")) refuse("not a proof");
if (/[\x00-\x09\x0b-\x1f]/.test(proof)) refuse("control characters have no place in a proof");
const at = lines.findIndex((line) => line.startsWith("index "));
const index = BigInt(lines[at].slice(6));
const path = lines.slice(at + 1).map(base64);

// 2. The checkpoint must be signed by the key we were given.
const [name, keyId, ...keyText] = verifierKey.trim().split("+");
const publicKey = createPublicKey({
  key: Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), base64(keyText.join("+")).subarray(1)]),
  format: "der",
  type: "spki",
});
const [origin, sizeText, rootText] = checkpoint.split("\n");
const ours = signatures
  .split("\n")
  .map((line) => line.split(" "))
  .filter(([dash, signer, blob]) => dash === "\u2014" && signer === name && blob)
  .map(([, , blob]) => base64(blob))
  .find((raw) => raw.subarray(0, 4).toString("hex") === keyId);
const signed = ours && verify(null, Buffer.from(checkpoint + "\n"), publicKey, ours.subarray(4));
if (!signed || origin !== name) refuse("the checkpoint is not signed by this key");
if (!/^(0|[1-9][0-9]*)$/.test(sizeText)) refuse("the size is no number");

// 3. The path must lead from the record to the signed root (RFC 9162, section 2.1.3.2).
const size = BigInt(sizeText);
if (index >= size) refuse("the index is beyond the tree");
let hash = sha256(Buffer.from([0]), readFileSync(recordFile));
let node = index;
let last = size - 1n;
for (const step of path) {
  if (last === 0n || step.length !== 32) refuse("the path is too long, or holds what is no hash");
  if (node & 1n || node === last) {
    hash = sha256(Buffer.from([1]), step, hash);
    while (!(node & 1n) && node) {
      node >>= 1n;
      last >>= 1n;
    }
  } else {
    hash = sha256(Buffer.from([1]), hash, step);
  }
  node >>= 1n;
  last >>= 1n;
}
if (last !== 0n || !hash.equals(base64(rootText))) refuse("the record is not in the signed tree");
console.log(`VERIFIED: record ${index} of ${origin}, in a tree of ${size}`);
