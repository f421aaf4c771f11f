"""The audit journal on disk: frames, write-ahead log, Merkle tree, recovery and verification."""
