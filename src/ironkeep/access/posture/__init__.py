"""Posture: the state that devices report, and the verdict on it that their records carry.

A report comes from the agent, signed by the device's key (`routes.py`), or from osquery
(`osquery.py`). `state.py` evaluates it by the rules (core/device/posture.py), keeps faults,
exceptions and blocks, and writes the verdict to the device's record, where access/devices checks it
on every request. `receiver.py` takes signed CAEP events of other systems, which can block a device;
`events.py` publishes each change of our own verdict. The device engine mounts all routes.
"""
