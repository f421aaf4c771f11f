"""Signal handling of a server: stop, reload, or log that a signal has no effect.

No signal that a program can handle ends the server without a log line. Operators and their tools
send SIGHUP after renewing a certificate, and SIGUSR1 to programs that do not use it.

Sources: signal(7); the Vault documentation, "SIGHUP".
"""

import asyncio
import os
import signal
from collections.abc import Callable
from typing import Final

from ironkeep.adapters.process import messages as log

STOPS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
RELOADS: Final = (signal.SIGHUP,)
NAMES: Final = (
    "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGIO", "SIGPWR", "SIGSTKFLT",
    "SIGXCPU",
)  # fmt: skip
"""Signals without effect here whose default action ends the process.

Not listed: SIGKILL, and the signals that report a crash.
"""


def _harmless() -> dict[int, str]:
    """Return the signals without effect here and their names, as far as the system has them."""
    found = {int(getattr(signal, name)): name for name in NAMES if hasattr(signal, name)}
    if hasattr(signal, "SIGRTMIN"):
        first, last = int(signal.SIGRTMIN), int(signal.SIGRTMAX)
        found |= {number: f"SIGRTMIN+{number - first}" for number in range(first, last + 1)}
    return found


def hold() -> None:
    """Ignore all signals but stops while the process starts, until it calls `watch`.

    SIGHUP may be ignored too, since the files that a reload reads are about to be read.
    """
    for number in (*RELOADS, *_harmless()):
        signal.signal(number, signal.SIG_IGN)


def watch(stop: Callable[[], None], reload: Callable[[], None], within: int = 0) -> None:
    """Call stop and reload, on the running loop, when a signal asks for it; log every signal.

    A reload first reopens the log file.

    After a stop signal the process has `within` seconds (0 for no limit). Then the system ends it,
    whatever hangs, by SIGALRM. A second SIGINT or SIGTERM ends it at once.
    """
    loop = asyncio.get_running_loop()

    def stopping(name: str) -> None:
        log.say(f"{name}: stopping")
        for number in STOPS:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)
        if within:
            # The kernel's timer needs no thread, no memory and no turn of the loop.
            loop.remove_signal_handler(signal.SIGALRM)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(within)
        stop()

    def reloading(name: str) -> None:
        log.reopen()
        log.say(f"{name}: reloading")
        reload()

    for number in STOPS:
        loop.add_signal_handler(number, stopping, number.name)
    for number in RELOADS:
        loop.add_signal_handler(number, reloading, number.name)
    for each, name in _harmless().items():
        loop.add_signal_handler(each, log.say, f"{name}: ignored")


def done() -> None:
    """Cancel the alarm of a stop, after everything was written."""
    signal.alarm(0)


def end(code: int) -> None:
    """End the process at once with exit code `code`, even if threads hang."""
    os._exit(code)
