"""Where a database is: what is understood, what is refused, and that nothing else happens."""

import pytest
from hypothesis import given, strategies as st

from ironkeep.core.credential.connector import Tls
from ironkeep.core.errors import InvalidRequest
from ironkeep.engines.database.url import MAX_HOSTS, MAX_URL, parse_url, whereabouts

WHO = "{{username}}:{{password}}@"


@pytest.mark.parametrize(
    ("text", "hosts", "database", "tls", "ca_file"),
    [
        (f"postgresql://{WHO}db", (("db", 5432),), "postgres", Tls.VERIFY_FULL, ""),
        (f"postgres://{WHO}db:6000/app", (("db", 6000),), "app", Tls.VERIFY_FULL, ""),
        ("postgresql://db/?sslmode=disable", (("db", 5432),), "postgres", Tls.DISABLE, ""),
        (
            f"postgresql://{WHO}one.example,[::1]:7/app?sslrootcert=/etc/ca.pem&sslmode=verify-full",
            (("one.example", 5432), ("::1", 7)),
            "app",
            Tls.VERIFY_FULL,
            "/etc/ca.pem",
        ),
    ],
)
def test_a_url_says_where(
    text: str, hosts: tuple[tuple[str, int], ...], database: str, tls: Tls, ca_file: str
) -> None:
    found = parse_url(text)
    assert (found.hosts, found.database, found.tls, found.ca_file) == (
        hosts,
        database,
        tls,
        ca_file,
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "connection_url: postgresql://"),
        ("mysql://db", "connection_url: postgresql://"),
        ("host=db user=app", "connection_url: postgresql://"),
        ("postgresql://app:secret@db/app", "write {{username}}:{{password}}"),
        ("postgresql://{{username}}@db/app", "write {{username}}:{{password}}"),
        ("postgresql://{{username}}:secret@db/app", "write {{username}}:{{password}}"),
        (f"postgresql://{WHO}db/app?sslmode=require", "do not verify the server"),
        (f"postgresql://{WHO}db/app?connect_timeout=5", "allows the options"),
        (f"postgresql://{WHO}db/app?sslmode=disable&sslmode=verify-full", "allows the options"),
        (f"postgresql://{WHO}db/app?sslrootcert=ca.pem", "absolute path"),
        (f"postgresql://{WHO}db:0/app", "host:port"),
        (f"postgresql://{WHO}db:65536/app", "host:port"),
        (f"postgresql://{WHO}db,/app", "host:port"),
        (f"postgresql://{WHO}d b/app", "host:port"),
        (f"postgresql://{WHO}db/a%20b", "database name"),
        (f"postgresql://{WHO}db/{'a' * 64}", "database name"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_write(text: str, words: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        parse_url(text)
    assert words in str(error.value)
    assert "secret" not in str(error.value)


def test_hosts_and_length_are_limited() -> None:
    hosts = [f"db{number}" for number in range(MAX_HOSTS)]
    assert len(parse_url(f"postgresql://{','.join(hosts)}/app").hosts) == MAX_HOSTS
    with pytest.raises(InvalidRequest, match="1 to 16 hosts"):
        parse_url(f"postgresql://{','.join([*hosts, 'one'])}/app")
    with pytest.raises(InvalidRequest, match="1 to 16 hosts"):
        whereabouts((), "app", "", "")
    start = "postgresql://db/app?sslrootcert=/"
    assert parse_url(start + "a" * (MAX_URL - len(start))).ca_file
    with pytest.raises(InvalidRequest):
        parse_url(start + "a" * (MAX_URL - len(start) + 1))


@given(st.one_of(st.text(), st.from_regex(r"postgresql://[^/]*/[a-z?&=%]*", fullmatch=True)))
def test_any_text_parses_or_is_refused(text: str) -> None:
    try:
        found = parse_url(text)
    except InvalidRequest:
        return
    assert found.hosts
    assert all(host and 1 <= port <= 65_535 for host, port in found.hosts)
