"""A log's directory on a POSIX file system, and the logs of a node.

`files.py` implements `core.logport.LogFiles` over one directory. `node_logs.py` finds, checks and
opens the newest of a node's logs, one for each epoch, and `follower.py` reads a log that another
process writes. `epoch_begin.py` begins the next epoch for
`ironkeep operator new-epoch`, while the server is down.
"""
