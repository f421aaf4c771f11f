"""Connectors: the outside systems whose credentials Ironkeep holds."""
