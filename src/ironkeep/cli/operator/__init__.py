"""Commands for operators: run servers and witnesses; initialise, unseal and change keys.

`server.py` and `witness.py` run until they are told to stop; `dev.py` sets up a development server.
`attempt.py` holds the steps that unseal, rekey and generate-root share. `epoch.py` begins the next
log of a stopped server.
"""
