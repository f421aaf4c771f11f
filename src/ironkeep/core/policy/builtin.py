"""The built-in policies, as Vault ships them.

`default` can be edited but not deleted; `root` and `response-wrapping` can be neither edited nor
deleted, and no request can assign `response-wrapping` to a token.
"""

from typing import Final

ROOT_POLICY_NAME: Final = "root"
DEFAULT_POLICY_NAME: Final = "default"
RESPONSE_WRAPPING_POLICY_NAME: Final = "response-wrapping"

IMMUTABLE_POLICY_NAMES: Final = frozenset({ROOT_POLICY_NAME, RESPONSE_WRAPPING_POLICY_NAME})
NON_ASSIGNABLE_POLICY_NAMES: Final = frozenset({RESPONSE_WRAPPING_POLICY_NAME})

DEFAULT_POLICY_TEXT: Final = """\
# What every token may do unless it was made without this policy.

# Its own token.
path "auth/token/lookup-self" {
  capabilities = ["read"]
}
path "auth/token/renew-self" {
  capabilities = ["update"]
}
path "auth/token/revoke-self" {
  capabilities = ["update"]
}

# What it may do, on paths that it names.
path "sys/capabilities-self" {
  capabilities = ["update"]
}
path "sys/internal/ui/resultant-acl" {
  capabilities = ["read"]
}

# Its own entity.
path "identity/entity/id/{{identity.entity.id}}" {
  capabilities = ["read"]
}
path "identity/entity/name/{{identity.entity.name}}" {
  capabilities = ["read"]
}

# Leases whose id it knows.
path "sys/leases/renew" {
  capabilities = ["update"]
}
path "sys/leases/lookup" {
  capabilities = ["update"]
}

# Its own cubbyhole.
path "cubbyhole/*" {
  capabilities = ["create", "read", "update", "delete", "list"]
}

# Response wrapping.
path "sys/wrapping/wrap" {
  capabilities = ["update"]
}
path "sys/wrapping/lookup" {
  capabilities = ["update"]
}
path "sys/wrapping/unwrap" {
  capabilities = ["update"]
}

# Hashing.
path "sys/tools/hash" {
  capabilities = ["update"]
}
path "sys/tools/hash/*" {
  capabilities = ["update"]
}

# The authorization endpoint of OIDC providers.
path "identity/oidc/provider/+/authorize" {
  capabilities = ["read", "update"]
}
"""

RESPONSE_WRAPPING_POLICY_TEXT: Final = """\
path "cubbyhole/response" {
  capabilities = ["create", "read"]
}
path "sys/wrapping/unwrap" {
  capabilities = ["update"]
}
path "auth/token/revoke-self" {
  capabilities = ["update"]
}
"""
