"""Certificates of devices: valid for minutes, issued to enrolled devices in good state.

A device signs a nonce, a signing request and a posture report with its key; `certificates.py`
verifies the signature, has the report judged (access/posture), and has the device authority
(access/devices) sign the certificate.
"""
