"""The contract that secrets engines, auth methods and features are written against.

A plugin declares a literal table of routes; the kernel routes, authenticates, decides and journals,
and calls the plugin's handler with one `Call`:

    Request ─▶ kernel: plan, session, decision ─▶ handler(call, input) ─▶ Response
                                                     └─ or Suspend ─ work ─▶ resume ─▶ Response

`route` defines `Plugin` and `Route`; `fields` parses the request's data into the route's input
class with Vault's weak typing. `call`, `request` and `response` are what a handler receives and
returns. `services` gives a handler the server's services by their type, and `settings` the
operator's settings. `token` holds the values of tokens and sessions, `peer` and `cidr` the caller's
client certificate and address. `mount` and `mounts` are the mount table; `plans` caches how an
operation on a path is served. `entries` builds the journal entry of a request. effects/ runs
operations on other systems that must survive a crash.

The room relies on store/ for records and transactions and on core/ for values, and knows neither
the kernel nor any engine.

Invariants:
- A handler is synchronous, takes time and randomness from its call, and writes only through the
  call's transactions, which are dropped when it fails. (Only `Call.account` outlives a refusal.)
- Secret values travel as `Secret`; only the pipeline reveals them, and only if the route declares
  that it releases them.
- A path with several spellings reaches handlers and policy in one form only.
"""
