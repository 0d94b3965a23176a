"""**The line**: one enforcement point for every route, field and protocol.

*govern*: read, identify, classify, decide, open record, route, call, inspect, close record; on one screen.
*Line*: everything a call needs, wired once and swapped whole on reload.
*Inbound*: one request as it reached us. *Reply*: where its answer goes.
*Ports*: what the line asks of the world (Clock, Ids, Upstream, EvidenceLog, Keys…); adapters answer.
*Fail mode*: the one table that says what an indeterminate stage does. Its default row is deny.
"""
