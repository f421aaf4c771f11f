"""Policies and decisions: pure functions from policy text and facts to allow or deny.

    text ── hcl_lexer, hcl ──> policy ── acl ──> Decision
                                                    │
    segment (flows), secret class, touch,           v
    approval, budget ──────────────────────────> decision ──> Allow, Deny, StepUp, NeedApproval

`policy` parses HCL or JSON strictly and refuses a clause that cannot be enforced. `acl` compiles
the policies of one token: `pattern` finds the one pattern that decides a path, `template` fills in
the holder's identity, and `parameters` checks the fields of a request. `decision` combines the
ACL's answer with all other facts and denies by default. `builtin` has the policies that ship with
Vault, `glob` the text patterns used outside policies.
"""
