"""The login state machine, table by table, and against servers that break the protocol."""

import struct
from base64 import b64encode
from collections.abc import Iterable
from hashlib import sha256

import pytest
from hypothesis import given, strategies as st

from ironkeep.connectors.postgresql import scram, wire
from ironkeep.connectors.postgresql.login import Login
from ironkeep.core.credential.connector import Probe
from ironkeep.core.errors import IntegrityError
from ironkeep.core.secret import Secret

NONCE = b"fixed-nonce"
SASL = wire.Message(b"R", struct.pack("!i", 10) + b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0")
OK = wire.Message(b"R", struct.pack("!i", 0))
READY = wire.Message(b"Z", b"I")


def challenge() -> wire.Message:
    return wire.Message(b"R", struct.pack("!i", 11) + b"r=" + NONCE + b"x,s=AAAA,i=4096")


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


CODES = (
    "28P01", "28000", "42501", "3D000", "53300", "57P03", "57P01", "58030", "58P01", "08P01",
    "XX000", "25006", "",
)  # fmt: skip
STAGES = {
    "before anything was asked": [],
    "asked, not answered": [SASL],
    "our proof was sent": [SASL, challenge()],
    "the server proved itself": [SASL, challenge(), signature()],
    "let in": proved(),
    "ready": [*proved(), READY],
    "the server let us in without a password": [OK],
}


def expected(stage: str, code: str) -> tuple[Probe, bool]:
    """Return what a refusal says of the password, and whether it was right and the rest refused."""
    if stage in {"the server proved itself", "let in", "ready"}:
        return Probe.ALIVE, True
    if stage == "our proof was sent" and code == "28P01":
        return Probe.DEAD, False
    return Probe.UNKNOWN, False


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("code", CODES)
def test_what_a_refusal_says_is_decided_by_what_was_proven(stage: str, code: str) -> None:
    outcome = login(
        [*STAGES[stage], *([] if stage.endswith("password") else [error(code)])]
    ).outcome
    assert outcome is not None
    assert (outcome.state, outcome.blocked) == expected(stage, code)
    if not stage.endswith("password"):
        assert outcome.code == code
        assert code in outcome.reason
        assert outcome.full == (code == "53300")


@pytest.mark.parametrize("stage", STAGES)
def test_a_connection_that_breaks_decides_nothing_that_was_not_proven(stage: str) -> None:
    outcome = login(STAGES[stage]).broken_off("it broke")
    assert (outcome.state, outcome.blocked) == expected(stage, "")


def test_a_code_that_is_none_is_not_shown() -> None:
    outcome = login([SASL, challenge(), error("\x1b[0m")]).outcome
    assert outcome is not None
    assert "\x1b" not in outcome.reason


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
    made = Login("app", Secret(b"right"), "db", NONCE, action="")
    for message in [*proved(), READY]:
        made.receive(message)
    assert made.outcome is not None
    assert (made.outcome.state, made.outcome.blocked) == (Probe.ALIVE, False)


@given(st.lists(st.builds(wire.Message, st.sampled_from([b"R", b"E", b"D", b"Z"]), st.binary())))
def test_hostile_messages_never_make_a_credential_live(messages: list[wire.Message]) -> None:
    try:
        outcome = login(messages).outcome
    except IntegrityError:
        return
    assert outcome is None or outcome.state is not Probe.ALIVE


@given(st.lists(st.integers(0, 3 * wire.MAX_MESSAGE_BYTES), max_size=3), st.integers(1, 200_000))
def test_rows_of_any_length_pass_and_little_of_them_is_kept(sizes: list[int], step: int) -> None:
    long = wire.MAX_ROW_BYTES
    bodies = [bytes([65 + at]) * (size + long * (at % 2)) for at, size in enumerate(sizes)]
    stream = b"".join(b"D" + struct.pack("!i", 4 + len(body)) + body for body in bodies)
    reader = wire.Reader(long_rows=True)
    found = [m for at in range(0, len(stream), step) for m in reader.feed(stream[at : at + step])]
    assert len(found) == len(bodies)
    for message, body in zip(found, bodies, strict=True):
        assert body.startswith(message.body)
        if len(body) + 4 <= wire.MAX_ROW_BYTES:
            assert (message.body, message.size) == (body, 0)
        else:
            assert message.size == len(body)
            assert len(message.body) <= wire.MAX_MESSAGE_BYTES
            assert message.digest == sha256(body).digest()


def test_only_a_row_may_be_long() -> None:
    for kind in (b"E", b"N", b"S", b"T", b"R"):
        with pytest.raises(IntegrityError):
            list(wire.Reader(long_rows=True).feed(kind + struct.pack("!i", 2**20)))
    with pytest.raises(IntegrityError):
        list(wire.Reader().feed(b"D" + struct.pack("!i", 2**20)))


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
