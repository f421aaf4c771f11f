"""Credentials of other systems: the connector contract, inventories, and the rotation machine.

`connector` is the protocol that every connector implements, with its values and its three kinds of
failure. `inventory` is a comparable list of everything in a system that can log in or act; sweeps
compare it with a baseline. `rotation` is the state machine that replaces a static credential
without losing it in a crash, and `rotation_record` its stored state. No secret material is in any
of the stored values.
"""
