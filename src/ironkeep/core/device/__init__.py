"""Devices: proofs of their keys, and the evaluation of their posture.

`proof` defines the messages that a device signs with its key. `posture_report` is the signed report
of a device's state, `posture_rules` the rules that people write, and `posture.evaluate` computes
the verdict from both and the time. `software_version` compares versions, and `kev` adds data from
CISA's catalogue of exploited vulnerabilities to the rules.

An unknown setting, an unreadable version or a system without a rule never counts as compliant.
"""
