"""Devices: proofs of their keys, posture reports, and the rules for them."""
