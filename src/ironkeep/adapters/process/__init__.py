"""The process and its machine.

`system.py` implements the ports Clock and Entropy. `machine.py` and `disks.py` measure limits and
free space; `memory_guard.py` forbids core dumps; `signals.py` stops and reloads the server;
`messages.py` writes the operator's lines to standard error and the log file.
"""
