"""The offline verifier of evidence packs: it loads nothing of the server."""
