"""Devices: their enrolment, their records, and the tokens bound to them.

A device enters by its person's request, the proof of its key and another person's decision
(`enrolment.py`). `devices.py` keeps the records and judges connections: admission asks it whether a
token may be used over one, and `login.py` whether a login may go on. `authority.py` is the CA of
device certificates, which access/certificates issues; `nonces.py` keeps signed messages from being
replayed. `machine.py` has the limits of machines' tokens. access/device_engine.py mounts the routes
of devices, certificates and posture together.
"""
