"""The vocabulary: frozen values that every other room speaks, and nothing else.

*Exchange*: one thing to be governed (a model call, a tool call, an agent message), as its dialect read it.
*Part*: one place in an exchange's body where text can stand, with its path, role and kind.
*Principal*: who is asking, as far as credentials prove it.
*Finding*: what a detector saw in a part; *Label* names it in the taxonomy.
*Decision*: what policy says about an exchange, for each endpoint it could go to, with its *Obligations*.
*Endpoint* and *Route*: where a call can go, where it did go and why each place was or was not eligible.
*Outcome*: how it ended. *Refusal*: what a client is told when the answer is no.

A value that exists is valid. Time, ids and randomness never appear here by themselves: they are arguments.
"""
