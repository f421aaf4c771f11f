"""The Vault HTTP API: wire format, server, and the only table from error to status."""
