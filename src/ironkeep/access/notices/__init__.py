"""Notices: alerts and pending approvals, sent to people outside."""
