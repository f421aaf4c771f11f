"""The implementations of the ports on a real machine: files, clocks, databases, sockets.

The lower rooms take their input and output through ports (`core.ports`, `core.logport`,
`plugin.effects.outbound`, `access.notices`). The adapters implement these ports and may do I/O and
read the clock, which those rooms may not. Only `app.py`, `timer.py`, the commands and
the tests import them.

    sqlite/    rows in one SQLite file                              core.ports.Storage
    log/       a log's directory, the logs of a node                core.logport.LogFiles
    witness/   the log's side of its witnesses and mirrors
    outbound/  HTTP, mail and webhooks to other systems             Outbound, Notifier
    process/   clock, entropy, memory, limits, signals, messages    core.ports.Clock, Entropy

Adapters fail in the terms of their port: an OSError or a class of `core.errors`, never an exception
of the library beneath. Each wait for another system has a deadline. State is kept in folders that
only their owner can write to (`closed_folder.py`).
"""
