"""The real implementations of the ports: files, clocks, databases, sockets."""
