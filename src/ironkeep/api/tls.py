"""The server side of TLS: certificates that can be renewed, and client certificates of anybody.

Whoever shows a client certificate may be answered: a browser or a library sends the one that it
has. So a handshake asks only for the proof that the other end holds the key. Whether a certificate
is a device's, or one that a role takes, is judged where that matters (access/devices/devices.py,
auth/cert/chain.py), which never believed the listener's word on the chain. Only where the
configuration requires certificates of a CA does the handshake itself refuse all others.

Python can ask for a client certificate only together with OpenSSL's verification of it, so the
verification is replaced by a function that accepts (SSL_CTX_set_cert_verify_callback(3)); the
signature by the certificate's key is checked all the same. Where that function cannot be reached
the handshake refuses what it cannot verify, as it did before.
"""

import _ssl
import ctypes
import os
import ssl
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ironkeep.config import Listener
from ironkeep.core.errors import InvalidRequest

MAX_FILE: Final = 1 << 20
"""Bytes of a certificate file, chain and all, or of a key."""

_ACCEPT: Final = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(
    lambda _store, _argument: 1
)
"""Kept for ever: OpenSSL calls it."""


def tls_context(listener: Listener) -> ssl.SSLContext:
    """Return the server side of TLS 1.3 and, unless forbidden, 1.2 with forward secrecy."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = (
        ssl.TLSVersion.TLSv1_3 if listener.min_version == "tls13" else ssl.TLSVersion.TLSv1_2
    )
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    load(context, listener)
    if listener.client_ca_file is not None:
        try:
            content = _content(listener.client_ca_file)
            with _named(content, listener.client_ca_file) as name:
                context.load_verify_locations(name)
        except (OSError, ssl.SSLError, ValueError) as error:
            raise InvalidRequest(f"cannot load {listener.client_ca_file}: {error}") from None
        if listener.require_client_cert:
            context.verify_mode = ssl.CERT_REQUIRED
        else:
            ask_for_any_certificate(context)
    return context


def load(context: ssl.SSLContext, listener: Listener) -> None:
    """Show the certificate that is in the listener's files from the next handshake on.

    Raise InvalidRequest, and leave context as it is, when they cannot be read, do not fit together,
    or the key takes a passphrase.
    """
    try:
        cert, key = _pem(listener.cert_file), _pem(listener.key_file)
        # Tried elsewhere first: half of a pair that does not fit would stay in context.
        for each in (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), context):
            with (
                _named(cert, listener.cert_file) as cert_name,
                _named(key, listener.key_file) as key_name,
            ):
                each.load_cert_chain(cert_name, key_name, password=_no_passphrase)
    except (OSError, ssl.SSLError, ValueError) as error:
        raise InvalidRequest(f"cannot load the listener's certificate or key: {error}") from None


def client_cas(listeners: Iterable[Listener]) -> tuple[bytes, ...]:
    """Return the CAs (DER) of all listeners' clients; raise InvalidRequest for a broken file."""
    found: list[bytes] = []
    for path in {each.client_ca_file for each in listeners} - {None}:
        try:
            certificates = x509.load_pem_x509_certificates(_content(path))
        except (OSError, ValueError) as error:
            raise InvalidRequest(f"cannot load {path}: {error}") from None
        found += (each.public_bytes(Encoding.DER) for each in certificates)
    return tuple(found)


def ask_for_any_certificate(context: ssl.SSLContext) -> None:
    """Ask for a client certificate, and take none, or any whose key the other end proves to hold.

    Raise nothing: where OpenSSL cannot be reached the handshake goes on to verify.
    """
    context.verify_mode = ssl.CERT_OPTIONAL
    pointer = _pointer(context)
    if pointer is not None:
        _SET_CALLBACK(pointer, _ACCEPT, None)


def _pointer(context: ssl.SSLContext) -> int | None:
    """Return OpenSSL's SSL_CTX of context: the first field after the head of the object."""
    if _SET_CALLBACK is None:
        return None
    pointer = ctypes.c_void_p.from_address(id(context) + object.__basicsize__).value
    # The layout is Python's own: believed only if OpenSSL finds in it what was just set.
    if not pointer or _GET_VERIFY_MODE(pointer) != int(context.verify_mode):
        return None
    return pointer


def _find() -> tuple[Any, Any]:
    """Return OpenSSL's functions, of the very library that Python's ssl uses; None for none."""
    try:
        library = ctypes.CDLL(getattr(_ssl, "__file__", None))
        setter, getter = library.SSL_CTX_set_cert_verify_callback, library.SSL_CTX_get_verify_mode
    except (OSError, AttributeError):
        return None, None
    setter.argtypes = (ctypes.c_void_p, type(_ACCEPT), ctypes.c_void_p)
    setter.restype = None
    getter.argtypes = (ctypes.c_void_p,)
    return setter, getter


_SET_CALLBACK, _GET_VERIFY_MODE = _find()


def _no_passphrase() -> str:
    raise ValueError("the key takes a passphrase, and a server has nobody to ask")


def _pem(path: Path | None) -> bytes:
    content = _content(path)
    if b"-----BEGIN " not in content:
        # OpenSSL would say "PEM lib" and not of which of the two.
        raise ValueError(f"{path} holds nothing in PEM")
    return content


def _content(path: Path | None) -> bytes:
    assert path is not None
    # Without waiting for a writer, should it be a pipe: this is read while others are served.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ValueError(f"{path} is no regular file")
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(MAX_FILE + 1)
    if len(data) > MAX_FILE:
        raise ValueError(f"{path} has more than {MAX_FILE} bytes")
    return data


@contextmanager
def _named(content: bytes, path: Path | None) -> Iterator[str]:
    """Give content, in memory, the name that OpenSSL wants: it is read twice and stays the same.

    Where the system has no such files the path itself has to do.
    """
    if not hasattr(os, "memfd_create"):
        yield str(path)
        return
    descriptor = os.memfd_create("ironkeep", os.MFD_CLOEXEC)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
