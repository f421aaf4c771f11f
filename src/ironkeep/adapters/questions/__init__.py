"""A process beside the server that answers questions to the journal, and builds its index.

    process.py   on the server's side: starts, feeds, watches, restarts and ends the process
    channel.py   messages over a socket pair that no other process has
    serving.py   inside the process: takes turns between questions, and the index

It only reads the log. The reading keys reach it over the socket, and it ends with its server.
"""
