"""Sources of files on the server's host, which only a superuser sees: settings, code, data.

A comment in pg_hba.conf changes its digest too, as does a quoted "all", which the server's own view
of that file shows like the keyword.
"""
# ruff: noqa: S608 - every part of every query is a literal of this package, as its type says

from typing import Final, LiteralString

from ironkeep.connectors.postgresql.catalogue.source import Source, digest, file_digest
from ironkeep.connectors.postgresql.redaction import Shape
from ironkeep.core.credential.inventory import Kind

MAX_FILE: Final[LiteralString] = "67108864"
"""Bytes of a file that is digested, in a third of a second."""

_TOO_LARGE: Final[LiteralString] = f"""
    CASE WHEN size > {MAX_FILE} THEN 'it is too large to be looked at'
        WHEN size IS NULL THEN 'it cannot be read' END AS gap"""

_STATED: Final[LiteralString] = """
    CROSS JOIN LATERAL (SELECT size, isdir FROM pg_stat_file(path, true) OFFSET 0) s"""

_CONTENT: Final = file_digest("path", "size")
_TOGETHER: Final = digest("string_agg(name || ' ' || content, ' ' ORDER BY name)")

SOURCES: Final[tuple[Source, ...]] = (
    Source(
        "file",
        Kind.SETTING,
        f"""
        SELECT path, size, CASE WHEN size <= {MAX_FILE} THEN {_CONTENT} END
            AS content, {_TOO_LARGE}
        FROM (
            SELECT setting AS path FROM pg_settings WHERE setting <> '' AND name IN (
                'config_file', 'hba_file', 'ident_file', 'ssl_ca_file', 'ssl_cert_file',
                'ssl_crl_file', 'krb_server_keyfile')
            UNION SELECT sourcefile FROM pg_file_settings
            UNION SELECT to_jsonb(h) ->> 'file_name' FROM pg_hba_file_rules h
            UNION SELECT setting || '/' || entry FROM pg_settings, pg_ls_dir(setting) entry
                WHERE name = 'ssl_crl_dir' AND setting <> ''
            ) f {_STATED}
        WHERE path IS NOT NULL AND isdir IS NOT true
            AND (size IS NOT NULL OR path NOT IN (
                SELECT boot_val FROM pg_settings WHERE name LIKE 'ssl%file' OR name LIKE 'krb%'))
        """,
        shapes={"content": Shape.SEALED},
    ),
    # Signal files make a server recover or follow another one when it starts again.
    Source(
        "data_file",
        Kind.SETTING,
        f"""
        SELECT path, 'exists' AS state FROM pg_ls_dir('.') path {_STATED}
        WHERE NOT isdir AND path NOT IN ('postmaster.pid', 'current_logfiles')
        """,
    ),
    Source(
        "library_file",
        Kind.HOOK,
        f"""
        SELECT name, CASE WHEN size <= {MAX_FILE} THEN {_CONTENT} END
            AS content, {_TOO_LARGE}
        FROM (
            SELECT entry AS name, setting || '/' || entry AS path
            FROM pg_config() d, pg_ls_dir(setting) entry WHERE d.name = 'PKGLIBDIR') f {_STATED}
        WHERE NOT isdir""",
        shapes={"content": Shape.CODE},
    ),
    Source(
        "extension_files",
        Kind.HOOK,
        f"""
        SELECT extension, count(*) AS files,
            {_TOGETHER} AS content
        FROM (
            SELECT split_part(split_part(name, '.', 1), '--', 1) AS extension, name,
                CASE WHEN size <= {MAX_FILE} THEN {_CONTENT}
                    ELSE size::text END AS content
            FROM (
                SELECT entry AS name, setting || '/extension/' || entry AS path
                FROM pg_config() d, pg_ls_dir(setting || '/extension') entry
                WHERE d.name = 'SHAREDIR') f {_STATED}
            WHERE NOT isdir) e
        GROUP BY extension""",
        shapes={"content": Shape.CODE},
    ),
    Source(
        "loaded_module",
        Kind.HOOK,
        "SELECT file_name, module_name AS module, version FROM pg_get_loaded_modules()",
        needs="pg_get_loaded_modules()",
    ),
)
