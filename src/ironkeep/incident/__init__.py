"""Incidents: cases, exposure, eviction, and the proof that somebody else can check."""
