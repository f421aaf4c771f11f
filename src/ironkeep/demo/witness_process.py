"""Witnesses and mirrors on loopback, each in a process of its own."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from ironkeep.config.settings import Witness
from ironkeep.tlog.note import VerifierKey

STOP_SECONDS: Final = 60.0

_MAIN: Final = "import sys; from ironkeep.cli.main import main; sys.exit(main(sys.argv[1:]))"


class WitnessProcess:
    """A running `ironkeep witness` whose state is in folder/state, and folder/mirror for a mirror.

    `more` are further arguments of its command line; `before` is Python code that its interpreter
    runs first, to change it for a test. Raises RuntimeError with its output if it does not start.
    """

    def __init__(
        self,
        folder: Path,
        logs: Sequence[VerifierKey],
        *,
        mirror: bool = False,
        more: Sequence[str] = (),
        before: str = "",
    ) -> None:
        self.folder: Final = folder
        words = ["witness", "-dir", str(folder / "state"), "-listen", "127.0.0.1:0"]
        for key in logs:
            words += ["-log", key.format()]
        if mirror:
            words += ["-mirror", str(folder / "mirror")]
        words += more
        self.process: Final = subprocess.Popen(
            [sys.executable, "-c", f"{before}\n{_MAIN}", *words], stderr=subprocess.PIPE, text=True
        )
        assert self.process.stderr is not None
        line = self.process.stderr.readline()
        # … witness NAME+ID+KEY at http://127.0.0.1:PORT
        before_address, at, self.address = line.rstrip("\n").rpartition(" at ")
        if not at:
            raise RuntimeError(line + self.wait())
        self.key: Final = VerifierKey.parse(before_address.rpartition(" ")[2])

    @property
    def config(self) -> Witness:
        """The server's configuration of this witness."""
        return Witness(self.key.name, self.address, self.key.format())

    def kill(self) -> None:
        """Kill the process with SIGKILL, and wait for its end."""
        self.process.kill()
        self.wait()

    def stop(self) -> int:
        """Ask the process to stop; return its exit code."""
        self.process.terminate()
        self.wait()
        return self.process.returncode

    def wait(self) -> str:
        """Wait for the process to end; return the rest of its output."""
        try:
            _, said = self.process.communicate(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            _, said = self.process.communicate()
        return said


@contextlib.contextmanager
def witness(
    folder: Path,
    logs: Sequence[VerifierKey],
    *,
    mirror: bool = False,
    more: Sequence[str] = (),
    before: str = "",
) -> Iterator[WitnessProcess]:
    """Run a witness as long as the block lasts."""
    running = WitnessProcess(folder, logs, mirror=mirror, more=more, before=before)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.stop()
        assert running.process.stderr is not None
        running.process.stderr.close()
