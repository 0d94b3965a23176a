"""A witness: it cosigns checkpoints of the logs it knows, and never two that contradict each other.

It needs nothing of the rest of Magistrate: a key, a small database and a port, run by somebody whom the log's operator
cannot command. *Book*: what was cosigned last for each log, durable before a cosignature leaves. *Listener*: the HTTP
side of C2SP tlog-witness. The judgement itself is `evidence.witness`.
"""
