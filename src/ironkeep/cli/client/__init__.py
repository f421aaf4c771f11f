"""The commands' HTTP client: where the server is, which token to send, what failed."""
