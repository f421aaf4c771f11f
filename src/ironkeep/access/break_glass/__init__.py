"""Break-glass: a token of last resort, opened by the printed codes of k of n people.

It works while every auth method is down or compromised. `break_glass.py` stores the settings, the
hashes of the codes and the openings; `routes.py` serves `sys/break-glass`, where k holders give one
code each; `cases.py` reports for each opening which released secrets nobody else has replaced.
Every use raises an alert, and the token lives an hour at most. guards.py lets it read secrets of
every class but custody without a touch or an approval; budgets still apply.
"""
