"""Where a call goes: candidates + decision + health -> route, with a reason for every endpoint.

*Catalogue*: which endpoints serve a model name. *Eligibility*: may it go there, and if not, why not.
*Health*: what the last attempts said of each endpoint, as a value. *Route*: the order in which endpoints are tried.
A fallback is one more endpoint of the same route, so it satisfies the same policy by construction.
"""
