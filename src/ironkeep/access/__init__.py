"""Access: every check on a request beyond authentication and policy, one folder for each feature.

A folder holds one feature: its logic, its stored records and its API; features.py wires them.
kernel/admission.py and kernel/pipeline.py ask the features in this order for each request, and the
first refusal ends it:

    approvals    unwrapping an approved request executes that request from here on
    devices      a login over a device's certificate: the device must be welcome
    devices      a token bound to a device or a key: the connection must prove that device or key
    segments     the flow matrix must let the caller ask the segment of the mount
      `decide` in core/policy/decision.py: policy; then, on routes that read a secret:
    classes      the class of the secret
    budgets      the cost of the read to each subject that it is charged to
    break_glass  a break-glass token needs neither an approval nor a touch
    approvals    an approval of exactly this request
    step_up      a touch for exactly this request
      `decide_read`: refuse, ask for a touch or for approval, or let the read through

Class and budget come after policy, so they tell a caller nothing about a path that policy denies.
guards.py collects the facts for `decide_read`. Some handlers ask for more before a dangerous
change: another person (second_person.py) or a touch (step_up/fresh_touch.py). The other folders
decide on no request: they keep the verdict on each device's state, issue device certificates,
inform people, and list the logins for which a copied secret is enough.

Two invariants hold. A touch, an approval or a charge is used up in `call.account`, the transaction
that a refusal keeps, so a request that is refused later gives none of them back. The journal entry
of a read names the evidence on which the read was let through. Features know alerts, touches and
devices, which are below them, and no other feature.
"""
