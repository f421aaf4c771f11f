"""The machine's clocks and entropy; removes environment variables that steer connections."""

import os
import threading
import time
from typing import Final


class SystemClock:
    """The machine's UTC clock, which stops instead of going back; any thread may call it."""

    def __init__(self) -> None:
        self._lock: Final = threading.Lock()
        self._last_ns = 0

    def now_ns(self) -> int:
        """Return POSIX nanoseconds; never less than any value returned before."""
        # Without the lock a thread that was suspended here could restore an older value.
        with self._lock:
            self._last_ns = max(self._last_ns, time.time_ns())
            return self._last_ns


class SystemClocks:
    """The machine's clocks as the vault's time is made of them (journal/vault_time.py)."""

    wall_ns: Final = staticmethod(time.time_ns)

    @staticmethod
    def steady_ns() -> int:
        """Return CLOCK_BOOTTIME, which no one can set and which goes on while suspended."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


_WHOLE: Final = 256
"""Bytes up to which getrandom(2) never returns fewer than asked for."""


class SystemEntropy:
    """The kernel's random generator. It is called each time, so no state is kept in memory."""

    def token(self, size: int) -> bytes:
        """Return size unpredictable bytes."""
        # The same system call as `os.urandom`, which gives up the interpreter lock for it: a thread
        # that waits for the lock was woken then, two times for each write, and found it taken.
        return os.getrandom(size) if size <= _WHOLE else os.urandom(size)


def forget_steering() -> None:
    """Remove the environment variables that steer connections: names, routes, authorities, drivers.

    A server connects as its configuration says. Libraries and the C library's resolver, which read
    these variables later, then do not find them.
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
