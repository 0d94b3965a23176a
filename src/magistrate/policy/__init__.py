"""What may happen, in one language: Cedar decides, we compute the facts it decides about.

*Bundle*: a set of policy files with their schema, validated, content-hashed and compiled; its hash is in every record.
*Access policies* permit and forbid; a forbid may *escalate* to a person instead of denying.
*Obligation policies* are permits annotated ``@obligation``: each one that applies adds something that must be done.
*Mode*: each policy observes, is shadowed, or enforces. *Decision*: the verdict for every endpoint, with its rules.
*Explanation*: a recorded judgement decided again, with the rules' places and whether the answer is the same.
"""
