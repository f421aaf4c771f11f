"""The `ironkeep` command: Vault's verbs, and what Ironkeep adds to them."""
