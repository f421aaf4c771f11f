"""Approvals: requests that stay pending until enough other people have approved them.

A read of a two-person secret, or a dangerous change, is kept instead of executed (`approvals.py`,
`pending.py`); the requester gets a wrapping token and a number. Other people approve or deny by the
accessor, in Vault's shape (`control_group.py`) or in the inbox (`routes.py`). `approvers.py` judges
whether a session counts as another person, `touch.py` takes an approver's touch, `tallies.py` slows
down requesters and measures approvers. Unwrapping executes the kept request once, along the whole
pipeline. access/second_person.py is for handlers that demand approval of a change.
"""
