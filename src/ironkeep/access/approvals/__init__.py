"""Approvals: requests that wait until other people have decided on them."""
