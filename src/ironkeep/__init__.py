"""Ironkeep: a secrets vault that proves what happened on the day of a breach."""

__version__ = "0.1.0"
