"""Credentials of other systems, as values: the connector contract and inventories.

`connector` is the protocol that every connector implements, with its values and its three kinds of
failure. `inventory` is a comparable list of everything in a system that can log in or act; sweeps
compare it with a baseline. No secret material is in any of the stored values.
"""
