"""Notices: alerts and pending approvals, sent to people by mail and webhooks.

`notices.py` listens to alerts and approvals, stores one notice for each notifier, and sends them
later from the tick. Notifiers are adapters behind the `Notifier` protocol.
"""
