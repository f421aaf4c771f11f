"""Who is behind a request: entities, tokens, sessions, policies, leases and wrapped answers."""
