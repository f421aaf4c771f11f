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

from ironkeep.adapters import log

STOPS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
RELOADS: Final = (signal.SIGHUP,)
NAMES: Final = ("SIGUSR1", "SIGUSR2", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGIO", "SIGPWR")
"""Those that would end the process by default, beside what tells of a crash and SIGKILL."""


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
    for name in NAMES:
        if hasattr(signal, name):
            loop.add_signal_handler(getattr(signal, name), log.say, f"{name}: without effect here")


def done() -> None:
    """Call off the end by the system: everything was written."""
    signal.alarm(0)


def end(code: int) -> None:
    """End the process at once, with code, whatever its threads wait for."""
    os._exit(code)
