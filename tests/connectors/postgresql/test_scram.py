"""SCRAM-SHA-256: the example of RFC 7677, SASLprep's examples of RFC 4013, hostile servers."""

import base64

import pytest
from hypothesis import given, strategies as st

from ironkeep.connectors.postgresql import scram
from ironkeep.core.errors import IntegrityError, InvalidRequest
from ironkeep.core.secret import Secret

NONCE = b"rOprNGfwEbeRWgbNEkqO"
SERVER_FIRST = (
    b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
)
CLIENT_FINAL = (
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
    b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
)
SERVER_FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


class NamedExchange(scram.Exchange):
    """The RFC's example names its user in the exchange, which PostgreSQL's clients do not."""

    def __init__(self) -> None:
        super().__init__(Secret(b"pencil"), NONCE)
        self._bare = b"n=user,r=" + NONCE


def test_the_example_of_rfc_7677() -> None:
    exchange = NamedExchange()
    assert exchange.first() == b"n,,n=user,r=" + NONCE
    assert exchange.final(SERVER_FIRST) == CLIENT_FINAL
    exchange.verify(SERVER_FINAL)


def test_the_verifier_holds_the_keys_of_the_example() -> None:
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    assert scram.verifier(Secret(b"pencil"), salt) == (
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
        "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )


@pytest.mark.parametrize(
    ("password", "prepared"),
    [
        ("I\u00adX", "IX"),
        ("user", "user"),
        ("USER", "USER"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        ("a\u00a0b", "a b"),
    ],
)
def test_saslprep_as_in_rfc_4013(password: str, prepared: str) -> None:
    assert scram.saslprep(password.encode()) == prepared.encode()


@pytest.mark.parametrize(
    "password",
    [
        b"tab\there",
        "\u0627\u0031".encode(),
        "\u0221".encode(),
        "\ue000".encode(),
        "\u00ad".encode(),
        b"\xff\xfe",
    ],
    ids=["control", "bidirectional", "unassigned", "private", "nothing left", "not UTF-8"],
)
def test_what_saslprep_refuses_is_taken_as_it_is(password: bytes) -> None:
    assert scram.saslprep(password) == password


@pytest.mark.parametrize("password", [b"", b"a\0b", b"x" * (scram.MAX_PASSWORD_BYTES + 1)])
def test_passwords_that_postgresql_cannot_hold(password: bytes) -> None:
    with pytest.raises(InvalidRequest):
        scram.saslprep(password)
    assert len(scram.saslprep(b"x" * scram.MAX_PASSWORD_BYTES)) == scram.MAX_PASSWORD_BYTES


@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"r=short,s=AAAA,i=4096",
        b"r=" + NONCE + b",s=AAAA,i=4096",
        b"r=" + NONCE + b"x,s=AAAA",
        b"r=" + NONCE + b"x,s=AA A,i=4096",
        b"r=" + NONCE + b"x,s=AAAA,i=0",
        b"r=" + NONCE + b"x,s=AAAA,i=-1",
        b"r=" + NONCE + b"x,s=AAAA,i=1000001",
        b"r=" + NONCE + b"x,s=AAAA,i=" + b"9" * 5000,
        b"m=ext,r=" + NONCE + b"x,s=AAAA,i=4096",
    ],
)
def test_a_false_server_first_message_is_refused(first: bytes) -> None:
    with pytest.raises(IntegrityError):
        scram.Exchange(Secret(b"pencil"), NONCE).final(first)


@pytest.mark.parametrize("count", [b"1", b"4095", b"0004095", b"0"])
def test_a_server_that_asks_for_few_iterations_gets_no_proof(count: bytes) -> None:
    first = b"r=" + NONCE + b"x,s=AAAA,i="
    with pytest.raises(IntegrityError, match="scram_iterations"):
        scram.Exchange(Secret(b"pencil"), NONCE).final(first + count)
    assert b",p=" in scram.Exchange(Secret(b"pencil"), NONCE).final(first + b"4096")


@given(st.binary(max_size=80))
def test_hostile_messages_only_raise_integrity_errors(raw: bytes) -> None:
    exchange = scram.Exchange(Secret(b"pencil"), NONCE)
    with pytest.raises(IntegrityError):
        exchange.final(raw)
    with pytest.raises(IntegrityError):
        exchange.verify(raw)


@pytest.mark.parametrize("final", [b"", b"v=", SERVER_FINAL[:-1], b"e=invalid-proof"])
def test_a_server_that_does_not_prove_itself_is_refused(final: bytes) -> None:
    exchange = NamedExchange()
    exchange.final(SERVER_FIRST)
    with pytest.raises(IntegrityError):
        exchange.verify(final)


def test_a_signature_before_the_challenge_is_refused() -> None:
    with pytest.raises(IntegrityError):
        scram.Exchange(Secret(b"pencil"), NONCE).verify(b"v=")
