"""Alerts: what an operator should look at now."""
