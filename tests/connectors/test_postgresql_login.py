"""The login state machine, table by table, and against servers that break the protocol."""

import struct
from base64 import b64encode
from collections.abc import Iterable

import pytest
from hypothesis import given, strategies as st

from ironkeep.connectors.postgresql import scram, wire
from ironkeep.connectors.postgresql.login import Login
from ironkeep.core.connector import Probe
from ironkeep.core.errors import IntegrityError
from ironkeep.core.secret import Secret

NONCE = b"fixed-nonce"
SASL = wire.Message(b"R", struct.pack("!i", 10) + b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0")
OK = wire.Message(b"R", struct.pack("!i", 0))
READY = wire.Message(b"Z", b"I")


def challenge() -> wire.Message:
    return wire.Message(b"R", struct.pack("!i", 11) + b"r=" + NONCE + b"x,s=AAAA,i=1")


def signature() -> wire.Message:
    """What a server that knows the password answers; computed by the client's own half."""
    exchange = scram.Exchange(Secret(b"right"), NONCE)
    exchange.final(challenge().body[4:])
    return wire.Message(b"R", struct.pack("!i", 12) + b"v=" + b64encode(exchange._signature))


def error(code: str) -> wire.Message:
    return wire.Message(b"E", f"SFATAL\0C{code}\0Mwords in any language\0\0".encode())


def login(messages: Iterable[wire.Message]) -> Login:
    made = Login("app", Secret(b"right"), "db", NONCE)
    for message in messages:
        made.receive(message)
    return made


def state(*messages: wire.Message) -> Probe | None:
    outcome = login(messages).outcome
    return None if outcome is None else outcome.state


def proved() -> list[wire.Message]:
    return [SASL, challenge(), signature(), OK]


def test_a_login_that_works_is_alive_only_after_its_action() -> None:
    row = wire.Message(b"D", b"\0\1")
    assert state(*proved()) is None
    assert state(*proved(), READY) is None
    assert state(*proved(), READY, row, READY) is Probe.ALIVE


BEFORE = {
    "28P01": Probe.DEAD,
    "28000": Probe.UNKNOWN,
    "53300": Probe.UNKNOWN,
    "57P03": Probe.UNKNOWN,
    "08P01": Probe.UNKNOWN,
    "42501": Probe.UNKNOWN,
    "": Probe.UNKNOWN,
}
AFTER = {
    "28P01": Probe.DEAD,
    "28000": Probe.DEAD,
    "42501": Probe.ALIVE,
    "3D000": Probe.ALIVE,
    "53300": Probe.UNKNOWN,
    "57P03": Probe.UNKNOWN,
    "58030": Probe.UNKNOWN,
    "XX000": Probe.UNKNOWN,
}


@pytest.mark.parametrize(("code", "expected"), BEFORE.items())
def test_a_refusal_before_the_server_proved_itself(code: str, expected: Probe) -> None:
    assert state(SASL, challenge(), error(code)) is expected
    assert state(error(code)) is expected


@pytest.mark.parametrize(("code", "expected"), AFTER.items())
def test_a_refusal_after_the_password_was_accepted(code: str, expected: Probe) -> None:
    assert state(*proved(), error(code)) is expected


@pytest.mark.parametrize("messages", [[OK], [SASL, OK], [SASL, challenge(), OK]])
def test_a_server_that_lets_everybody_in_says_nothing(messages: list[wire.Message]) -> None:
    outcome = login(messages).outcome
    assert outcome is not None
    assert outcome.state is Probe.UNKNOWN
    assert "without any password" in outcome.reason


@pytest.mark.parametrize("method", [3, 5, 7, 9])
def test_the_password_is_not_given_to_other_methods(method: int) -> None:
    made = Login("app", Secret(b"right"), "db", NONCE)
    assert made.receive(wire.Message(b"R", struct.pack("!i", method) + b"salt")) == b""
    assert made.outcome is not None
    assert made.outcome.state is Probe.UNKNOWN


def test_a_mechanism_we_do_not_speak() -> None:
    offer = wire.Message(b"R", struct.pack("!i", 10) + b"SCRAM-SHA-512\0\0")
    assert state(offer) is Probe.UNKNOWN


def test_a_server_that_does_not_know_the_verifier_is_not_believed() -> None:
    with pytest.raises(IntegrityError, match="did not prove"):
        login([SASL, challenge(), wire.Message(b"R", struct.pack("!i", 12) + b"v=AAAA")])


def test_a_challenge_is_answered_once() -> None:
    made = login([SASL, challenge()])
    assert made.receive(challenge()) == b""
    assert made.outcome is not None
    assert made.outcome.state is Probe.UNKNOWN


def test_ready_too_early_is_refused() -> None:
    with pytest.raises(IntegrityError):
        login([READY])
    with pytest.raises(IntegrityError):
        login([*proved(), READY, READY])
    with pytest.raises(IntegrityError):
        login([*proved(), wire.Message(b"D", b"\0\1"), READY, READY])


@given(st.lists(st.builds(wire.Message, st.sampled_from([b"R", b"E", b"D", b"Z"]), st.binary())))
def test_hostile_messages_never_make_a_credential_live(messages: list[wire.Message]) -> None:
    try:
        outcome = login(messages).outcome
    except IntegrityError:
        return
    assert outcome is None or outcome.state is not Probe.ALIVE


@given(st.lists(st.binary(min_size=1, max_size=9)))
def test_messages_are_cut_alike_however_they_arrive(bodies: list[bytes]) -> None:
    stream = b"".join(b"N" + struct.pack("!i", 4 + len(body)) + body for body in bodies)
    whole = list(wire.Reader().feed(stream))
    drip = wire.Reader()
    assert [m for i in range(len(stream)) for m in drip.feed(stream[i : i + 1])] == whole
    assert [m.body for m in whole] == bodies


@pytest.mark.parametrize("length", [-1, 0, 3, wire.MAX_MESSAGE_BYTES + 1, 2**31 - 1])
def test_an_impossible_length_is_refused_before_it_is_awaited(length: int) -> None:
    with pytest.raises(IntegrityError):
        list(wire.Reader().feed(b"N" + struct.pack("!i", length)))
    assert list(wire.Reader().feed(b"N" + struct.pack("!i", wire.MAX_MESSAGE_BYTES))) == []


def test_a_short_authentication_message_is_refused() -> None:
    with pytest.raises(IntegrityError):
        wire.authentication(b"\0\0")
