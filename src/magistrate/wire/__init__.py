"""Bytes to exchange and back, without a socket in sight.

*Dialect*: one wire format (OpenAI chat completions, Anthropic messages…): reads requests, answers and
stream events into the vocabulary, writes them back after rewrites, and spells refusals as its clients expect.
*Rewrite*: a new text for one part, put back by path, never by string replacement on the raw body.
*Shape*: a dialect's knowledge of a body, as a table of visits; what no table knows is swept, so it is seen too.
*Stream reader*: fed bytes in any cut, yields the same events.
*Strict JSON*: duplicate keys, NaN, trailing data, over-deep or over-large bodies and lone surrogates are refused,
so that no parser downstream can see something we did not.
"""
