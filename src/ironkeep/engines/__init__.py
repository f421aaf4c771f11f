"""The secrets engines, and the system engine behind `sys/`.

    cubbyhole   a private key/value space for each service token
    kv          JSON objects under paths, versions 1 and 2
    database    passwords of existing database accounts: rotated, presented, locked, inventoried
    system      `sys/`: mounts, policies, leases, seal, keys, wrapping, the journal

Each engine is a plugin (`plugin.route.Plugin`): a class with a mount `type` and a literal table of
routes. The pipeline in `kernel` authenticates and authorises the request, parses its fields into
the route's input class, calls the handler with a `Call`, and journals the result. A handler works
synchronously on its own mount's storage and returns a `Response`, raises an error of `core.errors`,
or returns a `Suspend` when a worker or an outside system has to act first (`plugin.effects`).

Invariants: engines do not import each other and do no I/O (both are import-linter contracts); time
and randomness come with the call. Stored secrets leave only through a route with `releases`, whose
response names in `released` what left. Adding an engine takes one folder here and one line in
`app.PLUGINS`.
"""
