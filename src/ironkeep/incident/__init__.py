"""Incidents: cases, exposure, eviction, and the proof that somebody else can check."""

from ironkeep.incident.engine import Incident

__all__ = ["Incident"]
