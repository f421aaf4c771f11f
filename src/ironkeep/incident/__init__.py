"""Incidents: cases, exposure, eviction, and the proof that somebody else can check.

The plug-in is engine.Incident. It is not imported here, so that the verifier of packs loads nothing
of the server.
"""
