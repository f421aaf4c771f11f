"""A log's directory on a POSIX file system, and the logs of a node."""
