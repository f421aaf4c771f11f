"""Commands for responders: work on cases, and verify evidence packs offline.

`incident.py` calls the incident engine, and `tables.py` and `verdict_table.py` print its answers.
`verify.py` checks a pack without a server.
"""
