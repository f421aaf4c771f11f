"""No core dump: asked of the kernel in a process of its own, since it cannot be taken back."""

import subprocess
import sys

ASK = """
import ctypes, resource
from ironkeep.adapters.process.memory_guard import forbid_dumps
PR_GET_DUMPABLE = 3
libc = ctypes.CDLL(None)
print(libc.prctl(PR_GET_DUMPABLE, 0, 0, 0, 0))
forbid_dumps()
print(libc.prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), *resource.getrlimit(resource.RLIMIT_CORE))
"""


def test_dumps_are_forbidden() -> None:
    done = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["1", "0 0 0"]
