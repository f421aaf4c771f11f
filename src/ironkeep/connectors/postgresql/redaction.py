"""Redaction of values in an inventory that may hold secrets: they are shown as keyed digests.

Options, connection strings and settings are parsed by their own grammar. A value is shown only when
its name is known to hold no secret and its text is plain. Any other value is replaced by an
HMAC-SHA256 under a key of the connection, so that changes are visible but the value is not, and
guesses cannot be tested without the key; so are the digests of definitions, which may quote one.
Text that cannot be parsed is digested as a whole. Parsing takes linear time, and texts beyond a
limit are only digested.
"""

import hmac
import string
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import Final

import msgspec

from ironkeep.core.secret import Secret

MAX_TEXT: Final = 16 * 1024
"""Characters of a value that is shown; longer lists of privileges would not be read anyway."""

MAX_PLAIN: Final = 256
"""Characters of an option's value that is shown."""

_DIGITS: Final = 32
"""Hexadecimal digits of a digest that are shown."""

_PLAIN: Final = frozenset(string.ascii_letters + string.digits + '_.,:/+-$\\ "*')

_OPTIONS: Final = frozenset(
    {
        "host", "hostaddr", "port", "dbname", "database", "servername", "user", "username",
        "sslmode", "sslcompression", "sslrootcert", "sslcert", "sslcrl", "gssencmode", "krbsrvname",
        "application_name", "fallback_application_name", "connect_timeout", "target_session_attrs",
        "load_balance_hosts", "channel_binding", "require_auth", "client_encoding", "keepalives",
        "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout",
        "replication", "use_remote_estimate", "fdw_startup_cost", "fdw_tuple_cost", "extensions",
        "fetch_size", "batch_size", "async_capable", "updatable", "truncatable", "schema_name",
        "table_name", "column_name", "filename", "format", "header", "delimiter", "null",
        "encoding", "map", "clientcert", "clientname", "ldapserver", "ldapport", "ldapscheme",
        "ldaptls", "ldapbasedn", "ldapprefix", "ldapsuffix", "ldapsearchattribute", "krb_realm",
        "include_realm", "compat_realm", "upn_username", "pamservice", "pam_use_hostname",
        "radiusservers", "radiusports", "radiusidentifiers",
    }
)  # fmt: skip
"""Options of foreign servers, user mappings, subscriptions and pg_hba.conf that hold no secret."""

_SETTINGS: Final = frozenset(
    {
        "archive_library", "bytea_output", "client_encoding", "config_file", "data_directory",
        "datestyle", "default_tablespace", "default_text_search_config",
        "default_toast_compression",
        "dynamic_library_path", "dynamic_shared_memory_type", "external_pid_file", "hba_file",
        "huge_pages", "ident_file", "intervalstyle", "listen_addresses", "local_preload_libraries",
        "log_destination", "log_directory", "log_error_verbosity", "log_file_mode", "log_filename",
        "log_line_prefix", "log_min_error_statement", "log_min_messages", "log_statement",
        "log_timezone", "password_encryption", "role", "search_path", "session_authorization",
        "session_preload_libraries", "session_replication_role", "shared_preload_libraries",
        "ssl_ca_file", "ssl_cert_file", "ssl_ciphers", "ssl_crl_file", "ssl_crl_dir",
        "ssl_key_file",
        "ssl_max_protocol_version", "ssl_min_protocol_version", "stats_temp_directory",
        "synchronous_standby_names", "temp_tablespaces", "timezone", "timezone_abbreviations",
        "unix_socket_directories", "unix_socket_group", "wal_level", "wal_sync_method", "xmloption",
        "default_transaction_isolation", "lc_messages", "lc_monetary", "lc_numeric", "lc_time",
        "client_min_messages", "jit_provider", "recovery_target_timeline",
    }
)  # fmt: skip
"""PostgreSQL's own text settings that hold no secret. Anybody can define a name with a dot."""

_FREE: Final = frozenset(
    {
        "application_name", "cluster_name", "event_source", "bonjour_name", "primary_conninfo",
        "primary_slot_name", "archive_command", "restore_command", "archive_cleanup_command",
        "recovery_end_command", "ssl_passphrase_command", "krb_server_keyfile",
        "syslog_ident", "recovery_target_name", "recovery_target_xid",
    }
)  # fmt: skip
"""PostgreSQL's own settings that may hold any text, so that a number may be a secret too."""

_UNITS: Final = ("", "us", "ms", "s", "min", "h", "d", "B", "kB", "MB", "GB", "TB")
_WORDS: Final = frozenset({"on", "off", "true", "false", "yes", "no"})
_SPACE: Final = frozenset(" \t\n\r\f\v")


class Shape(Enum):
    """The grammar of a column's values; it decides how they are shown."""

    TEXT = "as it is"
    OPTIONS = "a JSON list of name=value"
    SETTINGS = "a JSON list of name=value, of settings"
    SETTING = "the value of the setting that the row is named after"
    CONNECTION = "a connection string or URI of libpq's"
    FREE = "anything that somebody typed"
    CODE = "the SHA-256 of a definition"
    SEALED = "the SHA-256 of text that may be little more than a secret"


class Redaction:
    """Redacts values under one key; without a key a secret is shown as an ellipsis."""

    def __init__(self, key: Secret | None) -> None:
        self._key: Final = key

    def shown(self, shape: Shape, text: str, name: str = "") -> str:
        """Return a value as shown; `name` is the row's name, which SETTING needs."""
        if len(text) > MAX_TEXT:
            return f"{len(text)} characters, {self.digest(text)}"
        match shape:
            case Shape.TEXT:
                shown = text
            case Shape.OPTIONS | Shape.CONNECTION:
                pairs = _listed(text) if shape is Shape.OPTIONS else _conninfo(text)
                shown = self._pairs(pairs, self._option, text)
            case Shape.SETTINGS:
                shown = self._pairs(_listed(text), self._setting, text)
            case Shape.SETTING:
                shown = self._setting(name, text)
            case Shape.FREE:
                shown = self._free(text)
            case Shape.CODE if self._key is None:
                shown = text
            case _:
                shown = self.digest(text)
        return shown

    def digest(self, text: str | bytes) -> str:
        """Return the digest shown in place of a value."""
        if self._key is None:
            return "…"
        raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
        return "hmac:" + hmac.digest(self._key.reveal(), raw, "sha256").hex()[:_DIGITS]

    def _pairs(
        self,
        pairs: Iterable[tuple[str, str]] | None,
        one: Callable[[str, str], str],
        text: str,
    ) -> str:
        if pairs is None:
            return self.digest(text)
        return "; ".join(f"{self._name(name)}={one(name, value)}" for name, value in pairs)

    def _name(self, name: str) -> str:
        """Return an option's name if it is plain, else its digest: names can hold secrets too."""
        return name if _plain(name) and " " not in name else self.digest(name)

    def _option(self, name: str, value: str) -> str:
        return value if name.lower() in _OPTIONS and _harmless(value) else self.digest(value)

    def _setting(self, name: str, value: str) -> str:
        name = name.lower()
        known = "." not in name and name not in _FREE and (name in _SETTINGS or _number(value))
        return value if known and _harmless(value) else self.digest(value)

    def _free(self, text: str) -> str:
        lower = text.lower()
        hiding = "://" in text or any(word in lower for word in _HINTS)
        return self.digest(text) if hiding else text


_HINTS: Final = ("pass", "pwd", "secret", "token", "key", "cred", "auth", "=")


def _harmless(value: str) -> bool:
    return _plain(value) and "://" not in value


def _plain(value: str) -> bool:
    return len(value) <= MAX_PLAIN and _PLAIN.issuperset(value)


def _number(value: str) -> bool:
    """Return whether value is a truth value or a number, with or without a unit."""
    if value.lower() in _WORDS:
        return True
    digits = value.rstrip(string.ascii_letters)
    return value[len(digits) :] in _UNITS and digits.lstrip("-").replace(".", "", 1).isdecimal()


def _listed(text: str) -> list[tuple[str, str]] | None:
    """Return the pairs of a JSON list of name=value, None for other text."""
    try:
        listed = msgspec.json.decode(text, type=list[str])
    except msgspec.MsgspecError:
        return None
    parts = [each.partition("=") for each in listed]
    return [(name, value) for name, _, value in parts]


def _conninfo(text: str) -> list[tuple[str, str]] | None:
    """Return the pairs of a connection string ("PostgreSQL documentation, 34.1.1"), or None.

    A URI is never parsed: programs disagree on where its password ends.
    """
    if "://" in text:
        return None
    try:
        return list(_tokens(text))
    except (IndexError, ValueError):
        return None


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """Yield name and value of each pair; raise IndexError or ValueError when text is malformed."""
    at, end = 0, len(text)
    while at < end:
        if text[at] in _SPACE:
            at += 1
            continue
        equals = text.index("=", at)
        name = text[at:equals].strip()
        if not name or any(char in _SPACE for char in name):
            raise ValueError(name)
        at = equals + 1
        while at < end and text[at] in _SPACE:
            at += 1
        value, at = _value(text, at)
        yield name, value


def _value(text: str, at: int) -> tuple[str, int]:
    """Return the value that begins at `at`, quoted or up to the next space, and its end."""
    quoted = text[at : at + 1] == "'"
    at += quoted
    found: list[str] = []
    while quoted or (at < len(text) and text[at] not in _SPACE):
        char = text[at]
        if quoted and char == "'":
            return "".join(found), at + 1
        if char == "\\":
            at += 1
            char = text[at]
        found.append(char)
        at += 1
    return "".join(found), at
