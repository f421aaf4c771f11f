"""Policies: parsed, indexed and decided."""
