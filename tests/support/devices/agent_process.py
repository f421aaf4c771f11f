"""A real `ironkeep agent run` in a process of its own, ended by its pid."""

import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ironkeep.testing.server import stop

READY_SECONDS: Final = 150
"""On a busy machine; an idle one needs one."""


class AgentProcess:
    """An agent: its socket, its loopback address, and what it says."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self.process: Final = process
        self.folder: Final = folder
        self.address = ""
        self.socket: Final = folder / "agent.sock"
        self._lines: Final[queue.SimpleQueue[str]] = queue.SimpleQueue()
        self._thread: Final = threading.Thread(target=self._pump, daemon=True)
        self._thread.start()

    def wait_for(self, text: str) -> str:
        """Return the next line with text; raise RuntimeError with all that was said instead."""
        said = []
        while True:
            try:
                line = self._lines.get(timeout=READY_SECONDS)
            except queue.Empty:
                line = ""
            said.append(line)
            if text in line:
                return line
            if not line:
                raise RuntimeError(f"the agent never said {text!r}:\n{''.join(said)}")

    def close(self) -> None:
        """End it."""
        stop(self.process)
        self._thread.join()
        assert self.process.stderr is not None
        self.process.stderr.close()

    def _pump(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._lines.put(line)
        self._lines.put("")


@contextmanager
def running(folder: Path, environment: Mapping[str, str], *more: str) -> Iterator[AgentProcess]:
    """Run the agent whose state is in folder, at its socket and at a free loopback port.

    `more` are further words of its command line.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "ironkeep", "agent", "run", f"-dir={folder}",
         "-listen=127.0.0.1:0", *more],
        env=dict(environment), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    agent = AgentProcess(process, folder)
    try:
        agent.address = agent.wait_for("listening at http").partition("listening at ")[2].strip()
        yield agent
    finally:
        agent.close()
