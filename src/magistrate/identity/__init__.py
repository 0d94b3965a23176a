"""Credentials + keys + now -> principal. Nothing here fetches, stores or waits.

*Credential*: the one secret text a request presents, in whichever header its SDK uses.
*Key record*: a virtual key as it is kept: whose it is, what it may at most, and a digest of its secret.
*Key ring*: the snapshot of all records that answers, in constant time in the secret, whose key was presented.
*Admin token*: the control plane's credential; another format, another table, never good on the data plane.
"""
