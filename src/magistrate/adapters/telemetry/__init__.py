"""Metrics, live feed, logs: numbers and events, never content.

*Sender*: in the gateway, batches observations into Unix datagrams and never waits; what cannot be sent is counted.
*Receiver*: in the control process, reads the datagrams. *Metrics*: sums them for Prometheus, with bounded labels.
*Feed*: the last few observations, and everybody who watches new ones come in. *Logs*: one line of JSON an event.
"""
