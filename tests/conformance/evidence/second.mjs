// A second opinion on what keys and people vouch for, with Node's standard library and none of our code: bodies (HKDF, AES-256-GCM,
// the commitment), cosignatures (C2SP cosignature/v1), and guesses at what was erased. One JSON question on standard input, one answer.
import { createDecipheriv, createHash, createPublicKey, hkdfSync, verify } from 'crypto'
import { readFileSync, readdirSync, statSync } from 'fs'
import { join } from 'path'

const sha = (...parts) => createHash('sha256').update(Buffer.concat(parts)).digest()
const bytes = text => Buffer.from(text, 'base64')
const commitment = (content, salt) => sha(Buffer.from('evd/commit/v1\0'), salt, sha(content)).toString('hex')
const bodyKey = ({ key, eid, part, log }) =>
  Buffer.from(hkdfSync('sha256', bytes(key), Buffer.alloc(32), Buffer.from(`${eid}\0${part}\0${log}`), 32))

// A zstd frame (RFC 8878) of stored and run-length blocks: what a few bytes are packed as. null: another kind of block, or no frame.
function unpack (frame) {
  if (frame.length < 6 || frame.readUInt32LE(0) !== 0xfd2fb528) return null
  const descriptor = frame[4]
  const single = descriptor >> 5 & 1
  let at = 5 + (single ? 0 : 1) + [0, 1, 2, 4][descriptor & 3] + [single, 2, 4, 8][descriptor >> 6]
  const out = []
  for (let last = false; !last;) {
    if (at + 3 > frame.length) return null
    const head = frame.readUIntLE(at, 3)
    last = head & 1
    const kind = head >> 1 & 3
    const size = head >> 3
    if (kind > 1) return null
    out.push(kind === 0 ? frame.subarray(at + 3, at + 3 + size) : Buffer.alloc(size, frame[at + 3]))
    at += 3 + (kind === 0 ? size : 1)
  }
  return Buffer.concat(out)
}

// Whether a ciphertext opens under a key, and whether to what the record commits to.
function open (one) {
  const sealed = bytes(one.ciphertext)
  const cipher = createDecipheriv('aes-256-gcm', bodyKey(one), sealed.subarray(0, 12))
  cipher.setAuthTag(sealed.subarray(-16))
  let packed
  try {
    packed = Buffer.concat([cipher.update(sealed.subarray(12, -16)), cipher.final()])
  } catch {
    return 'does not open'
  }
  const content = unpack(packed.subarray(32))
  return content !== null && commitment(content, packed.subarray(0, 32)) === one.cm ? 'as committed' : 'opens to another text'
}

// C2SP tlog-cosignature: a line of type 4 is over "cosignature/v1", the time and the note's text.
function cosigned ({ note, vkey }) {
  const [name, id, ...key] = vkey.split('+')
  const raw = bytes(key.join('+'))
  const text = note.slice(0, note.lastIndexOf('\n\n') + 1)
  const line = note.slice(text.length + 1).split('\n').find(
    line => line.startsWith(`— ${name} `) && bytes(line.split(' ')[2]).subarray(0, 4).toString('hex') === id)
  if (raw[0] !== 4 || line === undefined) return -1
  const blob = bytes(line.split(' ')[2])
  if (blob.length !== 76) return -1
  const time = blob.readBigUInt64BE(4)
  const key_ = createPublicKey({
    key: Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), raw.subarray(1)]), format: 'der', type: 'spki'
  })
  const message = Buffer.from(`cosignature/v1\ntime ${time}\n${text}`)
  return time <= 9223372036854775807n && verify(null, message, key_, blob.subarray(12)) ? Number(time) : -1
}

// Every 32 bytes that stand anywhere under a directory, tried as the salt of every guess.
function guess ({ directory, guesses, cm }) {
  const files = path => statSync(path).isDirectory() ? readdirSync(path).flatMap(name => files(join(path, name))) : [path]
  let tried = 0
  for (const file of files(directory)) {
    const data = readFileSync(file)
    for (let at = 0; at + 32 <= data.length; at++) {
      const salt = data.subarray(at, at + 32)
      if (salt[0] === 0 && salt[31] === 0 && salt.every(byte => byte === 0)) continue
      tried++
      for (const one of guesses) if (commitment(Buffer.from(one), salt) === cm) return { tried, found: one }
    }
  }
  return { tried, found: null }
}

const asked = JSON.parse(readFileSync(0))
console.log(JSON.stringify({
  open: (asked.open ?? []).map(open),
  keys: (asked.keys ?? []).map(place => bodyKey(place).toString('hex')),
  cosigned: (asked.cosigned ?? []).map(cosigned),
  guess: (asked.guess ?? []).map(guess)
}))
