"""Evidence that nobody has to trust us for: a C2SP tiled transparency log.

*Record*: a small canonical-JSON header, the leaf of the log; bodies are ciphertext kept apart from it.
*Draft*: a record before the recorder has given it a place; *Receipt*: the proof of hand-over.
*Tile*: 256 hashes of one level of the RFC 6962 Merkle tree, immutable once full.
*Checkpoint*: origin, size and root hash in a signed note; *Cosignature*: a line under it that carries its time, a witness's
or the log's own with its ML-DSA-44 key.
*Trust*: which witnesses make a quorum; *Stamp*: an authority's word that a checkpoint existed at a time (RFC 3161).
*Proof*: inclusion of a record in a checkpoint, or consistency of two checkpoints.
*Bundle*: a call and its trace in one file; *Page*: what it tells people, made of the bundle's other files alone.
*Verification*: re-deriving every byte from what is on disk, trusting only the keys one is given. *Monitor*: looking again
now and then, and noticing that a log is no longer the one it was.

An auditor can install and read this room and ``exchange`` alone.
"""
