"""Step-up: one touch of a person's authenticator for exactly one request."""
