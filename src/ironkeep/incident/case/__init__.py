"""A case: its facts, the links between them, and what was exposed."""
