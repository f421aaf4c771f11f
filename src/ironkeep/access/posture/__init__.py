"""Posture: what devices report of their own state, and the rules that it must meet."""
