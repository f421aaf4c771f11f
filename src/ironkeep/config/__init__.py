"""The configuration of a server, and the environment of its process.

    file ── HCL or JSON ──▶ fields (typed values) ──▶ settings.Config ──▶ app
    environment variables ──▶ environment ──▶ cli

`settings` has the configuration as values with their defaults, which the composition root and the
edges receive. `file` turns Vault's own keys, and a few of the server's own, into such values, with
the help of `fields`. Only `environment` reads environment variables, so a search for its callers
finds every variable that matters.

A configuration file looks like this:

    listener "tcp" { address = "127.0.0.1:8200"  tls_cert_file = "…"  tls_key_file = "…" }
    storage "sqlite" { path = "/var/lib/ironkeep" }
    audit { path = "/var/lib/ironkeep/audit"  name = "node-1"  mirror = "/srv/mirror" }
    witness "tower" { address = "https://…"  vkey = "…" }
    seal "file" { path = "/etc/ironkeep/seal.key" }
    mail "security" { address = "mx:587"  from = "…"  to = ["…"] }
    webhook "chat" { url = "https://…"  secret_file = "…" }
    log_file = "/var/log/ironkeep.log"
    segments = ["prod"]
    segment "prod" { key_file = "/etc/ironkeep/prod.key" }

Invariants:
- An unknown key is an error: a misspelt key must not silently have no effect.
- Secrets are never in the file: it names the files that contain them.
"""
