"""What an inventory shows of values that may hold secrets."""

from dataclasses import replace
from time import process_time

import msgspec
import pytest
from hypothesis import given, strategies as st

from ironkeep.connectors.postgresql import PostgreSQL
from ironkeep.connectors.postgresql.redaction import MAX_TEXT, Redaction, Shape, _tokens
from ironkeep.core.credential.inventory import encode
from ironkeep.core.secret import Secret
from ironkeep.testing.postgres import PostgresServer

KEYED = Redaction(Secret(b"k" * 32))
BARE = Redaction(None)
CANARY = "hunter2canary"


def listed(*pairs: str) -> str:
    return msgspec.json.encode(pairs).decode()


SECRETS = {
    "an option": (Shape.OPTIONS, listed(f"password={CANARY}")),
    "an option with blanks": (Shape.OPTIONS, listed(f"password=p@ss,w;rd {CANARY}")),
    "an option by another name": (Shape.OPTIONS, listed("user=u", f"api_key={CANARY}")),
    "an option that looks harmless": (Shape.OPTIONS, listed(f"host=postgres://u:{CANARY}@h")),
    "an option whose name is one": (Shape.OPTIONS, listed(f"{CANARY} !=x")),
    "no list": (Shape.OPTIONS, f"password={CANARY}"),
    "a setting of an application": (Shape.SETTINGS, listed(f"app.jwt={CANARY}")),
    "a number of an application": (Shape.SETTINGS, listed("app.pin=4711")),
    "a name of a program": (Shape.SETTINGS, listed(f"application_name={CANARY}")),
    "a connection string": (Shape.CONNECTION, f"host=a password={CANARY} port=1"),
    "one with a quote": (Shape.CONNECTION, f"host=a password = 'it\\'s {CANARY}'"),
    "one with an escape": (Shape.CONNECTION, f"host=a password=ab\\ {CANARY}"),
    "one in capitals": (Shape.CONNECTION, f"host=a PASSWORD='x'  sslpassword={CANARY}"),
    "one that is broken": (Shape.CONNECTION, f"host=a password='{CANARY}"),
    "a URI": (Shape.CONNECTION, f"postgresql://u:pa@{CANARY}@h/d"),
    "something typed": (Shape.FREE, f"token={CANARY}"),
    "a URI that was typed": (Shape.FREE, f"see https://u:{CANARY}@h"),
}


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_not_shown_and_a_change_of_it_is(name: str) -> None:
    shape, text = SECRETS[name]
    shown = KEYED.shown(shape, text)
    changed = KEYED.shown(shape, text.replace(CANARY, "another").replace("4711", "4712"))
    for each in (CANARY, "4711"):
        assert each not in shown
        assert each not in BARE.shown(shape, text)
    assert "hmac:" in shown
    assert shown != changed
    assert Redaction(Secret(b"another key")).shown(shape, text) != shown
    assert "hmac:" not in BARE.shown(shape, text)


def test_what_is_no_secret_is_shown_with_the_names_of_the_rest() -> None:
    shown = KEYED.shown(Shape.CONNECTION, "host=db.example port=5432 user='a b' password=x")
    assert shown.startswith("host=db.example; port=5432; user=a b; password=hmac:")
    assert KEYED.shown(Shape.OPTIONS, listed("host=h", "dbname=d")) == "host=h; dbname=d"
    settings = listed("statement_timeout=1ms", "search_path=public, x", "log_statement=all")
    assert KEYED.shown(Shape.SETTINGS, settings) == (
        "statement_timeout=1ms; search_path=public, x; log_statement=all"
    )
    assert KEYED.shown(Shape.SETTING, "on", "ssl") == "on"
    assert KEYED.shown(Shape.SETTING, "x", "primary_conninfo").startswith("hmac:")
    assert KEYED.shown(Shape.TEXT, "{a=r/b}") == "{a=r/b}"


@given(st.dictionaries(st.from_regex(r"[a-z]{1,9}", fullmatch=True), st.text(max_size=20)))
def test_a_connection_string_is_taken_apart_as_it_was_put_together(pairs: dict[str, str]) -> None:
    quoted = {
        name: value.replace("\\", "\\\\").replace("'", "\\'") for name, value in pairs.items()
    }
    text = " ".join(f"{name} = '{value}'" for name, value in quoted.items())
    assert dict(_tokens(text)) == pairs


@given(st.sampled_from(Shape), st.text())
def test_any_text_is_shown_somehow(shape: Shape, text: str) -> None:
    assert isinstance(KEYED.shown(shape, text, "name"), str)


PATTERNS = ("pass", "pass=", "password='", "://:@", "a=\\ ", '["', "a =", "' ", "x.y=://")


@pytest.mark.parametrize("shape", Shape)
def test_the_cost_is_linear_in_the_text(shape: Shape) -> None:
    def cost(size: int) -> float:
        texts = [(each * size)[:size] for each in PATTERNS]
        began = process_time()
        for _ in range(20):
            for text in texts:
                KEYED.shown(shape, text, "name")
        return process_time() - began

    small = min(cost(MAX_TEXT // 16) for _ in range(3))
    large = min(cost(MAX_TEXT) for _ in range(3))
    assert large < 16 * 4 * small + 0.05
    assert cost(64 * MAX_TEXT) < 64 * 4 * large + 0.5


def test_an_inventory_of_a_real_server_shows_none(
    connector: PostgreSQL, postgres: PostgresServer, role: str, database: str
) -> None:
    file = postgres.data / "pg_hba.conf"
    before = file.read_text()
    leaks = [f"canary{number}" for number in range(8)]
    postgres.execute(
        "CREATE FOREIGN DATA WRAPPER w",
        f"CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (aws_secret_access_key '{leaks[0]}')",
        f"CREATE USER MAPPING FOR \"{role}\" SERVER s OPTIONS (pwd 'a b;{leaks[1]}')",
        f"CREATE SUBSCRIPTION one CONNECTION 'host=h password=''x {leaks[2]}''' PUBLICATION p"
        " WITH (connect = false, slot_name = NONE)",
        f"CREATE SUBSCRIPTION two CONNECTION 'postgresql://u:pa@{leaks[3]}@h/d' PUBLICATION p"
        " WITH (connect = false, slot_name = NONE)",
        f"ALTER DATABASE {database} SET app.jwt = '{leaks[4]}'",
        f"CREATE FUNCTION public.f() RETURNS text LANGUAGE sql SET app.key = '{leaks[5]}'"
        f" AS 'SELECT ''{leaks[6]}'''",
        database=database,
    )
    file.write_text(
        f"{before}\nhost all x 10.0.0.1/32 radius radiusservers=10.0.0.1 radiussecrets={leaks[7]}\n"
    )
    try:
        found = encode(connector.inventory(postgres.target()))
        key = Secret(b"k" * 32)
        keyed = encode(connector.inventory(replace(postgres.target(), digest_key=key)))
    finally:
        file.write_text(before)
        postgres.execute("DROP SUBSCRIPTION one", "DROP SUBSCRIPTION two", database=database)
    for leak in leaks:
        assert leak.encode() not in found
        assert leak.encode() not in keyed
    assert b"pwd=hmac:" in keyed
    assert b"radiussecrets=hmac:" in keyed
    assert "aws_secret_access_key=…".encode() in found
