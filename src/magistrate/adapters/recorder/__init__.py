"""The evidence recorder: its own process, the only writer of the log, the only holder of its keys.

*Client*: the gateway's end of a Unix SEQPACKET socket; it hands drafts over and waits for acknowledgements.
*Write-ahead log*: where a record becomes durable: one write and one ``fdatasync`` for all records that wait together.
*Sealer*: once a second it moves what the write-ahead log holds into tiles and body segments and signs a checkpoint, in
Sunlight's order: stage, compare-and-swap, apply, publish.
*Vault*: keys and the map from persons to handles, apart from the log, so that erasing them leaves every proof whole.
*Order*: what only the recorder's own user may ask for on that socket: erase, hold, prune, read, a new root key.
*Custodian*: carries orders out, each on record before it has an effect.
*Index*: what makes search fast. Recent records are in a hot one (SQLite), old ones in a cold one (Parquet, DuckDB), to
which *compaction* moves them; *retrieval* asks both. Derived from the log, rebuildable, never trusted.
*Reader*: what the command line opens; it trusts the index for nothing but speed.
"""
