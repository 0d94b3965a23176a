// An ML-DSA-44 cosignature read from files and checked with none of our code: LIBRARY CHECKPOINT VKEY.
// Formats: C2SP signed-note, tlog-checkpoint, tlog-cosignature. Prints the cosignature's time, or says why not and exits 1.
import { createHash } from 'crypto'
import { readFileSync } from 'fs'
import { join } from 'path'
import { pathToFileURL } from 'url'

const [library, checkpointFile, vkeyFile] = process.argv.slice(2)
const { ml_dsa44: mldsa } = await import(pathToFileURL(join(library, 'ml-dsa.js')))

const fail = why => { console.log(why); process.exit(1) }
const short = text => Buffer.concat([Buffer.from([Buffer.byteLength(text)]), Buffer.from(text)])
const uint64 = number => { const bytes = Buffer.alloc(8); bytes.writeBigUInt64BE(BigInt(number)); return bytes }

const [, name, id, encoded] = /^([^+\s]+)\+([0-9a-f]{8})\+(\S+)\s*$/.exec(readFileSync(vkeyFile, 'utf8')) ?? fail('no vkey')
const key = Buffer.from(encoded, 'base64')
if (key[0] !== 6 || key.length !== 1313) fail('no ML-DSA-44 key')
const hash = createHash('sha256').update(name + '\n').update(key).digest()
if (hash.subarray(0, 4).toString('hex') !== id) fail('the key is not the one that its id names')

const note = readFileSync(checkpointFile, 'utf8')
const [body, signatures] = note.split('\n\n')
const [origin, size, root] = body.split('\n')
const line = signatures.split('\n').find(one => {
  const [dash, signer, blob] = one.split(' ')
  return dash === '\u2014' && signer === name && Buffer.from(blob, 'base64').subarray(0, 4).toString('hex') === id
}) ?? fail('not cosigned by this key')
const blob = Buffer.from(line.split(' ')[2], 'base64')
const time = blob.subarray(4, 12)
const signature = blob.subarray(12)
const signed = Buffer.concat([
  Buffer.from('subtree/v1\n\0'), short(name), time, short(origin), uint64(0), uint64(size), Buffer.from(root, 'base64')
])
let good = false
try { good = mldsa.verify(signature, signed, key.subarray(1)) } catch (error) { fail(`cannot be verified: ${error.message}`) }
if (!good) fail('does not verify')
console.log(time.readBigUInt64BE().toString())
