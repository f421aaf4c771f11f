"""The process's memory holds keys: it is never written to disk as a core dump, nor read by others.

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
        # Without it a core pattern that pipes to a program would get a dump in spite of the limit.
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), "prctl")
