"""Calls to other systems: HTTP, mail and webhooks, with deadlines."""
