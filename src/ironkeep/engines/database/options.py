"""Fields of Vault's database API that are not served: each is refused by name, and none ignored.

Source: the Vault HTTP API, secret/databases and its PostgreSQL plugin. A field that asks for
nothing (empty, false, 0) is taken, because clients send such defaults, and so is one that asks for
what is done anyway.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from ironkeep.core.errors import InvalidRequest
from ironkeep.plugin.call import Call
from ironkeep.plugin.fields import unknown

_POOL: Final = "no connection is kept open"
_TLS: Final = "name a file of certificates with sslrootcert, and log in with a password"
_BY_HAND: Final = "write to rotate-root/<name> when the password is to change"
_LOGIN: Final = "the vault logs in with a username and a password"
_DYNAMIC: Final = "there are no dynamic roles, whose names it would make"

CONFIG: Final[Mapping[str, str]] = MappingProxyType(
    {
        "max_open_connections": _POOL,
        "max_idle_connections": _POOL,
        "max_connection_lifetime": _POOL,
        "tls_ca": _TLS,
        "tls_certificate": _TLS,
        "tls_certificate_key": _TLS,
        "private_key": _TLS,
        "tls_server_name": "the certificate has to name the host",
        "insecure_tls": "the server is always verified",
        "disable_escaping": "names and passwords are never written into a URL",
        "username_template": _DYNAMIC,
        "auth_type": _LOGIN,
        "service_account_json": _LOGIN,
        "use_private_ip": _LOGIN,
        "use_psc": _LOGIN,
        "self_managed": "write self_managed to the static role",
        "password_authentication": "passwords are always stored as scram-sha-256",
        "plugin_version": "the connector is part of the server",
        "connection_details": "write its fields themselves",
        "skip_static_role_import_rotation": "write skip_import_rotation to the static role",
        "rotation_period": _BY_HAND,
        "rotation_schedule": _BY_HAND,
        "rotation_window": _BY_HAND,
        "rotation_policy": _BY_HAND,
        "disable_automated_rotation": _BY_HAND,
    }
)
"""Why a field of `config` is not served."""

STATIC_ROLE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "rotation_window": "it belongs to rotation_schedule: use rotation_period",
        "credential_config": "passwords are random, and there are no other credentials",
        "self_managed_password": "write self_managed=true and the password as password",
        "password_wo": "write it as password",
        "password_wo_version": "write the password as password",
        "password_policy": "passwords are random",
        "skip_static_role_import_rotation": "write skip_import_rotation",
    }
)
"""Why a field of `static-roles` is not served."""

_DONE: Final[Mapping[str, tuple[object, ...]]] = MappingProxyType(
    {
        "password_authentication": ("scram-sha-256",),
        "disable_automated_rotation": (True, "true"),
    }
)
"""Values that ask for what is done anyway."""

_NOTHING: Final[tuple[object, ...]] = (None, "", False, 0, "0", "false", [], {})


def refuse_others(call: Call, declaration: type, reasons: Mapping[str, str]) -> None:
    """Raise InvalidRequest for the first field that the declaration does not have."""
    for name in unknown(declaration, call.raw):
        reason = reasons.get(name)
        if reason is None:
            raise InvalidRequest(f"there is no field {name[:64]!r} here: see the documentation")
        if not _asks_for_nothing(name, call.raw[name]):
            raise InvalidRequest(f"{name} is not supported: {reason}")


def _asks_for_nothing(name: str, value: Any) -> bool:
    return value in _NOTHING or value in _DONE.get(name, ())
