"""Keeps the process's memory, which holds keys, out of core dumps and other processes' reach.

Sources: setrlimit(2) RLIMIT_CORE; prctl(2) PR_SET_DUMPABLE, which also keeps processes of the same
user from attaching with ptrace(2) and from reading /proc/PID/mem.
"""

import ctypes
import os
import resource
import sys
from typing import Final

_PR_SET_DUMPABLE: Final = 4


def forbid_dumps() -> None:
    """Forbid core dumps of this process and its children; raise OSError if that fails."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        # A core_pattern that pipes to a program ignores the limit, so the limit is not enough.
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), "prctl")
