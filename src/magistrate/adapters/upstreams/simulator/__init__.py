"""A model that is no model: it answers deterministically, in every dialect, and says that it is a simulator.

*Script*: what the last user message asks the simulator to do, one directive a line. *Asked*: a request, as far as an
answer depends on it. *Reply*: what will be said, before a dialect writes it down.

Directives are lines of the last user message; any other line is text. A line that is not exactly one of these is text::

    say: TEXT                  answer exactly TEXT; several lines make several lines
    then say: TEXT             what to answer once tool results have come back
    reason: TEXT               think TEXT first
    refuse: TEXT               decline, in the dialect's own way, with TEXT
    call tool NAME JSON        call a tool (JSON may be left out, or be no JSON at all); repeat it for parallel calls
    finish: length             stop as if the output limit had been reached
    usage: INPUT OUTPUT        claim these token counts
    chunks: N                  stream the text in N pieces
    chunk size: N              stream the text in pieces of N characters (16 by default)
    fail: STATUS               answer with this error status
    fail: STATUS at NAME       the same, only at the endpoint, provider or model NAME
    hang: SECONDS              be silent before answering
    pause: SECONDS             be silent before every piece of a stream but the first
    cut after N chunks         break off after N events of a stream (a whole answer breaks off in the middle)
    malformed                  send what is not JSON
    backwards                  reverse every TEXT and JSON of the message, so that an answer can hold what the
                               question must not

Without a directive the answer is ``[simulator] you said: ...``; after tool results it is
``[simulator] the tool returned: ...``, so that an agent's loop ends. ``model`` in every answer ends in ``-simulator``,
whatever the text says. Ids are digests of the request: the same request gets the same answer, byte for byte.

``python -m magistrate.adapters.upstreams.simulator --port 9000`` is the same simulator over HTTP.
"""

from magistrate.adapters.upstreams.simulator.model import Simulator

__all__ = ["Simulator"]
