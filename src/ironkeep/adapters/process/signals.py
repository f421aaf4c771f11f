"""What a server does when it is sent a signal: stop, reload, or say that it does nothing.

A signal whose default is to end the process ends no server unsaid: operators and their tools send
SIGHUP after a certificate was renewed, SIGUSR1 to a program that they take for another one.

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
"""Those that would end the process by default, beside what tells of a crash and SIGKILL."""


def _harmless() -> dict[int, str]:
    """Return the signals that do nothing here, with their names; a system may not have them all."""
    found = {int(getattr(signal, name)): name for name in NAMES if hasattr(signal, name)}
    if hasattr(signal, "SIGRTMIN"):
        first, last = int(signal.SIGRTMIN), int(signal.SIGRTMAX)
        found |= {number: f"SIGRTMIN+{number - first}" for number in range(first, last + 1)}
    return found


def hold() -> None:
    """Let no signal but a stop end a process that starts, until it does `watch`.

    What SIGHUP would have read again is about to be read.
    """
    for number in (*RELOADS, *_harmless()):
        signal.signal(number, signal.SIG_IGN)


def watch(stop: Callable[[], None], reload: Callable[[], None], within: int = 0) -> None:
    """Call stop and reload, on the running loop, when a signal asks for it; say every signal.

    A reload opens the log file anew first.

    From a stop on the process has `within` seconds, 0 for any number: then the system ends it,
    whatever hangs, by SIGALRM. A second SIGINT or SIGTERM ends it at once.
    """
    loop = asyncio.get_running_loop()

    def stopping(name: str) -> None:
        log.say(f"{name}: stopping")
        for number in STOPS:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)
        if within:
            # The system's own clock: no thread, no memory and no turn of the loop is needed for it.
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
        loop.add_signal_handler(each, log.say, f"{name}: without effect here")


def done() -> None:
    """Call off the end by the system: everything was written."""
    signal.alarm(0)


def end(code: int) -> None:
    """End the process at once, with code, whatever its threads wait for."""
    os._exit(code)
