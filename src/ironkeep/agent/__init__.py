"""The process on an enrolled device: its key, its certificate, and the address for its clients.

It speaks to the server by HTTP alone. The device key stays in a TPM, in a PKCS#11 token or, ranked
below both, in a file; what the agent shows to the server is a certificate of some minutes that the
device key asked for, whose own key is in memory only.
"""
