"""Devices: their enrolment, their certificates, and the tokens bound to them."""
