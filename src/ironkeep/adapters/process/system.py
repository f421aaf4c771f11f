"""The machine's clock, its source of randomness, and what its environment may not decide."""

import os
import threading
import time
from typing import Final


class SystemClock:
    """UTC of this machine, held still when it is set back; any thread may ask."""

    def __init__(self) -> None:
        self._lock: Final = threading.Lock()
        self._last_ns = 0

    def now_ns(self) -> int:
        """Return POSIX nanoseconds; never less than any value returned before."""
        # Without the lock a thread that was suspended here could put an older value back.
        with self._lock:
            self._last_ns = max(self._last_ns, time.time_ns())
            return self._last_ns


class SystemEntropy:
    """The kernel's generator, asked each time: nothing to guard in memory or to fork."""

    def token(self, size: int) -> bytes:
        """Return size unpredictable bytes."""
        return os.urandom(size)


def forget_steering() -> None:
    """Forget what would steer this process's connections: names, routes, authorities, drivers.

    A server connects where and how its configuration says. Whatever is begun later, in a library or
    in the C library's resolver, finds none of these variables.
    """
    for name in list(os.environ):
        if name.startswith("PG") or name.upper() in _STEERING:
            del os.environ[name]


_STEERING: Final = frozenset(
    {
        "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "FTP_PROXY", "NO_PROXY", "SSL_CERT_FILE",
        "SSL_CERT_DIR", "SSLKEYLOGFILE", "HOSTALIASES", "LOCALDOMAIN", "RES_OPTIONS",
        "RESOLV_HOST_CONF", "RESOLV_MULTI", "RESOLV_ADD_TRIM_DOMAINS",
        "RESOLV_OVERRIDE_TRIM_DOMAINS",
    }
)  # fmt: skip
