"""The server side of TLS: renewable certificates, and client certificates of any issuer.

A client may present any certificate, because browsers and libraries send the one that they have.
So the handshake checks only that the client holds its private key. Device checks and the cert auth
method (access/devices/devices.py, auth/cert/chain.py) verify the chain themselves and never rely
on the listener for it. Only with `require_client_cert` does the handshake refuse certificates of
other CAs.

Python can request a client certificate only together with OpenSSL's verification of it. The
verification is therefore replaced by a function that accepts every chain
(SSL_CTX_set_cert_verify_callback(3)); OpenSSL still checks the signature by the certificate's key.
Where that function cannot be reached, the handshake refuses certificates that it cannot verify.
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

from ironkeep.config.settings import Listener
from ironkeep.core.errors import InvalidRequest

MAX_FILE: Final = 1 << 20
"""Bytes of a certificate file with its chain, or of a key file."""

_ACCEPT: Final = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(
    lambda _store, _argument: 1
)
"""A global, so that it is never collected: OpenSSL keeps a pointer to it."""


def tls_context(listener: Listener) -> ssl.SSLContext:
    """Return a server context for TLS 1.3 and, unless the listener forbids it, TLS 1.2."""
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
    """Load the listener's certificate and key into context, for the next handshakes.

    Raise InvalidRequest and leave context unchanged when they cannot be read, do not match, or the
    key has a passphrase.
    """
    try:
        cert, key = _pem(listener.cert_file), _pem(listener.key_file)
        # First into a throwaway context: a mismatched pair would leave its certificate in context.
        for each in (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), context):
            with (
                _named(cert, listener.cert_file) as cert_name,
                _named(key, listener.key_file) as key_name,
            ):
                each.load_cert_chain(cert_name, key_name, password=_no_passphrase)
    except (OSError, ssl.SSLError, ValueError) as error:
        raise InvalidRequest(f"cannot load the listener's certificate or key: {error}") from None


def client_cas(listeners: Iterable[Listener]) -> tuple[bytes, ...]:
    """Return the client CAs (DER) of all listeners; raise InvalidRequest for a broken file."""
    found: list[bytes] = []
    for path in {each.client_ca_file for each in listeners} - {None}:
        try:
            certificates = x509.load_pem_x509_certificates(_content(path))
        except (OSError, ValueError) as error:
            raise InvalidRequest(f"cannot load {path}: {error}") from None
        found += (each.public_bytes(Encoding.DER) for each in certificates)
    return tuple(found)


def ask_for_any_certificate(context: ssl.SSLContext) -> None:
    """Request a client certificate, and accept none or any whose key the client proves to hold.

    Raise nothing: where OpenSSL cannot be reached, the handshake verifies the chain as usual.
    """
    context.verify_mode = ssl.CERT_OPTIONAL
    pointer = _pointer(context)
    if pointer is not None:
        _SET_CALLBACK(pointer, _ACCEPT, None)


def _pointer(context: ssl.SSLContext) -> int | None:
    """Return OpenSSL's SSL_CTX of context: the first field after the Python object header."""
    if _SET_CALLBACK is None:
        return None
    pointer = ctypes.c_void_p.from_address(id(context) + object.__basicsize__).value
    # The layout is internal to Python: use the pointer only if OpenSSL reads the mode just set.
    if not pointer or _GET_VERIFY_MODE(pointer) != int(context.verify_mode):
        return None
    return pointer


def _find() -> tuple[Any, Any]:
    """Return the setter and getter from the OpenSSL library that `ssl` uses, or (None, None)."""
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
    raise ValueError("the key has a passphrase, which a server cannot ask for")


def _pem(path: Path | None) -> bytes:
    content = _content(path)
    if b"-----BEGIN " not in content:
        # OpenSSL would only say "PEM lib", without the name of the file.
        raise ValueError(f"{path} is not a PEM file")
    return content


def _content(path: Path | None) -> bytes:
    assert path is not None
    # O_NONBLOCK: opening a named pipe would wait for a writer, on the loop that serves requests.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ValueError(f"{path} is not a regular file")
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(MAX_FILE + 1)
    if len(data) > MAX_FILE:
        raise ValueError(f"{path} is larger than {MAX_FILE} bytes")
    return data


@contextmanager
def _named(content: bytes, path: Path | None) -> Iterator[str]:
    """Yield the path of an in-memory file with content, since OpenSSL loads from paths only.

    OpenSSL reads it twice, and the file on disk could change in between. Systems without
    memfd_create(2) get the path itself.
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
