"""Secret classes: the conditions, beyond policy, for reading a secret.

Rules give a class to a prefix of a path: open, guarded (a touch for each read), two-person (the
approval of other people) or custody (refused, since no server can open it). `classes.py` keeps the
table of rules and finds the strictest that match; `routes.py` serves `sys/classes`. A change that
weakens a rule needs what a read under that rule needed before.
"""
