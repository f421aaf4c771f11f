"""Auth methods: each verifies one kind of login and says which token to issue for it.

Each method is a folder (or a file) of its own, mounted below `auth/`:

    passkey    people, by WebAuthn authenticators; no password anywhere
    jwt        workloads, by a token that their platform signed
    cert       workloads, by the client certificate of the connection
    approle    machines, by role id and secret id, for compatibility with Vault
    userpass   people, by name and password, for compatibility with Vault
    token      tokens made by tokens; mounted once, at auth/token/

A method is a class with a `type`, a table of routes and, when its logins rest on something that can
be copied (a password, a secret id, a signed token), `copyable`, which the identity report reads. A
login route verifies the request and returns a `TokenSpec`; the pipeline issues the token from it,
so no method creates a token itself. A method keeps its records (roles, users, keys) in the storage
of its mount.

It relies on plugin/ for routes, calls and responses, on identity/ for the token parameters that all
methods share (`token_params`) and for roles (`roles`), and on access/ for rules on devices,
approvals and step-up.

Invariants: methods do not import one another (import-linter checks it). A failed login gives the
same answer whatever was wrong, so that it tells nothing about names, roles or secrets. Roles,
secret ids, passwords and invitations record the people who wrote them, because these people stand
behind the tokens.
"""
