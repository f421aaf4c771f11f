"""Credentials of other systems: connections, rotation, baselines, and the chain of scope."""
