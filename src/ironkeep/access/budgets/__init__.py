"""Breadth budgets: how many different secrets a person, device, team or the vault may read.

`budgets.py` assesses a read against every subject that it is charged to, and charges it once it is
let through. Only breadth counts: reading the same secret again soon is free. `record.py` has the
stored records and limits, `manifests.py` the fixed lists of secrets of machines, and `routes.py`
serves `sys/budgets`. Past the soft limit a read needs a touch; past the hard limit it is refused.
Nobody can raise a limit that binds them.
"""
