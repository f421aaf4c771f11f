"""SCRAM-SHA-256 as PostgreSQL uses it: the stored verifier, and the client's half of a login.

RFC 5802 and RFC 7677, on demand with channel binding (RFC 5929, tls-server-end-point). The user
name in the exchange is empty, because PostgreSQL takes it from the start-up message. Passwords are
prepared by SASLprep (RFC 4013); a password that SASLprep rejects is used unchanged, as in the
server and in libpq.
"""

import base64
import binascii
import hashlib
import hmac
import stringprep
import unicodedata
from typing import Final

from cryptography import x509

from ironkeep.core.errors import IntegrityError, InvalidRequest
from ironkeep.core.secret import Secret

MECHANISM: Final = "SCRAM-SHA-256"
BOUND_MECHANISM: Final = "SCRAM-SHA-256-PLUS"

ITERATIONS: Final = 4096
"""PostgreSQL's default. More would slow down every login of the application, and would add nothing
for the random passwords that Ironkeep generates."""

MIN_ITERATIONS: Final = 4096
"""The minimum of RFC 7677, 4. A false server that asked for one iteration could test guesses of a
human-chosen password against our proof four thousand times as fast."""

MAX_ITERATIONS: Final = 1_000_000
"""The most that a server may demand; about half a second of work."""

SALT_BYTES: Final = 16
NONCE_BYTES: Final = 18

MAX_PASSWORD_BYTES: Final = 1024
"""More than any pooler or driver accepts."""

_MAX_DIGITS: Final = len(str(MAX_ITERATIONS))
_GS2_HEADER: Final = b"n,,"
_BOUND_HEADER: Final = b"p=tls-server-end-point,,"


def saslprep(password: bytes) -> bytes:
    """Return password prepared by RFC 4013, or unchanged when RFC 4013 rejects it.

    Raise InvalidRequest for a password that PostgreSQL cannot store: empty, with NUL, or too long.
    """
    if not password or b"\0" in password or len(password) > MAX_PASSWORD_BYTES:
        raise InvalidRequest(
            f"a password must be 1 to {MAX_PASSWORD_BYTES} bytes without a zero byte"
        )
    if password.isascii():
        return password
    try:
        text = password.decode()
    except UnicodeDecodeError:
        return password
    mapped = "".join(
        " " if stringprep.in_table_c12(char) else char
        for char in text
        if not stringprep.in_table_b1(char)
    )
    prepared = unicodedata.normalize("NFKC", mapped)
    if not prepared or any(map(_prohibited, prepared)) or not _one_direction(prepared):
        return password
    return prepared.encode()


def verifier(password: Secret, salt: bytes, iterations: int = ITERATIONS) -> str:
    """Return the verifier that PostgreSQL stores: SCRAM-SHA-256$i:salt$StoredKey:ServerKey."""
    salted = _salted(password, salt, iterations)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    return f"{MECHANISM}${iterations}:{_b64(salt)}${_b64(stored)}:{_b64(server)}"


class Exchange:
    """The client's half of one login; `nonce` must be fresh, printable and without commas.

    With `binding`, the value of `end_point`, the proof covers the server's certificate.

    Each step raises IntegrityError when the server's message is malformed or does not prove that
    the server knows the verifier.
    """

    def __init__(self, password: Secret, nonce: bytes, binding: bytes = b"") -> None:
        self._header = _BOUND_HEADER if binding else _GS2_HEADER
        self._binding = binding
        self._password = password
        self._nonce = nonce
        self._bare = b"n=,r=" + nonce
        self._signature = b""

    def first(self) -> bytes:
        """Return the client-first-message."""
        return self._header + self._bare

    def final(self, server_first: bytes) -> bytes:
        """Return the client-final-message that answers server_first."""
        nonce, salt, iterations = self._parse_first(server_first)
        salted = _salted(self._password, salt, iterations)
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        stored_key = hashlib.sha256(client_key).digest()
        bound = base64.b64encode(self._header + self._binding)
        without_proof = b"c=" + bound + b",r=" + nonce
        message = b",".join((self._bare, server_first, without_proof))
        signature = hmac.digest(stored_key, message, "sha256")
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        server_key = hmac.digest(salted, b"Server Key", "sha256")
        self._signature = hmac.digest(server_key, message, "sha256")
        return without_proof + b",p=" + base64.b64encode(proof)

    def verify(self, server_final: bytes) -> None:
        """Check the server's signature: only one that holds the verifier can make it."""
        expected = b"v=" + base64.b64encode(self._signature)
        if not self._signature or not hmac.compare_digest(server_final, expected):
            raise IntegrityError("the server did not prove that it knows the password")

    def _parse_first(self, server_first: bytes) -> tuple[bytes, bytes, int]:
        """Return nonce, salt, iterations of a server-first-message."""
        fields = server_first.split(b",")
        if [field[:2] for field in fields] != [b"r=", b"s=", b"i="]:
            raise IntegrityError("the server's first SCRAM message is malformed")
        nonce, salt, count = (field[2:] for field in fields)
        if not nonce.startswith(self._nonce) or len(nonce) == len(self._nonce):
            raise IntegrityError("the server's SCRAM nonce does not extend ours")
        if not count.isdigit():
            raise IntegrityError("the server's SCRAM iteration count is not a number")
        if len(count) > _MAX_DIGITS or int(count) > MAX_ITERATIONS:
            raise IntegrityError(f"the server asks for more than {MAX_ITERATIONS} iterations")
        if int(count) < MIN_ITERATIONS:
            raise IntegrityError(
                f"the server asks for fewer than {MIN_ITERATIONS} SCRAM iterations: raise its "
                "scram_iterations, and set the password again"
            )
        try:
            return nonce, base64.b64decode(salt, validate=True), int(count)
        except binascii.Error as failure:
            raise IntegrityError("the server's SCRAM salt is not base64") from failure


def end_point(certificate: bytes) -> bytes:
    """Return the channel binding of a server's certificate, given in DER (RFC 5929, 4.1)."""
    digest = x509.load_der_x509_certificate(certificate).signature_hash_algorithm
    if digest is None:
        raise IntegrityError("the server's certificate has no hash for channel binding")
    name = "sha256" if digest.name in {"md5", "sha1"} else digest.name
    return hashlib.new(name, certificate).digest()


def nonce(random: bytes) -> bytes:
    """Return NONCE_BYTES of random as a SCRAM nonce."""
    return base64.b64encode(random[:NONCE_BYTES])


def _salted(password: Secret, salt: bytes, iterations: int) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", saslprep(password.reveal()), salt, iterations)


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _prohibited(char: str) -> bool:
    """Return whether RFC 4013 section 2.3 or 2.5 forbids char."""
    return any(table(char) for table in _PROHIBITED)


def _one_direction(text: str) -> bool:
    """Return whether text obeys the rule on bidirectional strings, RFC 3454 section 6."""
    if not any(map(stringprep.in_table_d1, text)):
        return True
    ends = stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])
    return ends and not any(map(stringprep.in_table_d2, text))


_PROHIBITED: Final = (
    stringprep.in_table_a1,
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)
