"""The machine's clock and its source of randomness."""

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
