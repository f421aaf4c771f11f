"""Posture: the state that devices report, and the verdict on it that their records carry.

A report comes from the agent, signed by the device's key (`reports.py`), or from osquery
(`osquery.py`). `state.py` evaluates it by the rules (core/device/posture.py), keeps faults,
exceptions and blocks, and writes the verdict to the device's record, where access/devices checks it
on every request. `receiver.py` takes signed CAEP events of the systems that `issuers.py` pins,
which can block a device; `events.py` publishes each change of our own verdict. `routes.py` is for
administrators: rules, states and exceptions. The device engine mounts all routes.
"""
