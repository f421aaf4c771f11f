"""Commands on secrets: key-value secrets, any path of the API, leases and mounts."""
