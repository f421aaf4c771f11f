"""The identity report: every identity that can log in with a secret that can be copied."""
